"""The predicates that are known, and what users add."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.beliefs import PREDICATES, Decision, Predicate, Predicates
from cortex_rx.errors import InvalidArgument

SINGLE = """has_name addressed_as has_age born_on born_in lives_in works_as works_at married_to relationship_status
favorite timezone native_language contact_by studies_at located_in has_diet has_email has_phone costs capital_of
founded_on happened_on"""


def test_which_are_single_valued() -> None:
    assert {name for name, each in PREDICATES.items() if each.single} == set(SINGLE.split())


def test_every_name_is_usable_as_the_type_of_a_relationship() -> None:
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", each) for each in PREDICATES)
    assert all(each.meaning for each in PREDICATES.values())


def test_inverses_are_mutual() -> None:
    for name, each in PREDICATES.items():
        if each.inverse:
            assert PREDICATES[each.inverse].inverse == name
            assert PREDICATES[each.inverse].single == each.single


@pytest.mark.parametrize(
    "name", ["lives_in", "Lives in", "livesIn", "LIVES_IN", "lives-in", " lives  in ", "resides in"]
)
def test_one_name_in_every_spelling(name: str) -> None:
    assert PREDICATES.canonical(name) == "lives_in"
    assert PREDICATES.single(name)


def test_an_unknown_predicate_is_many_valued() -> None:
    assert PREDICATES.canonical("Is afraid of") == "is_afraid_of"
    assert not PREDICATES.single("is_afraid_of")
    assert PREDICATES.resolved("is_afraid_of_dogs") == ("is_afraid_of_dogs", None)


def test_more_predicates_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[drives]\ncardinality = "one"\n[sings]\ninverse = "sung_by"\n[sung_by]\ninverse = "sings"\n')
    mine = PREDICATES.extended(file)
    assert (mine.single("drives"), mine["sings"].inverse) == (True, "sung_by")
    assert len(mine) == len(PREDICATES) + 3
    assert mine == PREDICATES.extended(Predicates([Predicate("drives", single=True)])).extended(
        {"sings": {"inverse": "sung_by"}, "sung_by": {"inverse": "sings"}}
    )


def test_a_known_predicate_is_replaced() -> None:
    assert not PREDICATES.extended({"lives_in": {}}).single("lives_in")
    assert PREDICATES.extended({"lives_in": {}}).canonical("resides_in") == "resides_in"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"drives": "one"}, "drives: got 'str'"),
        ({"drives": {"cardinality": "two"}}, "drives.cardinality: got 'two'"),
        ({"drives": {"single": True}}, "field of drives: got 'single'"),
        ({"drives": {"aliases": "has_car"}}, "drives.aliases: got 'str'"),
        ({"drives": {"aliases": ["job"]}}, "drives.aliases: got 'job'"),
        ({"drives": {"inverse": "driven_by"}}, "drives.inverse: got 'driven_by'"),
        ({"drives": {"qualified": 1}}, "drives.qualified: got 1"),
        ({"...": {}}, "predicate: got '...'"),
        ({"": {}}, "predicate: got ''"),
        (7, "predicates: got 7"),
        ("no/such/file.toml", "predicates: got 'FileNotFoundError'"),
    ],
)
def test_what_is_no_table_is_refused(more: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}"):
        PREDICATES.extended(more)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for written in (b"[", b"\xff"):
        file.write_bytes(written)
        with pytest.raises(InvalidArgument, match="^predicates: got"):
            PREDICATES.extended(file)


@pytest.mark.parametrize(
    "wrong", [("ADD", "f"), ("NONE", None), ("UPDATE", ""), ("add", None), ("DELETE", "f"), (None, None)]
)
def test_a_decision_that_means_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        Decision(*wrong)
