"""Labels, types of relationships, and keys."""

from __future__ import annotations

import json
import re
from hashlib import sha256

from hypothesis import example, given
from hypothesis import strategies as st

from cortex_rx.beliefs.predicates import PREDICATES
from cortex_rx.graph.schema import LABELS, PREDICATE_TYPES, RELATED, RELATIONSHIPS, key_of, shortened

_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.builds(
    lambda text: text * 1_001, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2)
)


@given(st.lists(_TEXTS, min_size=1, max_size=2), st.lists(_TEXTS, min_size=1, max_size=2))
@example(["a,b", "c"], ["a", "b,c"])
@example(['a","b'], ["a", "b"])
@example(["x" * 1_001], ["x" * 1_002])
@example(["x" * 1_001], [json.dumps(["x" * 100, sha256(b"x" * 1_001).hexdigest()])])
@example(["x" * 1_001, "y"], ["x" * 100, sha256(b"x" * 1_001).hexdigest(), "y"])
@example(["\0" * 1_000], ["\0" * 999])
@example(["é" * 501], ["é" * 500])
@example(["A"], ["a"])
@example(["é"], ["e\u0301"])
@example(["a\0"], ["a"])
def test_two_keys_are_equal_only_if_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)
    assert len(key_of(*one).encode()) < 3_000  # Neo4j indexes at most 8,150 bytes


@given(_TEXTS)
def test_what_is_shortened_is_short_and_begins_as_the_text(text: str) -> None:
    short = shortened(text)
    assert len(short.encode()) <= 1_064
    assert short == text or (len(text.encode()) > 1_000 and text.startswith(short[:-64]) and len(short) > 64)


def test_no_predicate_has_the_type_of_the_structure_and_no_type_the_name_of_a_label() -> None:
    structure = {type_ for type_, one in RELATIONSHIPS.items() if one.ends != (("Entity", "Entity"),)}
    said = {*PREDICATE_TYPES.values(), RELATED}
    assert said.isdisjoint(structure)
    assert structure | said == RELATIONSHIPS.keys()
    assert len(PREDICATES) <= 100  # each type of relationships costs a server a file, or one of 65,000
    # "CHILD_OF" is the one of a context: as a relationship of entities it would be read as one of these.
    assert {name for name in PREDICATES if name not in PREDICATE_TYPES} == {"child_of"}
    assert {one.casefold() for one in RELATIONSHIPS}.isdisjoint(one.casefold() for one in LABELS)


def test_names_are_identifiers_and_ends_are_labels() -> None:
    names = {*LABELS, *RELATIONSHIPS}
    for label in LABELS.values():
        names |= {*label.key, *label.properties}
        assert {*label.indexed} <= {*label.key, *label.properties}
        assert not {*label.key} & {*label.properties}
        assert label.bare or label.table
    for one in RELATIONSHIPS.values():
        names |= {*one.properties}
        assert {label for pair in one.ends for label in pair} <= LABELS.keys()
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", name) for name in names)
