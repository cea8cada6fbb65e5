"""A state machine over the whole library: streams that are begun, cut off, taken over, followed, stopped, spooled,
deleted, and read for facts.

Hypothesis draws programs of steps; each runs over `remember_stream` on a real SQLite file, in virtual time, in
simulated processes.  Every write is also given to a model (`model.py`) when the store has committed or refused it, in
the order in which that was done: so several may wait and share a transaction.  After each step the file must hold what
the model says.  `examples(...)` runs a number of programs.  One that fails is printed, shortened, as the steps
that lead to the failure.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from proofs.machine.judge import Judge
from proofs.machine.world import CONVERSATIONS, SPACES, World, open_things

__all__ = ["Machine", "examples"]

KEPT_RUNNING = 5  # streams at a time; what is more costs time and shows nothing
STREAMS = 12
FOLLOWERS = 3
ROUND = 20  # examples under one seed: many would be much alike


def one(of: Callable[[Machine], list[str]]) -> st.SearchStrategy[str]:
    """One of what there is at this moment, by its name."""
    return cast("st.SearchStrategy[str]", st.runner().flatmap(lambda machine: st.sampled_from(of(machine))))


def some(of: Callable[[Machine], list[str]]) -> Any:
    """Only if there is one."""
    return precondition(lambda machine: bool(of(machine)))


def live(machine: Machine) -> list[str]:
    return machine.world.saying()


def streams(machine: Machine) -> list[str]:
    return list(machine.world.asked)


def alone(machine: Machine) -> list[str]:
    return list(machine.world.said_alone)


def up(machine: Machine) -> list[str]:
    return machine.world.up()


def busy(machine: Machine) -> list[str]:
    return machine.world.busy()


HOW = st.sampled_from(["replay", "other", "restart", "prefill", "again"])
WORDS = st.sampled_from(["two", "one", "two", "none", "long", "blank"])
TOKENS = st.sampled_from([*["newest"] * 6, "oldest", "wrong space", "forged"])
FAILURES = st.sampled_from(["store-partial", "store-partial", "rollback", "best-effort"])


IN_TRANSACTION = ["crash-within", "commit-fail", "crash-after"]
FAULTS = ["fail", "fail-after", "crash", *IN_TRANSACTION, "unread", "unread"]
STRAY_FACTS = [f"facts: {what}" for what in ("old epoch", "old attempt", "gap", "beyond", "again", "failed", "more")]
STRAYS = st.sampled_from([*["old epoch", "old attempt", "another text", "gap", "same again"] * 2, *STRAY_FACTS])
WHOSE = st.sampled_from(["agent", "user"])


STORED = st.sampled_from(["new", "new", "once more", "another text"])


def act(what: str, /, **args: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """One of several things that are done at once."""
    return st.tuples(st.just(what), st.fixed_dictionaries(args))


ACTS = st.one_of(
    act("end", name=one(live)),
    act("end", name=one(live)),
    act("stop", name=one(live), keep=st.booleans()),
    act("say", name=one(live), words=WORDS),
    act(
        "begin",
        space=st.sampled_from(SPACES),
        conversation=st.sampled_from(CONVERSATIONS),
        failure=FAILURES,
        words=WORDS,
    ),
    act("resume", name=one(streams), how=HOW, words=WORDS, token=TOKENS, force=st.booleans()),
    act("issue_token", name=one(streams)),
    act("request_stop", name=one(streams)),
    act("write", name=one(streams), what=STRAYS),
    act("read_queue"),
    act("finish", name=one(streams)),
    act("remove", name=one(streams), whose=WHOSE),
    act("store", space=st.sampled_from(SPACES), conversation=st.sampled_from(CONVERSATIONS), which=STORED),
)


class Machine(RuleBasedStateMachine):
    """The rules.  What they act on is the world; each lets it come to rest."""

    counted: Counter[str] = Counter()
    whole = 80
    """So many steps make an example that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = False
        self.world = World(self.counted)
        self.judge = Judge(self.world)
        self.steps = 0

    @contextmanager
    def step(self, name: str) -> Generator[World, None, None]:
        """One rule: after it everything is looked at, after a failure nothing more."""
        self.steps += 1
        self.counted["steps"] += 1
        self.counted[name] += 1
        with self._noting_failure():
            yield self.world
            self.judge.check()

    @contextmanager
    def _noting_failure(self) -> Generator[None, None, None]:
        try:
            yield
        except BaseException:
            self.failed = True
            raise

    # --- streams, and what their sources say --------------------------------------------------------------------------

    @initialize(space=st.sampled_from(SPACES), turns=st.sampled_from([0, 1, 4]))
    def first(self, space: str, turns: int) -> None:
        self.world.turns = turns
        self.begin("a", space, "c", "store-partial", "two")

    @precondition(lambda self: len(self.world.runs) < KEPT_RUNNING and len(streams(self)) < STREAMS and up(self))
    @rule(
        at=one(up),
        space=st.sampled_from(SPACES),
        conversation=st.sampled_from(CONVERSATIONS),
        failure=FAILURES,
        words=WORDS,
    )
    def begin(self, at: str, space: str, conversation: str, failure: str, words: str) -> None:
        """A question is asked: another stream, in a process."""
        with self.step("begun") as world:
            world.do(world.begin(at, space, conversation, failure, words))

    @some(live)
    @rule(run=one(live), words=WORDS)
    def say(self, run: str, words: str) -> None:
        """The source says more."""
        with self.step("said") as world:
            world.do(world.say(run, words))

    @some(live)
    @rule(run=one(live))
    def end(self, run: str) -> None:
        """The source ends: the answer is finalised."""
        with self.step("ended") as world:
            world.do(world.end(run))

    @some(live)
    @rule(run=one(live))
    def fail(self, run: str) -> None:
        """The source fails: the failure strategy of the stream says what becomes of it."""
        with self.step("sources failed") as world:
            world.do(world.end(run, ConnectionError("the line broke")))

    @some(live)
    @rule(run=one(live), keep=st.booleans())
    def stop(self, run: str, keep: bool) -> None:
        """The user stops it, and keeps the partial or not."""
        with self.step("stopped" if keep else "stopped and not kept") as world:
            world.do(world.stop(run, keep))

    # --- time, and what goes wrong ------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 4.0, 12.0]))
    def wait(self, seconds: float) -> None:
        with self.step("waited") as world:
            world.do(world.wait(seconds))

    @precondition(lambda self: not self.world.runs and not self.world.followers)
    @rule()
    def wait_an_hour(self) -> None:
        """The tokens expire."""
        with self.step("an hour") as world:
            world.do(world.wait(3601.0))

    @rule(by=st.sampled_from([-3600.0, -5.0, 5.0, 20.0]))
    def set_clock(self, by: float) -> None:
        """Somebody sets the clock of the machine."""
        with self.step("clocks set") as world:
            world.loop.set_clock(by)

    @some(busy)
    @rule(at=one(busy))
    def crash(self, at: str) -> None:
        """A process ends, with all its streams."""
        with self.step("crashes") as world:
            world.do(world.crash(at))

    @precondition(lambda self: live(self) and up(self))
    @rule(at=one(up), acts=st.lists(ACTS, min_size=2, max_size=8), fault=st.sampled_from(["", "", *IN_TRANSACTION]))
    def at_once(self, at: str, acts: list[tuple[str, dict[str, Any]]], fault: str) -> None:
        """Several of these at the same moment, while the threads are busy: their writes wait, and share
        transactions."""
        with self.step("at once") as world:
            world.do(world.at_once(at, acts, fault))

    @some(busy)
    @rule(at=one(busy), kind=st.sampled_from(FAULTS))
    def fault(self, at: str, kind: str) -> None:
        """The next write of a process goes wrong, or the next text cannot be read for facts."""
        with self.step("faults armed") as world:
            world.do(world.fault(at, kind))

    @some(busy)
    @rule(at=one(busy), seconds=st.sampled_from([3.0, 15.0]))
    def stall(self, at: str, seconds: float) -> None:
        """A process stands still, and continues later as if nothing had happened."""
        with self.step("stalls") as world:
            world.do(world.stall(at, seconds))

    @precondition(lambda self: not self.world.down)
    @rule()
    def outage(self) -> None:
        """No process reaches the store any more."""
        with self.step("outages") as world:
            world.do(world.outage(down=True))

    @precondition(lambda self: self.world.down)
    @rule()
    def back(self) -> None:
        with self.step("store back") as world:
            world.do(world.outage(down=False))

    # --- going on -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: streams(self) and up(self) and len(self.world.runs) < KEPT_RUNNING + 2)
    @rule(
        stream=one(streams),
        at=one(up),
        how=HOW,
        words=WORDS,
        token=TOKENS,
        force=st.booleans(),
    )
    def resume(self, stream: str, at: str, how: str, words: str, token: str, force: bool) -> None:
        """Another process continues the stream: by a token, or under the same key ("again")."""
        with self.step("resume asked") as world:
            world.do(world.resume(stream, at, how, words, token, force))

    @some(streams)
    @rule(stream=one(streams))
    def issue_token(self, stream: str) -> None:
        with self.step("tokens issued") as world:
            world.do(world.issue_token(stream))

    @some(live)
    @rule(run=one(live))
    def request_stop(self, run: str) -> None:
        """Another process asks the writer to stop, by `memory.stop`."""
        with self.step("stops requested") as world:
            world.do(world.request_stop(world.run(run).asked.name))

    @some(streams)
    @rule(stream=one(streams), what=STRAYS)
    def write(self, stream: str, what: str) -> None:
        """A process without the right appends, or brings facts; or one does again what was done already."""
        with self.step("stray writes") as world:
            world.do(world.write(stream, what))

    @some(up)
    @rule(at=one(up))
    def read_queue(self, at: str) -> None:
        """A process reads what is queued for facts."""
        with self.step("queues read") as world:
            world.do(world.read_queue(at))

    @some(streams)
    @rule(stream=one(streams))
    def finish(self, stream: str) -> None:
        """A partial that nobody resumes becomes the answer."""
        with self.step("finish asked") as world:
            world.do(world.finish(stream))

    @precondition(lambda self: up(self) and self.world.waiting)
    @rule(at=one(up))
    def drain(self, at: str) -> None:
        """A process delivers what waits in the spool."""
        with self.step("drains") as world:
            world.do(world.drain(at))

    # Once more, so that they are drawn more often than the others.
    begin_2, say_2, say_3, say_4, wait_2, wait_3 = begin, say, say, say, wait, wait
    resume_2, resume_3, resume_4, crash_2, drain_2 = resume, resume, resume, crash, drain
    at_once_2, at_once_3, at_once_4 = at_once, at_once, at_once

    @some(up)
    @rule(at=one(up), space=st.sampled_from(SPACES), conversation=st.sampled_from(CONVERSATIONS), which=STORED)
    def store(self, at: str, space: str, conversation: str, which: str) -> None:
        """A process stores a memory that belongs to no exchange."""
        with self.step("stores asked") as world:
            world.do(world.store(at, space, conversation, which))

    # --- reading, and taking away -------------------------------------------------------------------------------------

    @precondition(lambda self: streams(self) and len(self.world.followers) < FOLLOWERS)
    @rule(stream=one(streams), place=st.sampled_from(["start", "reader"]))
    def follow(self, stream: str, place: str) -> None:
        """Read it from the store, from its start or from where a reader has been."""
        with self.step("followed") as world:
            world.do(world.follow(stream, place))

    @precondition(lambda self: self.world.followers)
    @rule()
    def leave(self) -> None:
        """The follower that came first goes away."""
        with self.step("followers left") as world:
            world.do(world.leave())

    @some(streams)
    @rule(stream=one(streams))
    def look(self, stream: str) -> None:
        """Search for it."""
        with self.step("looked") as world:
            world.see(self.judge.found(world.asked[stream]))

    @some(streams)
    @rule(stream=one(streams), whose=WHOSE)
    def delete(self, stream: str, whose: str) -> None:
        """The memory of its answer, or of its question."""
        with self.step("delete asked") as world:
            world.do(world.remove(stream, whose))

    @some(alone)
    @rule(id=one(alone))
    def forget(self, id: str) -> None:
        """Delete a memory that was stored alone."""
        with self.step("forgets asked") as world:
            world.do(world.forget(id))

    # --- the end ------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if not self.failed:
                with self._noting_failure():
                    self.judge.end()
                self.counted["examples"] += self.steps >= self.whole
        finally:
            whole, self.failed = not self.failed, True
            self.world.do(self.world.bury())
            if whole:
                self.judge.nothing_left()
            self.world.close()
        if whole:
            new = open_things() - self.world.files
            assert not new, f"left behind: {sorted(new)}"


def examples(
    shard: int, number: int, steps: int = 80, *, shrink: bool = True, machine: type[Machine] = Machine
) -> Counter[str]:
    """Run so many programs of so many steps, those of this shard, the same each time; what was counted.

    What does not hold is raised as `AssertionError`, or as what the library raised, with the program in its notes.
    """
    counted: Counter[str] = Counter()
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    log = logging.getLogger("cortex_rx")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it logs the failures that are made here on purpose
    try:
        while (left := min(number - counted["examples"], ROUND)) > 0:
            # Hypothesis begins with some short programs, and leaves some before their end: they are not counted.
            counted["rounds"] += 1
            kind = type(machine.__name__, (machine,), {"counted": counted, "whole": steps})
            chosen = settings(
                max_examples=left + left // 5 + 2,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=False,
                phases=phases,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            )
            run_state_machine_as_test(seed(1000 * shard + counted["rounds"])(kind), settings=chosen)
    except BaseException as error:
        error.add_note(f"again: proof_machine.examples(shard={shard}, number={number}, steps={steps})")
        raise
    finally:
        log.setLevel(level)
    return counted
