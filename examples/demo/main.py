"""Stream a long answer into memory, show it and the facts in it live, and find them again.

    python examples/demo/main.py [--fast] [--db PATH]

A server on this machine plays the model, in OpenAI's format.  The real OpenAI client reads it; `remember_stream` shows
and stores it, and `PatternExtractor` reads facts from the question and from the answer while it streams.  Then the file
is opened again, and its content is compared with what was streamed.  The exit status is 0 if they are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from cortex_rx import Cortex, EnhancedRememberStreamResult, StreamMetrics, default_chain
from cortex_rx.errors import CortexError, MissingExtra
from cortex_rx.events import Delta, FactsExtracted, PartialStored
from cortex_rx.facts import PatternExtractor
from cortex_rx.models import FactRecord

try:
    from openai import AsyncOpenAI
    from screen import Screen
    from server import MODEL, Server
except ImportError as error:
    sys.exit(f"{error}; {MissingExtra('the demo', 'demo')}, or say make demo")

TEXT = Path(__file__).with_name("answer.md")
QUESTION = (
    "I'm Ada. I live in Lisbon, I'm learning Portuguese, and my brother is a sailor."
    " How does a streamed answer become a memory?"
)
SPACE, CONVERSATION = "demo", "river"
SOUGHT = ("tortoise", "記憶", "C++")


def headline(title: str) -> None:
    print(f"\n--- {title} {'-' * (96 - len(title))}", flush=True)


async def ask(path: Path, base_url: str, text: str, fast: bool) -> tuple[str, EnhancedRememberStreamResult]:
    """Stream the answer into the file and show it.  Returns what was shown, and the result."""
    shown: list[str] = []
    async with Cortex(path) as cortex, AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        chain = default_chain(cortex.backend, extract_facts=PatternExtractor())

        def open_stream():  # called once; a function, so that a chain could open it again
            return client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"demo": {"pace": "fast" if fast else "provider"}},
            )

        answer = cortex.memory.remember_stream(
            open_stream,
            chain=chain,
            memory_space_id=SPACE,
            conversation_id=CONVERSATION,
            user_message=QUESTION,
            user_id="ada",
            user_name="Ada",
            agent_id=MODEL,
        )
        headline("the answer, as it comes")
        try:
            with Screen(sys.stdout, len(text)) as screen:
                async for event in answer.events():
                    if isinstance(event, Delta):
                        shown.append(event.text)
                        screen.text(event.text)
                    elif isinstance(event, PartialStored):
                        screen.durable(event.offset)
                    elif isinstance(event, FactsExtracted):
                        for fact in event.facts:
                            screen.fact(fact.fact)
        except asyncio.CancelledError:
            await answer.stop()  # the text so far is flushed before the program ends
            raise
        headline("the chain that it went through")
        print(chain)
        print()
        print(chain.mermaid())
        return "".join(shown), await answer


def table(metrics: StreamMetrics) -> None:
    """The metrics, as a small table."""

    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:,.1f} ms"

    rows = [
        ("first token after", ms(metrics.first_chunk_latency)),
        ("whole answer after", ms(metrics.stream_duration_ms)),
        ("chunks", f"{metrics.total_chunks:,}"),
        ("characters", f"{metrics.total_characters:,}"),
        ("bytes (UTF-8)", f"{metrics.total_bytes:,}"),
        ("chunks per second", f"{metrics.chunks_per_second:,.1f}"),
        ("gap between chunks, median", ms(metrics.inter_chunk_p50)),
        ("gap between chunks, 95 %", ms(metrics.inter_chunk_p95)),
        ("gap between chunks, 99 %", ms(metrics.inter_chunk_p99)),
        ("writes of the partial answer", f"{metrics.partial_updates:,}"),
        ("problems", f"{metrics.error_count:,}"),
        (f"tokens ({metrics.tokens_from})", f"{metrics.estimated_tokens:,}"),
    ]
    for name, value in rows:
        print(f"{name:<32}{value:>14}")


async def look(path: Path, text: str, shown: str, result: EnhancedRememberStreamResult) -> list[tuple[str, bool]]:
    """Open the file again and read back what is in it.  Returns what was checked, and whether it holds."""
    message_id, memory_id = result.conversation.message_ids[-1], result.memories[-1].memory_id
    checks = [("what was shown is what was streamed", shown == text == result.full_response)]
    async with Cortex(path) as cortex:
        headline("the conversation, read back from the file")
        conversation = await cortex.conversations.get(CONVERSATION, memory_space_id=SPACE)
        messages = conversation.messages if conversation else ()
        for message in messages[-2:]:
            lines = message.content.strip().splitlines()
            print(f"{message.role:>5}: {lines[0]}")
            if len(lines) > 1:
                print(f"       ... {len(lines):,} lines, {len(message.content):,} characters ...")
                print(f"       {lines[-1]}")
        answered = {message.id: message.content for message in messages}.get(message_id)
        checks.append(("the message in the conversation is the same, to the letter", answered == text))
        memory = await cortex.memory.get(SPACE, memory_id)
        checks.append(
            ("the memory of the answer is the same, to the letter", memory is not None and memory.content == text)
        )
        checks.append(("it is whole, and no partial is left", await _no_partial(cortex)))

        headline("the facts that it states")
        facts = await cortex.facts.list(memory_space_id=SPACE)
        for fact in facts:
            print(f"{told(fact):<46} {fact.confidence:3.0f} %   from {places(fact, result.memories[0].memory_id)}")
        progress = result.progressive_processing
        early = progress.facts_extracted_during_stream if progress else ()
        of_answer = any(fact.extracted_at_chunk > 0 for fact in early)  # those of the question are there before it
        checks.append(("facts of the answer were read before it ended", of_answer))
        checks.append(("each fact of the answer stands where its source says", all(stands(text, memory_id, facts))))

        headline("searched for")
        for word in SOUGHT:
            found = [each for each in await cortex.memory.search(SPACE, word) if each.memory_id == memory_id]
            checks.append((f"a search for {word} finds it", bool(found)))
            for entry in found:
                at = text.find(word)
                around = " ".join(text[max(0, at - 40) : at + 40].split())
                wide = sum(unicodedata.east_asian_width(letter) == "W" for letter in word)
                print(f"{word:<{10 - wide}} score {entry.score:.3f}   ... {around} ...")
    return checks


def told(fact: FactRecord) -> str:
    """A fact, as its triple."""
    return f"{fact.subject} {fact.predicate} {fact.object}"


def places(fact: FactRecord, question_id: str) -> str:
    """Where a fact was said."""
    return ", ".join(
        "the question" if one.memory_id == question_id else f"the answer, {one.start:,} to {one.end:,}"
        for one in fact.sources
    )


def stands(text: str, memory_id: str, facts: Iterable[FactRecord]) -> Iterator[bool]:
    """Whether each fact of the answer is in the characters that its source names."""
    for fact in facts:
        for source in fact.sources:
            if source.memory_id == memory_id:
                yield str(fact.object) in text[source.start : source.end]


async def _no_partial(cortex: Cortex) -> bool:
    return await cortex.memory.count(SPACE, include_partial=True) == await cortex.memory.count(SPACE)


async def kept(path: Path, since: float) -> str:
    """What an interrupted run, begun at `since` (seconds since the epoch), has left in the file."""
    async with Cortex(path) as cortex:
        for entry in await cortex.memory.list(SPACE, limit=1, include_partial=True):
            if entry.created_at < since * 1000:
                continue  # of an earlier run
            if not entry.is_partial:
                return "kept: the whole exchange"
            question = (entry.partial_metadata or {}).get("userMessage")
            length = f"{entry.content_length:,} characters"
            return f"kept: {length} of the answer, as a partial memory, and the question {question!r}"
    return "kept: nothing, for nothing had been shown yet"


def main() -> int:
    """Run the demo; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fast", action="store_true", help="do not pause like a provider")
    parser.add_argument("--db", type=Path, metavar="PATH", help="the SQLite file (default: in a new temporary folder)")
    given = parser.parse_args()
    path: Path = given.db or Path(tempfile.mkdtemp(prefix="cortex-rx-demo-")) / "memory.db"
    since = time.time()
    print(f"the file:     {path}")
    try:
        return demonstrate(path, TEXT.read_text(encoding="utf-8"), given.fast)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {asyncio.run(kept(path, since))}\nit is in {path}")
        return 130
    except CortexError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def demonstrate(path: Path, text: str, fast: bool) -> int:
    """Stream, show, read back, compare; the exit status."""
    with Server(text) as server:
        print(f"the model:    {server.base_url}, on this machine, in OpenAI's format")
        print(f"the question: {QUESTION}")
        shown, result = asyncio.run(ask(path, server.base_url, text, fast))
    headline("measured")
    table(result.stream_metrics)
    checks = asyncio.run(look(path, text, shown, result))
    headline("verified")
    for what, holds in checks:
        print(f"{'yes' if holds else 'NO ':<4} {what}")
    print(f"\n{path} is yours to look at.")
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
