"""Change, hold back or drop text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Mailbox, Passing, passing, stage, upstream_flow
from cortex_rx.events import Delta, Ended, Replayed, Resumed, SourceReplayed, StreamEvent
from cortex_rx.operators._support.rewrite_forms import RewriteAtOnce, rewrite_in_turn
from cortex_rx.operators._support.rewriter import Rewriter, Text

__all__ = ["rewrite"]


@operator(reads=[Delta, Ended, Replayed, SourceReplayed, Resumed], rewrites=True)
def rewrite(make: Callable[[], Rewriter], waits: bool = False) -> Operator:
    """Replace the text of the deltas by what a rewriter makes of it; everything downstream sees that text alone.

    You write `feed` and `finish`; offsets, indices, new attempts and the end of the stream are taken care of.

    ```text
    rewrite(Held)
    source  O-a-b-c-(E|)
    out     O---A-B-(CE|)

    O = Opened, E = Ended
    ```

    `make()` makes a rewriter for each text: when its first delta comes, in each subscription, and anew when the text begins
    anew.  It is any object with these two methods:

    * `feed(text)`: more text has come.  It gives what can be shown now, and keeps the rest.
    * `finish()`: no more text comes.  It gives what it has kept.

    Both give a text, or any number of texts and of other events, or are generators of these; each text that is not empty
    becomes a `Delta`.  With `waits=True` they may be async, functions or generators: everything that comes later waits for
    them, and what has gathered meanwhile comes as one text.

    `finish` is called before `Ended` goes out, and when the source fails or completes without one; then its error goes out.  On
    cancellation what is held back is dropped: nobody has seen it, and it is not stored.  So is what a text that begins anew had
    kept.  What a rewriter raises ends the stream, as it is, and drops what it holds; so does
    a lone surrogate that it gives, a `ValueError`.  Other events pass at once (with `waits`,
    in their turn), ahead of text that is held back.  It holds what the rewriter holds; with `waits` 32 events more.

    In a stream that was taken over from another process, a source that delivers the same text again is read from its start, and the
    rewriter with it, so that it knows what that of the other process knew.  What it gives is compared with what is stored: if it is the
    same the text goes on behind it, else it begins anew as a new attempt.  So a rewriter whose result depends on its text alone goes
    on; what it gives beside text is not given again.

    Commonly used for: redaction, translation, moderation before anything is shown, mending of Markdown.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, run
    >>> class Words:  # deltas that are whole words
    ...     held = ""
    ...     def feed(self, text):
    ...         *words, self.held = (self.held + text).split(" ")
    ...         return "".join(word + " " for word in words)
    ...     def finish(self):
    ...         return self.held
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> answer = from_stream(["Go", "od mor", "ning A", "da"], turn=turn)
    >>> only = ops.filter(lambda event: isinstance(event, Delta))
    >>> [(delta.offset, delta.text) for delta in asyncio.run(run(answer.pipe(rewrite(Words), only, ops.to_list())))]
    [(0, 'Good '), (5, 'morning '), (13, 'Ada')]

    See also: `limit`, `step`.
    """
    check.function("make", make)
    check.flag("waits", waits)

    def text_of(flow: FlowScheduler) -> Text:
        # If no step downstream rewrites the text again, it is the text that is stored.
        return Text(make, last=not flow.replays_upstream)

    def at_once(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        rewriting = RewriteAtOnce(text_of(flow), emit, end)
        return rewriting.on_next, rewriting.at_end

    def in_turn(mailbox: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        return rewrite_in_turn(text_of(mailbox.flow), mailbox)

    form: Operator = stage(in_turn) if waits else passing(at_once)
    replayed: Operator = upstream_flow(lambda flow: flow.child(replays_upstream=True))
    return lambda source: form(replayed(source))
