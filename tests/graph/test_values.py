"""What goes into a property: nothing is lost, and each server stores it."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.errors import InvalidArgument
from cortex_rx.graph import values
from cortex_rx.graph.identifiers import identifier
from cortex_rx.graph.values import parameters, properties, property_value

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc\u00e9\x00", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=30))]))


@settings(max_examples=examples(200))
@given(JSON)
def test_a_value_is_stored_as_it_is_or_as_json(value: Any) -> None:
    stored = property_value("k", value)
    kinds = {type(item) for item in value} if isinstance(value, list) else set()
    if isinstance(value, dict) or len(kinds) > 1 or kinds & {list, dict, type(None)}:
        assert isinstance(stored, str)
        assert json.loads(stored) == value
    else:
        assert (stored, type(stored)) == (value, type(value))


@settings(max_examples=examples(50))
@given(TIMES)
def test_a_time_keeps_its_instant_and_its_zone(time: datetime) -> None:
    for stored in (property_value("k", time), parameters({"k": [{"in": time}]})["k"][0]["in"]):
        assert isinstance(stored, str)
        again = datetime.fromisoformat(stored)
        assert (again, again.utcoffset()) == (time, time.utcoffset())
    assert json.loads(str(property_value("k", {"in": [time]}))) == {"in": [time.isoformat()]}


def test_what_json_does_not_carry_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_VALUES", 1_000)
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    shared: Any = ["x"]
    for _ in range(22):
        shared = [shared, shared]
    for wrong in (
        *(datetime(2026, 1, 2), timedelta(1), b"x", object(), {1, 2}, 2**63, -(2**63), float("nan"), float("inf")),
        *("\ud800", ["\ud800"], {"\ud800": 1}, {1: 2}, [object()], {"in": [b"x"]}, cycle, shared, 1j),
    ):
        with pytest.raises(InvalidArgument) as refused:
            property_value("field", wrong)
        assert refused.value.field.startswith("field")
        str(refused.value).encode()
        with pytest.raises(InvalidArgument, match="^params"):
            parameters({"field": wrong})
    assert property_value("k", date(2026, 1, 2)) == "2026-01-02"
    assert properties("properties", {"a": None, "b": ()}) == {"a": None, "b": []}
    with pytest.raises(InvalidArgument, match=r"^properties: a key: got 'another text'"):
        properties("properties", {"a b": 1})


@settings(max_examples=examples(300))
@given(st.one_of(st.text(max_size=4), st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*\s?"), st.text("aZ_09`\\\n ", max_size=70)))
def test_an_identifier_is_short_and_plain(text: str) -> None:
    plain = re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) is not None and len(text) <= 64
    try:
        assert identifier("label", text) == text
    except InvalidArgument as error:
        assert not plain
        assert error.given == "another text"
    else:
        assert plain
