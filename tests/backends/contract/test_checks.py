"""The contract as data: it is complete, its checks accept and refuse the calls of `calls.json`, and SQLite implements
it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import keyword
from collections import Counter
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from cortex_rx import SqliteBackend, errors, validation
from cortex_rx.backends.contract import typed
from cortex_rx.backends.contract.checks import check, misshapen
from cortex_rx.backends.contract.samples import Sample, samples
from cortex_rx.backends.contract.tables import FUNCTIONS, TABLES
from cortex_rx.backends.contract.types import Cursor, as_json
from cortex_rx.backends.sqlite.functions import MUTATIONS, QUERIES
from cortex_rx.errors import InvalidArgument, StoreError, UnknownFunction
from cortex_rx.testing import BACKEND_PROMISES, wall
from cortex_rx.validation import json_mapping, json_value

SAMPLES = list(samples())


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_is_described_whole(path: str) -> None:
    function = FUNCTIONS[path]
    assert function in next(table for table in TABLES if path.startswith(f"{table.name}:")).functions
    assert function.meaning.rstrip().endswith(".")
    assert bool(function.repeated) == (function.kind == "mutation"), "what repeating it does"
    for name in function.errors:
        assert issubclass(getattr(errors, name), StoreError)
    names = [field.name for field in function.args.fields]
    assert len(set(names)) == len(names)
    for rule in function.args.rules:
        of_rule = [value for key, value in as_json(rule).items() if key not in ("is", "value", "values")]
        assert {name for one in of_rule for name in (one if isinstance(one, list) else [one])} <= set(names)


def test_it_is_plain_data() -> None:
    plain = json.loads(json.dumps(as_json(TABLES)))
    assert [table["name"] for table in plain] == [table.name for table in TABLES]
    assert plain[0]["functions"][0]["args"]["fields"][2] == {
        "is": "Field", "name": "includePartial", "type": {"is": "Flag"}, "required": False, "default": False,
    }  # fmt: skip


def test_sqlite_has_these_functions_and_no_others() -> None:
    for kind, there in (("query", QUERIES), ("mutation", MUTATIONS)):
        assert set(there) == {path for path, function in FUNCTIONS.items() if function.kind == kind}


# --- accepted and refused calls ---------------------------------------------------------------------------------------


def test_every_argument_has_a_call_that_is_accepted_and_one_that_is_refused() -> None:
    given = {(one.path, name) for one in SAMPLES if one.field is None for name in one.args}
    refused = {(one.path, one.field) for one in SAMPLES if one.field is not None}
    for path, function in FUNCTIONS.items():
        for field in function.args.fields:
            assert (path, field.name) in refused
            assert (path, field.name) in given or field.type == Cursor(), "only a store knows a cursor"
            without = [one for one in SAMPLES if one.path == path and field.name not in one.args]
            assert any(one.field == (field.name if field.required else None) for one in without)
        assert (path, "surprise") in refused


def misjudged(sample: Sample) -> str | None:
    """What is wrong in how the checks judge it."""
    try:
        checked = check(sample.kind, sample.path, sample.args)
    except InvalidArgument as error:
        return None if sample.names(error.field) else f"{sample}: {error}"
    if sample.field is not None:
        return f"{sample}: accepted"
    return None if check(sample.kind, sample.path, checked) == checked else f"{sample}: what was checked is refused"


def test_the_checks_accept_and_refuse_these_calls() -> None:
    assert [said for one in SAMPLES if (said := misjudged(one))] == []
    assert sum(one.field is None for one in SAMPLES) > 300
    assert sum(one.field is not None for one in SAMPLES) > 500


@pytest.mark.slow(reason="a promise makes the same calls in every run")
@pytest.mark.parametrize("path", FUNCTIONS)
async def test_sqlite_accepts_and_refuses_these_calls(path: str, store: Any) -> None:
    call = store.backend.query if FUNCTIONS[path].kind == "query" else store.backend.mutation
    await store.begin("other")
    before = store.tables()
    for one in SAMPLES:
        if one.path == path and one.field is not None:
            with pytest.raises(InvalidArgument) as error:
                await call(path, one.args)
            assert one.names(error.value.field), one
    assert store.tables() == before
    for one in SAMPLES:
        if one.path == path and one.field is None:
            try:
                await call(path, one.args)
            except InvalidArgument as error:  # only the store knows its cursors
                assert error.field == "cursor", one
            except StoreError as error:  # there may be no such stream
                assert type(error).__name__ in FUNCTIONS[path].errors, one


def test_arguments_that_are_no_mapping_and_functions_that_are_not_there() -> None:
    for args in (None, [], "x", 5):
        with pytest.raises(InvalidArgument, match="^args: "):
            check("query", "memories:list", args)  # type: ignore[arg-type]
    for kind, path in (("query", "streams:begin"), ("mutation", "streams:get"), ("query", ""), ("query", "x")):
        with pytest.raises(UnknownFunction, match="there are: "):
            check(kind, path, {})  # type: ignore[arg-type]
    for path in (None, [], 5, b"memories:list"):
        with pytest.raises(InvalidArgument, match="^path: got "):
            check("query", path, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [None, 5, 10**5000, b"words", ("words",)], ids=lambda key: type(key).__name__)
def test_keys_that_are_no_strings_are_refused_and_not_shown(key: object) -> None:
    asked = {"memorySpaceId": "s", "streamId": "st", "epoch": 1, "attempt": 0, "start": 0, "text": "x", "length": 1}
    for args, field in (({key: 1}, "args"), ({**asked, "chunks": [{"start": 0, "end": 1, key: 1}]}, "chunks[0]")):
        with pytest.raises(InvalidArgument) as error:
            check("mutation", "streams:finalize", args)
        assert str(error.value) == f"{field}: got 'a key of type {type(key).__name__}'; accepted: keys that are strings"


def test_an_unknown_key_is_shown_short_and_can_be_printed() -> None:
    for key, shown in (("k" * 10**6, "k" * 40), ("\ud800", "?")):
        with pytest.raises(InvalidArgument) as error:
            check("query", "memories:count", {"memorySpaceId": "s", key: 1})
        assert error.value.field == shown
        assert len(str(error.value).encode()) < 250


@pytest.mark.parametrize("value", [object(), {3: "intro"}, float("nan")], ids=["object", "key", "nan"])
def test_a_lone_surrogate_in_a_key_does_not_get_into_an_error(value: object) -> None:
    with pytest.raises(InvalidArgument, match="^metadata: got 'a lone surrogate'; accepted: text"):
        json_mapping("metadata", {"\ud800": value})


def doubled(levels: int, odd: bool) -> Any:
    """Few lists, each of them twice in the next one: as JSON 2**levels texts."""
    value: Any = ["é" if odd else "e"]
    for _ in range(levels):
        value = (value, value) if odd else [value, value]
    return value


@pytest.mark.parametrize("odd", [False, True], ids=["plain", "odd"])
def test_lists_that_are_shared_are_counted_wherever_they_are(odd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    visits: Counter[str] = Counter()
    for name in ("_is_plain", "_plain"):

        def counted(*args: Any, name: str = name, real: Any = getattr(validation, name)) -> Any:
            visits[name] += 1
            return real(*args)

        monkeypatch.setattr(validation, name, counted)
    monkeypatch.setattr(validation, "_VALUES", 1000)
    assert json_mapping("metadata", {"a": doubled(8, odd)})["a"][1][0][1] == json_value("x", doubled(5, odd))
    visits.clear()
    with pytest.raises(InvalidArgument, match=r"^metadata.*: got 'more values, .*'; accepted: at most 1,000 values$"):
        json_mapping("metadata", {"a": doubled(60, odd)})
    assert 0 < visits.total() < (2100 if odd else 200), "plain ones are looked at once"


def test_a_million_values_are_accepted_and_no_more() -> None:
    assert len(json_value("state", {"all": [None] * 999_999})["all"]) == 999_999
    for many in ([None] * 1_000_000, {str(number): None for number in range(1_000_000)}, doubled(22, False)):
        with pytest.raises(InvalidArgument, match="^state.*at most 1,000,000 values$"):
            json_value("state", {"all": many})


def test_what_was_checked_is_a_copy() -> None:
    args = {
        "streamId": "s",
        "memorySpaceId": "s",
        "epoch": 1,
        "attempt": 0,
        "start": 0,
        "text": "",
        "state": {"a": [1]},
    }
    checked = check("mutation", "streams:append", args)
    args["state"]["a"].append(2)  # type: ignore[index]
    assert checked["state"] == {"a": [1]}


def test_defaults_are_filled_in_where_they_mean_something() -> None:
    begin = next(one.args for one in SAMPLES if one.path == "streams:begin" and one.field is None)
    assert check("mutation", "streams:begin", begin)["completes"] is False
    assert "tokenTtl" not in check("mutation", "streams:begin", begin)
    assert check("mutation", "streams:begin", {**begin, "token": "0" * 64})["tokenTtl"] == 3_600_000


# --- typed calls ------------------------------------------------------------------------------------------------------


class Recorder:
    """A backend that answers with the call."""

    async def query(self, path: str, args: Any) -> Any:
        return "query", path, args

    async def mutation(self, path: str, args: Any) -> Any:
        return "mutation", path, args

    async def close(self) -> None: ...


def keyword_of(name: str) -> str:
    return f"{to_snake(name)}_" if keyword.iskeyword(to_snake(name)) else to_snake(name)


@pytest.mark.parametrize("path", FUNCTIONS)
async def test_a_typed_call_has_the_arguments_of_its_function(path: str) -> None:
    table, _, name = path.partition(":")
    call = getattr(getattr(typed, table[:1].upper() + table[1:])(Recorder()), keyword_of(name))
    fields = FUNCTIONS[path].args.fields
    parameters = inspect.signature(call).parameters.values()
    assert {one.name for one in parameters} == {keyword_of(field.name) for field in fields}
    required = {one.name for one in parameters if one.default is one.empty}
    assert required == {keyword_of(field.name) for field in fields if field.required}
    assert {one.kind for one in parameters} <= {inspect.Parameter.KEYWORD_ONLY}
    for one in SAMPLES:
        if one.path == path and one.field is None:
            made = call(**{keyword_of(key): value for key, value in one.args.items()})
            assert await made == (one.kind, path, one.args) == await made
            assert (made.path, made.args) == (path, one.args)


def test_every_typed_call_has_its_function() -> None:
    for name in typed.__all__:
        methods = [key for key in vars(getattr(typed, name)) if not key.startswith("_")]
        table = next(table for table in TABLES if table.name == name[:1].lower() + name[1:])
        assert sorted(methods) == sorted(keyword_of(one.path.partition(":")[2]) for one in table.functions)


# --- what the conformance suite sees ----------------------------------------------------------------------------------


@pytest.mark.slow(reason="each promise alone is checked in every run")
def test_every_function_has_a_promise_and_a_promise_calls_what_it_is_about(tmp_path: Any) -> None:
    """And whatever SQLite gives, to any call of any promise, has the shape that the contract says."""
    called: Counter[str] = Counter()

    class Watched(SqliteBackend):
        async def query(self, path: str, args: Any) -> Any:
            called[path] += 1
            return self.seen(path, await super().query(path, args))

        async def mutation(self, path: str, args: Any) -> Any:
            called[path] += 1
            return self.seen(path, await super().mutation(path, args))

        def seen(self, path: str, result: Any) -> Any:
            assert misshapen(path, result) is None, (path, result)
            json.dumps(result, allow_nan=False)
            return result

    promised: set[str] = set()
    for promise in BACKEND_PROMISES:
        called.clear()
        promise.check(lambda: Watched(tmp_path / "memory.db", clock=wall), virtual=True)
        assert set(promise.functions) <= set(called), promise
        promised |= set(promise.functions)
    assert promised == set(FUNCTIONS), "a function without a promise"


async def test_calls_may_be_awaited_together() -> None:
    async with SqliteBackend(":memory:") as backend:
        call = typed.Memories(backend).count(memory_space_id="s")
        assert await asyncio.gather(call, asyncio.ensure_future(call), asyncio.wait_for(call, 5)) == [0, 0, 0]
