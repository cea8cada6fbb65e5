"""The benchmark of topics: the texts, what is counted, and the table with an embedder of words."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from benchmarks.semantic import Counts, Text, every, joined, judged, prepared, report
from benchmarks.topics import TEXTS, TUNING
from cortex_rx.embedding import Embedder


def words(text: str) -> list[float]:
    """The vector of a text: each word of more than three letters counts at a place of its own."""
    numbers = [0.0] * 128 + [0.1]
    for word in text.lower().replace(".", " ").replace(",", " ").split():
        if len(word) > 3:
            numbers[hashlib.blake2s(word[:5].encode()).digest()[0] % 128] += 1.0
    return numbers


def texts(given: dict[str, tuple[str, ...]]) -> list[Text]:
    return asyncio.run(prepared(given, Embedder(words)))


def test_there_are_twelve_texts_of_two_or_three_topics() -> None:
    assert len(TEXTS) == 12 and len(TUNING) == 6 and not set(TEXTS) & set(TUNING)
    assert {len(topics) for topics in TEXTS.values()} == {2, 3}
    for topics, text in zip(TEXTS.values(), texts(TEXTS), strict=True):
        assert len(text.boundaries) == len(topics) - 1
        assert "".join(text.sentences) == " ".join(topics)


def test_what_is_counted() -> None:
    text = Text([str(at) for at in range(12)], [], {4, 8})
    assert judged(every(4), [text]) == Counts(2, 2, 2, 0)
    assert judged(every(3), [text]) == Counts(0, 2, 2, 3)
    assert judged(lambda *_: {4, 6}, [text, text]) == Counts(2, 2, 4, 2)
    assert joined([text, text]).boundaries == {4, 8, 12, 16, 20}


def test_the_table(snapshot: Any) -> None:
    """What words alone tell; docs/decisions/chunks.md has the table with `local_embedder()`."""
    twelve = texts(TEXTS)
    assert report({"12 texts": twelve, "as one text": [joined(twelve)]}) == snapshot
