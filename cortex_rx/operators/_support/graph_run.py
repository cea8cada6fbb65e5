"""The worker of `sync_graph`: has the outbox drained beside a stream, or by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import unlisted
from cortex_rx.errors import GraphConnectionError
from cortex_rx.events import Begun, GraphSynced, Opened, PartialStored, Problem, Remembered, StreamEvent
from cortex_rx.operators._support.writing import log_problem
from cortex_rx.retry.judge import is_transient

if TYPE_CHECKING:
    from cortex_rx.graph.draining import Drainer, GraphDrainReport

__all__ = ["GraphWork"]

_Kind: TypeAlias = Literal["node-created", "node-updated", "finalized"]
_FLUSHED = 4.0  # seconds for what is upstream to be stored, when the stream was stopped
_SOON = 2.0  # seconds for a drain then
_SLOW = Problem("storage", "GRAPH_SLOW", "the graph was not told in time: it is told later", True)
_BEHIND = Problem("storage", "GRAPH_BEHIND", "the graph does not show the whole answer yet: it is told again", True)


@dataclass(frozen=True, slots=True)
class GraphWork:
    """The arguments of `sync_graph`; `run` is the worker of one subscription."""

    drainer: Drainer
    progressive: bool
    interval: float
    wait: float
    """Seconds for a drain."""

    async def run(self, inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        """Have the outbox drained as events pass, and once more at the end."""
        run = _Run(self, inbox)
        async for batch in inbox:
            run.absorb(batch)
            if run.due:
                async for event in run.drain():
                    yield event
        async for event in run.finish():
            yield event


class _Run:
    def __init__(self, work: GraphWork, inbox: Inbox[StreamEvent]) -> None:
        self._work, self._inbox = work, inbox
        self._since = inbox.flow.time()
        self._opened: Opened | None = None
        self._begun: Begun | None = None
        self._stands = True  # no stream passes: it is a worker by itself
        self._created = self._remembered = False
        self._told: set[str] = set()  # the codes of problems that were emitted
        self.due = False  # there is something to tell

    def absorb(self, batch: list[StreamEvent]) -> None:
        for event in batch:
            if type(event) is Opened:
                self._opened, self._since, self._stands = event, self._inbox.flow.time(), False
            elif type(event) is Begun:
                self._begun, self.due, self._stands = event, True, False
            elif type(event) is PartialStored:
                self.due = True
            elif type(event) is Remembered:
                self._remembered = True
            elif self._stands:
                self.due = True
        if not self._stands and (not self._work.progressive or self._begun is None or self._remembered):
            self.due = False  # all at the end

    async def drain(self) -> AsyncGenerator[StreamEvent, None]:
        """Tell the graph what has changed."""
        self.due = False
        if not self._stands:  # there the source sets the pace
            self._inbox.interval = self._work.interval
        report = None
        try:
            report = await self._drained(self._work.wait)
        except Exception as error:
            if self._stands and not is_transient(error):
                raise
            for problem in self._problem(Problem.of("storage", error, recoverable=True)):
                yield problem
        if self._stands:
            if report is not None and report.written:
                yield GraphSynced("drained", self._at(), records=report.written)
            await self._inbox.rest(self._work.drainer.pause)
        elif report is not None and self._shows(report):
            yield self._synced("node-updated" if self._created else "node-created", report)
            self._created = True

    async def finish(self) -> AsyncGenerator[StreamEvent, None]:
        """The stream is over, and what it leaves behind is in the store."""
        inbox = self._inbox
        if self._begun is None:
            return
        if inbox.disposed:
            await inbox.upstream.upstream_ended(inbox.disposed_at + _FLUSHED - inbox.flow.time())
        try:
            report = await self._drained(self._work.wait)
        except Exception as error:
            for problem in self._problem(Problem.of("storage", error, recoverable=True)):
                yield problem
            return
        if report is None:
            for problem in self._problem(_SLOW):
                yield problem
        elif not self._shows(report):
            for problem in self._problem(_BEHIND):
                yield problem
        elif self._remembered:
            yield self._synced("finalized", report)

    async def _drained(self, seconds: float) -> GraphDrainReport | None:
        """A drain that takes `seconds` at most, and ends soon when the stream is stopped; None if it was not done."""
        inbox = self._inbox
        drain = unlisted(asyncio.ensure_future(self._work.drainer.drain()))
        stopped = unlisted(asyncio.ensure_future(inbox.until_disposed()))
        try:
            if not inbox.disposed:
                await asyncio.wait({drain, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not drain.done() and inbox.disposed:
                await asyncio.wait({drain}, timeout=min(_SOON, seconds))
            if not drain.done():
                return None
            if drain.cancelled():
                raise GraphConnectionError("the drain was cancelled from outside")
            return drain.result()
        finally:
            stopped.cancel()
            if not drain.done():
                drain.cancel()
                await asyncio.wait({drain}, timeout=_SOON)  # it gives its lease back

    def _shows(self, report: GraphDrainReport) -> bool:
        """Whether the node of the answer is as it should be."""
        assert self._begun is not None
        space = self._opened.turn.memory_space_id if self._opened else ""
        return ("memories", space, self._begun.memory_id) not in report.behind

    def _synced(
        self, kind: Literal["node-created", "node-updated", "finalized"], report: GraphDrainReport
    ) -> GraphSynced:
        assert self._begun is not None
        return GraphSynced(kind, self._at(), self._begun.memory_id, report.written)

    def _problem(self, problem: Problem) -> list[Problem]:
        """A problem of a stream is told once."""
        if problem.code in self._told and not self._stands:
            return []
        self._told.add(problem.code)
        return [log_problem(problem, self._opened)]

    def _at(self) -> float:
        return self._inbox.flow.time() - self._since
