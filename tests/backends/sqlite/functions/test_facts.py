"""The functions of facts: what is corrected, retracted and consolidated, what was known when, and by which index."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.contract.checks import check, misshapen
from cortex_rx.backends.sqlite.functions import MUTATIONS, QUERIES, fact_search
from cortex_rx.backends.sqlite.functions.fact_filters import condition, has_metadata, has_predicate, order, values
from cortex_rx.backends.sqlite.functions.sql_functions import add_functions
from cortex_rx.backends.sqlite.index import DocumentCache
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.layout import LAYOUT
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.vectors import MatrixCache
from cortex_rx.errors import FactNotFound, FactRetracted, IdempotencyConflict

Row = dict[str, Any]


class World:
    """The functions, called as the backend calls them, on a file in memory; a call a second."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.now = 1_000_000
        self._ids = count(1)
        self._documents = DocumentCache()

    def call(self, path: str, **args: Any) -> Any:
        kind = "query" if path in QUERIES else "mutation"
        checked = check(kind, path, {"memorySpaceId": "s", **args})  # type: ignore[arg-type]
        self.now += 1_000 * (kind == "mutation")
        tx = Transaction(
            self.db, self.now, lambda: f"{next(self._ids):03}", Language("english"), False, MatrixCache(0),
            self._documents,
        )  # fmt: skip
        with self.db:
            result = (QUERIES | MUTATIONS)[path](tx, checked)
        assert misshapen(path, result) is None
        return result

    def store(self, fact: str, *triple: str, **more: Any) -> Row:
        given = dict(zip(("subject", "predicate", "object"), triple, strict=False))
        args = {"factType": "identity", "confidence": 80, "sourceType": "manual", "tags": [], **given, **more}
        stored: Row = self.call("facts:store", fact=fact, **args)
        return stored

    def lives(self, place: str, **more: Any) -> Row:
        return self.store(f"Ada lives in {place}.", "Ada", "lives_in", place, **more)

    def get(self, fact: Row) -> Row:
        found: Row = self.call("facts:get", factId=fact["factId"])
        return found

    def update(self, fact: Row, /, **changes: Any) -> Row:
        corrected: Row = self.call("facts:update", factId=fact["factId"], **changes)
        return corrected

    def list(self, **args: Any) -> list[Row]:
        found: list[Row] = self.call("facts:list", **args)
        return found

    def texts(self, **args: Any) -> list[str]:
        return [row["fact"] for row in self.list(**args)]


@contextmanager
def made() -> Iterator[World]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.row_factory = sqlite3.Row
        add_functions(db)
        for statement in LAYOUT:
            db.execute(statement)
        yield World(db)


@pytest.fixture
def world() -> Iterator[World]:
    with made() as world:
        yield world


def message(*ids: str) -> Row:
    return {"sourceRef": {"messageIds": list(ids)}}


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_correction_keeps_the_user_in_the_file(world):
    """Cortex 0.11 drops it, so that a deletion of the user's data misses the fact."""
    fixed = world.update(world.lives("Lisbn", userId="ada"), object="Lisbon")
    assert fixed["userId"] == "ada"
    assert world.call("facts:count", userId="ada") == 1
    assert world.db.execute("SELECT count(*) FROM statements WHERE user_id IS NOT 'ada'").fetchone()[0] == 0


def test_a_chain_is_never_forked(world):
    """In Cortex 0.11 a fact that was corrected can be corrected again, and has two corrections then."""
    first = world.lives("Lisbn")
    fixed = world.update(first, object="Lisbon")
    with pytest.raises(FactRetracted) as caught:
        world.update(first, object="Porto")
    assert caught.value.corrected_by == fixed["factId"]
    assert len(world.list()) == 1


def test_what_was_retracted_cannot_be_corrected(world):
    first = world.lives("Lisbon")
    world.call("facts:deleteFact", factId=first["factId"])
    with pytest.raises(FactRetracted) as caught:
        world.update(first, object="Porto")
    assert caught.value.corrected_by is None
    assert world.list() == []


def test_a_correction_has_all_sources_and_the_confidence(world):
    first = world.lives("Lisbn", **message("m1"))
    first = world.lives("Lisbn", **message("m2"), confidence=50)
    assert first["confidence"] == 90
    fixed = world.update(first, object="Lisbon")
    assert (fixed["sources"], fixed["confidence"]) == (first["sources"], 90)
    sure = world.update(fixed, confidence=35)
    assert (sure["sources"], sure["confidence"], sure["version"]) == (first["sources"], 35, 3)
    said_again = world.lives("Lisbon", **message("m3"), confidence=50)
    assert (said_again["factId"], said_again["confidence"]) == (sure["factId"], 68)


def test_what_was_superseded_can_be_corrected_and_stays_in_its_time(world):
    lisbon, porto = world.lives("Lisbn", validFrom=100), world.lives("Porto", validFrom=200)
    fixed = world.update(lisbon, fact="Ada lives in Lisbon.", object="Lisbon")
    assert (fixed["validFrom"], fixed["validUntil"], fixed["supersededBy"]) == (100, 200, porto["factId"])
    assert world.texts(asOf=150) == ["Ada lives in Lisbon."]
    assert world.texts() == ["Ada lives in Porto."]


def test_a_correction_to_what_is_known_already_becomes_that_fact(world):
    porto = world.lives("Porto", validFrom=100, **message("m1"))
    other = world.store("Ada lives in Prto.", "Ada", "sleeps_in", "Prto", validFrom=100, **message("m2"))
    fixed = world.update(other, fact="Ada lives in Porto.", predicate="lives_in", object="Porto")
    assert fixed["factId"] == porto["factId"]
    assert ([source["messageIds"] for source in fixed["sources"]], fixed["confidence"]) == ([["m1"], ["m2"]], 96)
    assert world.get(other)["supersededBy"] == porto["factId"]
    assert [row["factId"] for row in world.list()] == [porto["factId"]]


def test_what_was_read_from_the_text_is_read_from_the_new_one(world):
    first = world.store("Ada likes tea.", "Ada", "likes", "tea")
    assert world.update(first, fact="Ada does not like tea.")["polarity"] == "negative"
    given = world.store("Tea? No thanks, says Bob.", "Bob", "likes", "tea", polarity="negative", tense="present")
    assert world.update(given, fact="Tea is refused by Bob.", polarity="negative")["polarity"] == "negative"
    explicit = world.store("Tea is what Cleo drank.", "Cleo", "likes", "tea", polarity="negative")
    assert world.update(explicit, fact="Tea is what Cleo drank!")["polarity"] == "negative"


def test_a_correction_keeps_how_many_values_there_are(world):
    car = world.store("Ada drives a Fiat.", "Ada", "drives", "Fiat", cardinality="one", validFrom=100)
    fixed = world.update(car, fact="Ada drives a Seat.", object="Seat")
    new = world.store("Ada drives a Saab.", "Ada", "drives", "Saab", cardinality="one", validFrom=200)
    assert new["supersedes"] == fixed["factId"]
    pet = world.store("Ada owns a Fiat.", "Ada", "owns", "Fiat", validFrom=100)
    world.update(pet, fact="Ada owns a Seat.", object="Seat")
    assert "supersedes" not in world.store("Ada owns a Saab.", "Ada", "owns", "Saab", validFrom=200)


def test_a_correction_without_changes_is_one(world):
    first = world.lives("Lisbon", tags=["a"], metadata={"k": None})
    again = world.update(first)
    assert (again["version"], again["tags"], again["metadata"]) == (2, ["a"], {"k": None})
    assert world.texts() == ["Ada lives in Lisbon."]


def test_tags_and_metadata_are_replaced(world):
    first = world.lives("Lisbon", tags=["a"], metadata={"k": 1}, **message("m1"))
    first = world.lives("Lisbon", tags=["b"], **message("m2"))
    assert first["tags"] == ["a", "b"]
    fixed = world.update(first, tags=["c"], metadata={"l": 2}, validUntil=9_000_000)
    assert (fixed["tags"], fixed["metadata"], fixed["validUntil"]) == (["c"], {"l": 2}, 9_000_000)


# --- retracting, consolidating ----------------------------------------------------------------------------------------


def test_what_is_retracted_is_in_no_list(world):
    """In Cortex 0.11 it is in list, count, search and export."""
    fact = world.lives("Lisbon")
    world.call("facts:deleteFact", factId=fact["factId"])
    assert world.list(includeSuperseded=True) == world.call("facts:search", query="Lisbon") == []
    assert world.call("facts:count") == 0
    assert world.call("facts:exportFacts", format="csv")["count"] == 0
    again = world.lives("Lisbon")
    assert again["factId"] != fact["factId"]
    assert world.get(fact)["closed"] == "wrong"


def test_unknown_foreign_and_other_users_facts_are_not_consolidated(world):
    """In Cortex 0.11 unknown ids count, and foreign facts change the confidence."""
    kept = world.lives("Lisbon", confidence=80)
    foreign = world.lives("Lisboa", memorySpaceId="other", confidence=10)
    users = world.lives("Lisboa", userId="bob", confidence=10)
    closed = world.store("Ada flies.", "Ada", "flies", "kites", confidence=10)
    world.call("facts:deleteFact", factId=closed["factId"])
    ids = [kept["factId"], foreign["factId"], users["factId"], closed["factId"], "nowhere"]
    assert world.call("facts:consolidate", factIds=ids, keepFactId=kept["factId"])["mergedCount"] == 0
    assert world.get(kept) == kept
    with pytest.raises(FactNotFound):
        world.call("facts:consolidate", factIds=ids, keepFactId=closed["factId"])


def test_facts_that_were_consolidated_both_ways_have_a_history_that_ends(world):
    """In Cortex 0.11 the history of such facts never ends."""
    a, b = world.lives("Lisbon"), world.store("Lisbon is Ada's home.")
    ids = [a["factId"], b["factId"]]
    world.call("facts:consolidate", factIds=ids, keepFactId=a["factId"])
    with pytest.raises(FactNotFound):
        world.call("facts:consolidate", factIds=ids, keepFactId=b["factId"])
    for fact in ids:
        history = world.call("facts:getHistory", factId=fact)
        assert sorted(row["factId"] for row in history) == sorted(ids)


def test_a_fact_is_not_merged_with_itself_under_another_id(world):
    """A statement that joined a fact has an id, which is one of that fact."""
    kept, other = world.lives("Lisbon"), world.store("Lisbon is Ada's home.", **message("m1"))
    world.lives("Lisbon", factId="joined")
    world.store("Lisbon is Ada's home.", factId="joined the other", **message("m2"))
    ids = [kept["factId"], "joined", other["factId"], "joined the other"]
    for keep, merged in ((kept["factId"], 1), ("joined", 0)):
        done = world.call("facts:consolidate", factIds=ids, keepFactId=keep)
        assert (done["keptFactId"], done["mergedCount"]) == (kept["factId"], merged)
    now = world.get(kept)
    assert world.list() == [now] and "closed" not in now
    assert [source["messageIds"] for source in now["sources"]] == [["m1"], ["m2"]]


def test_a_history_has_a_fact_once_under_whichever_id_it_is_asked(world):
    rome, lisbon = world.lives("Rome", validFrom=100), world.lives("Lisbon", validFrom=200)
    porto = world.lives("Porto", validFrom=400)
    world.lives("Rome", validFrom=150, factId="Rome, too")
    world.lives("Lisbon", validFrom=300, factId="Lisbon, too")
    for fact in (lisbon["factId"], "Rome, too", "Lisbon, too"):
        history = [row["factId"] for row in world.call("facts:getHistory", factId=fact)]
        assert history == [rome["factId"], lisbon["factId"], porto["factId"]]


def test_a_fact_that_is_kept_keeps_its_text_and_its_time(world):
    world.lives("Rome", validFrom=100)
    kept = world.lives("Lisbon", validFrom=200, confidence=80)
    other = world.store("Ada sleeps in Lisbon.", validFrom=50, confidence=41, **message("m"))
    world.call("facts:consolidate", factIds=[kept["factId"], other["factId"]], keepFactId=kept["factId"])
    now = world.get(kept)
    same = ("fact", "factId", "object", "validFrom", "version", "createdAt", "knownFrom")
    assert {name: now[name] for name in same} == {name: kept[name] for name in same}
    assert (now["confidence"], now["sources"]) == (60, [{"messageIds": ["m"]}])  # 60.5, to the even number
    assert world.texts(asOf=150) == ["Ada lives in Rome."]


def test_an_id_of_a_statement_that_joined_a_fact_is_that_fact(world):
    fact = world.lives("Lisbon")
    joined = world.lives("Lisbon", factId="mine")
    assert joined["factId"] == fact["factId"]
    assert world.call("facts:get", factId="mine") == world.get(fact)


def test_an_id_is_that_of_a_memory_space(world):
    mine, theirs = world.lives("Lisbon", factId="mine"), world.lives("Porto", factId="mine", memorySpaceId="other")
    assert (mine["fact"], theirs["fact"]) == ("Ada lives in Lisbon.", "Ada lives in Porto.")
    world.call("facts:deleteFact", factId="mine", memorySpaceId="other")
    assert world.get(mine) == mine


def test_the_beginning_of_time_is_a_time(world):
    """Cortex 0.11 takes a 0 for now."""
    assert world.lives("Lisbon", validFrom=0)["validFrom"] == 0
    assert world.texts(asOf=0) == ["Ada lives in Lisbon."]
    assert world.texts(limit=0) == []


def test_a_search_narrows_before_it_cuts(world, monkeypatch):
    """Cortex 0.11 filters what its index gives, at most 1,024 facts."""
    monkeypatch.setattr(fact_search, "_MOST", 2)
    for number in range(20):
        world.store(f"Zebra {number}.", userId="bob", deduplication="none")
    world.store("Of all animals in the large zoo of the town, Ada likes the zebra.", userId="ada")
    for more in ({}, {"sortBy": "createdAt"}, {"limit": 1}):
        (found,) = world.call("facts:search", query="zebra", userId="ada", **more)
        assert found["userId"] == "ada"
    assert len(world.call("facts:search", query="zebra")) == 2
    assert world.call("facts:search", query="zebra", offset=2) == []


# --- exports ----------------------------------------------------------------------------------------------------------

ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(ANY, ANY, st.lists(ANY, max_size=2)), min_size=1, max_size=4))
def test_an_export_has_every_character(facts):
    """In Cortex 0.11 only the text is quoted in CSV, so that a comma in a tag or an object moves the columns."""
    with made() as world:
        for text, thing, tags in facts:
            world.store(text, thing, "likes", thing, tags=tags, deduplication="none", revise=False)
        there = world.list()
        assert json.loads(world.call("facts:exportFacts", format="json")["data"]) == there
        lines = list(csv.DictReader(io.StringIO(world.call("facts:exportFacts", format="csv")["data"], newline="")))

        def shown(text: str) -> str:
            return f"'{text}" if text[0] in "=+-@\t\r" else text

        for line, row in zip(lines, there, strict=True):
            assert (line["fact"], line["object"]) == (shown(row["fact"]), shown(row["object"]))
            assert json.loads(line["tags"]) == row["tags"]


# --- what was known ---------------------------------------------------------------------------------------------------

PLACES = ("Rome", "Porto", "Lisbon")
TIMES = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("lives"), st.sampled_from(PLACES), TIMES, st.sampled_from("abc"), st.booleans()),
        st.tuples(st.just("likes"), st.sampled_from(PLACES), TIMES, st.sampled_from("abc"), st.booleans()),
        st.tuples(st.just("update"), st.integers(0, 9), st.sampled_from(PLACES)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
        st.tuples(st.just("consolidate"), st.integers(0, 9), st.integers(0, 9)),
    ),
    max_size=7,
)


def play(world: World, step: tuple[Any, ...]) -> None:
    facts = world.list(includeSuperseded=True)
    if step[0] in ("lives", "likes"):
        verb, place, time, said, polarity = step
        text = f"Ada {verb} {'' if polarity else 'not '}in {place}."
        where = {"lives": "lives_in", "likes": "likes"}[verb]
        given = {"polarity": "positive" if polarity else "negative", "tense": "present"}
        world.store(text, "Ada", where, place, validFrom=time, **given, **message(said))
    elif facts:
        fact = facts[step[1] % len(facts)]
        if step[0] == "delete":
            world.call("facts:deleteFact", factId=fact["factId"])
        elif step[0] == "update":
            if fact.get("closed") != "wrong":
                world.update(fact, object=step[2])
        elif "closed" not in fact:
            other = facts[step[2] % len(facts)]["factId"]
            world.call("facts:consolidate", factIds=[fact["factId"], other], keepFactId=fact["factId"])


def seen(world: World, **known: int) -> list[Any]:
    """What lists, counts and searches give, but for the times of the last change and the order among facts."""

    def plain(rows: list[Row]) -> list[Row]:
        rows = [{name: value for name, value in row.items() if name != "updatedAt"} for row in rows]
        return sorted(rows, key=lambda row: row["factId"])

    lists = [plain(world.list(**args, **known)) for args in ({"asOf": 2, "subject": "Ada"}, {})]
    found = plain(world.call("facts:search", query="Ada Porto", **known))
    for row in found:
        row["_score"] = row["_score"] > 0
    return [*lists, found, world.call("facts:count", minConfidence=50, **known)]


@settings(max_examples=12, deadline=None)
@given(STEPS)
def test_known_at_gives_again_what_was_given_then(steps):
    """After any history, `knownAt` of each moment gives what lists, counts and searches gave at that moment."""
    knows_what_it_knew(steps)


@pytest.mark.slow(reason="200 histories")
@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_known_at_gives_again_what_was_given_then_in_many_histories(steps):
    knows_what_it_knew(steps)


def knows_what_it_knew(steps: list[tuple[Any, ...]]) -> None:
    with made() as world:
        then = {}
        for step in steps:
            play(world, step)
            then[world.now] = seen(world)
        for moment, was in then.items():
            assert seen(world, knownAt=moment + 999) == was  # until the next moment


def test_what_was_known_before_is_nothing(world):
    fact = world.lives("Lisbon")
    assert world.list(knownAt=fact["knownFrom"] - 1) == []
    assert world.list(knownAt=fact["knownFrom"], memorySpaceId="other") == []


def test_the_past_is_asked_within_a_space_and_a_user(world):
    world.lives("Lisbon", userId="ada")
    world.lives("Porto", userId="bob")
    world.lives("Rome", userId="ada", memorySpaceId="other")
    for known in ({}, {"knownAt": world.now}):
        assert world.texts(userId="ada", **known) == ["Ada lives in Lisbon."]
        assert [row["fact"] for row in world.call("facts:search", query="lives", userId="bob", **known)] == [
            "Ada lives in Porto."
        ]


def test_two_users_never_supersede_each_other(world):
    world.lives("Lisbon", userId="ada")
    world.lives("Porto", userId="bob")
    world.lives("Lisbon", userId="bob", validFrom=1)
    assert sorted(world.texts()) == ["Ada lives in Lisbon.", "Ada lives in Porto."]


# --- by which index ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "index"),
    [
        ({"subject": "Ada"}, "facts_by_subject"),
        ({"subject": "Ada", "predicate": "likes", "userId": "ada", "asOf": 5}, "facts_by_subject"),
        ({"userId": "ada", "minConfidence": 50}, "facts_by_user"),
        ({"userId": "ada", "factType": "event", "participantId": "p"}, "facts_by_user"),
        ({"subject": "Ada", "factType": "event", "participantId": "p"}, "facts_by_subject"),
        ({"memoryId": "mem-1"}, "statements_by_memory"),
        ({"conversationId": "c", "includeSuperseded": True}, "statements_by_conversation"),
        ({"factType": "event"}, "facts_by_type"),
        ({"participantId": "p"}, "facts_listed_by_participant"),
        ({}, "facts_by_space"),
    ],
)
def test_a_list_reads_what_an_index_gives(world, args, index):
    checked = check("query", "facts:list", {"memorySpaceId": "s", **args})
    asked = f"SELECT seq FROM facts WHERE {condition(checked)} ORDER BY {order(checked)} LIMIT 10"
    plan = world.db.execute(f"EXPLAIN QUERY PLAN {asked}", values(checked, 1))
    steps = [row["detail"] for row in plan.fetchall()]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps


def test_a_history_looks_up_what_it_links(world):
    plan = world.db.execute("EXPLAIN QUERY PLAN SELECT id FROM facts WHERE space = 1 AND superseded_by = 'x'")
    assert "facts_by_successor" in plan.fetchone()["detail"]


def test_a_list_about_a_subject_costs_as_much_among_many_facts(world):
    steps = []
    for size in (10, 80):
        for number in range(size):
            world.store(f"Thing {number} of {size} is here.", f"thing {number} of {size}", "has_part", "x")
        ticks = count()
        world.db.set_progress_handler(lambda ticks=ticks: next(ticks) and 0, 10)
        assert len(world.call("facts:queryBySubject", subject="thing 1 of 10")) == 1
        world.db.set_progress_handler(None, 0)
        steps.append(next(ticks))
    assert steps[1] <= steps[0] * 1.2


@pytest.mark.parametrize("name", ["userId", "factType", "participantId"])
def test_a_page_costs_as_much_among_many_that_pass(world, name):
    steps, made = [], count()
    for size in (20, 180):
        for number in islice(made, size):
            world.store(f"Thing {number} is here.", f"thing {number}", "has_part", "x", userId="ada", participantId="p")
        value = world.call("facts:list", limit=1)[0][name]
        ticks = count()
        world.db.set_progress_handler(lambda ticks=ticks: next(ticks) and 0, 1)
        assert len(world.call("facts:list", **{name: value}, limit=5)) == 5
        world.db.set_progress_handler(None, 0)
        steps.append(next(ticks))
    assert steps[1] <= steps[0] * 1.2


# --- the filters by themselves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "wanted", "fits"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": {"b": [1]}, "c": 2}, {"a": {"b": [1]}}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        (None, {}, True),
        (None, {"a": 1}, False),
    ],
)
def test_metadata_is_compared_as_json(there, wanted, fits):
    assert has_metadata(None if there is None else json.dumps(there), json.dumps(wanted)) is fits


@pytest.mark.parametrize(
    ("predicate", "qualifier", "wanted", "fits"),
    [
        ("lives_in", None, "livesIn", True),
        ("Lives in", None, "lives-in", True),
        ("resides in", None, "lives_in", True),
        ("favorite", "color", "favourite_color", True),
        ("favorite_color", None, "favorite", True),
        ("favorite", "food", "favorite color", False),
        (None, None, "likes", False),
        ("likes", None, "dislikes", False),
    ],
)
def test_a_predicate_is_found_in_any_spelling(predicate, qualifier, wanted, fits):
    assert has_predicate(predicate, qualifier, wanted) is fits


def test_an_id_is_taken_as_long_as_its_fact_lives_on_by_another_source(world: World) -> None:
    """Also when the statement that had this id was erased."""
    source = {"conversationId": "c", "messageIds": ["m1"]}
    world.store("Ada lives in Rome.", "Ada", "lives_in", "Rome", factId="mine", sourceRef=source)
    world.store("Ada lives in Rome.", "Ada", "lives_in", "Rome", sourceRef={**source, "messageIds": ["m2"]})
    world.call("memories:forget", messageId="m1", erase=True)
    with pytest.raises(IdempotencyConflict):
        world.store("Ada likes tea.", "Ada", "likes", "tea", factId="mine")
    again = world.store("Ada lives in Rome.", "Ada", "lives_in", "Rome", factId="mine", sourceRef=source)
    assert (again["factId"], again["sources"]) == ("mine", [{**source, "messageIds": ["m2"]}])


# --- the counts -------------------------------------------------------------------------------------------------------


def test_the_kept_counts_are_those_of_the_facts(world):
    """After each change, and as the migration would sum them."""
    grouped = (
        "SELECT space, iif(each.own, user_id, ''), fact_type,"
        " iif(closed IS NULL, 0, iif(superseded_by IS NULL, 2, 1)), count(*)"
        " FROM facts CROSS JOIN (SELECT 0 AS own UNION ALL SELECT 1) AS each"
        " WHERE user_id IS NOT NULL OR NOT each.own GROUP BY 1, 2, 3, 4"
    )

    def checked():
        kept = {tuple(row) for row in world.db.execute("SELECT * FROM fact_counts")}
        assert kept == {tuple(row) for row in world.db.execute(grouped)}
        for args in ({}, {"userId": "ada"}, {"factType": "event"}, {"includeSuperseded": True}, {"userId": "nobody"}):
            assert world.call("facts:count", **args) == len(world.list(**args))

    first = world.lives("Lisbon", userId="ada")
    checked()
    world.lives("Porto", userId="ada", validFrom=10**6)  # ends the first
    checked()
    world.lives("Rome", userId="bob")
    checked()
    world.call("facts:deleteFact", factId=first["factId"])
    checked()
    for fact in world.list(includeSuperseded=True):
        world.call("facts:deleteFact", factId=fact["factId"])
    checked()
    assert world.call("facts:count") == 0


def test_a_count_looks_at_no_fact(world):
    steps = []
    for size in (10, 80):
        for number in range(size):
            world.store(f"Thing {number} of {size} is here.", f"thing {number} of {size}", "has_part", "x")
        ticks = count()
        world.db.set_progress_handler(lambda ticks=ticks: next(ticks) and 0, 1)
        assert world.call("facts:count") >= size
        world.db.set_progress_handler(None, 0)
        steps.append(next(ticks))
    assert steps[1] <= steps[0]
