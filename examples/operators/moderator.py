"""A moderator: a judge reads along.  An answer that it does not allow is ended, and never stored as complete.

Run it with `python examples/operators/moderator.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cortex_rx import Cortex, Operator, StreamEvent, default_chain
from cortex_rx import operators as cx
from cortex_rx.engine import Inbox, Mailbox, beside, passing, stage
from cortex_rx.errors import CortexError, ResumableStreamError
from cortex_rx.events import Delta, Ended

Judge = Callable[[str], bool | Awaitable[bool]]
"""Says whether a text is allowed; most likely by a call of a model."""

CONTEXT = 500  # code points before the new text that the judge is shown with it
JUDGE_TIMEOUT = 5.0  # seconds that the judge may take
MOST = 64 * 1024  # bytes, estimated, that may wait for the judge; above it the source waits


class Moderated(CortexError):
    """The judge did not allow the answer.  The text before `offset` was judged and allowed."""

    code = "MODERATED"

    def __init__(self, offset: int) -> None:
        super().__init__(f"the answer was ended by the moderator, after {offset} code points")
        self.offset = offset


@cx.operator(reads=[Delta, Ended], rewrites=True, captures_text=True)
def moderate(judge: Judge, show: Literal["judged", "at once"] = "judged") -> Operator:
    """End the stream with `Moderated` when the judge does not allow the text so far.

    `show="judged"`: each piece is shown after it has been judged.  Nothing that is not allowed is ever shown or stored;
    every token waits for the judge.  `show="at once"`: no token waits; text that is not allowed may have been shown
    before the verdict, and cannot be taken back.  In both cases what was shown is kept as a partial memory only.  The
    stream ends with an error, not with `Ended`, because `finalize` makes a memory of every answer that has `Ended`.

    It captures the text, so steps that change the text must stand before it; the chain is refused otherwise.  Nobody
    would have judged the output of a translation, and a `limit` would end the answer before the verdict.

    The judge is shown the text since it was last asked, with some of the text before.  If it fails, or takes longer
    than 5 s, the stream fails too.
    """

    async def rule(docket: Docket, events: list[StreamEvent]) -> None:
        if docket.add(events):
            async with asyncio.timeout(JUDGE_TIMEOUT):
                allowed = judge(docket.case)
                if inspect.isawaitable(allowed):
                    allowed = await allowed
            if not allowed:
                raise Moderated(docket.judged)
        docket.close()

    async def judged(items: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        docket = Docket()
        while batch := await items.batch():
            await rule(docket, batch)
            for event in batch:
                yield event

    async def reading_along(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        docket = Docket()
        async for batch in inbox:
            if inbox.disposed:
                return  # stopped: nobody waits for a verdict
            await rule(docket, batch)
        yield Allowed()

    if show == "judged":
        return stage(judged)
    watching = beside(reading_along, weigh=weigh, capacity=MOST, wants=frozenset({Delta}))
    return lambda source: source.pipe(watching, passing(last_word))


@dataclass(slots=True)
class Allowed(StreamEvent):
    """The whole text was judged and allowed.  This event does not leave this file."""


class Docket:
    """What the judge is shown, and how much of the text has been judged."""

    def __init__(self) -> None:
        self.case = ""
        self.attempt = self.judged = self.end = 0

    def add(self, events: list[StreamEvent]) -> bool:
        """Whether there is something new to judge."""
        for event in events:
            if isinstance(event, Delta):
                if event.attempt != self.attempt:
                    self.case, self.attempt, self.judged = "", event.attempt, event.offset
                self.case += event.text
                self.end = event.offset + len(event.text)
        return self.end > self.judged

    def close(self) -> None:
        """Note that the text so far was allowed; its end is kept as context."""
        self.judged, self.case = self.end, self.case[-CONTEXT:]


def weigh(event: StreamEvent) -> float:
    return len(event.text) + 240 if isinstance(event, Delta) else 0


def last_word(emit, flow, end):
    """Hold `Ended` back until the whole text has been allowed: a step that sees it takes the answer for complete."""
    ended: Ended | None = None

    def on_next(event: StreamEvent) -> None:
        nonlocal ended
        if isinstance(event, Ended):
            ended = event
        elif not isinstance(event, Allowed):
            emit(event)
        elif ended:
            emit(ended)

    return on_next, None


ANSWER = (
    "First warm the water. Then stir in the flour. Then add the poison. Serve it hot, with fresh bread and a glass of"
    " cold water, and wish your guests a good evening. They will ask for more of it."
)


async def main(path: Path) -> None:
    async def model():
        for word in ANSWER.split(" "):
            await asyncio.sleep(0.02)
            yield f"{word} "

    async def judge(text: str) -> bool:
        await asyncio.sleep(0.1)
        return "poison" not in text

    async with Cortex(path) as cortex:
        for show in ("judged", "at once"):
            answer = cortex.memory.remember_stream(
                model,
                chain=default_chain(cortex.backend).before("begin", moderate(judge, show)),
                memory_space_id=show,
                conversation_id="c-1",
                user_message="How do I make soup?",
                user_id="ada",
                user_name="Ada",
            )
            print(f"{show}: ", end="")
            try:
                async for text in answer:
                    print(text, end="", flush=True)
                await answer
            except (
                ResumableStreamError
            ) as error:  # the default chain says that the partial is kept; what happened is in it
                print(f"\n  {error.original_error}")
            print("  memories:", await cortex.memory.list(show))
            (partial,) = await cortex.memory.list(show, include_partial=True)
            print(f"  kept as a partial: {partial.content!r}")


if __name__ == "__main__":
    asyncio.run(main(Path(tempfile.mkdtemp(prefix="cortex-rx-")) / "memory.db"))
