"""Change, hold back or drop text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import FlowScheduler, Mailbox, passing, stage
from cortex_rx.engine.frames import per_subscription, upstream_flow
from cortex_rx.events import Delta, Ended, Replayed, Resumed, SourceReplayed, StreamEvent
from cortex_rx.operators._support.rewriter import Rewriter, Text, at_once, in_time, joined

__all__ = ["rewrite"]

_FED = (Delta, SourceReplayed)


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

    def passed(
        emit: Callable[[StreamEvent], None], flow: FlowScheduler, end: Callable[[Exception | None], None]
    ) -> tuple[Callable[[StreamEvent], None], Callable[[Exception | None], Exception | None]]:
        text = Text(make, last=not flow.replays_upstream)

        def rewritten(event: StreamEvent | None) -> list[StreamEvent]:
            try:
                events = [out for piece in at_once(text.pieces(event)) if (out := text.out(piece))]
                return events if event is None or type(event) in _FED else [*events, *text.other(event)]
            except BaseException:
                text.drop()
                raise

        def on_next(event: StreamEvent) -> None:
            try:
                events = rewritten(event)
            except Exception as error:
                return end(error)
            for each in events:  # not in the `try`: what is raised downstream is not the rewriter's
                emit(each)
            return None

        def at_end(error: Exception | None) -> Exception | None:
            try:
                events = rewritten(None)
            except Exception as failure:
                return error or failure
            for each in events:
                emit(each)
            return error

        return on_next, at_end

    async def waiting(last: bool, items: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        text, error, over = Text(make, last), None, False
        while not over:
            batch: list[StreamEvent] = []
            try:
                batch = await items.batch()
            except Exception as failure:
                error = failure
            over = not batch
            for event in joined(batch) if batch else (None,):
                try:
                    async with aclosing(in_time(text.pieces(event))) as pieces:
                        async for piece in pieces:
                            if out := text.out(piece):
                                yield out
                    if event and type(event) not in _FED:
                        for out in text.other(event):
                            yield out
                except Exception as failure:
                    raise (error or failure)  # noqa: B904 - `from` would replace the cause that it may have
        if error:
            raise error

    replayed: Operator = upstream_flow(lambda flow: flow.child(replays_upstream=True))

    def made(flow: FlowScheduler) -> Operator:
        # Nobody downstream rewrites what comes from here: then it is what is stored.
        form: Operator = stage(partial(waiting, not flow.replays_upstream)) if waits else passing(passed)
        return lambda source: form(replayed(source))

    return per_subscription(made)
