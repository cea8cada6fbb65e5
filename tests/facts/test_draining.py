"""`cortex.facts.drain` and `work`: what is queued is read by the client's extractor, once or again and again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from cortex_rx import Cortex
from cortex_rx.backends import SqliteBackend
from cortex_rx.beliefs import PREDICATES, Decision
from cortex_rx.errors import InvalidArgument, StoreUnavailable
from cortex_rx.facts.draining import FactDrainReport, drain
from cortex_rx.facts.reader import fact_reader
from cortex_rx.testing import run_virtual

TURN: dict[str, Any] = {
    "memory_space_id": "space", "conversation_id": "c-1", "user_message": "I drive a van.", "user_id": "ada",
    "user_name": "Ada", "agent_response": "Noted.",
}  # fmt: skip
SECOND = timedelta(seconds=1)


class Drives:
    """An extractor that reads what somebody drives; the first calls fail."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.calls = fails, 0

    async def __call__(self, user_message: str, text: str) -> list[dict[str, Any]]:
        self.calls += 1
        if self.calls <= self.fails:
            raise ConnectionError("not now")
        words = user_message.rstrip(".").split()
        kind = {"fact": user_message, "factType": "identity", "confidence": 90, "subject": "me", "predicate": "drives"}
        return [kind | {"object": words[-1]}] if "drive" in words else []


def test_a_worker_reads_what_is_queued_until_it_is_cancelled() -> None:
    reads = Drives(fails=4)

    async def main() -> None:
        async with Cortex(":memory:", extract_facts=reads) as cortex:
            worker = asyncio.create_task(cortex.facts.work("space", every=SECOND))
            await asyncio.sleep(0.5)
            await cortex.memory.remember(**TURN)
            assert await cortex.facts.count(memory_space_id="space") == 0 and reads.calls == 2
            await asyncio.sleep(3)
            (fact,) = await cortex.facts.list(memory_space_id="space")
            assert (fact.subject, fact.predicate, fact.object) == ("ada", "drives", "van")
            assert fact.source_ref is not None and fact.source_ref.end == len(TURN["user_message"])
            assert reads.calls == 6, "each piece failed twice, and was read once"
            await asyncio.sleep(10)
            assert reads.calls == 6
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker

    run_virtual(main())


def test_a_worker_outlives_a_store_that_fails_for_now(caplog: Any) -> None:
    class Down(SqliteBackend):
        until = 20.0

        async def query(self, path: str, args: Any) -> Any:
            if path == "facts:queued" and asyncio.get_running_loop().time() < self.until:
                raise StoreUnavailable("down")
            return await super().query(path, args)

    async def main() -> None:
        async with Down(":memory:") as store, Cortex(store, extract_facts=Drives(fails=2)) as cortex:
            await cortex.memory.remember(**TURN)
            worker = asyncio.create_task(cortex.facts.work(every=SECOND))
            await asyncio.sleep(30)
            worker.cancel()
            assert await cortex.facts.count(memory_space_id="space") == 1

    run_virtual(main())
    assert "facts are read later: StoreUnavailable" in caplog.text


def test_what_is_said_of_facts_counts_in_a_drain_too() -> None:
    predicates = PREDICATES.extended({"drives": {"cardinality": "one"}})
    shown: list[str] = []

    def decider(fact: Any, known: Any) -> Decision | None:
        shown.extend(one.object for one in known)
        return None

    async def main() -> None:
        async with Cortex(":memory:", extract_facts=Drives(fails=99)) as cortex:
            for message in ("I drive a van.", "I drive a bus."):
                await cortex.memory.remember(**TURN | {"user_message": message})
            report = await cortex.facts.drain(
                "space", extract_facts=Drives(), predicates=predicates, belief_revision=decider
            )
            assert report == FactDrainReport(read=4, facts=2)
            assert [fact.object for fact in await cortex.facts.list(memory_space_id="space")] == ["bus"]

    run_virtual(main())
    assert shown == ["van"]


def test_an_embedder_that_hangs_costs_the_embeddings_alone(caplog: Any) -> None:
    async def hangs(text: str) -> list[float]:
        await asyncio.sleep(10_000)
        return [1.0]

    async def main() -> None:
        async with SqliteBackend(":memory:") as store, Cortex(store, extract_facts=Drives(fails=2)) as cortex:
            await cortex.memory.remember(**TURN)
            began = asyncio.get_running_loop().time()
            reader = fact_reader(Drives(), store, deduplication="semantic", embedder=hangs)
            assert await drain(reader) == FactDrainReport(read=2, facts=1)
            assert asyncio.get_running_loop().time() - began == 30
            assert [fact.object for fact in await cortex.facts.list(memory_space_id="space")] == ["van"]

    run_virtual(main())
    assert "facts are stored without embeddings: TimeoutError" in caplog.text


def test_it_needs_an_extractor() -> None:
    async def main() -> None:
        async with Cortex(":memory:") as cortex:
            for call in (cortex.facts.drain, cortex.facts.work):
                with pytest.raises(InvalidArgument, match=r"extract_facts: .*since the client has none"):
                    await call()

    run_virtual(main())


class _Coded(Exception):
    """An error of somebody else's client, with a `code`."""

    def __init__(self, code: Any) -> None:
        self.code = code


@pytest.mark.parametrize("code", [503, "too many requests of ada@example.org", lambda: 14])
def test_the_code_of_a_foreign_error_is_its_class(code: Any) -> None:
    def fails(user_message: str, text: str) -> Any:
        raise _Coded(code)

    async def main() -> None:
        async with SqliteBackend(":memory:") as store, Cortex(store, extract_facts=fails) as cortex:
            await cortex.memory.remember(**TURN)
            for tries in (1, 2):
                queued = await store.query("facts:queued", {})
                assert [(row["error"], row["tries"]) for row in queued] == [("_Coded", tries)] * 2
                assert await cortex.facts.drain() == FactDrainReport(failed=2)

    run_virtual(main())
