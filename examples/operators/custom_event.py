"""A custom event: the sources that an answer cites, each emitted as soon as its number has been shown.

Run it with `python examples/operators/custom_event.py`.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cortex_rx import Cortex, Operator, StreamEvent, default_chain
from cortex_rx import operators as cx
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.events import Custom, Delta

CITATION = re.compile(r"\[(\d{1,3})\]")
LONGEST = 5  # code points of a citation


@cx.operator(reads=[Delta], emits=[Custom], captures_text=True)
def cite(sources: Sequence[str]) -> Operator:
    """Emit `Custom("citation", {"number", "source", "offset"})` right after the delta that completes a citation `[1]`.

    It reads along and changes nothing, so no token waits.  `source` is None for a number that no source has.  It holds
    at most four code points.
    """

    def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        tail, attempt = "", 0

        def on_next(event: StreamEvent) -> None:
            nonlocal tail, attempt
            emit(event)
            if not isinstance(event, Delta):
                return
            if event.attempt != attempt:  # the text begins anew
                tail, attempt = "", event.attempt
            text, start = tail + event.text, event.offset - len(tail)
            seen = 0
            for found in CITATION.finditer(text):
                number, seen = int(found[1]), found.end()
                source = sources[number - 1] if 1 <= number <= len(sources) else None
                emit(Custom("citation", {"number": number, "source": source, "offset": start + found.start()}))
            tail = text[seen:][1 - LONGEST :]  # none of it has been part of a citation

        return on_next, None

    return passing(make)


class Footnotes:
    """The fold of citations: the sources that were cited, in the order in which they were first cited."""

    def __init__(self) -> None:
        self.cited: dict[str, list[int]] = {}

    def add(self, event: StreamEvent) -> None:
        """Note a citation; ignore every other event."""
        if isinstance(event, Custom) and event.name == "citation" and event.data["source"]:
            self.cited.setdefault(event.data["source"], []).append(event.data["offset"])


SOURCES = ("https://example.org/rivers", "https://example.org/seas")
ANSWER = "The Rhine is long [1]. It ends in the North Sea [2], says the atlas [1]."


async def main(path: Path) -> None:
    async def model():
        for start in range(0, len(ANSWER), 2):
            yield ANSWER[start : start + 2]

    footnotes = Footnotes()
    async with Cortex(path) as cortex:
        answer = cortex.memory.remember_stream(
            model,
            chain=default_chain(cortex.backend).after("finalize", cite(SOURCES)),
            memory_space_id="atlas",
            conversation_id="c-1",
            user_message="Tell me of the Rhine.",
            user_id="ada",
            user_name="Ada",
        )
        async for event in answer.events():
            footnotes.add(event)
            if isinstance(event, Delta):
                print(event.text, end="", flush=True)
        stored = await cortex.memory.get("atlas", (await answer).memories[-1].memory_id)
    print()
    for source, offsets in footnotes.cited.items():
        assert all(CITATION.match(stored.content, offset) for offset in offsets)
        print(f"{source}: cited at {', '.join(map(str, offsets))}")


if __name__ == "__main__":
    asyncio.run(main(Path(tempfile.mkdtemp(prefix="cortex-rx-")) / "memory.db"))
