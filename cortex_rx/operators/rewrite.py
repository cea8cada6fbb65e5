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
    """Replace the text of the deltas by the output of a rewriter; steps downstream see only that text.

    You write `feed` and `finish`. Offsets, indices, new attempts and the end of the stream are taken care of.

    ```text
    rewrite(Held)
    source  O-a-b-c-(E|)
    out     O---A-B-(CE|)

    O = Opened, E = Ended
    ```

    `make()` makes a rewriter for each text: in each subscription when its first delta comes, and again when the text
    begins anew. A rewriter is any object with these two methods:

    * `feed(text)`: more text has come. It returns what can be shown now, and keeps the rest.
    * `finish()`: no more text comes. It returns what it has kept.

    Both return a text, or any number of texts and of other events, or are generators of these. Each text that is not
    empty becomes a `Delta`. With `waits=True` they may be async functions or async generators. Everything that comes
    later then waits for them, and text that has gathered meanwhile comes as one text.

    `finish` is called before `Ended` is passed on, and when the source fails or completes without `Ended`; then the
    error of the source is passed on. On cancellation, text that is held back is dropped: it was not shown, and it is
    not stored. When a text begins anew, text that was kept is dropped too. An error of a rewriter ends the stream as it
    is, and drops what the rewriter holds. So does a lone surrogate that it returns, with a `ValueError`. Other events
    pass at once (with `waits`, in their turn), ahead of text that is held back. It holds what the rewriter holds; with
    `waits`, 32 events more.

    In a stream that was taken over from another process, a source that delivers the same text again is read from its
    start, and so the rewriter gets into the state of the one in the other process. Its output is compared with what is
    stored. If it is the same, the text goes on behind it, else it begins anew as a new attempt. So a rewriter goes on
    if its output depends on its text alone. Events that it emits beside text are not repeated.

    Commonly used for: redaction, translation, moderation before text is shown, repair of Markdown.

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
