"""The vectors of a memory space in memory, for exact search: a matrix of unit rows, and what searches narrow them by.

The rows are in blocks, so that a space grows without being copied. What has changed since the last search is read in
the transaction of the next one, from the change log on: also what another process wrote. The row of a deleted memory is
emptied, and used again.

Scores are computed with `einsum`: like a product of matrices it does not hold the interpreter's lock, it needs no more
time (reading the rows is what takes the time), its result for a row does not depend on the place of the row, and it
starts no threads that keep the processors from a running stream.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cortex_rx.backends.sqlite.ranking import Kernel
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["Arm", "Neighbour", "SpaceMatrix", "Why", "unit_row", "unit_rows"]

Floats: TypeAlias = npt.NDArray[np.float32]
Flags: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[np.intp]

_FIRST, _LARGEST = 64, 4096  # rows of a block: each has twice as many as the one before, up to the largest
_BATCH = 256  # rows that are read at a time
_INSERTED = 256  # changed rows up to which each is put into its place; beyond, all rows are sorted anew

# One record for each row: what filters and neighbours need. Names are numbers that the matrix gives them; -1 is none.
_NAMES = ("conversation", "user", "participant", "source", "content", "tags")
_RECORD = np.dtype(
    [
        ("memory", np.int64),
        ("part", np.int32),
        *((name, np.int32) for name in _NAMES),
        ("importance", np.float64),
        ("created", np.int64),
        ("updated", np.int64),
        ("said", np.int64),
        ("archived", np.bool_),
    ]
)
_EMPTY = (-1, -1, *(-1 for _ in _NAMES), 0.0, 0, 0, 0, False)

# An answer in chunks is found through its chunks alone. No partial memory has a vector.
_READ = (
    "SELECT memories.seq, part, vector, conversation, user_id, participant_id, source_type, content_type, tags,"
    " importance, memories.created, memories.updated, source_timestamp, archived FROM {found} CROSS JOIN vectors"
    " ON vectors.memory = memories.seq AND embedder = :embedder AND (part >= 0) = (chunks > 0)"
    " WHERE memories.space = (SELECT name FROM spaces WHERE id = :space) AND partial = 0"
)
_ALL = _READ.format(found="memories")
_SOME = _READ.format(found="json_each(:memories) AS changed CROSS JOIN memories ON memories.seq = changed.value")

_BOUNDS = (
    ("createdAfter", "created", False),
    ("createdBefore", "created", True),
    ("updatedAfter", "updated", False),
    ("updatedBefore", "updated", True),
    ("sourceAfter", "said", False),
    ("sourceBefore", "said", True),
)
_EQUAL = (
    ("conversationId", "conversation"),
    ("participantId", "participant"),
    ("sourceType", "source"),
    ("contentType", "content"),
)


def unit_rows(given: npt.NDArray[np.float64]) -> Floats:
    """Rows of length 1, however large the numbers are. A row of zeros stays one."""
    largest = np.abs(given).max(axis=1, keepdims=True)
    scaled = given / np.where(largest == 0, 1, largest)
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return (scaled / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def unit_row(vector: Sequence[float]) -> Floats:
    """One vector with length 1."""
    row: Floats = unit_rows(np.array([vector], np.float64))[0]
    return row


class SpaceMatrix:
    """The vectors of one memory space by one model. `query`: keep no rows, only their scores for this unit vector."""

    def __init__(self, embedder: int, dimension: int, query: Floats | None = None) -> None:
        self.embedder: int = embedder
        self._dimension = dimension
        self._query = query
        self._number = 0  # of the last change that was read
        self._count = 0  # of rows in use, empty ones included
        self._records: npt.NDArray[np.void] = np.empty(0, _RECORD)
        self._blocks: list[Floats] = []
        self._starts: list[int] = []
        self._streamed: Floats = np.empty(0, np.float32)
        self._free: list[int] = []
        self._names: dict[str, dict[str | None, int]] = {name: {None: -1} for name in _NAMES}
        self._order: Numbers = np.empty(0, np.intp)
        self._touched: list[int] = []  # rows that have changed since they were put in order

    @property
    def bytes(self) -> int:
        """How much memory the rows take."""
        return sum(block.nbytes for block in self._blocks) + self._records.nbytes + self._order.nbytes

    @staticmethod
    def bytes_for(rows: int, dimension: int) -> int:
        """How much memory so many rows would take."""
        return rows * (4 * dimension + _RECORD.itemsize)

    def update(self, tx: Transaction, space: int) -> None:
        """Read what has changed, in the transaction of the search."""
        values: dict[str, Any] = {"space": space, "embedder": self.embedder}
        last = tx.db.execute("SELECT max(number) FROM vector_changes WHERE space = :space", values).fetchone()[0] or 0
        if last <= self._number:  # a search whose transaction began earlier finds the matrix newer than its own view
            return
        if not self._number:
            self._read(tx, _ALL, values)
        else:
            changes = tx.db.execute(
                "SELECT memory FROM vector_changes WHERE space = ? AND number > ?", (space, self._number)
            )
            for batch in iter(lambda: changes.fetchmany(_BATCH), []):
                memories = [row["memory"] for row in batch]
                self._remove(memories)
                self._read(tx, _SOME, values | {"memories": json.dumps(memories)})
        self._number = last

    def _read(self, tx: Transaction, statement: str, values: Mapping[str, Any]) -> None:
        found = tx.db.execute(statement, values)
        for batch in iter(lambda: found.fetchmany(_BATCH), []):
            self._add(batch)

    def _add(self, batch: Sequence[Any]) -> None:
        given = np.frombuffer(b"".join(row["vector"] for row in batch)).reshape(len(batch), self._dimension)
        units = unit_rows(given)
        scores = None if self._query is None else np.einsum("ij,j->i", units, self._query)
        for position, (memory, part, _, *names_and_rest) in enumerate(batch):
            names = map(self._name, _NAMES, names_and_rest)
            row = self._free.pop() if self._free else self._grow()
            self._records[row] = (memory, part, *names, *names_and_rest[len(_NAMES) :])
            if scores is None:
                self._vector(row)[:] = units[position]
            else:
                self._streamed[row] = scores[position]
            self._touched.append(row)

    def _name(self, kind: str, name: str | None) -> int:
        names = self._names[kind]
        return names.setdefault(name, len(names) - 1)

    def _grow(self) -> int:
        """One more row at the end."""
        row = self._count
        if row == len(self._records):
            more = np.empty(max(_FIRST, 2 * row), _RECORD)
            more[:row] = self._records
            self._records = more
        if self._query is not None:
            if row == len(self._streamed):
                self._streamed = np.concatenate([self._streamed, np.empty(max(_FIRST, row), np.float32)])
        elif not self._blocks or row == self._starts[-1] + len(self._blocks[-1]):
            size = min(_FIRST << len(self._blocks), _LARGEST)
            self._starts.append(row)
            self._blocks.append(np.empty((size, self._dimension), np.float32))
        self._count += 1
        return row

    def _vector(self, row: int) -> Floats:
        block = bisect_right(self._starts, row) - 1
        vector: Floats = self._blocks[block][row - self._starts[block]]
        return vector

    def _remove(self, memories: Iterable[int]) -> None:
        """Empty the rows of these memories."""
        for row in np.flatnonzero(np.isin(self._records["memory"][: self._count], list(memories))).tolist():
            self._records[row] = _EMPTY
            self._vector(row)[:] = 0
            self._free.append(row)
            self._touched.append(row)

    def scores(self, query: Floats) -> Floats:
        """The cosine of each row with a unit vector; negative ones count as 0."""
        if self._query is not None:
            found = self._streamed[: self._count].copy()
        else:
            found = np.empty(self._count, np.float32)
            for start, block in zip(self._starts, self._blocks, strict=True):
                part = found[start : start + len(block)]
                np.einsum("ij,j->i", block[: len(part)], query, out=part)
        return np.clip(found, 0, 1, out=found)

    def visible(self, args: Mapping[str, Any]) -> Flags:
        """The rows that a call may know of: those of its user, if it names one, and archived ones only if asked."""
        records = self._records[: self._count]
        visible: Flags = records["memory"] >= 0
        if not args.get("includeArchived"):
            visible &= ~records["archived"]
        if args.get("userId") is not None:
            visible &= records["user"] == self._names["user"].get(args["userId"], -2)
        return visible

    def matching(self, args: Mapping[str, Any], visible: Flags) -> Flags:
        """The visible rows that pass all filters of `memories:search`."""
        records = self._records[: self._count]
        matching = visible.copy()
        for argument, name in _EQUAL:
            if argument in args:
                matching &= records[name] == self._names[name].get(args[argument], -2)
        if "minImportance" in args:
            matching &= records["importance"] >= args["minImportance"]
        for argument, name, below in _BOUNDS:
            if argument in args:
                matching &= records[name] < args[argument] if below else records[name] >= args[argument]
        if "tags" in args:
            matching &= self._with_tags(set(args["tags"]), args.get("tagMatch", "any") == "all")
        return matching

    def _with_tags(self, wanted: set[str], every: bool) -> Flags:
        """The rows that have every or any of the tags. Each list of tags is looked at once, however many have it."""
        names = self._names["tags"]
        matches = np.zeros(len(names), np.bool_)  # the last one is for empty rows
        for tags, number in names.items():
            has = set(json.loads(tags or "[]"))
            matches[number] = wanted <= has if every else not wanted.isdisjoint(has)
        found: Flags = matches[self._records["tags"][: self._count]]
        return found

    def in_order(self) -> Numbers:
        """All rows by conversation, memory and part; those without a conversation first."""
        if self._touched:
            touched = np.zeros(self._count, np.bool_)
            touched[self._touched] = True
            changed = np.flatnonzero(touched & (self._records["memory"][: self._count] >= 0))
            kept = self._order[~touched[self._order]]
            if len(changed) <= _INSERTED:
                changed = np.array(sorted(changed.tolist(), key=self._place), np.intp)
                places = [bisect_left(kept, self._place(row), key=self._place) for row in changed.tolist()]
                self._order = np.insert(kept, places, changed)
            else:
                rows = np.concatenate([kept, changed])
                records = self._records[rows]
                self._order = rows[np.lexsort((records["part"], records["memory"], records["conversation"]))]
            self._touched = []
        return self._order

    def _place(self, row: int) -> tuple[int, int, int]:
        record = self._records[row]
        return int(record["conversation"]), int(record["memory"]), int(record["part"])

    def arm(self, query: Floats, args: Mapping[str, Any], kernel: Kernel) -> Arm:
        """What a unit vector finds. The result shares nothing with the matrix that a later change would change."""
        visible = self.visible(args)
        records = self._records[: self._count]
        own = self.scores(query)
        memory, part = records["memory"].copy(), records["part"].copy()
        stretch = None
        if kernel.near:
            rows = self.in_order()
            rows = rows[visible[rows]]
            stretch = _Stretch(kernel, rows, memory[rows], part[rows], records["conversation"][rows], own[rows])
        return Arm(memory, part, own, self.matching(args, visible), stretch)


class _Stretch:
    """The visible rows in order, and what their neighbours give them.

    A unit is a memory with all its parts: it has one position in its conversation.
    """

    def __init__(self, kernel: Kernel, rows: Numbers, memory: Any, part: Any, conversation: Any, own: Floats) -> None:
        self.kernel: Kernel = kernel
        self.rows: Numbers = rows
        self.part: Any = part
        self.own: Floats = own
        first = np.ones(len(rows), np.bool_)
        first[1:] = memory[1:] != memory[:-1]
        self.starts: Numbers = np.flatnonzero(first)
        self.unit: Numbers = np.cumsum(first) - 1  # of each row
        group = conversation[self.starts]
        self.group: Any = np.where(group < 0, -1 - np.arange(len(group)), group)  # without a conversation: its own
        self.peaks: Floats = np.maximum.reduceat(own, self.starts) if len(rows) else own
        self.beside: Floats = self._near_units()
        around = np.maximum(self._best_ahead(self.peaks, self.group), self._best_ahead(*self._reversed())[::-1])
        if len(self.starts) < len(rows):
            self.beside, around = self.beside[self.unit], around[self.unit]
            np.maximum(self.beside, self._near_siblings(), out=self.beside)
        whole: Any = kernel.whole  # of arrays as of numbers: it only adds, multiplies and divides
        scores = whole(own, self.beside, around)
        self.scores: Floats = np.where((own > 0) | (self.beside > 0), scores, 0).astype(np.float32)

    def _near_units(self) -> Floats:
        """What the best neighbour of each unit gives."""
        best = np.zeros_like(self.peaks)
        for distance, weight in enumerate(self.kernel.near[: max(len(best) - 1, 0)], 1):
            given = np.float32(weight) * (self.group[distance:] == self.group[:-distance])
            np.maximum(best[distance:], given * self.peaks[:-distance], out=best[distance:])
            np.maximum(best[:-distance], given * self.peaks[distance:], out=best[:-distance])
        return best

    def _reversed(self) -> tuple[Floats, Any]:
        return self.peaks[::-1], self.group[::-1]

    def _best_ahead(self, peaks: Floats, group: Any) -> Floats:
        """The best score from each unit up to `span` positions ahead. Each step looks at up to twice as many."""
        best, reach = peaks, 1
        while reach <= self.kernel.span and reach < len(peaks):
            step = min(reach, self.kernel.span + 1 - reach)
            longer = best.copy()
            np.maximum(longer[:-step], best[step:] * (group[step:] == group[:-step]), out=longer[:-step])
            best, reach = longer, reach + step
        return best

    def _near_siblings(self) -> Floats:
        """What the best other part of its memory gives each row: the distance is the difference of the parts."""
        best = np.zeros_like(self.own)
        near = np.array([0, *self.kernel.near, 0], np.float32)
        for step in range(1, min(len(near) - 1, len(best))):
            same = self.unit[step:] == self.unit[:-step]
            weight = near[np.minimum(self.part[step:] - self.part[:-step], len(near) - 1) * same]
            np.maximum(best[step:], weight * self.own[:-step], out=best[step:])
            np.maximum(best[:-step], weight * self.own[step:], out=best[:-step])
        return best

    def neighbour(self, position: int) -> tuple[int, int] | None:
        """The position of the row that gives most to another one, and its distance, negative if it stands before; None
        if none gives anything."""
        unit = int(self.unit[position])
        found: tuple[int, int] | None = None
        best = 0.0
        for distance, weight in enumerate(self.kernel.near, 1):
            for at in (unit - distance, unit + distance):
                if 0 <= at < len(self.peaks) and self.group[at] == self.group[unit] and weight * self.peaks[at] > best:
                    best = weight * float(self.peaks[at])
                    stop = int(self.starts[at + 1]) if at + 1 < len(self.starts) else len(self.rows)
                    found = int(self.starts[at] + np.argmax(self.own[self.starts[at] : stop])), at - unit
            for other in range(max(position - distance, 0), min(position + distance + 1, len(self.rows))):
                apart = int(self.part[other]) - int(self.part[position])
                if self.unit[other] == unit and abs(apart) == distance and weight * self.own[other] > best:
                    best, found = weight * float(self.own[other]), (other, apart)
        return found


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The memory or chunk around another one that counts most: its place, and its distance in positions or parts,
    negative if it stands before."""

    memory: int
    part: int
    distance: int


@dataclass(frozen=True, slots=True)
class Why:
    """Where a score comes from: the cosine, what the best neighbour gives, which one that is."""

    own: float
    near: float
    neighbour: Neighbour | None


class Arm:
    """What the vector of a query finds in a memory space. Places are a memory's number and a part (-1: all of it).

    It may be newer than the transaction of its search, which then does not find some of the places.
    """

    def __init__(self, memory: Any, part: Any, own: Floats, matching: Flags, stretch: _Stretch | None) -> None:
        self._memory, self._part, self._own = memory, part, own
        self._stretch = stretch
        self._scores = own
        if stretch is not None:
            self._scores = np.zeros_like(own)
            self._scores[stretch.rows] = stretch.scores
        self._found: Floats = np.where(matching, self._scores, 0)
        self.top: float = float(self._found.max(initial=0.0))
        """The best score of all; 0 if nothing is found."""

    def best(self, count: int) -> list[tuple[int, int]]:
        """The best `count` places that pass the filters. Of equal scores the newest comes first."""
        scores = self._found
        least = np.float32(0)
        if 0 < count < len(scores):
            least = np.partition(scores, len(scores) - count)[len(scores) - count]
        rows = np.flatnonzero((scores >= least) & (scores > 0))
        rows = rows[np.lexsort((self._part[rows], -self._memory[rows], -scores[rows]))][:count]
        return list(zip(self._memory[rows].tolist(), self._part[rows].tolist(), strict=True))

    def _row(self, memory: int, part: int) -> int | None:
        rows = np.flatnonzero(self._memory == memory)
        return next((int(row) for row in rows if self._part[row] == part), None)

    def score(self, memory: int, part: int) -> float:
        """The score of a place, from 0 to 1, neighbours included; 0 if it has no vector."""
        row = self._row(memory, part)
        return 0.0 if row is None else float(self._scores[row])

    def why(self, memory: int, part: int) -> Why:
        """Where the score of a place comes from."""
        row = self._row(memory, part)
        if row is None:
            return Why(0.0, 0.0, None)
        own, stretch = float(self._own[row]), self._stretch
        at = [] if stretch is None else np.flatnonzero(stretch.rows == row).tolist()
        if stretch is None or not at:
            return Why(own, 0.0, None)
        found = stretch.neighbour(at[0])
        if found is None:
            return Why(own, 0.0, None)
        other = int(stretch.rows[found[0]])
        neighbour = Neighbour(int(self._memory[other]), int(self._part[other]), found[1])
        return Why(own, float(stretch.beside[at[0]]), neighbour)
