"""Statements in the file, and the facts that are folded from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import changes, rows, statements
from cortex_rx.backends.sqlite.facts.folding import known_at
from cortex_rx.backends.sqlite.facts.statements import Origin, Policy
from cortex_rx.backends.sqlite.functions import fact_similar
from cortex_rx.backends.sqlite.index import DocumentCache
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.layout import LAYOUT
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.vectors import MatrixCache

ROME = ("Ada lives in Rome.", "Ada", "lives_in", "Rome")
PARIS = ("Ada lives in Paris.", "Ada", "lives_in", "Paris")


class World:
    """The memory space `s` in a file, with a clock of the test's own."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.now = 1_000
        self._ids = (f"{number:03}" for number in count(1))
        self.space = text_store.number_for(self.tx, "s")

    @property
    def tx(self) -> Transaction:
        return Transaction(
            self.db, self.now, lambda: next(self._ids), Language("english"), False, MatrixCache(0), DocumentCache()
        )

    def say(
        self, fact: tuple[str, ...], *messages: str, at: int | None = None, user: str | None = None, **more: Any
    ) -> str:
        """Store a statement, and show it. Returns the id of the fact that it supports."""
        text, *triple = fact
        given = {"fact": text, "factType": "identity", "confidence": 80, **more}
        given |= dict(zip(("subject", "predicate", "object"), triple, strict=False))
        origin = Origin(
            said=self.now if at is None else at, messages=messages, user_id=user, memory=more.pop("of", None)
        )
        policy = Policy(given.pop("deduplication", "structural"), given.pop("revise", True))
        given.pop("of", None)
        (number,) = statements.add(self.tx, self.space, [given], origin, policy)
        changes.show(self.tx, self.space, [number])
        return str(statements.having(self.tx, "seq = ?", (number,))[0]["fact"])

    def did(self) -> list[tuple[str, str | None]]:
        return [(row["action"], row["about"]) for row in statements.having(self.tx, "space = ?", (self.space,))]

    def facts(self) -> dict[str, dict[str, Any]]:
        numbers = [row[0] for row in self.db.execute("SELECT seq FROM facts ORDER BY seq")]
        return {row["factId"]: row for row in rows.load(self.tx, "s", numbers)}

    def number(self, fact: str) -> int:
        found = rows.number_of_fact(self.tx, self.space, fact)
        assert found is not None
        return found

    def known_at(self, time: int) -> list[tuple[str, int | None, int | None]]:
        slots = [row[0] for row in self.db.execute("SELECT DISTINCT slot FROM statements")]
        found = known_at(self.tx, self.space, time, slots)
        return sorted((row["body"], row["valid_from"], row["valid_until"]) for row in found)

    def rest(self) -> dict[str, int]:
        """How many rows there are of what belongs to facts."""
        tables = ("statements", "statement_messages", "statement_vectors", "facts", "fact_bands", "fact_documents")
        sizes = {table: self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608
        words = self.db.execute("SELECT facts, fact_size FROM spaces WHERE id = ?", (self.space,)).fetchone()
        places = self.db.execute("SELECT count(*) FROM fact_places").fetchone()[0]
        return {name: size for name, size in {**sizes, "counted": sum(words), "places": places}.items() if size}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(sqlite3.connect(tmp_path / "memory.db", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = OFF")
        for statement in LAYOUT:
            db.execute(statement)
        yield World(db)


def test_the_same_statement_from_two_messages_is_one_fact_with_two_sources(world: World) -> None:
    first = world.say(ROME, "msg-1")
    assert world.say(("ada  lives in ROME", "ada", "livesIn", "Rome"), "msg-2") == first
    assert world.say(ROME, "msg-2") == first
    (fact,) = world.facts().values()
    assert fact["sources"] == [{"messageIds": ["msg-1"]}, {"messageIds": ["msg-2"]}]
    assert (fact["fact"], fact["confidence"]) == (ROME[0], 96)  # two messages, not three statements
    assert world.did() == [("ADD", None), ("NONE", None), ("NONE", None)]


def test_a_new_value_closes_the_old_one_and_a_retraction_opens_it_again(world: World) -> None:
    rome = world.say(ROME)
    world.now = 2_000
    paris = world.say(PARIS)
    facts = world.facts()
    assert world.did() == [("ADD", None), ("SUPERSEDE", rome)]
    assert (facts[rome]["closed"], facts[rome]["validUntil"], facts[rome]["supersededBy"]) == ("changed", 2_000, paris)
    assert facts[paris]["supersedes"] == rome and "closed" not in facts[paris]
    world.now = 3_000
    changes.retract(world.tx, world.space, world.number(paris))
    facts = world.facts()
    assert (facts[paris]["closed"], facts[paris]["knownUntil"]) == ("wrong", 3_000)
    assert "closed" not in facts[rome] and "validUntil" not in facts[rome]
    assert world.known_at(1_500) == [(ROME[0], 1_000, None)]
    assert world.known_at(2_500) == [(PARIS[0], 2_000, None), (ROME[0], 1_000, 2_000)]
    assert world.known_at(3_000) == [(ROME[0], 1_000, None)]


def test_what_arrives_late_is_where_it_belongs(world: World) -> None:
    paris = world.say(PARIS, at=2_000)
    rome = world.say(ROME, at=1_000)
    facts = world.facts()
    assert (facts[rome]["validUntil"], facts[rome]["supersededBy"]) == (2_000, paris)
    assert world.say(PARIS, at=1_500) == paris  # it keeps its id, and is true since then
    assert (world.facts()[paris]["validFrom"], world.facts()[rome]["validUntil"]) == (1_500, 1_500)


def test_what_is_known_never_goes_back_with_the_clock(world: World) -> None:
    world.say(ROME)
    world.now = 500
    paris = world.say(PARIS, at=1_200)
    assert world.facts()[paris]["knownFrom"] == 1_000


@pytest.mark.parametrize(
    "other",
    [
        ("Ada does not live in Rome.", *ROME[1:]),
        ("Ada lived in Rome.", *ROME[1:]),
        ("Ada will live in Rome.", *ROME[1:]),
    ],
)
@pytest.mark.parametrize("deduplication", ["none", "exact", "structural", "semantic"])
def test_the_past_the_future_and_a_denial_are_never_the_same_fact(world: World, other: Any, deduplication: str) -> None:
    first = world.say(ROME, deduplication=deduplication)
    assert world.say(other, deduplication=deduplication) != first
    if "not" not in other[0]:
        assert all("closed" not in fact for fact in world.facts().values())


def test_two_users_never_share_a_fact_nor_end_one(world: World) -> None:
    facts = {world.say(ROME, user="ada"), world.say(ROME, user="bob"), world.say(ROME), world.say(PARIS, user="bob")}
    assert len(facts) == 4
    assert [fact.get("userId") for fact in world.facts().values() if "closed" in fact] == ["bob"]


def test_a_decider_s_word_is_kept(world: World) -> None:
    tea = world.say(("Ada likes tea.", "Ada", "likes", "tea"))
    green: Any = ("Ada likes green tea best.", "Ada", "likes", "green tea")
    assert world.say(green, decision={"action": "UPDATE", "factId": tea}, confidence=60) == tea
    (fact,) = world.facts().values()
    assert (fact["fact"], fact["object"], fact["version"], fact["confidence"]) == (green[0], "green tea", 2, 60)
    coffee = world.say(("Ada likes coffee.", "Ada", "likes", "coffee"), decision={"action": "SUPERSEDE", "factId": tea})
    assert world.facts()[tea]["supersededBy"] == coffee
    assert world.say(("She's fond of coffee.",), decision={"action": "NONE", "factId": coffee}) == coffee
    alone = world.say(("Ada likes coffee.", "Ada", "likes", "coffee"), decision={"action": "ADD"})
    assert alone != coffee
    gone = world.say(("Ada likes milk.", "Ada", "likes", "milk"), decision={"action": "SUPERSEDE", "factId": "no-such"})
    assert [action for action, _ in world.did()] == ["ADD", "UPDATE", "SUPERSEDE", "NONE", "ADD", "ADD"]
    assert "supersedes" not in world.facts()[gone]


@pytest.mark.parametrize("past", ["Ada lived in Paris.", "Ada will live in Paris."])
def test_not_even_a_decider_lets_the_past_or_the_future_end_the_present(world: World, past: str) -> None:
    rome = world.say(ROME)
    world.say((past, *PARIS[1:]), decision={"action": "SUPERSEDE", "factId": rome})
    assert all("closed" not in fact for fact in world.facts().values()) and len(world.facts()) == 2


def test_erasing_a_message_takes_its_share(world: World) -> None:
    rome = world.say(ROME, "msg-1")
    world.say(("She lives in Rome, Italy.", *ROME[1:]), "msg-2")
    paris = world.say(PARIS, "msg-2", "msg-3", at=2_000)
    assert changes.erase(world.tx, world.space, message="msg-1") == []
    fact = world.facts()[rome]  # of one source, in its words
    assert (fact["fact"], fact["confidence"], fact["sources"]) == (
        "She lives in Rome, Italy.",
        80,
        [{"messageIds": ["msg-2"]}],
    )
    assert changes.erase(world.tx, world.space, message="msg-2") == [rome]
    assert world.facts()[paris]["sources"] == [{"messageIds": ["msg-3"]}] and "supersedes" not in world.facts()[paris]
    assert changes.erase(world.tx, world.space, message="msg-3") == [paris]
    assert world.rest() == {}


def test_a_fact_that_was_retracted_is_erased_too(world: World) -> None:
    rome = world.say(ROME, of="mem-1", embedding=[1.0, 2.0])
    changes.retract(world.tx, world.space, world.number(rome))
    assert world.rest()["statement_vectors"] == 1
    assert changes.erase(world.tx, world.space, memory="mem-1") == [rome]
    assert world.rest() == {} and world.known_at(1_000) == []


def test_a_retracted_fact_keeps_its_id_when_its_run_was_split(world: World) -> None:
    first = world.say(ROME, at=1_000)
    assert world.say(ROME, at=3_000) == first
    world.say(PARIS, at=2_000)  # arrives late: there were two times in Rome
    again = next(one for one, fact in world.facts().items() if fact["validFrom"] == 3_000)
    assert again != first
    changes.retract(world.tx, world.space, world.number(first))
    facts = world.facts()
    assert facts[first]["closed"] == "wrong" and "closed" not in facts[again]


@pytest.fixture
def count_steps(world: World) -> Callable[[Callable[[], object]], int]:
    """How many steps of SQLite's machine something takes, in tens: what is read and written, not how long it takes."""

    def counted(work: Callable[[], object]) -> int:
        ticks = count()
        world.db.set_progress_handler(lambda: next(ticks) and 0, 10)
        try:
            work()
        finally:
            world.db.set_progress_handler(None, 0)
        return next(ticks)

    return counted


@pytest.mark.parametrize(
    "many", [400, pytest.param(10_000, marks=pytest.mark.slow(reason="it stores ten thousand facts one by one"))]
)
def test_storing_a_fact_costs_the_same_in_a_space_of_many(
    world: World, count_steps: Callable[[Callable[[], object]], int], many: int
) -> None:
    def fact(number: int) -> tuple[str, ...]:
        return f"Person {number} likes thing {number}.", f"Person {number}", "likes", f"thing {number}"

    def cost(number: int) -> int:
        return count_steps(lambda: world.say(fact(number)))

    numbers = count()
    with_few = [cost(next(numbers)) for _ in range(40)][-10:]
    world.db.execute("BEGIN")
    for _ in range(many):
        world.say(fact(next(numbers)))
    world.db.execute("COMMIT")
    with_many = [cost(next(numbers)) for _ in range(10)]
    assert sorted(with_many)[5] <= 1.2 * sorted(with_few)[5]


@pytest.mark.slow(reason="it stores some thousand facts")
def test_looking_for_similar_facts_costs_the_same_in_a_space_of_many(
    world: World, count_steps: Callable[[Callable[[], object]], int]
) -> None:
    def grow(many: int) -> int:
        world.db.execute("BEGIN")
        for _ in range(many):
            number = next(numbers)
            world.say((f"Ada likes thing {number}.", "Ada", "likes", f"thing {number}"), embedding=[1.0, number])
        world.db.execute("COMMIT")
        new = {"fact": "Ada likes things.", "subject": "Ada", "predicate": "likes", "embedding": [1.0, 3.0]}
        args = {"memorySpaceId": "s", **new, "deduplication": "structural", "revise": True, "limit": 50}
        found: list[Any] = []
        steps = count_steps(lambda: found.extend(fact_similar.similar(world.tx, args)))
        assert len(found) == 50
        return steps

    numbers = count()
    with_few = grow(600)
    assert grow(600) <= 1.2 * with_few
