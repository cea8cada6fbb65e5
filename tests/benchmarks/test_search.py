"""The benchmark of search, with few memories: what it makes up is the same each time, and each arm is asked."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.locomo import Question, Sample, Turn
from benchmarks.search import ARMS, FTS5, Fts5, build, corpus, measure, waits, written

SAMPLE = Sample(
    "conv-1",
    (Turn("D1:1", 1, "Ann: It's late"), Turn("D1:2", 1, "Ben: late"), Turn("D2:1", 2, "Ann: so late")),
    (Question("Is it late?", frozenset({"D1:1"}), 1),),
    skipped=0,
)


def test_memories_have_the_words_and_lengths_of_the_file() -> None:
    source = corpus([SAMPLE])
    assert source.words == Counter({"late": 3, "Ann": 2, "It's": 1, "Ben": 1, "so": 1})
    assert (list(source.lengths), list(source.conversations)) == ([3, 2, 3], [2, 1])
    texts = list(islice(source.texts(1), 2000))
    said = Counter(word for text in texts for word in text.split())
    assert said.keys() == source.words.keys()
    assert 0.33 < said["late"] / said.total() < 0.42
    assert {len(text.split()) for text in texts} == {2, 3}


@pytest.mark.parametrize("source", [corpus([SAMPLE]), corpus()], ids=["file", "Zipf"])
def test_they_are_the_same_each_time(source) -> None:
    first, again = ([*islice(written(source), 30)] for _ in range(2))
    assert first == again
    assert len({one.conversation for one in first}) > 1
    assert {len(one.embedding) for one in first} == {256}
    assert source.questions


async def test_each_arm_is_asked_with_a_write_before_each(tmp_path: Path) -> None:
    path, source = tmp_path / "memory.db", corpus([SAMPLE])
    bare = Fts5(path.with_suffix(".fts5"))
    bare.store(["late again", "early"])
    assert bare.search("Is it late?") == ["late again"]
    bare.close()
    took = await measure(path, source, 0, 2)
    assert {name: len(times) for name, times in took.items()} == dict.fromkeys((*ARMS, FTS5), 2)
    assert len(await waits(path, source, 20, at_once=2)) > 0


def test_all_memories_are_stored(tmp_path: Path) -> None:
    build(tmp_path / "memory.db", corpus([SAMPLE]), 7)
    bare = Fts5(tmp_path / "memory.fts5")
    assert len(bare.search("late Ann It's Ben so")) == 7
    bare.close()
