"""The simulator and the proofs' stories: a seed is one exact run; a failure is found, and the command that repeats it
is shown.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.lanes import slow
from helpers.wrong_backends import WRONG
from proofs.stories import Remembering, Writing

from cortex_rx.metering.prices import Prices
from cortex_rx.testing import Crashed, VirtualLoop
from cortex_rx.testing.simulate import SimulationFailed, run_seed, run_seeds, simulation
from cortex_rx.testing.simulate.__main__ import main

ROOT = Path(__file__).parents[3]
SET = ("clocks set back", "clocks set forward")
RARE = "seeds until a rare error is found; common ones are found in every run"


def story(sim):
    """What happened in a simulation, to the letter."""
    return sim.notes, sim.counts, [(process.plan, process.effects, process.fired) for process in sim.processes]


@pytest.mark.parametrize(
    "scenario",
    [
        slow(Remembering(), "sixty seeds more of a scenario that `tests/proofs` runs", id="remembering"),
        slow(Writing(), "sixty seeds more of a scenario that `tests/proofs` runs", id="writing"),
    ],
)
def test_the_scenarios_hold(scenario, caplog, no_leaks):
    """A slice; the command line runs as many as you like."""
    caplog.set_level("CRITICAL", "cortex_rx")
    counted = run_seeds(scenario, range(60))
    sys.stdout.write(f"{counted}\n")
    assert counted.seeds == 60 and counted.crashed >= 10
    assert all(counted.faults[kind] >= 3 for kind in ("crash", "crash-after", "fail", "fail-after", "stall"))
    assert counted.hit["streams:append"] >= 3


@pytest.mark.parametrize("scenario", [Remembering(), Writing()], ids=["remembering", "writing"])
def test_a_seed_is_the_same_run_again(scenario, proof):
    seeds = proof.size(8, 8, quick=3)
    told = [[story(run_seed(scenario, seed)) for seed in range(seeds)] for _ in range(2)]
    assert told[0] == told[1]
    assert len({str(each) for each in told[0]}) == seeds


@pytest.mark.parametrize(
    ("name", "seeds", "words"),
    [
        ("ForgetsTheFence", 40, "Diverged"),
        ("AcknowledgesBeforeItCommits", 40, "acknowledged, and not there"),
        ("AppendsTwice", 40, "pieces stand twice"),
        pytest.param("FinalisesTwice", 100, "4 memories", marks=pytest.mark.slow(reason=RARE)),
    ],
)
def test_a_wrong_backend_is_found_by_its_writers(name, seeds, words):
    kind, _ = WRONG[name]
    scenario = Writing(lambda sim: kind(sim.folder / "memory.db", clock=sim.wall, new_id=sim.new_id))
    with pytest.raises(SimulationFailed, match=words) as failed:
        run_seeds(scenario, range(seeds))
    with pytest.raises(SimulationFailed) as again:
        run_seed(scenario, failed.value.seed)
    assert str(again.value) == str(failed.value)


@pytest.mark.parametrize(
    "name",
    [
        "CountsBytes",
        slow("StaysAtItsAttempt", RARE),
        "SortsMessages",
        slow("LosesWhatComesAtOnce", RARE),
        slow("OpensAnySpace", RARE),
        "ClosesInsteadOfRollingBack",
    ],
)
def test_a_wrong_backend_is_found_below_a_pipeline(name, caplog):
    caplog.set_level("CRITICAL", "cortex_rx")
    kind, _ = WRONG[name]

    class Wrong(Remembering):
        def backend(self, sim):
            return kind(sim.folder / "memory.db", clock=sim.wall, new_id=sim.new_id)

    with pytest.raises(SimulationFailed):
        run_seeds(Wrong(), range(100))


@pytest.mark.slow(reason="sixty seeds, in which all that is rare must happen")
def test_what_was_cut_off_goes_on_by_its_token(caplog):
    """What the story is about happens, and not only what is at its edge."""
    caplog.set_level("CRITICAL", "cortex_rx")
    happened = run_seeds(Remembering(), range(60)).happened
    assert happened["asked with a token"] > 60 and happened["asked by force"] > 10
    assert all(happened[f"source {how}"] > 10 for how in ("same", "other", "restart", "prefill"))
    assert all(happened[what] for what in ("store-partial", "retry", "rollback", "best-effort", "durable", "spooled"))
    assert happened["followers saw Rewound"] > 3 and happened["clients that came back"] > 3


def test_a_story_with_another_model(proof):
    class Brief(Remembering):
        def say(self, sim, exchange):
            return [(0.1, f"{exchange.key}, {sim.new_id()}: "), (sim.random.choice([0, 5]), "yes.")]

    seeds = proof.size(20, 20, quick=10)
    counted = run_seeds(Brief(), range(seeds))
    assert counted.happened["remembered"] > seeds and counted.happened["asked with a token"] >= seeds // 5


# --- what a simulation notices, and says
# --------------------------------------------------------------------------------


async def leaves_a_task(sim):
    leaves_a_task.task = asyncio.create_task(asyncio.sleep(1), name="forgotten")


async def leaves_a_timer(sim):
    asyncio.get_running_loop().call_later(5, print)


async def leaves_a_file(sim):
    leaves_a_file.file = open(sim.folder / "open", "w")


async def leaves_it_in_a_process(sim):
    process = sim.process()

    async def work():
        leaves_a_task.task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")

    await process.run(work())


async def leaves_a_source_open(sim):
    process = sim.process()

    async def model():
        yield 1
        yield 2

    async def work():
        leaves_a_task.items = process.source(model)()
        await anext(leaves_a_task.items)

    await process.run(work())


async def spins(sim):
    while True:
        await asyncio.sleep(0)


async def waits_for_ever(sim):
    await asyncio.Event().wait()


async def never_ends(sim):
    while True:
        await asyncio.sleep(60)


async def drops_an_error(sim):
    async def fails():
        raise ValueError("lost")

    task = asyncio.create_task(fails())
    await asyncio.sleep(1)
    del task
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (leaves_a_task, "task forgotten"),
        (leaves_a_timer, r"timer: print\(\)"),
        (leaves_a_file, "open files"),
        (leaves_it_in_a_process, r"left behind by process 1: \['task forgotten"),
        (leaves_a_source_open, "a source that was not closed"),
        (spins, "it spins"),
        (waits_for_ever, r"did not end within .* waits_for_ever\(\) at locks.py"),
        (never_ends, r"did not end within 100,000 s; .*never_ends"),
        (drops_an_error, r"never retrieved ValueError\('lost'\)"),
    ],
    ids=lambda value: getattr(value, "__name__", "says"),
)
def test_what_is_left_or_never_ends_is_a_failure(scenario, words, monkeypatch):
    monkeypatch.setattr(simulation, "TURNS", 5_000)
    with pytest.raises(SimulationFailed, match=words):
        run_seed(scenario, 1)
    if file := getattr(leaves_a_file, "file", None):
        file.close()


def test_the_order_of_ready_tasks_comes_from_the_seed():
    async def scenario(sim):
        async def one(name):
            for _ in range(2):
                await asyncio.sleep(0)
                sim.note(name)

        await asyncio.gather(*map(one, "abcd"))

    orders = {"".join(note[-1] for note in run_seed(scenario, seed).notes) for seed in range(50)}
    assert len(orders) > 30
    assert all(sorted(order) == sorted("abcd" * 2) for order in orders)


def test_callbacks_keep_their_order():
    async def scenario(sim):
        loop, seen = asyncio.get_running_loop(), []
        assert isinstance(loop, VirtualLoop)
        for number in range(10):
            loop.call_soon(seen.append, number)
            asyncio.ensure_future(asyncio.sleep(0))
        await asyncio.sleep(1)
        assert seen == list(range(10))

    run_seeds(scenario, range(10))


def test_what_is_counted():
    async def scenario(sim):
        process = sim.process("1 delay 1, 2 crash-after, 9 fail")

        async def work():
            for name in ("one", "two", "three"):
                await process.effect(name, lambda: asyncio.sleep(0))

        with pytest.raises(Crashed):
            await process.run(work())
        sim.process()
        sim.count("done", 2)
        sim.count("undone", 0)

    assert str(run_seeds(scenario, range(3))) == (
        "3 seeds, 6 processes, 6 effects, 3 crashes\n"
        "faults: crash-after 3, delay 3\nhit: one 3, two 3\nhappened: done 6"
    )


def test_a_process_that_ends_by_its_plan():
    async def counts(sim):
        process = sim.process(sim.plan(effects=4))
        done = []

        async def work():
            for number in range(4):
                await process.effect("count", lambda number=number: one(number))

        async def one(number):
            done.append(number)

        try:
            await process.run(work())
        except (Crashed, ConnectionError):
            sim.note(f"stopped at {len(done)}")
        assert done == list(range(len(done)))

    assert run_seeds(counts, range(100)).seeds == 100
    assert run_seed(counts, 7).notes == run_seed(counts, 7).notes


def test_a_failure_says_what_happened_and_how_to_run_it_again():
    async def scenario(sim):
        sim.note("first")
        await asyncio.sleep(2.5)
        sim.note("then")
        raise KeyError("x")

    with pytest.raises(SimulationFailed) as failed:
        run_seed(scenario, 7)
    assert (
        str(failed.value)
        == "seed 7: KeyError: 'x'\n     0.000 s  first\n     2.500 s  then\nagain: run_seed(scenario, 7)"
    )
    assert isinstance(failed.value.__cause__, KeyError)


STORY = "PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories"


class Broken(Remembering):
    async def _judge(self, *_):
        raise AssertionError("always")


@pytest.mark.parametrize(
    ("scenario", "again"),
    [
        (Remembering(), f"{STORY}:Remembering --seed 1"),
        (Writing(), f"{STORY}:Writing --seed 1"),
        (Broken(), "run_seed(Broken(...), 1)"),
    ],
    ids=["remembering", "writing", "own"],
)
def test_the_line_that_runs_it_again(scenario, again, monkeypatch, caplog):
    caplog.set_level("CRITICAL", "cortex_rx")
    monkeypatch.setattr(type(scenario), "_judge", Broken._judge)
    with pytest.raises(SimulationFailed) as failed:
        run_seed(scenario, 1)
    assert failed.value.again == again


def shell(line, folder, **env):
    """Run a line as a user of this Python would. Returns its output and its exit status."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "PYTHONWARNINGS": "error", **env}
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, env=env)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("scenario", [Remembering, Writing])
def test_the_line_runs_the_seed_of_a_story_again(scenario, monkeypatch, caplog):
    caplog.set_level("CRITICAL", "cortex_rx")
    Prices("auto").load()  # the other process has not loaded them
    notes = "\n".join(run_seed(scenario(), 1).notes)
    monkeypatch.setattr(scenario, "_judge", Broken._judge)
    with pytest.raises(SimulationFailed) as failed:
        run_seed(scenario(), 1)
    code, said = shell(failed.value.again, ROOT)
    assert code == 0 and said.startswith(f"{notes}\nholds ("), said


def test_the_command_line(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "my_story.py").write_text(
        "async def holds(sim):\n    sim.note('hello')\nasync def fails(sim):\n    assert sim.seed < 4, 'too high'\n"
        "class Holds:\n    async def __call__(self, sim):\n        sim.note('made')\n"
    )

    def call(arguments):
        code = main(arguments.split())
        return code, capsys.readouterr().out

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_story", raising=False)
    code, said = call("--seed 3 --scenario my_story:holds")
    assert code == 0 and said.startswith("     0.000 s  hello\nholds (")
    code, said = call("--seed 3 --scenario my_story:Holds")
    assert code == 0 and said.startswith("     0.000 s  made\nholds (")
    code, said = call("--seeds 0:10 --scenario my_story:fails")
    again = "python -m cortex_rx.testing.simulate --scenario my_story:fails --seed 4"
    assert (code, said) == (1, f"seed 4: AssertionError: too high\nagain: {again}\n")
    assert shell(again, tmp_path, PYTHONPATH=str(ROOT)) == (code, said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: --scenario"),
        (["--scenario", "json"], "argument --scenario: 'json' is not MODULE:NAME, such as my_tests.stories:scenario"),
        (["--scenario", "json.no:x"], "argument --scenario: 'json.no:x': there is no module 'json.no'"),
        (["--scenario", "no_such.part:x"], "argument --scenario: 'no_such.part:x': there is no module 'no_such'"),
        (["--scenario", "json:no"], "argument --scenario: 'json:no': json has no scenario 'no', but None"),
        (["--scenario", "json:__name__"], "'json:__name__': json has no scenario '__name__', but 'json'"),
    ],
)
def test_the_command_line_names_what_is_wrong_with_the_scenario(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--seed", "1", *arguments])
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_a_module_that_lacks_another_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "a_story_that_needs_more.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["--seed", "1", "--scenario", "a_story_that_needs_more:x"])


def test_the_command_line_counts(capsys):
    assert main(["--scenario", "proofs.stories:Writing", "--seeds", "0:3"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds, ")
    assert logging.getLogger("cortex_rx").level == logging.NOTSET, "what it has silenced speaks again"


def test_a_clock_that_is_set_follows_from_the_seed_and_its_name():
    seen = {}

    async def scenario(sim):
        clocks = [sim.clock(name) for name in "ab"]
        assert sim.clock("a") is clocks[0]
        assert sim.random.random() == random.Random(sim.seed).random(), "the rest of the story is as without clocks"
        offsets = [[], []]
        for _ in range(121):
            for clock, read in zip(clocks, offsets, strict=True):
                read.append(round(clock() - sim.wall(), 3))
            await asyncio.sleep(1)
        seen.setdefault(sim.seed, []).append((offsets, dict(sim.counts)))

    run_seeds(scenario, [*range(20), *range(20)])
    assert all(first == again for first, again in seen.values())
    assert any(a != b for (a, b), _ in (first for first, _ in seen.values()))
    ends = [offset[-1] for (offsets, _), _ in seen.values() for offset in offsets]
    assert min(ends) <= -3600 and max(ends) >= 3600 and 0.0 in ends
    set_by = {name: sum(counts.get(name, 0) for (_, counts), _ in seen.values()) for name in SET}
    assert all(set_by.values()) and sum(end != 0 for end in ends) <= sum(set_by.values())
