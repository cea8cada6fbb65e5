"""`python -m benchmarks.search [PATH]`: how long a search takes among 50,000 memories, beside SQLite's bare FTS5.

PATH is a file in the format of LoCoMo: the memories have words of its frequencies, and its questions are asked.
Without it both are made of words by Zipf's law.  See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.locomo import Sample, read
from benchmarks.report import Bar, machine, percentile, show_bars, write_figures
from cortex_rx import Cortex

__all__ = ["ARMS", "Corpus", "corpus", "measure", "waits"]

LIMIT = 20
DIMENSION = 256
USERS = 10
SPACE = "space"
MODEL = "random"
OTHERS = 10  # every so many writes, one is another process's

ARMS: Mapping[str, Mapping[str, Any]] = {
    "text": {"strategy": "keyword", "neighbours": False},
    "text, neighbours": {"strategy": "keyword"},
    "vectors": {"strategy": "semantic"},
    "hybrid": {},
    "filtered": {"user_id": "user-3", "tags": ["even"], "min_importance": 20},
}
"""The arguments of each search.  `filtered` is `hybrid` among a fortieth of the memories."""
FTS5 = "FTS5 alone"
FTS5_MS = 48.0
"""What FTS5 alone takes (p95) on the machine that the bars are for: they are so many times what it takes here."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class Corpus:
    """Where made-up memories come from: words and how often each is used, lengths of texts and of conversations."""

    words: Mapping[str, int]
    lengths: Sequence[int]
    conversations: Sequence[int]
    questions: Sequence[str]

    def texts(self, seed: int) -> Iterator[str]:
        """Texts of these words, without an end; the same for the same seed."""
        chance = random.Random(seed)
        words, weights = list(self.words), list(accumulate(self.words.values()))
        while True:
            yield " ".join(chance.choices(words, cum_weights=weights, k=chance.choice(self.lengths)))

    def places(self, seed: int) -> Iterator[str]:
        """The conversation of each text, without an end."""
        chance, number = random.Random(seed), 0
        while True:
            number += 1
            yield from [f"c-{number}"] * chance.choice(self.conversations)


def corpus(samples: Sequence[Sample] | None = None) -> Corpus:
    """As in these conversations; without them, of 10,000 words by Zipf's law and of questions of four to twelve."""
    if samples is None:
        chance = random.Random(17)
        words = {
            f"w{number:x}".translate(str.maketrans("0123456789", "ghijklmnop")): 10**7 // number
            for number in range(1, 10_001)
        }
        flat = list(words)
        questions = [" ".join(chance.choices(flat[:3_000], k=chance.randint(4, 12))) for _ in range(1_000)]
        return Corpus(words, range(5, 45), range(10, 31), questions)
    said = [[turn.text for turn in sample.turns] for sample in samples]
    split = [_WORD.findall(text) for texts in said for text in texts]
    sessions = Counter((number, turn.session) for number, sample in enumerate(samples) for turn in sample.turns)
    return Corpus(
        Counter(word for words in split for word in words),
        [len(words) for words in split],
        list(sessions.values()),
        [question.text for sample in samples for question in sample.questions],
    )


def vectors(seed: int) -> Iterator[list[float]]:
    """Random vectors, without an end."""
    chance = random.Random(seed)
    while True:
        yield [chance.gauss(0, 1) for _ in range(DIMENSION)]


@dataclass(frozen=True)
class Written:
    """A memory to store."""

    number: int
    text: str
    conversation: str
    embedding: list[float]


def written(source: Corpus, seed: int = 1) -> Iterator[Written]:
    """Memories to store, without an end; the same for the same seed."""
    parts = zip(source.texts(seed), source.places(seed + 1), vectors(seed + 2), strict=False)
    for number, (text, place, vector) in enumerate(parts):
        yield Written(number, text, place, vector)


async def store(cortex: Cortex, one: Written) -> None:
    await cortex.memory.store(
        SPACE,
        one.text,
        user_id=f"user-{one.number % USERS}",
        importance=one.number % 101,
        tags=["odd" if one.number % 2 else "even"],
        conversation_id=one.conversation,
        embedding=one.embedding,
        embedding_model=MODEL,
    )


class Fts5:
    """SQLite's full-text index without any thought: one table, the words of a query joined by OR, its own BM25."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (body)")

    def store(self, texts: Sequence[str]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO words (body) VALUES (?)", [(text,) for text in texts])
        self._db.execute("COMMIT")

    def search(self, query: str) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in _WORD.findall(query))
        found = self._db.execute(
            "SELECT body FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (words, LIMIT)
        ).fetchall()
        return [body for (body,) in found]

    def close(self) -> None:
        self._db.close()


def build(path: Path, source: Corpus, count: int) -> None:
    """Store the memories, in a process that ends: what it took is no business of the searches."""

    async def main() -> None:
        async with Cortex(path) as cortex:
            waiting: dict[str, list[Written]] = {}
            for one in islice(written(source), count):
                waiting.setdefault(one.conversation, []).append(one)
            talks = iter(waiting.values())

            async def work() -> None:
                for talk in talks:
                    for one in talk:
                        await store(cortex, one)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(200):
                    tasks.create_task(work())

    asyncio.run(main())
    with closing(Fts5(path.with_suffix(".fts5"))) as bare:
        bare.store([one.text for one in islice(written(source), count)])


def _other(path: Path, pipe: Connection) -> None:
    """Another process that stores what it is given."""

    async def main() -> None:
        async with Cortex(path) as cortex:
            while (one := await asyncio.to_thread(pipe.recv)) is not None:
                await store(cortex, one)
                pipe.send(True)

    asyncio.run(main())


@contextmanager
def other_process(path: Path) -> Iterator[Connection]:
    """Another process that stores what is sent to it, and sends back when it has."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_other, args=(path, there))
    process.start()
    try:
        yield here
    finally:
        here.send(None)
        process.join()


def built(path: Path, source: Corpus, count: int) -> None:
    """`build`, in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=build, args=(path, source, count))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError("the memories were not stored")


async def measure(path: Path, source: Corpus, count: int, searches: int) -> dict[str, list[float]]:
    """What each search took, in seconds, by arm.  Before each search one memory is stored, sometimes by another
    process; each question is asked in each arm in turn."""
    new = islice(written(source, seed=100), None)
    took: dict[str, list[float]] = {name: [] for name in (*ARMS, FTS5)}
    writes = 0
    with other_process(path) as pipe, closing(Fts5(path.with_suffix(".fts5"))) as bare:
        async with Cortex(path) as cortex:
            for question, vector in _asked(source, searches):
                for name in took:
                    one = next(new)
                    writes += 1
                    if name == FTS5:
                        bare.store([one.text])
                    elif writes % OTHERS:
                        await store(cortex, one)
                    else:
                        pipe.send(one)
                        await asyncio.to_thread(pipe.recv)
                    start = time.perf_counter()
                    if name == FTS5:
                        bare.search(question)
                    else:
                        await _search(cortex, name, question, vector)
                    took[name].append(time.perf_counter() - start)
    return took


def _asked(source: Corpus, searches: int) -> list[tuple[str, list[float]]]:
    """The questions, in a fixed order that has nothing to do with that of the file, and a vector for each."""
    questions = list(source.questions)
    random.Random(7).shuffle(questions)
    return list(islice(zip(cycle(questions), vectors(11), strict=False), searches))


async def _search(cortex: Cortex, name: str, question: str, vector: list[float]) -> None:
    arm = ARMS[name]
    given = {} if arm.get("strategy") == "keyword" else {"embedding": vector, "embedding_model": MODEL}
    await cortex.memory.search(SPACE, question, limit=LIMIT, **arm, **given)


async def waits(path: Path, source: Corpus, searches: int, at_once: int = 10) -> list[float]:
    """How late each token of a running answer is shown, in seconds, while `at_once` searches run all the time."""
    asked = iter(_asked(source, searches))
    due: list[float] = []
    late: list[float] = []
    going = True

    async def model() -> AsyncIterator[str]:
        while going:
            due.append(time.perf_counter() + 0.01)
            await asyncio.sleep(0.01)
            yield "word "

    async def searching() -> None:
        for question, vector in asked:
            await _search(cortex, "hybrid", question, vector)

    async def reading() -> None:
        answer = cortex.memory.remember_stream(
            model, memory_space_id=SPACE, conversation_id="running", user_message="Go on?", user_id="u", user_name="U"
        )
        async for _ in answer:
            late.append(time.perf_counter() - due[len(late)])
        await answer

    async with Cortex(path) as cortex:
        await _search(cortex, "hybrid", *_asked(source, 1)[0])
        stream = asyncio.create_task(reading())
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(searching())
        going = False
        await stream
    return late


def _peak() -> int:
    """The most memory that this process has held since `_begin_peak`, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _begin_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def grown(path: Path, source: Corpus, count: int, searches: int) -> float:
    """How much memory searches take beside the matrix of the vectors, in bytes: the peak in all searches, less what
    the process held after its first search by words."""
    async with Cortex(path) as cortex:
        import numpy  # what the vectors need in any case  # noqa: F401

        asked = _asked(source, searches)
        await _search(cortex, "text", *asked[0])
        _begin_peak()
        before = _peak()
        for question, vector in asked:
            for name in ARMS:
                await _search(cortex, name, question, vector)
    return _peak() - before - count * DIMENSION * 4


def report(took: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Print the times, and give them, in milliseconds."""
    rows = {
        name: {"p50": percentile(times, 0.5) * 1e3, "p95": percentile(times, 0.95) * 1e3, "longest": max(times) * 1e3}
        for name, times in took.items()
    }
    print(f"\n{'ms a search':21}{'p50':>9}{'p95':>9}{'longest':>9}{'x FTS5 (p95)':>14}")
    for name, row in rows.items():
        times = row["p95"] / rows[FTS5]["p95"]
        print(f"  {name:19}{row['p50']:9.1f}{row['p95']:9.1f}{row['longest']:9.1f}{times:14.2f}")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="a file in the format of LoCoMo (default: Zipf's law)")
    parser.add_argument("--memories", type=int, default=50_000, help="how many there are (default 50,000)")
    parser.add_argument("--searches", type=int, default=300, help="how many questions are asked (default 300)")
    parser.add_argument("--folder", type=Path, help="where the SQLite files lie (default: that for temporary files)")
    parser.add_argument("--json", type=Path, default=Path("build/search.json"), help="where the figures are written")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    given = parser.parse_args()
    source = corpus(read(given.path) if given.path else None)
    found = machine()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "memory.db"
        start = time.perf_counter()
        built(path, source, given.memories)
        seconds = time.perf_counter() - start
        print(f"{given.memories} memories, stored in {seconds:.0f} s; {given.searches} questions, a write before each")
        growth = asyncio.run(grown(path, source, given.memories, 50)) / 1e6 if sys.platform == "linux" else None
        rows = report(asyncio.run(measure(path, source, given.memories, given.searches)))
        late = asyncio.run(waits(path, source, given.searches))
    middle, longest = percentile(late, 0.5) * 1e3, max(late) * 1e3
    print(f"\nten searches at once: a token is {middle:.1f} ms late (median), {longest:.1f} at most")
    slow = rows[FTS5]["p95"] / FTS5_MS
    print(f"FTS5 alone takes {slow:.1f} times the {FTS5_MS:.0f} ms of the machine that the bars are for")
    bars = [Bar(f"{name}: p95, ms there", rows[name]["p95"] / slow, 50 if name == "vectors" else 150) for name in ARMS]
    bars.append(Bar("ten searches at once: longest wait for a token, ms there", longest / slow, 50))
    if growth is not None:
        print(f"beside the matrix ({given.memories * DIMENSION * 4 / 1e6:.0f} MB) searches took {growth:.0f} MB")
        bars.append(Bar("memory beside the matrix, MB", growth, 50))
    show_bars(bars)
    figures = {"machine": found, "memories": given.memories, "searches": given.searches, "ms": rows}
    write_figures(given.json, figures | {"late_ms": longest, "slow": slow, "grown_mb": growth}, bars)
    return int(given.check and not all(bar.holds for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
