"""One stream that is cancelled at chosen places, and what must hold of it afterwards: for
`tests/proofs/test_cancellation.py`.

A place is the moment before one callback of the loop, which is finer than its turns.  `cancelled(path, Case(...))` is
one case; it raises `AssertionError` where something does not hold, with a note that says how to repeat it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Container
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from helpers.step_loop import StepLoop
from proofs.cancellation.chains import CHAINS, LIMIT, TEXT, Model, chain_of
from reactivex import operators as ops

from cortex_rx import (
    Answer,
    AnswerStopped,
    Spool,
    SqliteBackend,
    StreamEndEvent,
    Turn,
    from_stream,
    remember_stream,
    run,
)
from cortex_rx import operators as cx
from cortex_rx.events import Begun, Delta, Ended, Remembered, Replayed, Resumed, RolledBack, StreamEvent
from cortex_rx.sources.model_stream import replayable
from cortex_rx.testing import Faulty, run_virtual, wall
from cortex_rx.testing.leaks import left_in_process, left_on_loop

__all__ = ["HOWS", "STORES", "Case", "Outcome", "cancelled"]

PATIENCE = 10.0  # virtual seconds from the last cancellation until all is at rest: 8 s for a flush, and the linger

HOWS = ("run", "reader", "awaiter", "stop", "discard", "shutdown", "all tasks", "source")
"""What is cancelled: the task of `run`; the only reader; the task that awaits the answer.  Or what is called: `stop()`,
`stop` with `keep_partial=False`.  Or the loop ends, as by `asyncio.run`; or the program cancels all tasks of the
running loop; or the source cancels the task that reads it, from inside.
"""

STORES = {
    "well": "",
    "slow": ", ".join(f"{at} delay 0.4" for at in range(1, 80)),
    "flaky": ", ".join(f"{at} fail-after" for at in range(2, 80, 2)),
    "down": ", ".join(f"{at} fail" for at in range(3, 200)),
    "never there": ", ".join(f"{at} fail" for at in range(1, 200)),
}
"""Plans for the store: its writes take long, every other one loses its acknowledgement, from the third on none is done,
none at all.
"""

_LOST = ("down", "never there")
_spaces = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """What is cancelled and where: at the places `at`, counted from 1; `onwards`: and on every one after the last of
    these.
    """

    how: str
    chain: str = "plain"
    store: str = "well"
    at: tuple[int, ...] = ()
    onwards: bool = False
    slow_to_close: bool = False
    spool: bool = False
    resumes: bool = False
    """Afterwards another process goes on with the token."""

    @property
    def places(self) -> Container[int]:
        """All of them."""
        return range(self.at[-1], 10**9) if self.onwards else self.at


@dataclass
class Outcome:
    """What became of a case."""

    places: int = 0
    """So many there were until the work was done."""
    rest: int = 0
    """So many until all was at rest."""
    phase: str = "not cancelled"
    """How far the stream was at the first cancellation."""
    stored: str = "nothing"
    """What is in the store: nothing, partial, whole."""
    resumed: bool = False


class Places(StepLoop):
    """Its steps are the places; what nobody asked for is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.problems.append(context))


@dataclass
class Watch:
    """What came out of the chain, and what a reader saw."""

    events: list[StreamEvent] = field(default_factory=list[StreamEvent])
    ends: list[StreamEndEvent] = field(default_factory=list[StreamEndEvent])
    text: str = ""
    attempts: dict[int, str] = field(default_factory=dict[int, str])
    read: str = ""

    def add(self, event: StreamEvent) -> None:
        """It passed the last step of the chain."""
        self.events.append(event)
        if isinstance(event, Delta):
            text = self.attempts.get(event.attempt, "")
            assert event.offset == len(text), "offsets are contiguous"
            self.attempts[event.attempt] = self.text = text + event.text

    def saw(self, kind: type[StreamEvent]) -> bool:
        """Whether such an event has passed."""
        return any(isinstance(event, kind) for event in self.events)

    @property
    def token(self) -> str | None:
        """That of `Begun`."""
        return next((event.token for event in self.events if isinstance(event, Begun)), None)

    @property
    def phase(self) -> str:
        """How far the stream is."""
        if self.saw(Remembered):
            return "remembered"
        if self.saw(Ended):
            return "ended"
        if self.saw(Resumed):
            return "reopened"
        if self.saw(Delta):
            return "streaming"
        return "begun" if self.saw(Begun) else "opened" if self.events else "not opened"


def cancelled(path: Path, case: Case) -> Outcome:
    """Run one case on the store in the file `path`, in a memory space of its own, and check all that must hold."""
    try:
        return _Run(path, case).play()
    except BaseException as error:
        error.add_note(f"again: cancelled(path, {case})")
        raise


class _Run:
    def __init__(self, path: Path, case: Case) -> None:
        self.path, self.case = path, case
        self.space = f"space-{next(_spaces)}"
        self.model = Model(bool(CHAINS[case.chain]), case.slow_to_close)
        self.watch, self.outcome = Watch(), Outcome()
        self.spool = Spool(path.with_name(f"{self.space}-spool.db"), clock=wall) if case.spool else None
        self.store = Faulty(SqliteBackend(path, clock=wall), STORES[case.store])
        self.answer: Answer | None = None
        self.accepted = 0
        self.last = 0.0
        self.calls: list[asyncio.Task[Any]] = []
        self.main: asyncio.Task[Any] | None = None
        self.done: asyncio.Task[Any] | None = None

    # --- the stream ---------------------------------------------------------------------------------------------------

    def _turn(self) -> dict[str, Any]:
        return {"conversation_id": "c", "user_message": "What is it?", "user_id": "ada", "user_name": "Ada"}

    def _work(self) -> Awaitable[Any]:
        chain = chain_of(self.case.chain, self.store, self.spool, self.watch.ends.append)
        tap = cx.step("tap", ops.do_action(self.watch.add))
        source = replayable(self.model) if "resume" in chain else self.model
        if self.case.how == "run":
            turn = Turn(self.space, **self._turn())
            return run(from_stream(source, turn=turn).pipe(chain, tap, cx.result()))
        linger = timedelta(seconds=0 if self.case.how == "awaiter" else 1)
        self.answer = remember_stream(
            source, backend=self.store, chain=cx.chain(chain, tap), linger=linger, spool=self.spool,
            memory_space_id=self.space, **self._turn(),
        )  # fmt: skip
        return self._wait(self.answer) if self.case.how == "awaiter" else self._read(self.answer)

    async def _wait(self, answer: Answer) -> Any:
        return await answer

    async def _read(self, answer: Answer) -> Any:
        async for text in answer:
            self.watch.read += text
        return await answer

    def _cancel(self, loop: Places, task: asyncio.Task[Any], end: asyncio.Future[None]) -> None:
        """Cancel, or stop, at this place."""
        if not self.accepted:
            self.outcome.phase = self.watch.phase
        self.last = loop.time()
        if self.case.how in ("stop", "discard") and self.answer:
            self.accepted += not task.done()
            if len(self.calls) < 4:  # the fifth cancels the first
                stop = self.answer.stop(keep_partial=self.case.how == "stop")
                self.calls.append(loop.create_task(stop, name="stop"))
            else:
                self.calls[0].cancel()
        elif self.case.how == "all tasks":
            kept = {asyncio.current_task(loop), self.main, self.done}
            self.accepted += not task.done()
            for each in asyncio.all_tasks(loop) - kept:
                each.cancel()
        elif self.case.how == "source":
            if self.model.task and not self.model.task.done():
                self.accepted += self.model.task.cancel()
        elif self.case.how == "shutdown":
            self.accepted += not task.done()
            if not end.done():
                end.set_result(None)
        else:
            self.accepted += task.cancel()

    async def _main(self, loop: Places) -> None:
        start = loop.step
        end: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(self._call(), name="the caller")
        done = asyncio.create_task(asyncio.wait({task}), name="done")
        self.main, self.done = asyncio.current_task(), done

        def on_place(place: int) -> None:
            if place - start in self.case.places:
                self._cancel(loop, task, end)

        loop.on_step = on_place
        await asyncio.wait({done, end}, return_when=asyncio.FIRST_COMPLETED)
        self.outcome.places = loop.step - start
        if end.done() and not done.done():
            done.cancel()
            return  # the runner cancels what is left
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # an answer flushes in a task of its own
            await asyncio.wait(others)
        self.outcome.rest = loop.step - start
        loop.on_step = None
        assert loop.time() - self.last <= PATIENCE or not self.accepted, (
            f"at rest only after {loop.time() - self.last} s"
        )
        await self.store.close()
        left = [thing.words for thing in left_on_loop(loop)]
        assert not left, f"left on the loop: {left}"

    async def _call(self) -> None:
        """What the caller does. It gets what it should."""
        case = self.case
        try:
            result = await self._work()
        except asyncio.CancelledError:
            assert self.accepted and case.how not in ("stop", "discard"), "cancelled by nobody"
            raise
        except AnswerStopped as stopped:
            assert self.accepted and case.how in ("stop", "discard"), "stopped by nobody"
            assert stopped.resume_token in (None, self.watch.token)
        except Exception as error:
            original = getattr(error, "original_error", None) or error
            name = type(original).__name__
            expected = {"timeout": ["StreamTimeout"], "breaks": ["ConnectionError"], "rollback": ["ConnectionError"]}
            from_inside = case.how == "source" and self.accepted and name == "ForeignCancellation"
            lost = case.store in _LOST and name == "NotStored"
            assert name in expected.get(case.chain, []) or lost or from_inside, repr(error)
        else:
            assert result.full_response == self.watch.text
            assert not self.watch.read or self.watch.read == self.watch.text

    # --- what must hold -----------------------------------------------------------------------------------------------

    def play(self) -> Outcome:
        loop, before = Places(), {thing.words for thing in left_in_process()}
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._main(loop))
        run_virtual(self._close_and_check())
        assert loop.problems == [], f"the loop reports {loop.problems}"
        left = {thing.words for thing in left_in_process()} - before
        assert not left, f"left in the process: {left}"
        return self.outcome

    async def _close_and_check(self) -> None:
        await self.store.close()
        model, watch = self.model, self.watch
        assert model.opened == model.closed <= 2, f"opened {model.opened} times, closed {model.closed} times"
        assert watch.text.startswith(watch.read), "a reader saw what did not pass"
        assert any(self._said(model.said).startswith(text) for text in (watch.text, "")), "what passed was said"
        async with SqliteBackend(self.path, clock=wall) as store:
            if self.spool:
                report = await self.spool.drain(store)
                assert not report.dead and not report.left and report.error is None, report
            await self._stored(store)
            self._heard()
            if self.case.resumes and self.watch.token and self.outcome.stored != "nothing":
                await self._resume(store)

    def _said(self, text: str) -> str:
        """What the chain makes of what the source has said."""
        if self.case.chain in ("rewrite", "everything"):
            text = text.replace("long", "l***")
        return text[:LIMIT] if self.case.chain == "limit" else text

    async def _stored(self, store: SqliteBackend) -> None:
        """The store, seen by another connection."""
        case, watch = self.case, self.watch
        where = {"memorySpaceId": self.space}
        rows = await store.query("memories:list", {**where, "includePartial": True})
        conversation = await store.query("conversations:get", {**where, "conversationId": "c"})
        messages = [one["content"] for one in conversation["messages"]] if conversation else []
        pending = [(one["userMessage"], one["length"]) for one in conversation["pending"]] if conversation else []
        interrupted = await store.query("streams:interrupted", where)
        whole, partial = [row for row in rows if not row["isPartial"]], [row for row in rows if row["isPartial"]]
        sure = case.spool or case.store not in _LOST
        self.outcome.stored = "whole" if whole else "partial" if partial else "nothing"
        # A recovery that has begun is finished, also when nobody is there any more.
        taken_back = case.chain == "rollback" and (self.model.broke or case.how == "source")
        discarded = case.how == "discard" and self.calls and not watch.saw(Ended)
        gone = watch.saw(RolledBack) or discarded or (taken_back and not rows)
        if gone or not rows:
            assert rows == [] and conversation is None and interrupted == [], "something is left of what was taken back"
            assert gone or not watch.saw(Begun), "the question was stored, and is gone"
            assert gone or not (watch.text and sure), "what was shown is gone"
            return
        if whole:
            text = next(row["content"] for row in whole if row["messageRole"] == "agent")
            assert watch.saw(Ended), "an answer without an end"
            assert [row["content"] for row in rows] == [text, "What is it?"]
            assert messages == ["What is it?", text], "the exchange is not whole"
            assert interrupted == pending == []
        else:
            assert not (watch.saw(Ended) and sure), "it ended, and is not stored as an answer"
            assert len(partial) == 1 and messages == []
            text = partial[0]["content"]
            assert pending == [("What is it?", len(text))], "the conversation does not tell what is pending"
            assert partial[0]["partialMetadata"]["userMessage"] == "What is it?"
            if case.store not in _LOST:
                assert [row["length"] for row in interrupted] == [len(text)], "the stream was not let go"
        if case.chain == "durable":
            assert text.startswith(watch.text) and self.model.said.startswith(text), "what was shown is not stored"
        elif not sure:
            assert watch.text.startswith(text), "the store has what was not shown"
        else:
            assert text == watch.text, f"stored {text!r}, shown {watch.text!r}"

    def _heard(self) -> None:
        """The hook `on_end` heard of the end once, and what it heard is what the store has."""
        case, watch, stored = self.case, self.watch, self.outcome.stored
        if "observe" not in chain_of(case.chain, self.store, None, watch.ends.append):
            return
        assert len(watch.ends) <= 1, "the end was heard twice"
        assert watch.ends or not watch.events, "nobody heard of the end"
        for end in watch.ends:
            assert end.length == len(watch.text), "what came"
            assert end.stopped or end.error or end.outcome != "kept", "stopped by nobody"
            if case.how == "discard" and stored == "nothing":
                assert end.outcome in ("kept", "not-stored"), "and then it was deleted"
            elif case.spool and end.outcome == "spooled":
                assert stored != "nothing"
            elif case.store not in _LOST:
                said = {"whole": "remembered", "partial": "kept", "nothing": "not-stored"}[stored]
                assert end.outcome == said, f"stored {stored}, heard {end.outcome}"
                assert end.stored_length == (end.length if stored != "nothing" else 0)

    async def _resume(self, store: SqliteBackend) -> None:
        """Another process continues with the token, and gets the whole answer in the end."""
        await asyncio.sleep(11)  # where the store was down, the lease has to run out
        before = self.watch.text
        model = Model()
        chain = chain_of(self.case.chain, store, None, self.watch.ends.append)
        chain = chain.without("timeout") if "timeout" in chain else chain
        answer = remember_stream(
            replayable(model), backend=store, chain=chain, memory_space_id=self.space, resume_from=self.watch.token
        )
        events = [event async for event in answer.events()]
        result = await answer
        whole = self._said(TEXT)
        if self.outcome.stored == "whole":
            whole = before  # an answer is what it is: with best-effort, what there was
        assert result.full_response == whole, f"resumed to {result.full_response!r}"
        replayed = next(event.text for event in events if isinstance(event, Replayed))
        assert before.startswith(replayed) or self.case.chain == "durable"
        assert model.opened == model.closed
        self.watch = replace(self.watch, text=whole, events=[*self.watch.events, Ended("", 0, 0)])
        model.said, self.model = TEXT, model
        await self._stored(store)
        assert self.outcome.stored == "whole"
        self.outcome.resumed = True
