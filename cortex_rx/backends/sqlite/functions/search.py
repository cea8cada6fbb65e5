"""`memories:search`: which memories have words of a query, and in which order.

Lists of numbers come out of SQLite as one string each (`group_concat`): a row at a time would give other threads of the
process a turn at each row, and wait for its own.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from cortex_rx.backends.sqlite import text_store, vectors
from cortex_rx.backends.sqlite.functions import filters, memories
from cortex_rx.backends.sqlite.index import Index, having_pair, searched, times, times_of_surface
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.ranking import (
    ALONE,
    ALPHA,
    BY_ITSELF,
    CANDIDATES,
    IN_TALK,
    PAIR,
    SEEDS,
    STEPS,
    SURFACE,
    TALK,
    Key,
    Postings,
    Spread,
    key_of,
    most,
    part_weights,
)
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import Term, query_pairs, query_terms
from cortex_rx.backends.sqlite.vectors import WHOLE

if TYPE_CHECKING:
    from cortex_rx.backends.sqlite.matrix import Arm

__all__ = ["Sought", "TextArm", "search", "sought_for", "times_of"]

Place: TypeAlias = tuple[int, int]
"""A memory's number and the part of it; `WHOLE`: it is not in chunks."""

_FOUND = f"""
SELECT group_concat(memories.seq) FROM json_each(:texts) CROSS JOIN memories ON memories.text = json_each.value
WHERE memories.space = :space AND {filters.VISIBLE}
"""  # noqa: S608
# The memories around some: the windows of :span memories on both sides. head: the first memory of the conversation,
# which stands for it; a memory without one stands for itself.
_WINDOWS = f"""
SELECT group_concat(coalesce(head, mine)), group_concat(mine), group_concat(memories.seq), group_concat(memories.text),
    group_concat(memories.chunks)
FROM (
    SELECT mine.seq AS mine, mine.conversation AS talk, (
        SELECT min(seq) FROM memories INDEXED BY memories_by_conversation
        WHERE memories.space = :space AND memories.conversation = mine.conversation
            AND memories.conversation IS NOT NULL
    ) AS head
    FROM json_each(:seqs) AS wanted CROSS JOIN memories AS mine ON mine.seq = wanted.value
) CROSS JOIN memories ON memories.seq IN (
    SELECT seq FROM (
        SELECT seq FROM memories INDEXED BY memories_by_conversation
        WHERE memories.space = :space AND memories.conversation = talk AND memories.seq <= mine
            AND memories.conversation IS NOT NULL AND {filters.VISIBLE} ORDER BY seq DESC LIMIT :span + 1
    ) UNION ALL SELECT seq FROM (
        SELECT seq FROM memories INDEXED BY memories_by_conversation
        WHERE memories.space = :space AND memories.conversation = talk AND memories.seq > mine
            AND memories.conversation IS NOT NULL AND {filters.VISIBLE} ORDER BY seq LIMIT :span
    ) UNION ALL SELECT mine WHERE talk IS NULL
)
"""  # noqa: S608
_MATCHING = f"""
SELECT group_concat(memories.seq) FROM json_each(:seqs) CROSS JOIN memories ON memories.seq = json_each.value
WHERE {filters.MATCHES}
"""  # noqa: S608
_ALL_MATCHING = f"SELECT group_concat(seq) FROM memories WHERE memories.space = :space AND {filters.MATCHES}"  # noqa: S608
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
class Sought:
    """A word or phrase that the index is asked for: of which term it is (None: two words that follow each other), and
    how much it counts. `stems`: what is looked for in a text that is not indexed yet."""

    term: int | None
    words: str
    stems: str
    share: float
    is_surface: bool = False


def _of_term(index: Index, number: int, term: Term) -> list[Sought]:
    """What the index has of a term."""
    if not index.has_stems:
        return [Sought(number, term.words, term.stems, 1.0)]
    stems = [Sought(number, term.stems, term.stems, 1.0)]
    return (
        stems
        if term.surface is None
        else [*stems, Sought(number, term.surface, term.surface, SURFACE, is_surface=True)]
    )


def sought_for(index: Index, query: str, language: Language) -> list[Sought]:
    """What the index is asked for by a query: its terms, and the pairs of words that follow each other."""
    sought = [one for number, term in enumerate(query_terms(query, language)) for one in _of_term(index, number, term)]
    pairs = query_pairs(query, language)
    return sought + [Sought(None, stems if index.has_stems else words, stems, PAIR) for words, stems in pairs]


def times_of(tx: Transaction, index: Index, space: int, sought: Sought) -> dict[int, int]:
    """How often a word or phrase is in the documents that have it; two words that follow each other count once."""
    if sought.term is None:
        return dict.fromkeys(having_pair(tx, index, space, sought.words), 1)
    return (times_of_surface if sought.is_surface else times)(tx, index, space, sought.words)


class TextArm:
    """What the words of a query find in a memory space, best first.

    To look up the place of each memory that has a word would take too long. So those are looked at that have the best
    words of their own, and the memories around them: what gets much from a neighbour has a neighbour that has much.
    """

    def __init__(self, tx: Transaction, args: Mapping[str, Any], spread: Spread) -> None:
        self._tx, self._spread, self._index = tx, spread, searched(tx)
        self._values = filters.values(args)
        self._narrows = filters.narrows(args)
        self._query: str = args["query"]
        self._terms = query_terms(self._query, tx.language)
        self._gained: dict[int, dict[Key, float]] = {}  # by term: what the keys get for it
        self._for_pairs: dict[Key, float] = {}
        self._own: dict[Key, float] = {}
        self._parts: dict[int, list[int]] = {}  # by text: the parts that have words of the query
        self._found: dict[Place, float] = {}  # what was looked at: the sum of its terms
        self._heads: dict[int, tuple[int, int]] = {}  # by memory: its conversation, and its text
        self._best: dict[int, tuple[float, Place]] = {}  # by conversation: the best sum, and whose it is
        space = text_store.number_of(tx, args["memorySpaceId"])
        if self._terms and space is not None:
            self._gather(space)

    def _gather(self, space: int) -> None:
        """Find the documents that have the terms, and what each key gets for its own words."""
        here = self._tx.db.execute("SELECT docs, size FROM spaces WHERE id = ?", (space,)).fetchone()
        sought = sought_for(self._index, self._query, self._tx.language)
        found_in = [times_of(self._tx, self._index, space, one) for one in sought]
        keys: dict[int, Key] = {}
        sizes: dict[int, int] = {}
        docs = here["docs"] + self._add_unindexed(sought, found_in, keys, sizes)
        wanted = list(set().union(*found_in).difference(keys))
        for doc, (key, size) in zip(wanted, self._tx.documents.look_up(self._tx, self._index, wanted), strict=True):
            keys[doc], sizes[doc] = key, size
        highest = [most(docs, len(have), one.share) for one, have in zip(sought, found_in, strict=True)]
        # What a perfect match would get. A pair that is nowhere is none of its pairs.
        perfect = sum(
            weight * (1 if one.term is None else 1 + self._spread.share)
            for one, have, weight in zip(sought, found_in, highest, strict=True)
            if have or one.term is not None
        )
        postings = [Postings(have, weight / perfect) for have, weight in zip(found_in, highest, strict=True)]
        mean = max(here["size"], 1) / max(here["docs"], 1)
        for one, gained in zip(sought, part_weights(postings, keys, sizes, mean), strict=True):
            if one.term is None:
                _add(self._for_pairs, gained)
            elif one.term in self._gained:
                _add(self._gained[one.term], gained)
            else:
                self._gained[one.term] = gained
        self._own = dict(self._for_pairs)
        for gained in self._gained.values():
            _add(self._own, gained)
        for key in self._own:
            if part := key & _PART:
                self._parts.setdefault(key >> 32, []).append(part - 1)
        self._keep_conversation()

    def _add_unindexed(
        self, sought: list[Sought], times: list[dict[int, int]], keys: dict[int, Key], sizes: dict[int, int]
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
        seeds = max(SEEDS, 2 * count)
        self._look_around(self._seeds(seeds))
        matching = list(self._matching(self._found))
        if len(matching) < count and seeds < len(self._own):  # some may match that only have a word beside them
            self._look_around(self._all())
            matching = list(self._matching(self._found))
        scored = [(place, score) for place in matching if (score := self.score(place)) >= floor]
        best = heapq.nsmallest(count, scored, key=lambda one: (-one[1], -one[0][0], one[0][1]))
        return [place for place, _ in best]

    def score(self, place: Place) -> float:
        """The score of a memory or chunk that `best` has found, or `add` was told of; 0 if nothing speaks for it."""
        terms = self._found.get(place)
        if terms is None:
            return 0.0
        seq, part = place
        head, text = self._heads[seq]
        pairs = self._for_pairs.get(key_of(text, None if part == WHOLE else part), 0.0)
        return min(terms + pairs + self._spread.share * self._best[head][0], 1.0)

    def add(self, seqs: Iterable[int]) -> None:
        """Find out the scores of these memories, which match the filters, and of their chunks."""
        self._look_around(seq for seq in seqs if seq not in self._heads)

    def why(self, place: Place, factor: float) -> dict[str, Any]:
        """What the score of a memory or chunk consists of: the parts of the score, each times `factor`."""
        seq, part = place
        why: dict[str, Any] = {"text": min(self.score(place) * factor, 1.0), "terms": []}
        if place not in self._found:
            return why
        (_, stretch), *_ = self._stretches([seq])
        at = stretch.seqs.index(seq)
        key = key_of(stretch.texts[at], None if part == WHOLE else part)
        for term, gained in self._gained.items():
            weight, other, distance = gained.get(key, 0.0), place, 0
            for given, neighbour, away in self._neighbours(gained, stretch, at, part):
                if given > weight:
                    weight, other, distance = given, neighbour, away
            if weight:
                one: dict[str, Any] = {"term": self._terms[term].words, "share": min(weight * factor, 1.0)}
                if other != place:
                    one["neighbour"] = {**self._named(other), "distance": distance}
                why["terms"].append(one)
        why["terms"].sort(key=itemgetter("share"), reverse=True)
        if pairs := self._for_pairs.get(key, 0.0):
            why["pairs"] = min(pairs * factor, 1.0)
        best, where = self._best[self._heads[seq][0]]
        if talk := self._spread.share * best:
            why["talk"] = {**self._named(where), "share": min(talk * factor, 1.0)}
        return why

    def _neighbours(
        self, gained: Mapping[Key, float], stretch: _Stretch, at: int, part: int
    ) -> Iterator[tuple[float, Place, int]]:
        """The best neighbour for a term among the turns, and among the chunks: what it gives, where, how far."""
        parts = [self._parts_of(gained, *one) for one in zip(stretch.texts, stretch.chunks, strict=True)]
        own = [
            max(of_chunks) if of_chunks else gained.get(text << 32, 0.0)
            for text, of_chunks in zip(stretch.texts, parts, strict=True)
        ]
        given, distance = self._spread.nearest(own, at)
        there = at + distance
        yield given, (stretch.seqs[there], parts[there].index(own[there]) if parts[there] else WHOLE), abs(distance)
        if part != WHOLE:
            given, distance = self._spread.nearest(parts[at], part)
            yield given, (stretch.seqs[at], part + distance), abs(distance)

    def _named(self, place: Place) -> dict[str, Any]:
        return {"memoryId": memories.id_of(self._tx, *place)}

    def _seeds(self, count: int) -> Iterable[int]:
        """The visible memories that have the best words of their own, and those of all that match the filters."""
        visible: list[int] = []
        matching: list[int] = []
        start, size = 0, count
        while start < len(self._own) and (len(visible) < count or (self._narrows and len(matching) < count)):
            # Numbers are compared faster than pairs.
            least = min(heapq.nlargest(size, self._own.values()))
            best = [(score, key) for key, score in self._own.items() if score >= least]
            ranked = sorted(best, reverse=True)[start:size]
            values = self._values | {"texts": _as_list(dict.fromkeys(key >> 32 for _, key in ranked))}
            found = _numbers(self._tx.db.execute(_FOUND, values).fetchone()[0])
            visible += found
            matching += [seq for seq, _ in self._matching((seq, WHOLE) for seq in found)] if self._narrows else []
            start, size = size, size * 4
        return dict.fromkeys(visible[:count] + matching[:count])

    def _all(self) -> list[int]:
        """All memories that have words, or all that match the filters, whichever are fewer. Whatever is found is one of
        them, or around one of them."""
        if self._narrows:
            matching = _numbers(self._tx.db.execute(_ALL_MATCHING, self._values).fetchone()[0])
            if len(matching) < len(self._own):
                return matching
        values = self._values | {"texts": _as_list(dict.fromkeys(key >> 32 for key in self._own))}
        return _numbers(self._tx.db.execute(_FOUND, values).fetchone()[0])

    def _look_around(self, seqs: Iterable[int]) -> None:
        """Find out what these memories and their neighbours get for the terms."""
        for head, stretch in self._stretches(seqs):
            sums = self._sums(stretch)
            self._found |= sums
            if sums:
                best = max(zip(sums.values(), sums, strict=True))
                self._best[head] = max(self._best.get(head, best), best)
            self._heads |= {stretch.seqs[at]: (head, stretch.texts[at]) for at in stretch.inner}

    def _stretches(self, seqs: Iterable[int]) -> Iterator[tuple[int, _Stretch]]:
        """The conversation of each of these memories, and the stretch around it. Those that overlap are one."""
        reach = self._spread.reach
        span = 2 * reach  # so that all neighbours of a neighbour are there
        values = self._values | {"seqs": _as_list(seqs), "span": span}
        rows = sorted(zip(*map(_numbers, self._tx.db.execute(_WINDOWS, values).fetchone()), strict=True))
        windows: list[list[tuple[int, ...]]] = [list(group) for _, group in groupby(rows, key=itemgetter(0, 1))]
        merged: list[tuple[int, dict[int, tuple[int, ...]], int, int]] = []
        for window in windows:
            head, mine = window[0][:2]
            around = {row[2]: row for row in window}
            before = sum(seq < mine for seq in around)
            first = 0 if before < span else reach
            left = 0 if len(around) - 1 - before < span else reach
            if merged and merged[-1][0] == head and min(around) <= max(merged[-1][1]):
                known = merged[-1]
                merged[-1] = head, known[1] | around, known[2], left
            else:
                merged.append((head, around, first, left))
        for head, around, first, left in merged:
            _, _, numbers, texts, chunks = map(list, zip(*around.values(), strict=True))
            yield head, _Stretch(numbers, texts, chunks, range(first, len(numbers) - left))

    def _sums(self, stretch: _Stretch) -> dict[Place, float]:
        """What the inner memories get for the terms."""
        sums: dict[Place, float] = {}
        keys = [text << 32 for text in stretch.texts]
        chunked = [at for at, chunks in enumerate(stretch.chunks) if chunks]
        totals = [0.0] * len(keys)
        for gained in self._gained.values():
            own = [gained.get(key, 0.0) for key in keys]
            parts = {at: self._parts_of(gained, stretch.texts[at], stretch.chunks[at]) for at in chunked}
            for at in chunked:
                own[at] = max(parts[at])
            if any(own):
                near = self._spread.near_all(own)
                totals = [
                    total + (mine if mine > given else given)
                    for total, mine, given in zip(totals, own, near, strict=True)
                ]
                for at in chunked:
                    for part, beside in enumerate(self._spread.near_all(parts[at])):
                        place = stretch.seqs[at], part
                        sums[place] = sums.get(place, 0.0) + max(parts[at][part], beside, near[at])
        inner = {stretch.seqs[at] for at in stretch.inner}
        found = {place: total for place, total in sums.items() if total and place[0] in inner}
        for at in stretch.inner:
            if totals[at] and not stretch.chunks[at]:
                found[stretch.seqs[at], WHOLE] = totals[at]
        return found

    def _parts_of(self, gained: Mapping[Key, float], text: int, chunks: int) -> list[float]:
        """What the words of each chunk give for a term."""
        parts = [0.0] * chunks
        for part in self._parts.get(text, ()):
            parts[part] = gained.get(key_of(text, part), 0.0)
        return parts

    def _matching(self, places: Iterable[Place]) -> Iterable[Place]:
        """Those that match all filters."""
        if not self._narrows:
            return places
        places = list(places)
        values = self._values | {"seqs": _as_list(dict.fromkeys(seq for seq, _ in places))}
        matching = set(_numbers(self._tx.db.execute(_MATCHING, values).fetchone()[0]))
        return [place for place in places if place[0] in matching]


def _add(sums: dict[Key, float], gained: Mapping[Key, float]) -> None:
    for key, weight in gained.items():
        sums[key] = sums.get(key, 0.0) + weight


class _Ranking:
    """The arms of a search, and how their scores become one: each arm's scores, divided by its best, by its weight."""

    def __init__(self, tx: Transaction, args: Mapping[str, Any], space: int) -> None:
        self._tx = tx
        strategy, embedding = args["strategy"], args.get("embedding")
        in_talk: bool = args["neighbours"]
        self._vector: Arm | None = None
        if embedding is not None and strategy != "keyword":
            self._vector = vectors.arm(
                tx, space, embedding, args, TALK if in_talk else ALONE, args.get("embeddingModel")
            )
        self._text = None if strategy == "semantic" else TextArm(tx, args, IN_TALK if in_talk else BY_ITSELF)
        self._of_text, self._of_vector = 1.0, 1.0
        self._alpha = args.get("alpha", ALPHA)

    def first(self, count: int, least: float) -> list[tuple[Place, float]]:
        """The first `count` places, or a few more, and their scores.

        How much is looked at grows in steps that no page changes, and each step only adds places behind those of the
        steps before. So pages of any size fit together.
        """
        found: dict[Place, float] = {}
        step = STEPS[0]
        while len(found) < count:
            ranked = self._best(step, least)
            lowest = min(found.values(), default=1.0)
            added = [(place, min(score, lowest)) for place, score in ranked if place not in found]
            found |= added[: step - len(found)]
            if len(ranked) < step:
                break
            step *= STEPS[1]
        return list(found.items())

    def _best(self, count: int, least: float) -> list[tuple[Place, float]]:
        """The best places and their scores. Of equal ones the newest comes first."""
        if self._vector is None or not self._vector.top:
            self._vector = None
            return (
                [] if self._text is None else [(place, self._score(place)) for place in self._text.best(count, least)]
            )
        wanted = CANDIDATES[0] * count + CANDIDATES[1]
        by_text = [] if self._text is None else self._text.best(wanted)
        by_vector = self._vector.best(wanted)
        if self._text is None or not by_text:
            self._text = None
        else:
            self._text.add({seq for seq, _ in set(by_vector).difference(by_text)})
            self._of_text = (1 - self._alpha) / max(map(self._text.score, by_text))
            self._of_vector = self._alpha / self._vector.top
        scores = {place: self._score(place) for place in (*by_text, *by_vector)}
        ranked = sorted(scores, key=lambda place: (-scores[place], -place[0], place[1]))
        return [(place, scores[place]) for place in ranked[:count] if scores[place] >= least and scores[place]]

    def _score(self, place: Place) -> float:
        by_text = 0.0 if self._text is None else self._text.score(place) * self._of_text
        by_vector = 0.0 if self._vector is None else self._vector.score(*place) * self._of_vector
        return min(by_text + by_vector, 1.0)

    def why(self, place: Place) -> dict[str, Any]:
        """Why a memory was found: `_why` of the contract."""
        why: dict[str, Any] = {"terms": []}
        score = self._score(place)
        if self._text is not None:
            why |= self._text.why(place, self._of_text / score)
        if self._vector is not None:
            found = self._vector.why(*place)
            share = self._vector.score(*place) * self._of_vector / score
            why["vector"] = {"share": min(share, 1.0), "similarity": min(max(found.own, 0.0), 1.0)}
            if found.neighbour is not None and found.near:
                neighbour = found.neighbour
                memory = memories.id_of(self._tx, neighbour.memory, neighbour.part)
                if memory is not None:
                    why["vector"]["neighbour"] = {"memoryId": memory, "distance": abs(neighbour.distance)}
        return why


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:search`: best first. `_score` is between 0 and 1 and falls from row to row."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return []
    ranking = _Ranking(tx, args, space)
    found: list[dict[str, Any]] = []
    start, stop = args["offset"], args["offset"] + args["limit"]
    for place, score in ranking.first(stop, args.get("minScore", 0.0))[start:stop]:
        row = memories.at(tx, *place)
        if row is not None:
            found.append({**row, "_score": score, **({"_why": ranking.why(place)} if args["explain"] else {})})
    return found
