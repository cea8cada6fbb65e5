"""Facts of whole exchanges: what is read when a stream is remembered, resumed, begun anew, spooled or drained."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from typing import Any

import pytest
from helpers.lanes import slow_but

from cortex_rx import Cortex, Spool, remember, remember_stream
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import InvalidArgument, NotStored, ResumableStreamError, StoreUnavailable
from cortex_rx.facts.draining import drain
from cortex_rx.facts.reader import FactReader
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.sources.model_stream import replayable, restart
from cortex_rx.testing import run_virtual

SENTENCES = [f"You like thing {n} and say so in a sentence of some length, as people do. " for n in range(24)]
TEXT = "".join(SENTENCES)
ALL = [f"thing {n}" for n in range(24)]
LIKES = re.compile(r"thing (\d+)")
PARAMS: dict[str, Any] = {
    "memory_space_id": "space", "conversation_id": "c-1", "user_message": "I like thing 99.", "user_id": "ada",
    "user_name": "Ada",
}  # fmt: skip
GONE = ConnectionError("gone")


class Reads:
    """An extractor: one fact for each "thing <n>"; it notes what it was given, and fails where it is told to."""

    def __init__(self, seconds: float = 0.02, fails: str = "nowhere") -> None:
        self.seconds, self.fails, self.given = seconds, fails, list[str]()

    async def __call__(self, user_message: str, text: str) -> list[dict[str, Any]]:
        self.given.append(user_message + text)
        await asyncio.sleep(self.seconds)
        if self.fails in user_message + text:
            raise ValueError("it fails")
        return [
            {"fact": f"Ada likes thing {n}.", "factType": "preference", "confidence": 80, "predicate": "likes",
             "object": f"thing {n}"} for n in LIKES.findall(user_message + text)
        ]  # fmt: skip

    @property
    def read(self) -> list[str]:
        return [f"thing {n}" for given in self.given for n in LIKES.findall(given)]


def model(*items: Any, pause: float = 0.1) -> Any:
    async def opened(*_: object) -> Any:
        for item in items:
            await asyncio.sleep(pause)
            if isinstance(item, Exception):
                raise item
            yield item

    return opened


def visible(path: Any) -> list[str]:
    """What the facts of the file are about, in the order in which they were made."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT object FROM facts WHERE closed IS NULL ORDER BY seq").fetchall()
    return [thing for (thing,) in rows]


def provisional(path: Any) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        (count,) = db.execute("SELECT count(*) FROM statements WHERE known IS NULL").fetchone()
    return int(count)


@pytest.fixture
def path(tmp_path: Any) -> Any:
    return tmp_path / "memory.db"


def test_remember_reads_both_texts_and_the_result_has_the_facts(path: Any) -> None:
    async def main() -> None:
        async with Cortex(path, extract_facts=Reads()) as cortex:
            result = await cortex.memory.remember(**PARAMS, agent_response=TEXT)
            assert [fact.object for fact in result.facts] == ["thing 99", *ALL]
            assert [one.action for one in result.fact_revisions] == ["ADD"] * 25
            again = await cortex.memory.remember(**PARAMS | {"conversation_id": "c-2"}, agent_response="Yes.")
            assert [(one.action, one.fact_id) for one in again.fact_revisions] == [("NONE", result.facts[0].fact_id)]
            (fact,) = again.facts
            assert len(fact.sources) == 2 and fact.confidence > 80, "two messages say so"

    run_virtual(main())
    assert visible(path) == ["thing 99", *ALL]


def test_the_facts_of_a_call_come_before_those_of_the_client(path: Any) -> None:
    own, client = Reads(), Reads()

    async def main() -> None:
        async with Cortex(path, extract_facts=client, fact_deduplication="none") as cortex:
            await cortex.memory.remember(**PARAMS, agent_response="No.", extract_facts=own)
            await cortex.memory.remember(**PARAMS, agent_response="No.", fact_deduplication="structural")
            await cortex.memory.remember(**PARAMS, agent_response="No.")
            answer = cortex.memory.remember_stream(["It is ", "thing 5."], extract_facts=own, **PARAMS)
            result = await answer
            assert [fact.object for fact in result.facts] == ["thing 99", "thing 5"]

    run_virtual(main())
    assert (len(own.given), len(client.given)) == (4, 4)
    assert visible(path) == ["thing 99"] * 4 + ["thing 5"], "none merges nothing"


def test_the_options_set_the_arguments_of_the_step() -> None:
    backend, reads = SqliteBackend(":memory:"), Reads()
    options = {"progressiveFactExtraction": False, "factExtractionThreshold": 900, "beliefRevision": False}
    step = default_chain(backend, options, extract_facts=reads, fact_deduplication="exact")["extract_facts"]
    assert {"threshold": 900, "progressive": False, "revise": False, "deduplication": "exact"}.items() <= dict(
        step.args
    ).items()
    assert "extract_facts" not in default_chain(backend, {"progressiveFactExtraction": False})
    for name, value in [("fact_extraction_threshold", 900), ("progressive_fact_extraction", True)]:
        with pytest.raises(InvalidArgument, match=f"{name}: .*unless extract_facts is given"):
            default_chain(backend, {name: value})
    with pytest.raises(InvalidArgument, match="fact_deduplication: .*unless extract_facts is given"):
        default_chain(backend, fact_deduplication="none")
    with pytest.raises(InvalidArgument, match=r"in a chain, say extract_facts\(\.\.\.\)"):
        remember_stream(["x"], backend=backend, chain=default_chain(backend), extract_facts=reads, **PARAMS)


@pytest.mark.parametrize("after", slow_but([1, 15], [1, 8, 15, 22], "another place"))
def test_a_stream_that_is_resumed_is_read_once_and_nothing_is_lost(path: Any, after: int) -> None:
    first, second = Reads(), Reads()

    async def main() -> None:
        async with Cortex(path, extract_facts=first) as cortex:
            source = replayable(model(*SENTENCES[:after], GONE))
            with pytest.raises(ResumableStreamError) as caught:
                await cortex.memory.remember_stream(source, **PARAMS)
            assert visible(path) == [], "provisional"
        async with Cortex(path, extract_facts=second) as cortex:
            token = caught.value.resume_token
            given = {"memory_space_id": "space", "resume_from": token}
            result = await cortex.memory.remember_stream(replayable(model(*SENTENCES)), **given)
            assert [fact.object for fact in result.facts] == ["thing 99", *ALL]

    run_virtual(main())
    assert visible(path) == ["thing 99", *ALL]
    assert [*first.read, *second.read] == ["thing 99", *ALL], "each is read by one of both"
    assert len(first.read) >= after - 8, "what was complete was read before"


def test_a_source_that_is_restarted_stores_the_facts_of_the_last_text(path: Any) -> None:
    tries: list[int] = []

    async def opened(point: Any) -> Any:
        tries.append(1)
        for text in SENTENCES[:12]:
            await asyncio.sleep(0.1)
            yield text if len(tries) == 1 else text.replace("thing ", "thing 7")
        if len(tries) == 1:
            raise GONE

    async def main() -> None:
        async with Cortex(path, extract_facts=Reads()) as cortex:
            result = await cortex.memory.remember_stream(restart(opened), {"maxRetries": 1, "retryDelay": 0}, **PARAMS)
            assert [fact.object for fact in result.facts] == ["thing 99", *(f"thing 7{n}" for n in range(12))]
            progress = result.progressive_processing
            assert progress is not None
            assert all("thing 7" in fact.fact or "99" in fact.fact for fact in progress.facts_extracted_during_stream)

    run_virtual(main())
    assert visible(path) == ["thing 99", *(f"thing 7{n}" for n in range(12))] and provisional(path) == 0


class Away:
    """A store that cannot be reached for some functions."""

    def __init__(self, inner: SqliteBackend, *paths: str) -> None:
        self.inner, self.paths = inner, paths

    async def query(self, path: str, args: Any) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Any) -> Any:
        if path in self.paths:
            raise StoreUnavailable("away")
        return await self.inner.mutation(path, args)

    async def close(self) -> None:
        await self.inner.close()


@pytest.mark.parametrize("paths", [["streams:finalize"], ["streams:begin", "streams:append", "facts:commit"]])
def test_what_is_spooled_is_delivered_with_its_facts_or_queued(path: Any, tmp_path: Any, paths: list[str]) -> None:
    reads = Reads()

    async def main() -> None:
        spool = Spool(tmp_path / "spool.db")
        async with SqliteBackend(path) as store:
            away = Away(store, *paths)
            answer = remember_stream(model(*SENTENCES), backend=away, spool=spool, extractor=reads, **PARAMS)
            with pytest.raises(NotStored):
                await answer
            assert await store.query("facts:queued", {}) == [] and visible(path) == []
            report = await spool.drain(store)
            assert len(report.delivered) == 1, report
            reader = FactReader(store, reads, timeout=30.0)
            await drain(reader)
            assert await store.query("facts:queued", {}) == []

    run_virtual(main())
    assert sorted(visible(path)) == sorted(["thing 99", *ALL])


# --- what is queued ---------------------------------------------------------------------------------------------------


def slow_chain(path: Any, reads: Reads) -> Any:
    """Remember a stream whose extractor is too slow for most of it."""

    async def main() -> None:
        async with Cortex(path, extract_facts=reads) as cortex:
            await cortex.memory.remember_stream(model(*SENTENCES), **PARAMS)

    return main()


def test_a_drain_reads_what_was_queued_each_once(path: Any) -> None:
    late = Reads()

    async def main() -> None:
        await slow_chain(path, Reads(6.0))
        before = visible(path)
        async with SqliteBackend(path) as store:
            report = await drain(FactReader(store, late, timeout=30.0), "space")
            assert report.read >= 2 and (report.failed, report.dead) == (0, 0)
            assert report.facts == 25 - len(before)
            assert await drain(FactReader(store, late, timeout=30.0)) == type(report)()
        assert len(before) < 25

    run_virtual(main())
    assert sorted(visible(path)) == sorted(["thing 99", *ALL])
    assert len(late.read) == len(set(late.read))


def test_a_drain_of_another_space_reads_nothing(path: Any) -> None:
    late = Reads()

    async def main() -> None:
        await slow_chain(path, Reads(60.0))
        async with SqliteBackend(path) as store:
            assert (await drain(FactReader(store, late, timeout=30.0), "other")).read == 0
        assert late.given == []

    run_virtual(main())


def test_what_fails_too_often_is_a_dead_letter_that_can_be_read_again(path: Any) -> None:
    async def main() -> None:
        await slow_chain(path, Reads(fails="thing 7 "))
        async with SqliteBackend(path) as store:
            failing = FactReader(store, Reads(fails="thing 7 "), timeout=30.0)
            outcomes = [await drain(failing, tries=3) for _ in range(3)]
            assert [(one.failed, one.dead) for one in outcomes] == [(1, 0), (0, 1), (0, 0)]
            assert await store.query("facts:queued", {}) == []
            (dead,) = await store.query("facts:queued", {"dead": True})
            assert (dead["error"], dead["tries"]) == ("ValueError", 3)
            assert "thing 7" not in visible(path)
            report = await drain(FactReader(store, Reads(), timeout=30.0), dead=True)
            assert report.read == 1 and await store.query("facts:queued", {"dead": True}) == []

    run_virtual(main())
    assert sorted(visible(path)) == sorted(["thing 99", *ALL])


def test_two_drains_at_once_do_no_harm(path: Any) -> None:
    async def main() -> None:
        await slow_chain(path, Reads(60.0))
        async with SqliteBackend(path) as store, SqliteBackend(path) as other:
            readers = [FactReader(backend, Reads(), timeout=30.0) for backend in (store, other)]
            await asyncio.gather(*map(drain, readers))
            assert await store.query("facts:queued", {}) == []

    run_virtual(main())
    assert sorted(visible(path)) == sorted(["thing 99", *ALL])


@pytest.mark.parametrize("calls", slow_but([1, 2, 5], range(1, 9), "another commit"))
def test_a_drain_that_is_killed_loses_nothing(path: Any, calls: int) -> None:
    """It ends before its n-th commit, or after it, without its result."""

    class Dying(Away):
        left = calls

        async def mutation(self, path: str, args: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise asyncio.CancelledError
            result = await self.inner.mutation(path, args)
            if self.left == 0 and calls % 2:
                raise asyncio.CancelledError
            return result

    async def main() -> None:
        await slow_chain(path, Reads(60.0))
        async with SqliteBackend(path) as store:
            with contextlib.suppress(asyncio.CancelledError, StoreUnavailable):
                await drain(FactReader(Dying(store), Reads(), timeout=30.0))
            await drain(FactReader(store, Reads(), timeout=30.0))
            assert await store.query("facts:queued", {}) == []

    run_virtual(main())
    assert sorted(visible(path)) == sorted(["thing 99", *ALL])


def test_what_was_deleted_meanwhile_is_not_read(path: Any) -> None:
    late = Reads()

    async def main() -> None:
        await slow_chain(path, Reads(60.0))
        async with Cortex(path) as cortex:
            for memory in await cortex.memory.list("space"):
                await cortex.memory.delete("space", memory.memory_id)
            await drain(FactReader(cortex.backend, late, timeout=30.0))

    run_virtual(main())
    assert visible(path) == [] and late.given == []


# --- the store knows it from the beginning ----------------------------------------------------------------------------


class Noted(SqliteBackend):
    """It notes whether each beginning says that facts are read."""

    begun: list[bool]

    async def mutation(self, path: str, args: Any) -> Any:
        if path == "streams:begin":
            self.begun = [*getattr(self, "begun", []), args.get("readFacts", False)]
        return await super().mutation(path, args)


def test_the_store_is_told_with_the_question_that_facts_are_read() -> None:
    async def main() -> list[bool]:
        async with Noted(":memory:") as store:
            chain = default_chain(store, extract_facts=Reads())
            for number, how in enumerate(
                ({"extract_facts": Reads()}, {}, {"chain": chain}, {"chain": cx.begin(store)})
            ):
                params = PARAMS | {"conversation_id": f"c-{number}"}
                with contextlib.suppress(Exception):
                    await remember_stream(["You like tea."], backend=store, **params, **how)
            await remember(backend=store, agent_response="Yes.", extract_facts=Reads(), **PARAMS)
            await remember(backend=store, agent_response="Yes.", **PARAMS)
            return store.begun

    assert run_virtual(main()) == [True, False, True, False, True, False]


def test_what_a_process_has_not_read_that_is_stopped_at_once_is_queued() -> None:
    async def main() -> list[tuple[str, int, int]]:
        async with SqliteBackend(":memory:") as store:
            answer = remember_stream(model(*SENTENCES), backend=store, extract_facts=Reads(60), **PARAMS)
            begun = await answer.begun()
            await asyncio.sleep(0.12)  # before the step that reads facts has looked
            await answer.stop()
            where = {"memorySpaceId": "space", "streamId": begun.stream_id}
            await asyncio.sleep(11)
            await store.mutation("streams:finish", where)
            return [(row["side"], row["from"], row["to"]) for row in await store.query("facts:queued", {})]

    assert run_virtual(main()) == [("question", 0, 16), ("answer", 0, len(SENTENCES[0]))]
