"""Plans, processes and the faulty backend: what happens to an effect, and that nothing of a dead process runs on."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from cortex_rx import SqliteBackend, remember_stream
from cortex_rx.errors import Fenced, InvalidArgument, ResumableStreamError, StoreUnavailable
from cortex_rx.testing import (
    FAULT_KINDS,
    Crashed,
    Fault,
    Faulty,
    Plan,
    Process,
    each_fault,
    pairs_of_faults,
    run_virtual,
    wall,
)

WHERE = {"memorySpaceId": "s", "streamId": "st"}
BEGIN = {**WHERE, "conversationId": "c", "userMessage": "why?", "userId": "ada", "importance": 50, "tags": []}


def append(start, text, **more):
    return {**WHERE, "epoch": 1, "attempt": 0, "start": start, "text": text, **more}


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_is_a_value_that_can_be_printed_and_read():
    plan = Plan((Fault(7, "delay", 2.5), Fault(3, "crash-after")))
    assert str(plan) == "3 crash-after, 7 delay 2.5"
    assert Plan.parse(str(plan)) == plan == eval(repr(plan))
    assert hash(plan) == hash(Plan.parse(" 7 delay 2.5,3 crash-after, "))
    assert Plan.parse("") == Plan() and str(Plan()) == ""
    for plan in [*each_fault(5), *pairs_of_faults(40, 200, seed=1)]:
        assert Plan.parse(str(plan)) == plan


def test_a_stall_outlives_a_lease_unless_said_otherwise():
    assert Plan.parse("1 stall, 2 delay, 3 stall 0").faults == (
        Fault(1, "stall", 15.0),
        Fault(2, "delay", 0.5),
        Fault(3, "stall", 0.0),
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("crash", "plan"),
        ("1", "plan"),
        ("0 crash", "at"),
        ("-1 crash", "plan"),
        ("1 explode", "kind"),
        ("1 crash 5", "seconds"),
        ("1 stall x", "plan"),
        ("1 stall -2", "seconds"),
        ("1 stall inf", "seconds"),
        ("1 crash, 1 fail", "faults"),
    ],
)
def test_what_is_no_plan_is_refused(text, field):
    with pytest.raises(InvalidArgument) as refused:
        Plan.parse(text)
    assert refused.value.field == field


def test_every_fault_and_pairs_of_them():
    plans = list(each_fault(14))
    assert len(plans) == len(set(plans)) == 14 * len(FAULT_KINDS)
    pairs = list(pairs_of_faults(14, 300, seed=3))
    assert pairs == list(pairs_of_faults(14, 300, seed=3)) != list(pairs_of_faults(14, 300, seed=4))
    assert {len(pair.faults) for pair in pairs} == {2}
    assert {fault.at for pair in pairs for fault in pair.faults} == set(range(1, 15))
    assert {fault.kind for pair in pairs for fault in pair.faults} == set(FAULT_KINDS)
    with pytest.raises(InvalidArgument, match="effects"):
        next(pairs_of_faults(1, 1, seed=1))


# --- what happens to an effect
# ------------------------------------------------------------------------------------------


def attempt(plan, path, calls=None):
    """Begin, then append 'abc' as effect 2. Returns the outcome, its time, and what another process sees stored."""

    async def main():
        process = Process(plan)
        store = Faulty(SqliteBackend(path, clock=wall), process)

        async def work():
            await store.mutation("streams:begin", BEGIN)
            return await store.mutation("streams:append", append(0, "abc"))

        async with process:
            try:
                outcome = await process.run(work())
            except (Crashed, StoreUnavailable) as error:
                outcome = type(error)
            at = asyncio.get_running_loop().time()
            async with SqliteBackend(path, clock=wall) as other:
                return outcome, at, (await other.query("streams:get", WHERE))["length"], process

    return run_virtual(main())


@pytest.mark.parametrize(
    ("plan", "outcome", "at", "stored"),
    [
        ("", {"end": 3}, 0, 3),
        ("2 fail", StoreUnavailable, 0, 0),
        ("2 fail-after", StoreUnavailable, 0, 3),
        ("2 crash", Crashed, 0, 0),
        ("2 crash-after", Crashed, 0, 3),
        ("2 stall 12", {"end": 3}, 12, 3),
        ("2 delay 0.25", {"end": 3}, 0.25, 3),
        ("9 crash", {"end": 3}, 0, 3),
    ],
)
def test_what_a_fault_does_to_an_effect(plan, outcome, at, stored, tmp_path, no_leaks):
    got = attempt(plan, tmp_path / "memory.db")
    assert got[:3] == (outcome, at, stored)
    process = got[3]
    assert process.effects == ["streams:begin", "streams:append"]
    assert process.fired == [fault for fault in Plan.parse(plan).faults if fault.at <= 2]
    assert process.crashed  # it was buried


def test_queries_are_effects_only_if_asked_for_and_the_error_can_be_chosen():
    async def main(queries):
        store = Faulty(SqliteBackend(":memory:"), "1 fail", queries=queries, error=OSError)
        try:
            return await store.query("streams:get", WHERE)
        finally:
            await store.close()

    assert run_virtual(main(False)) is None
    with pytest.raises(OSError, match=r"^fault: 1 fail of streams:get$"):
        run_virtual(main(True))


def test_what_else_the_backend_has_is_passed_on(tmp_path):
    async def main():
        store = Faulty(SqliteBackend(tmp_path / "memory.db"))
        await store.mutation("streams:begin", BEGIN)
        await store.backup(tmp_path / "copy.db")
        await store.close()

    run_virtual(main())
    assert (tmp_path / "copy.db").exists()


# --- processes --------------------------------------------------------------------------------------------------------


def test_nothing_of_a_dead_process_runs_on(no_leaks):
    """Not the task that crashed, nor others, timers, callbacks; their cleanup runs at the burial, and reaches no
    store.
    """
    ran = []

    async def main():
        process = Process("2 crash")
        inner = SqliteBackend(":memory:", clock=wall)
        calls = []

        class Watched:
            async def mutation(self, path, args):
                calls.append(path)
                return await inner.mutation(path, args)

            query, close = inner.query, inner.close

        store = Faulty(Watched(), process)

        async def ticker():
            try:
                while True:
                    ran.append("tick")
                    await asyncio.sleep(1)
            finally:
                ran.append("ticker cleaned up")
                await store.mutation("streams:append", append(0, "from a finally"))
                ran.append("never")

        async def work():
            asyncio.get_running_loop().call_later(5, ran.append, "timer")
            other = asyncio.create_task(ticker())
            await store.mutation("streams:begin", BEGIN)
            await asyncio.sleep(2.5)
            asyncio.get_running_loop().call_soon(ran.append, "soon")
            try:
                await store.mutation("streams:append", append(0, "abc"))
            except BaseException as error:
                ran.append(type(error).__name__)
                await store.query("streams:get", WHERE)
                ran.append("never")
            await other

        with pytest.raises(Crashed, match="^server crashed at effect 2$"):
            process.name = "server"
            await process.run(work())
        assert ran == ["tick", "tick", "tick"]
        await asyncio.sleep(3600)
        assert ran == ["tick", "tick", "tick"]
        stored = await inner.query("streams:get", WHERE)
        await process.bury()
        assert calls == ["streams:begin"] and stored["length"] == 0

    run_virtual(main())
    assert "never" not in ran
    assert sorted(ran[3:]) == ["CancelledError", "soon", "ticker cleaned up"]


def test_a_stalled_process_stands_still_as_a_whole_and_goes_on_as_a_zombie(tmp_path, no_leaks):
    """Meanwhile another process takes the stream over. A late write is refused at the moment when it comes."""
    ticks, path = [], tmp_path / "memory.db"

    async def main():
        loop = asyncio.get_running_loop()

        async def work(store):
            async def heart():
                while True:
                    ticks.append(loop.time())
                    await asyncio.sleep(3)

            beating = asyncio.create_task(heart())
            await store.mutation("streams:begin", {**BEGIN, "lease": 10_000, "claim": "one"})
            await asyncio.sleep(4)
            try:
                await store.mutation("streams:append", append(0, "late"))
            finally:
                beating.cancel()

        async def rival():
            await asyncio.sleep(12)
            async with SqliteBackend(path, clock=wall) as store:
                begun = await store.mutation("streams:begin", {**BEGIN, "claim": "two"})
                assert begun["epoch"] == 2
                return loop.time()

        async with Process("2 stall 15") as process:
            store = Faulty(SqliteBackend(path, clock=wall), process)
            took = asyncio.create_task(rival())
            with pytest.raises(Fenced):
                await process.run(work(store))
            assert (await took, loop.time()) == (12, 19)

    run_virtual(main())
    assert ticks == [0, 3, 19]


def test_a_process_is_stalled_from_outside_and_goes_on_when_the_last_stall_is_over():
    ticks = []

    async def main():
        loop = asyncio.get_running_loop()

        async def heart():
            while True:
                ticks.append(loop.time())
                await asyncio.sleep(1)

        async with Process() as process:
            process.start(heart())
            await asyncio.sleep(0.5)
            process.stall(5)
            process.stall(3)
            await asyncio.sleep(4)
            assert ticks == [0]
            await asyncio.sleep(1.6)

    run_virtual(main())
    assert ticks == [0, 5.5]


def test_processes_die_one_by_one():
    async def main():
        seen = Counter()

        async def work(name):
            while True:
                seen[name] += 1
                await asyncio.sleep(1)

        async with Process(name="a") as one, Process(name="b") as two:
            one.start(work("a")), two.start(work("b"))
            await asyncio.sleep(2.5)
            one.crash()
            await asyncio.sleep(5)
            assert seen == {"a": 3, "b": 8}
            with pytest.raises(Crashed):
                await one.run(work("a"))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_a_crash_outside_of_its_process_is_refused():
    """There would be nothing to end: the code that made the call would run on."""

    async def main():
        store = Faulty(SqliteBackend(":memory:"), "1 crash")
        try:
            with pytest.raises(RuntimeError, match="outside of its process"):
                await store.mutation("streams:begin", BEGIN)
        finally:
            await store.close()

    run_virtual(main())


async def test_a_process_needs_virtual_time():
    async def work():
        pass

    with pytest.raises(RuntimeError, match="virtual time"):
        Process().start(work())


def test_one_that_does_not_end_is_told():
    async def main():
        process = Process()

        async def stubborn():
            while not over:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        over = []
        process.start(stubborn())
        await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="does not end"):
            await process.bury()
        over.append(1)
        await process.bury()

    run_virtual(main())


# --- sources ----------------------------------------------------------------------------------------------------------


def test_a_source_has_effects_too():
    closed = []

    async def model(word):
        try:
            yield word
            yield "!"
        finally:
            closed.append(word)

    async def read(plan):
        async with Process(plan) as process:
            items = []

            async def work():
                async for item in process.source(model)("a"):
                    items.append(item)

            try:
                await process.run(work())
            except (Crashed, ConnectionError) as error:
                items.append(type(error))
        return items, process.effects

    open_, get, close = "source open", "source read", "source close"
    assert run_virtual(read("")) == (["a", "!"], [open_, get, get, get, close])
    assert run_virtual(read("1 fail")) == ([ConnectionError], [open_])
    assert run_virtual(read("3 fail")) == (["a", ConnectionError], [open_, get, get, close])
    assert run_virtual(read("3 fail-after")) == (["a", ConnectionError], [open_, get, get, close])
    assert run_virtual(read("5 fail")) == (["a", "!", ConnectionError], [open_, get, get, get, close])
    assert run_virtual(read("3 crash")) == (["a", Crashed], [open_, get, get])
    assert closed == ["a"] * 5  # where it could not be opened there was nothing to close


# --- all of them on a whole answer
# --------------------------------------------------------------------------------------


async def remember(process, path, word, runs):
    """Remember an answer in a process; every try has a text of its own."""
    texts = [f"{word}{number} " for number in range(6)]
    runs.append("".join(texts))

    async def model():
        for text in texts:
            await asyncio.sleep(0.2)
            yield text

    store = Faulty(SqliteBackend(path, clock=wall), process)
    answer = remember_stream(
        process.source(model), backend=store, memory_space_id="s", conversation_id="c", user_message="why?",
        user_id="ada", user_name="Ada", idempotency_key="k",
    )  # fmt: skip
    seen = ""
    async for text in answer:
        seen += text
        assert runs[-1].startswith(seen)
    await answer
    await store.close()


@pytest.mark.slow(reason="the crash enumeration of `tests/proofs` does so in every run")
def test_every_effect_of_an_answer_goes_wrong_in_every_way_and_is_begun_again(tmp_path):
    """One exchange, with its question, whose text is that of one try: not mixed, not twice."""

    async def case(plan, path):
        runs, done = [], None
        async with Process(plan) as process:
            try:
                await process.run(remember(process, path, "a", runs))
                done = runs[0]
            except (Crashed, ConnectionError, StoreUnavailable, ResumableStreamError):
                pass
        if done is None:
            await asyncio.sleep(11)  # until the lease of the dead one has run out
            async with Process() as second:
                try:
                    await second.run(remember(second, path, "b", runs))
                except Exception as error:
                    assert type(error).__name__ == "IdempotencyConflict" and process.effects[-1] == "streams:finalize"
        async with SqliteBackend(path, clock=wall) as store:
            where = {"memorySpaceId": "s"}
            rows = await store.query("memories:list", {**where, "includePartial": True})
            messages = (await store.query("conversations:get", {**where, "conversationId": "c"}))["messages"]
        contents = [row["content"] for row in rows]
        assert [message["content"] for message in messages] == contents[::-1] and contents[1:] == ["why?"], str(plan)
        assert contents[0] in ({done} if done else runs), str(plan)
        return process

    effects = run_virtual(case("", tmp_path / "reference.db")).effects
    assert {"streams:begin", "streams:append", "streams:finalize", "source close"} <= set(effects)
    hit = Counter()
    for number, plan in enumerate(each_fault(len(effects))):
        process = run_virtual(case(plan, tmp_path / f"{number}.db"))
        assert process.fired == list(plan.faults)
        hit[process.effects[plan.faults[0].at - 1]] += 1
    assert hit.total() == len(effects) * len(FAULT_KINDS)
    sys.stdout.write(f"{hit.total()} cases: {dict(hit)}\n")
