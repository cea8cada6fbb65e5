"""Deciders: which functions there may be, what they may say, and what a bad one costs: its own word."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from cortex_rx.beliefs import Decision
from cortex_rx.embedding.threads import Threads
from cortex_rx.errors import InvalidArgument, StoreUnavailable
from cortex_rx.facts import deciding as module
from cortex_rx.facts.deciding import DECISION_TIMEOUT, MOST_CANDIDATES, decide, with_decisions
from cortex_rx.models.facts import ExtractedFact, FactRecord
from cortex_rx.testing import assert_no_leaks, run_virtual

SECRET = "Ada's diagnosis"
SCOPE = {"memorySpaceId": "s", "userId": "ada", "deduplication": "structural", "revise": True}


def known(at: int = 1) -> FactRecord:
    return FactRecord.from_row(row(at))


def row(at: int = 1) -> dict[str, Any]:
    """As the store gives it."""
    fact = {"factId": f"fact-{at}", "memorySpaceId": "s", "fact": f"{SECRET} {at}.", "factType": "custom"}
    return {**fact, "confidence": 90, "sourceType": "conversation", "createdAt": 1, "updatedAt": 1}


def similar(at: int = 1, same: bool = False, ends: bool = False) -> dict[str, Any]:
    return {**row(at), "same": same, "ends": ends, "similarity": 0.5}


def new(at: int = 1) -> dict[str, Any]:
    return {"factId": f"new-{at}", "fact": f"{SECRET} anew {at}.", "factType": "custom", "confidence": 90, "tags": []}


FACT = ExtractedFact(fact="Ada likes tea.", fact_type="preference", confidence=90)


async def later(fact: Any, known: Any) -> Decision:
    await asyncio.sleep(1)
    return Decision("NONE", "fact-1")


class Object:
    async def __call__(self, fact: Any, known: Any) -> Decision:
        return Decision("NONE", "fact-1")


@pytest.mark.parametrize(
    "decider",
    [
        lambda fact, known: Decision("NONE", "fact-1"),
        later,
        lambda fact, known: later(fact, known),
        Object(),
        lambda fact, known: {"action": "NONE", "factId": "fact-1"},
        lambda fact, known: {"action": "NONE", "fact_id": known[0].fact_id},
    ],
    ids=["sync", "async", "an awaitable", "an object", "camelCase", "snake_case"],
)
def test_any_function_gives_its_decision(decider: Any) -> None:
    assert run_virtual(decide(decider, FACT, [known()])) == Decision("NONE", "fact-1")


def test_it_need_not_say_anything() -> None:
    assert run_virtual(decide(lambda fact, known: None, FACT, [known()])) is None


NONSENSE: list[Any] = [
    SECRET,
    "ADD",
    7,
    True,
    ["ADD"],
    object(),
    Decision,
    {},
    {"action": SECRET},
    {"action": "NONE"},
    {"action": "NONE", "factId": 7},
    {"action": "NONE", "factId": " "},
    {"action": "NONE", "factId": "fact-2"},
    {"action": "NONE", "factId": "fact-1", "fact_id": "fact-1"},
    {"action": "ADD", "factId": "fact-1"},
    {"action": "ADD", SECRET: 1},
    {"action": ["ADD"]},
    Decision("SUPERSEDE", "fact-2"),
    Decision("UPDATE", SECRET),
]


@pytest.mark.parametrize("said", NONSENSE, ids=range(len(NONSENSE)))
def test_what_is_no_decision_about_these_facts_is_refused_without_their_text(said: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        run_virtual(decide(lambda fact, known: said, FACT, [known()]))
    assert SECRET not in str(refused.value)


class Candidates:
    """A store that knows these facts."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = list(found)
        self.asked: list[dict[str, Any]] = []

    async def query(self, path: str, args: dict[str, Any]) -> list[dict[str, Any]]:
        assert path == "facts:similar"
        self.asked.append(args)
        return self.found

    async def mutation(self, path: str, args: dict[str, Any]) -> Any:
        raise AssertionError


def decided(decider: Any, backend: Any, rows: Any = None, seconds: float = DECISION_TIMEOUT) -> list[dict[str, Any]]:
    return run_virtual(with_decisions(decider, backend, rows or [new()], SCOPE, seconds))


def test_the_decision_is_carried_by_the_fact() -> None:
    seen: list[Any] = []

    def decider(fact: ExtractedFact, known: list[FactRecord]) -> Decision:
        seen.append((fact.fact, [(one.fact_id, one.score) for one in known]))
        return Decision("SUPERSEDE", "fact-2")

    store, rows = Candidates(similar(1), similar(2, ends=True)), [new()]
    assert decided(decider, store, rows) == [{**new(), "decision": {"action": "SUPERSEDE", "factId": "fact-2"}}]
    assert rows == [new()], "what was given is as it was"
    assert seen == [(f"{SECRET} anew 1.", [("fact-1", 0.5), ("fact-2", 0.5)])]
    (asked,) = store.asked
    compared = {name: value for name, value in new().items() if name not in ("factId", "tags")}
    assert asked == {**SCOPE, **compared, "limit": MOST_CANDIDATES}


def test_to_add_needs_no_known_fact() -> None:
    assert decided(lambda fact, known: Decision("ADD"), Candidates(similar()))[0]["decision"] == {"action": "ADD"}


@pytest.mark.parametrize("found", [[], [similar(1), similar(2, same=True)]], ids=["unknown", "known"])
def test_it_is_not_asked_where_there_is_no_doubt(found: list[Any]) -> None:
    asked: list[Any] = []
    assert decided(lambda fact, known: asked.append(fact), Candidates(*found)) == [new()]
    assert asked == []


def fails(fact: Any, known: Any) -> Any:
    raise LookupError(SECRET)


async def cancels_itself(fact: Any, known: Any) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def hangs(fact: Any, known: Any) -> Any:
    await asyncio.sleep(600)


BAD = {
    "raises": (fails, "LookupError"),
    "raises what ends a thread": (lambda fact, known: next(iter(())), "AbnormalEnd"),
    "cancels its own task": (cancels_itself, "ForeignCancellation"),
    "hangs": (hangs, "TimeoutError"),
    "says nonsense": (lambda fact, known: SECRET, "InvalidArgument"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_decider_costs_only_its_own_word(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    bad, error = BAD[kind]

    def decider(fact: ExtractedFact, known: list[FactRecord]) -> Any:
        return bad(fact, known) if fact.fact == new(2)["fact"] else Decision("ADD")

    async def main() -> tuple[list[dict[str, Any]], float]:
        with assert_no_leaks():
            found = await with_decisions(decider, Candidates(similar()), [new(1), new(2), new(3)], SCOPE)
        return found, asyncio.get_running_loop().time()

    found, took = run_virtual(main())
    assert [one.get("decision") for one in found] == [{"action": "ADD"}, None, {"action": "ADD"}]
    assert took == (DECISION_TIMEOUT if kind == "hangs" else 0)
    assert [record.getMessage() for record in caplog.records] == [
        f"a fact is stored without the word of the decider: {error}"
    ]


def test_the_facts_of_a_text_are_asked_about_side_by_side_within_one_limit() -> None:
    running, most = [0], [0]

    async def decider(fact: Any, known: Any) -> Decision:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(3)
        running[0] -= 1
        return Decision("ADD")

    async def main() -> tuple[int, float]:
        found = await with_decisions(decider, Candidates(similar()), [new(at) for at in range(20)], SCOPE)
        return sum("decision" in one for one in found), asyncio.get_running_loop().time()

    assert run_virtual(main()) == (12, 10.0)
    assert most == [4]


def test_a_store_that_fails_costs_only_the_word(caplog: pytest.LogCaptureFixture) -> None:
    class Away(Candidates):
        async def query(self, path: str, args: dict[str, Any]) -> Any:
            raise StoreUnavailable("the store is away")

    assert decided(lambda fact, known: Decision("ADD"), Away()) == [new()]
    assert "StoreUnavailable" in caplog.text


def test_who_is_cancelled_cancels_the_decider() -> None:
    left: list[str] = []

    async def decider(fact: Any, known: Any) -> Any:
        try:
            await asyncio.sleep(600)
        finally:
            left.append("closed")

    async def main() -> None:
        task = asyncio.ensure_future(with_decisions(decider, Candidates(similar()), [new()], SCOPE))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left == ["closed"]

    run_virtual(main())


async def test_one_that_blocks_its_thread_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_threads", Threads(1, "cortex_rx-decider-test"))
    go = threading.Event()

    def decider(fact: Any, known: Any) -> Any:
        go.wait(10)

    found = await with_decisions(decider, Candidates(similar()), [new(1), new(2)], SCOPE, seconds=0.05)
    assert found == [new(1), new(2)]
    go.set()


def test_nothing_of_a_fact_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        decided(fails, Candidates(similar()))
        decided(hangs, Candidates(similar()))
    assert SECRET not in caplog.text
