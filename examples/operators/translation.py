"""Translation: each sentence is translated when it is complete; what is shown and stored is the translation.

Run it with `python examples/operators/translation.py`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

from cortex_rx import Cortex, Operator, StreamEvent, default_chain
from cortex_rx import operators as cx
from cortex_rx.chunking import Span, cutter
from cortex_rx.events import Custom, Problem

Translate = Callable[[str], Awaitable[str]]


@cx.operator(emits=[Custom, Problem], rewrites=True)
def translate(translator: Translate, language: str = "en", longest: int = 1000) -> Operator:
    """Replace each sentence by its translation; `language` is that of the original.

    A sentence without an end is cut after `longest` code points.  Sentences that are complete at the same time are
    translated at the same time, and shown in their order.  Before each there is a
    `Custom("original", {"text", "start"})`: the sentence as the model wrote it, and its offset in the model's answer.

    A sentence whose translation fails is shown as it is, after a `Problem`: an original is better than a gap.
    """
    return cx.rewrite(lambda: Sentences(translator, language, longest), waits=True)


class Sentences:
    """Translates one text that comes in pieces."""

    def __init__(self, translator: Translate, language: str, longest: int) -> None:
        self.translator = translator
        self.cutter = cutter("sentence", size=1, language=language, longest=longest)

    def feed(self, text: str) -> AsyncGenerator[str | StreamEvent, None]:
        return self._translated(self.cutter.feed(text))

    def finish(self) -> AsyncGenerator[str | StreamEvent, None]:
        return self._translated(self.cutter.finish())

    async def _translated(self, sentences: Sequence[Span]) -> AsyncGenerator[str | StreamEvent, None]:
        outcomes = await asyncio.gather(*(self._outcome(sentence.text) for sentence in sentences))
        for sentence, outcome in zip(sentences, outcomes, strict=True):
            yield Custom("original", {"text": sentence.text, "start": sentence.start})
            if isinstance(outcome, Exception):
                yield Problem.of("streaming", outcome, recoverable=True)
                yield sentence.text
            else:
                yield outcome

    async def _outcome(self, text: str) -> str | Exception:
        """The translation, with the white space of the original around it; or the error."""
        words = text.strip()
        if not words:
            return text
        before, _, after = text.partition(words)
        try:
            return f"{before}{await self.translator(words)}{after}"
        except Exception as error:
            return error


ANSWER = "Good morning, Dr. Who. The tea costs 3.50 today. See you soon!"
GERMAN = {
    "Good morning, Dr. Who.": "Guten Morgen, Dr. Who.",
    "The tea costs 3.50 today.": "Der Tee kostet heute 3,50.",
    "See you soon!": "Bis bald!",
}


async def main(path: Path) -> None:
    async def model():
        for start in range(0, len(ANSWER), 4):
            await asyncio.sleep(0.01)
            yield ANSWER[start : start + 4]

    async def translator(sentence: str) -> str:
        await asyncio.sleep(0.05)
        return GERMAN[sentence]

    async with Cortex(path) as cortex:
        answer = cortex.memory.remember_stream(
            model,
            chain=default_chain(cortex.backend).before("begin", translate(translator)),
            memory_space_id="cafe",
            conversation_id="c-1",
            user_message="What is the tea today?",
            user_id="ada",
            user_name="Ada",
        )
        async for event in answer.events():
            if isinstance(event, Custom):
                print(f"{event.data['start']:3} {event.data['text']}")
        stored = await cortex.memory.get("cafe", (await answer).memories[-1].memory_id)
    print("stored:", stored.content)


if __name__ == "__main__":
    asyncio.run(main(Path(tempfile.mkdtemp(prefix="cortex-rx-")) / "memory.db"))
