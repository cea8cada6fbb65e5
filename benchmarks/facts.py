"""`python -m benchmarks.facts`: what facts cost, and how exactly `PatternExtractor` reads the labelled sentences.

Cost: the text given to the extractor, the time to store one, the time a token waits.  See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.labels import Counts, judge, labelled, wilson
from benchmarks.report import Bar, machine, percentile, show_bars, write_figures
from benchmarks.search import corpus
from cortex_rx import Cortex
from cortex_rx.backends import SqliteBackend
from cortex_rx.facts.pattern import PatternExtractor
from cortex_rx.testing.virtual import run_virtual, wall

__all__ = ["SHAPES", "Given", "Took", "answer", "bars", "facts", "given", "judged", "report", "storing", "waits"]

SIZES = (1_000, 10_000, 100_000)
"""Lengths of the answers, in characters."""
SHAPES: Mapping[str, tuple[int, int]] = {"prose": (40, 200), "short": (5, 30), "long": (500, 2_000)}
"""Between which lengths the sentences of an answer lie, in characters."""
QUESTION = "I moved to Leeds last week. What is there to see on a rainy day, and where do people go in the evening?"
PIECE = 20
"""Characters of a token."""
SEEN, UNSEEN = "every third (seen)", "the others"
"""Of the labelled sentences the writer of the rules has seen every third."""
SECONDS = 5.0
"""What an extraction takes, in seconds, where the waiting of tokens is measured."""


class Given:
    """An extractor that counts what it is given, takes some time for it, and finds one fact."""

    def __init__(self, seconds: float = 0) -> None:
        self.text = 0
        """Characters of the answer."""
        self.sent = 0
        """All characters: the question as well."""
        self.calls = 0
        self._seconds = seconds

    async def __call__(self, user_message: str, text: str) -> list[dict[str, Any]]:
        self.text += len(text)
        self.sent += len(user_message) + len(text)
        self.calls += 1
        await asyncio.sleep(self._seconds)
        return [{"fact": f"The user read text {self.calls}.", "factType": "observation", "confidence": 50}]


def answer(characters: int, shape: str = "prose", seed: int = 1) -> str:
    """An answer of so many characters, of sentences of this shape; the same for the same seed."""
    chance = random.Random(seed)
    words = [word for word in corpus().words if len(word) > 2]
    sentences: list[str] = []
    length = 0
    while length < characters:
        sentence, goal = chance.choice(words).capitalize(), chance.randint(*SHAPES[shape])
        while len(sentence) < goal - 1:
            sentence += f" {chance.choice(words)}"
        sentences.append(f"{sentence}. ")
        length += len(sentences[-1])
    return "".join(sentences)[: characters - 1] + "."


async def _remember(
    backend: SqliteBackend, text: str, extractor: Given, pause: float = 0
) -> tuple[list[float], list[float], Any]:
    """Remember an answer.  When each token was there, when it was shown, in seconds of the loop, and the result."""
    due: list[float] = []
    shown: list[float] = []
    clock = asyncio.get_running_loop().time

    async def model() -> AsyncIterator[str]:
        for start in range(0, len(text), PIECE):
            await asyncio.sleep(pause)
            due.append(clock())
            yield text[start : start + PIECE]

    async with Cortex(backend) as cortex:
        running = cortex.memory.remember_stream(
            model,
            memory_space_id="space",
            conversation_id="conversation",
            user_message=QUESTION,
            user_id="user",
            user_name="User",
            extract_facts=extractor,
        )
        async for _ in running:
            shown.append(clock())
        return due, shown, await running


def given(sizes: Sequence[int] = SIZES, shapes: Iterable[str] = SHAPES) -> dict[str, dict[int, dict[str, float]]]:
    """How often each character of an answer is given to the extractor, by the shape and the length of the answer."""

    async def one(text: str) -> dict[str, float]:
        extractor = Given()
        _, _, result = await _remember(SqliteBackend(":memory:", clock=wall), text, extractor)
        if result.full_response != text:
            raise AssertionError("the answer was not stored as it was given")
        if extractor.text < len(text):
            raise AssertionError("some of the answer was not read")
        return {
            "share": extractor.text / len(text),
            "sent share": extractor.sent / len(text),
            "calls": extractor.calls,
        }

    return {shape: {size: run_virtual(one(answer(size, shape))) for size in sizes} for shape in shapes}


def waits(seconds: float = SECONDS, characters: int = 20_000) -> dict[str, float]:
    """How much longer tokens wait beside an extractor that takes `seconds` each time than beside none, in virtual
    seconds: the longest wait of a token, and how many extractions there were before the last token."""

    async def one() -> dict[str, float]:
        extractor = Given(seconds)
        due, shown, _ = await _remember(SqliteBackend(":memory:", clock=wall), answer(characters), extractor, 0.02)
        if extractor.calls < 2:
            raise AssertionError("the answer was not read")
        late = [there - ready for ready, there in zip(due, shown, strict=True)]
        return {"longest": max(late), "tokens": len(late), "calls": extractor.calls}

    return run_virtual(one())


def facts(seed: int = 1) -> Iterator[dict[str, Any]]:
    """Facts to store, without an end; the same for the same seed.  Half of them are about the user.  Some were said
    before; some give a predicate that has one object at a time another one."""
    chance = random.Random(seed)
    source = corpus()
    words, weights = list(source.words), list(accumulate(source.words.values()))
    many = ("likes", "owns", "uses", "visited", "knows", "plays", "reads")
    while True:
        what = " ".join(chance.choices(words, cum_weights=weights, k=chance.randint(1, 4)))
        triple = {"object": what}
        if chance.random() < 0.5:
            triple |= {"subject": "user", "predicate": chance.choice((*many, "favorite"))}
        else:
            triple |= {"subject": f"person {chance.randrange(500)}", "predicate": chance.choice((*many, "lives_in"))}
        if triple["predicate"] == "favorite":
            triple["qualifier"] = words[chance.randrange(300)]
        yield {
            "fact": " ".join(
                triple[name] for name in ("subject", "predicate", "qualifier", "object") if name in triple
            ),
            "factType": "knowledge",
            "confidence": 80,
            "tags": [],
            "sourceType": "manual",
            **triple,
        }


async def _store(backend: SqliteBackend, space: str, fact: dict[str, Any], deduplication: str = "structural") -> None:
    await backend.mutation("facts:store", {"memorySpaceId": space, "deduplication": deduplication, **fact})


async def _fill(backend: SqliteBackend, space: str, count: int, at_once: int = 100) -> None:
    """Make a memory space with at least `count` facts that are listed."""
    source = facts()

    async def work(share: int) -> None:
        for fact in islice(source, share):
            await _store(backend, space, fact)

    while (there := await backend.query("facts:count", {"memorySpaceId": space, "includeSuperseded": True})) < count:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, count - there)):
                tasks.create_task(work(-(-(count - there) // at_once)))


class Took(NamedTuple):
    """What storing one fact took, in seconds."""

    wall: float
    cpu: float
    """Of all threads of the process."""


async def storing(path: Path, counts: Sequence[int], rounds: int) -> dict[str, dict[int, list[Took]]]:
    """What it takes to store one fact, by the strategy and by how many facts its memory space has.  The spaces lie in
    one file and take turns."""
    took: dict[str, dict[int, list[Took]]] = {}
    async with SqliteBackend(path) as backend:
        for count in counts:
            await _fill(backend, f"space {count}", count)
        for seed, strategy in enumerate(("structural", "semantic"), 2):
            took[strategy] = {count: [] for count in counts}
            for fact in islice(facts(seed), rounds):
                for count in counts:
                    cpu, wall = time.process_time(), time.perf_counter()
                    await _store(backend, f"space {count}", fact, strategy)
                    spent = Took(time.perf_counter() - wall, time.process_time() - cpu)
                    took[strategy][count].append(spent)
    return took


def judged(read: Callable[[str, str], Iterable[Any]]) -> dict[str, Counts]:
    """How exactly an extractor reads the labelled sentences: of each kind, of those that the writer of the rules has
    seen and has not seen, and of all."""
    sums = [SEEN, UNSEEN, "all"]
    counts: dict[str, Counts] = {}
    for at, (one, _, found) in enumerate(judge(read, labelled())):
        for kind in (one.kind, UNSEEN if at % 3 else SEEN, "all"):
            counts[kind] = counts.get(kind, Counts()) + found
    return {kind: counts[kind] for kind in [*(kind for kind in counts if kind not in sums), *sums]}


def report(
    texts: Mapping[str, Mapping[int, Mapping[str, float]]],
    late: Mapping[str, float],
    took: Mapping[str, Mapping[int, Sequence[Took]]],
    counts: Mapping[str, Counts],
) -> dict[str, Any]:
    """Print the tables, and give what is in them.  Times of storing are in milliseconds."""
    print(f"\n{'given to the extractor, for each character':44}{'answer':>9}{'all':>9}{'calls':>9}")
    for shape, sizes in texts.items():
        for size, row in sizes.items():
            print(f"  {shape:8}{size:>12,} characters{'':11}", end="")
            print(f"{row['share']:9.3f}{row['sent share']:9.3f}{row['calls']:9.0f}")
    print(f"\n{late['tokens']:.0f} tokens beside {late['calls']:.0f} extractions of {SECONDS:g} s: ", end="")
    print(f"the longest wait is {late['longest']:g} s")
    times = {
        strategy: {
            count: {
                "p50": percentile((one.wall for one in each), 0.5) * 1e3,
                "p95": percentile((one.wall for one in each), 0.95) * 1e3,
                "CPU p50": percentile((one.cpu for one in each), 0.5) * 1e3,
            }
            for count, each in of.items()
        }
        for strategy, of in took.items()
    }
    print(f"\n{'ms to store one fact':44}{'p50':>9}{'p95':>9}{'CPU p50':>9}")
    for strategy, rows in times.items():
        for count, row in rows.items():
            print(
                f"  {strategy:12}{f'among {count:,} facts':30}{row['p50']:9.2f}{row['p95']:9.2f}{row['CPU p50']:9.2f}"
            )
    print(f"\n{'sentences':22}{'labelled':>9}{'given':>9}{'found':>9}{'precision':>22}{'recall':>22}")
    for kind, one in counts.items():
        line = f"  {kind:20}{one.labelled:9}{one.given:9}{one.found:9}"
        for share, of in ((one.precision, one.given), (one.recall, one.labelled)):
            low, high = wilson(one.found, of)
            line += f"{share:9.3f} ({low:.3f}-{high:.3f})" if of else " " * 22
        print(line)
    read = {kind: asdict(one) | {"precision": one.precision, "recall": one.recall} for kind, one in counts.items()}
    return {"texts": texts, "waits": late, "storing": times, "sentences": read}


def bars(figures: Mapping[str, Any]) -> list[Bar]:
    """What is promised."""
    promised = [
        Bar(f"{shape}, {size:,}: given for each character", row["share"], 1.15)
        for shape, sizes in figures["texts"].items()
        for size, row in sizes.items()
    ]
    promised.append(Bar("seconds that a token waits", figures["waits"]["longest"], 0))
    for strategy, of in figures["storing"].items():
        least, most = min(of), max(of)
        promised.append(Bar(f"{strategy}: ms to store among {most:,}", of[most]["p50"], 3))
        promised.append(Bar(f"{strategy}: times that among {least:,}", of[most]["p50"] / of[least]["p50"], 1.5))
    for part in (UNSEEN, "all"):
        row = figures["sentences"][part]
        promised.append(Bar(f"{part}: share of the given facts that are wrong", 1 - row["precision"], 0.05))
        promised.append(Bar(f"{part}: share of the labels missed", 1 - row["recall"], 0.5))
    return promised


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.facts", description=__doc__)
    parser.add_argument("--facts", type=int, nargs=2, default=(1_000, 10_000), help="how many facts the spaces have")
    parser.add_argument("--rounds", type=int, default=300, help="how many facts are stored in each (default 300)")
    parser.add_argument("--folder", type=Path, help="where the SQLite file lies (default: that for temporary files)")
    parser.add_argument("--json", type=Path, default=Path("build/facts.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    options = parser.parse_args()
    found = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        took = asyncio.run(storing(Path(folder) / "facts.db", options.facts, options.rounds))
    figures = report(given(), waits(), took, judged(PatternExtractor()))
    promised = bars(figures)
    show_bars(promised)
    write_figures(options.json, {"machine": found, **figures}, promised)
    return int(options.check and not all(bar.holds for bar in promised))


if __name__ == "__main__":
    sys.exit(main())
