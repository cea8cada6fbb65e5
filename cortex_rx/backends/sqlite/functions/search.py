"""`memories:search`: which memories have words of a query, and in which order.

Lists of numbers come out of SQLite as one string each (`group_concat`): a row at a time would give other threads of the
process a turn at each row, and wait for its own.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import filters, memories
from cortex_rx.backends.sqlite.index import NEW, OLD, Index, searched, times, times_of_surface
from cortex_rx.backends.sqlite.ranking import ALONE, SURFACE, TALK, Kernel, Key, Postings, key_of, most, part_weights
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import Term, query_terms

__all__ = ["SQL_FUNCTIONS", "TextArm", "search"]

SQL_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"any_tag": filters.any_tag, "every_tag": filters.every_tag}
"""The SQL functions that the statements here call, by name."""

Place: TypeAlias = tuple[int, int]
"""A memory's number and the part of it; `WHOLE`: it is not in chunks."""
WHOLE = -1

_INDEXES = (NEW, OLD)
_DOCS = {
    each: f"""SELECT group_concat(docs.id), group_concat((text << 32) + coalesce(part + 1, 0)), group_concat(size)
        FROM json_each(?) CROSS JOIN {each.docs} AS docs ON docs.id = json_each.value"""  # noqa: S608
    for each in _INDEXES
}
_COUNTS = {
    each: f"SELECT {each.docs_of_space} AS docs, {each.size_of_space} AS size FROM spaces WHERE id = ?"  # noqa: S608
    for each in _INDEXES
}
# head: the first memory of the conversation, which stands for it; a memory without one stands for itself.
_FOUND = f"""
SELECT group_concat(memories.seq), group_concat(coalesce(
    (SELECT min(seq) FROM memories AS first INDEXED BY memories_by_conversation
        WHERE first.space = memories.space AND first.conversation = memories.conversation
            AND first.conversation IS NOT NULL), -seq))
FROM json_each(:texts) CROSS JOIN memories ON memories.text = json_each.value
WHERE memories.space = :space AND {filters.VISIBLE}
"""  # noqa: S608
# The memories around some: the windows of :span memories on both sides.
_WINDOWS = f"""
SELECT group_concat(mine.seq), group_concat(memories.seq), group_concat(memories.text), group_concat(memories.chunks)
FROM json_each(:seqs) AS wanted CROSS JOIN memories AS mine ON mine.seq = wanted.value
CROSS JOIN memories ON memories.seq IN (
    SELECT seq FROM (
        SELECT seq FROM memories INDEXED BY memories_by_conversation
        WHERE memories.space = :space AND memories.conversation = mine.conversation AND memories.seq <= mine.seq
            AND memories.conversation IS NOT NULL AND {filters.VISIBLE} ORDER BY seq DESC LIMIT :span + 1
    ) UNION ALL SELECT seq FROM (
        SELECT seq FROM memories INDEXED BY memories_by_conversation
        WHERE memories.space = :space AND memories.conversation = mine.conversation AND memories.seq > mine.seq
            AND memories.conversation IS NOT NULL AND {filters.VISIBLE} ORDER BY seq LIMIT :span
    ) UNION ALL SELECT mine.seq WHERE mine.conversation IS NULL
)
"""  # noqa: S608
_MATCHING = f"""
SELECT group_concat(memories.seq) FROM json_each(:seqs) CROSS JOIN memories ON memories.seq = json_each.value
WHERE {filters.MATCHES}
"""  # noqa: S608
_TEXTS_OF_CONVERSATION = f"""
SELECT group_concat(text) FROM memories INDEXED BY memories_by_conversation
WHERE memories.space = :space AND conversation = :conversation AND conversation IS NOT NULL AND {filters.VISIBLE}
"""  # noqa: S608
_OPEN = "SELECT answer FROM streams WHERE space = :space AND state = 'open' ORDER BY seq"

_PART = 2**32 - 1  # the bits of a key that say which part


def _numbers(joined: str | None) -> list[int]:
    numbers: list[int] = json.loads(f"[{joined or ''}]")
    return numbers


def _as_list(numbers: Iterable[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Memories that follow each other in a conversation, or one that stands alone: their numbers, texts and numbers of
    chunks. `inner`: the positions from which all neighbours are in it."""

    seqs: list[int]
    texts: list[int]
    chunks: list[int]
    inner: range


@dataclass(frozen=True, slots=True)
class _Sought:
    """A word or phrase that the index is asked for: of which term, and how much it counts. `stems`: what is looked
    for in a text that is not indexed yet."""

    term: int
    words: str
    stems: str
    share: float
    is_surface: bool


def _sought(index: Index, number: int, term: Term) -> list[_Sought]:
    """What the index has of a term."""
    if not index.has_stems:
        return [_Sought(number, term.words, term.stems, 1.0, is_surface=False)]
    stems = [_Sought(number, term.stems, term.stems, 1.0, is_surface=False)]
    return (
        stems
        if term.surface is None
        else [*stems, _Sought(number, term.surface, term.surface, SURFACE, is_surface=True)]
    )


def _times(tx: Transaction, index: Index, space: int, sought: _Sought) -> dict[int, int]:
    """How often a word or phrase is in the documents that have it."""
    return (times_of_surface if sought.is_surface else times)(tx, index, space, sought.words)


class TextArm:
    """What the words of a query find in a memory space, best first.

    A memory's score is that of its own words and of those around it. To look up the place of each memory that has a
    word would take too long. So they are visited by the score of their own words, best first, until none of the others
    can be better.
    """

    def __init__(self, tx: Transaction, args: Mapping[str, Any], kernel: Kernel) -> None:
        self._tx, self._kernel, self._index = tx, kernel, searched(tx)
        self._values = filters.values(args)
        self._narrows = filters.narrows(args)
        self._terms = query_terms(args["query"], tx.language)
        self._gained: list[tuple[_Sought, dict[Key, float]]] = []  # what the keys get for each word or phrase
        self._own: dict[Key, float] = {}
        self._parts: dict[int, dict[int, float]] = {}  # by text: the parts that have words of the query
        self._top = 0.0  # nothing has more of its own
        self._scores: dict[Place, float] = {}
        self._seen: dict[int, list[tuple[int, int]]] = {}  # by conversation: ranges of numbers
        space = text_store.number_of(tx, args["memorySpaceId"])
        if self._terms and space is not None:
            self._gather(space)

    def _gather(self, space: int) -> None:
        """Find the documents that have the terms, and what each key gets for its own words."""
        here = self._tx.db.execute(_COUNTS[self._index], (space,)).fetchone()
        sought = [one for number, term in enumerate(self._terms) for one in _sought(self._index, number, term)]
        found_in = [_times(self._tx, self._index, space, one) for one in sought]
        keys: dict[int, Key] = {}
        sizes: dict[int, int] = {}
        docs = here["docs"] + self._add_unindexed(sought, found_in, keys, sizes)
        wanted = sorted(set().union(*found_in).difference(keys))
        found = self._tx.db.execute(_DOCS[self._index], (_as_list(wanted),)).fetchone()
        for doc, key, size in zip(*map(_numbers, found), strict=True):
            keys[doc], sizes[doc] = key, size
        highest = [most(docs, len(have), one.share) for one, have in zip(sought, found_in, strict=True)]
        perfect = sum(highest)
        postings = [Postings(have, weight / perfect) for have, weight in zip(found_in, highest, strict=True)]
        mean = max(here["size"], 1) / max(here["docs"], 1)
        own = self._own
        for one, gained in zip(sought, part_weights(postings, keys, sizes, mean), strict=True):
            self._gained.append((one, gained))
            for key, weight in gained.items():
                own[key] = own.get(key, 0.0) + weight
        for key, score in own.items():
            if part := key & _PART:
                self._parts.setdefault(key >> 32, {})[part - 1] = score
        self._keep_conversation()

    def _add_unindexed(
        self, sought: list[_Sought], times: list[dict[int, int]], keys: dict[int, Key], sizes: dict[int, int]
    ) -> int:
        """Add the ends of the open answers, which are not indexed yet, if they are asked for: as documents with numbers
        below 0. Returns how many have a term."""
        if not self._values["partial"]:
            return 0
        opened = self._tx.db.execute(_OPEN, self._values).fetchall()
        for (text,) in opened:
            words = text_store.unindexed_words(self._tx, text)
            stems, surfaces = f" {' '.join(words.stems)} ", f" {' '.join(words.surfaces)} "
            for one, docs in zip(sought, times, strict=True):
                if number := (surfaces if one.is_surface else stems).count(f" {one.stems} "):
                    docs[-text] = number
                    keys[-text], sizes[-text] = key_of(text, None), len(words.stems)
        return len(keys)

    def _keep_conversation(self) -> None:
        """Forget all but one conversation, if only its memories are asked for: their neighbours are in it, too."""
        if self._values["conversation"] is not None:
            texts = set(_numbers(self._tx.db.execute(_TEXTS_OF_CONVERSATION, self._values).fetchone()[0]))
            self._own = {key: score for key, score in self._own.items() if key >> 32 in texts}

    def best(self, count: int, floor: float = 0.0) -> list[Place]:
        """The best `count` memories and chunks that match the filters and have at least the score `floor`. Of equal
        ones the newest comes first, and a chunk before the next one."""
        left, size = self._own, 64
        while left and count:
            batch = heapq.nlargest(size, left.items(), key=itemgetter(1))
            self._top = self._top or batch[0][1]
            for start in range(0, len(batch), 256):
                self._visit([key >> 32 for key, _ in batch[start : start + 256]], floor)
            if len(self._scores) >= count:
                floor = max(floor, heapq.nlargest(count, self._scores.values())[-1])
            least, visited = self._kernel.least(floor, self._top), dict(batch)
            left = {key: own for key, own in left.items() if own >= least and key not in visited}
            size *= 4
        best = heapq.nsmallest(count, self._scores.items(), key=lambda one: (-one[1], -one[0][0], one[0][1]))
        return [place for place, score in best if score >= floor]

    def score(self, place: Place) -> float:
        """The score of a memory or chunk that `best` has found, or `add` was told of; 0 if nothing speaks for it."""
        return self._scores.get(place, 0.0)

    def add(self, seqs: Iterable[int]) -> None:
        """Find out the scores of these memories, which match the filters, and of their chunks."""
        for stretch, _ in self._stretches(seqs):
            self._evaluate(stretch, 0.0, self._scores)

    def _visit(self, texts: Iterable[int], floor: float) -> None:
        """Find out the scores of these texts' memories and those around them, as far as they are `floor` or more."""
        values = self._values | {"texts": _as_list(dict.fromkeys(texts))}
        seqs, heads = map(_numbers, self._tx.db.execute(_FOUND, values).fetchone())
        head_of = {seq: head for seq, head in zip(seqs, heads, strict=True) if not self._is_seen(head, seq)}
        found: dict[Place, float] = {}
        for stretch, seq in self._stretches(head_of):
            if not self._is_seen(head_of[seq], seq):
                self._evaluate(stretch, floor, found)
                self._see(head_of[seq], stretch)
        self._scores.update(self._matching(found))

    def _is_seen(self, head: int, seq: int) -> bool:
        return any(first <= seq <= last for first, last in self._seen.get(head, ()))

    def _see(self, head: int, stretch: _Stretch) -> None:
        """All neighbours of the memories from here to there were looked at."""
        inner, reach, last = stretch.inner, self._kernel.reach, len(stretch.seqs) - 1
        first = inner.start if inner.start == 0 else inner.start + reach
        stop = last if inner.stop > last else inner.stop - 1 - reach
        self._seen.setdefault(head, []).append((stretch.seqs[first], stretch.seqs[stop]))

    def _stretches(self, seqs: Iterable[int]) -> Iterator[tuple[_Stretch, int]]:
        """The memories around each of these, and its number."""
        span = self._kernel.span + 2 * self._kernel.reach
        values = self._values | {"seqs": _as_list(seqs), "span": span}
        numbers = map(_numbers, self._tx.db.execute(_WINDOWS, values).fetchone())
        for mine, rows in groupby(sorted(zip(*numbers, strict=True)), key=itemgetter(0)):
            _, around, texts, chunks = map(list, zip(*rows, strict=True))
            before = around.index(mine)
            after = len(around) - 1 - before
            first = 0 if before < span else self._kernel.span
            stop = len(around) if after < span else len(around) - self._kernel.span
            yield _Stretch(around, texts, chunks, range(first, stop)), mine

    def _peaks(self, stretch: _Stretch) -> list[float]:
        """What each memory's own words give; of an answer in chunks, those of its best chunk."""
        own, parts = self._own, self._parts
        return [
            max(parts[text].values(), default=0.0) if text in parts else own.get(text << 32, 0.0)
            for text in stretch.texts
        ]

    def _evaluate(self, stretch: _Stretch, floor: float, found: dict[Place, float]) -> None:
        """Find the scores of the inner memories. Below `floor` nothing is found."""
        kernel = self._kernel
        peaks = self._peaks(stretch)
        near = kernel.near_all(peaks)
        for at in stretch.inner:
            own, beside = peaks[at], near[at]
            if not (own or beside):
                continue
            if kernel.whole(own, max(beside, kernel.first * own), self._top) < floor:
                continue
            around = kernel.best_around(peaks, at)
            for part, mine, next_to in self._units(stretch, at, beside):
                if mine or next_to:
                    score = min(kernel.whole(mine, next_to, around), 1.0)
                    if score >= floor:
                        found[stretch.seqs[at], part] = score

    def _units(self, stretch: _Stretch, at: int, near: float) -> Iterator[tuple[int, float, float]]:
        """A memory, or its chunks: each with its part, its own score, and what its best neighbour gives."""
        text, chunks = stretch.texts[at], stretch.chunks[at]
        if not chunks:
            yield WHOLE, self._own.get(text << 32, 0.0), near
            return
        parts = self._parts.get(text, {})
        own = [parts.get(part, 0.0) for part in range(chunks)]
        for part, beside in enumerate(self._kernel.near_all(own)):
            yield part, own[part], max(near, beside)

    def _matching(self, found: dict[Place, float]) -> dict[Place, float]:
        """Those that match all filters."""
        if not self._narrows or not found:
            return found
        values = self._values | {"seqs": _as_list(dict.fromkeys(seq for seq, _ in found))}
        matching = set(_numbers(self._tx.db.execute(_MATCHING, values).fetchone()[0]))
        return {place: score for place, score in found.items() if place[0] in matching}


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:search`: best first. `_score` is between 0 and 1 and falls from row to row."""
    arm = TextArm(tx, args, TALK if args["neighbours"] else ALONE)
    best = arm.best(args["offset"] + args["limit"], args.get("minScore", 0.0))[args["offset"] :]
    return [{**memories.at(tx, *place), "_score": arm.score(place)} for place in best]
