"""What the parts of the state machine have in common: a store, its clock, and how an answer is compared with the model.

Each part is a class with the rules of one API and its model: plain dicts and lists, written from the pages in
docs/apis. A rule that changes something first says what the model expects, then asks the store. Rules that read look at
what the model has. All of it is read again at the end of an example.

The clock stands still unless a step moves it, so that several things often happen at the same millisecond.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from cortex_rx import Cortex
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.errors import CortexError
from cortex_rx.models.records import Record
from cortex_rx.models.spelling import to_camel
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["SPACES", "USERS", "Machine", "Refused", "fields", "one_of", "page", "rows"]

T = TypeVar("T")

SPACES = ("home", "work")
USERS = ("ada", "bob")


class Refused(NamedTuple):
    """The call raises an error of this kind and changes nothing."""

    kind: type[CortexError]


def fields(record: Any, *without: str) -> dict[str, Any]:
    """The fields of a record that have a value, by their names; lists for tuples."""
    given = record.model_dump() if isinstance(record, Record) else dict(record)
    return {name: _plain(value) for name, value in given.items() if value is not None and name not in without}


def rows(records: Iterable[Any], *without: str) -> list[dict[str, Any]]:
    """The fields of each of them."""
    return [fields(record, *without) for record in records]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def page(all_of_them: Sequence[T], limit: int | None = None, offset: int = 0) -> list[T]:
    """What a listing gives of these."""
    return list(all_of_them[offset:][:limit])


def one_of(names: Callable[[Any], Iterable[T]]) -> st.SearchStrategy[T]:
    """One of what the model has at this moment. Only for rules that are left out while there is none."""
    return st.runner().flatmap(lambda machine: st.sampled_from(list(names(machine))))


class Machine(RuleBasedStateMachine):
    """A store in memory with a client, and the virtual clock of both."""

    counted: ClassVar[Counter[str]] = Counter()
    """How often each call was made, and how often it was refused, over all examples."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._loop: Any = self._runner.get_loop()
        self._numbers = count(1)
        self.used: set[str] = set()
        """The memory spaces in which something was stored, also if it is gone."""
        self._backend = SqliteBackend(":memory:", clock=self._loop.wall)
        self.cortex = Cortex(self.seen(self._backend))

    def seen(self, backend: SqliteBackend) -> Backend:
        """The store as the client sees it."""
        return backend

    @property
    def now(self) -> int:
        """Epoch milliseconds."""
        return round(self._loop.wall() * 1000)

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return self._runner.run(awaited())

    def listed_by(self, what: str, listing: AsyncIterator[Any]) -> list[Any]:
        """What an async iterator gives."""
        self.counted[what] += 1

        async def gathered() -> list[Any]:
            return [one async for one in listing]

        return self._runner.run(gathered())

    def exported(
        self, what: str, api: Any, expected: Sequence[Mapping[str, Any]], key: str, *args: Any, **given: Any
    ) -> None:
        """An export has these records, whole or in pieces, as JSON and as CSV."""
        ids = [one[key] for one in expected]
        for format in ("json", "csv"):
            export = self.run(api.export(*args, format=format, **given))
            pieces = self.listed_by(f"{what}.stream_export", api.stream_export(*args, format=format, **given))
            self.counted[f"{what}.export"] += 1
            assert "".join(pieces) == export.data
            assert (export.count, export.format, export.exported_at) == (len(ids), format, self.now)
            read = json.loads(export.data) if format == "json" else csv.DictReader(io.StringIO(export.data))
            assert [one[to_camel(key)] for one in read] == ids

    def writes(self, space: str) -> Refused | None:
        """Why the space takes no writes, if that is so."""
        return None

    def agree(self, what: str, call: Awaitable[T], expected: object, shown: Callable[[T], object] = fields) -> T | None:
        """The call gives what the model says, or is refused as it says. What it gave, as it came."""
        self.counted[what] += 1
        try:
            given = self.run(call)
        except CortexError as error:
            self.counted[f"{what} refused"] += 1
            assert isinstance(expected, Refused), f"{what} raised {error!r}; the model says {expected}"
            assert type(error) is expected.kind, f"{what} raised {error!r}; the model says {expected.kind.__name__}"
            return None
        assert not isinstance(expected, Refused), f"{what} gave {given!r}; the model says {expected}"
        assert shown(given) == expected, f"{what}\n  gave  {shown(given)}\n  model {expected}"
        return given

    @rule(by=st.sampled_from([1, 1, 1_000, 86_400_000]))
    def wait(self, by: int) -> None:
        self._loop.set_clock(by / 1000)

    def check(self) -> None:
        """Everything that can be read is as in the model: each part looks at its own."""

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # not after a step that has failed
                self.check()
        finally:
            self.run(self._backend.close())
            self._runner.close()
