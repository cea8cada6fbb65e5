"""What must hold in the state machine's world after each step, and at the end of an example."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from proofs.machine.facts import shown
from proofs.machine.model import Stream
from proofs.machine.parts import Asked, Kept, Run
from proofs.machine.world import CONVERSATIONS, SPACES, World

from cortex_rx import SqliteBackend
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.errors import (
    EmptyAnswer,
    Fenced,
    IdempotencyConflict,
    NotStored,
    ResumableStreamError,
    SpoolBusy,
    StoreError,
    StoreUnavailable,
)
from cortex_rx.spool import DeadLetters
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.testing.leaks import left_on_loop

__all__ = ["Judge"]


class Judge:
    """Looks at a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._seen = (-1, -1)
        self._first_ids: dict[int, tuple[Stream, tuple[list[str], list[str]]]] = {}
        """Of each stream that was seen while it was pending: its messages and memories."""

    def check(self) -> None:
        """After a step: what has ended, ended as it must; and the file holds what the model says."""
        world = self.world
        assert not world.wrong, "\n".join(world.wrong)  # first: what follows may be no more than its consequence
        for name, host in list(world.hosts.items()):
            if host.process.crashed:
                world.dead.append(world.hosts.pop(name))
                world.counted["crashed"] += 1
        for run in world.runs:
            if run.host.process.crashed:
                run.over = True
                world.counted["runs that crashed"] += 1
            elif run.task and run.task.done():
                run.over = True
                self._ended(run, run.task.exception())
        for run in world.runs:
            self._seen_by_reader(run)
        world.runs = [run for run in world.runs if not run.over]
        world.stops = [(run, task) for run, task in world.stops if not self._stop_is_over(run, task)]
        world.drains = [each for each in world.drains if not self._drain_is_over(*each)]
        world.stores = [each for each in world.stores if not self._store_is_over(*each)]
        world.readings = [each for each in world.readings if not self._reading_is_over(*each)]
        for follower in world.followers:
            if follower.task.done() and not follower.task.cancelled():
                follower.task.result()
        world.followers = [each for each in world.followers if not each.task.done()]
        assert not world.wrong, "\n".join(world.wrong)
        for backend in [world.reader, *(host.backend for host in world.hosts.values())]:
            done = f"{backend.transactions} transactions were done, and {backend.commits} committed"
            assert backend.transactions == backend.commits, done
        version = world.file.execute("PRAGMA data_version").fetchone()[0], world.model.changes
        if version != self._seen:
            self._seen = version
            world.see(self.store())

    # --- what ended ---------------------------------------------------------------------------------------------------

    def _seen_by_reader(self, run: Run) -> None:
        """What a reader saw is a prefix of what the source of its attempt said."""
        for attempt, text in run.seen.items():
            own = run.how in ("begin", "again") or attempt == run.attempt
            source = run if own else run.asked.sources.get(attempt)
            assert source is None or source.text.startswith(text), (
                f"{run.name}: a reader saw {text!r} of {source.text!r}"
            )

    def _ended(self, run: Run, error: BaseException | None) -> None:
        """A run has ended: with what it must, and what it left in the store."""
        world, asked = self.world, run.asked
        stream = world.stream(asked)
        mine = stream is not None and stream.epoch == run.epoch and not stream.gone
        what = f"{run.name} ended with {error!r}: {stream}; source {run.text!r}, {run.end}"
        world.counted[f"ended: {type(error).__name__ if error else 'remembered'}"] += 1
        if error is None:
            assert run.task
            text = run.task.result().full_response
            assert text == run.seen[max(run.seen)], what
            assert not run.opened or text == run.text, what
            assert stream and (stream.state == "deleted" or (stream.state == "finished" and stream.text == text)), what
        elif isinstance(error, AnswerStopped):
            assert run.requested if error.by == "request" else run.stopped, what
            if error.by == "request" and mine and not run.trouble:
                assert stream and not stream.owned(round(world.loop.wall() * 1000)), f"{what}; its lease still runs"
                world.counted["stopped by a request"] += 1
            world.waiting = world.waiting or run.trouble
            shown = run.seen.get(max(run.seen)) if run.seen else None
            if run.kept and shown and asked.failure != "rollback" and (stream is None or mine):
                here = stream and any(text.startswith(shown) for text in stream.texts.values())
                # It had ended, and another answer is stored under its key: the stop came before it could be told.
                late = stream and stream.state == "finished" and run.ended and IdempotencyConflict in run.refused
                world.counted["stopped with another answer under its key"] += bool(late and not here)
                assert here or late or world.waits(asked), (
                    f"{what}; what was shown, {shown!r}, is not even in the spool"
                )
        elif isinstance(error, ResumableStreamError):
            assert error.original_error is run.end and asked.failure == "store-partial", what
            assert not mine or not stream or stream.attempt != run.attempt or stream.text == run.text, what
        elif error is run.end:
            assert asked.failure != "store-partial" or run.trouble, what
            if asked.failure == "rollback" and not run.trouble and stream and stream.epoch == run.epoch:
                assert stream.gone, what
        elif isinstance(error, NotStored):
            assert run.trouble or run.refused, what
            assert error.spooled or asked.failure == "rollback" or stream is None or stream.gone, what
            if error.spooled:
                world.waiting = True
                world.counted["spooled"] += 1
                world.kept[error.spooled.id] = Kept(run, run.ended, run.text)
        elif isinstance(error, EmptyAnswer):
            assert not run.text.strip(), what
        elif isinstance(error, StoreUnavailable):
            assert run.trouble, what
        else:
            taken = (
                isinstance(error, Fenced) and stream is not None and stream.epoch > run.epoch
            )  # seen when it was read
            assert isinstance(error, StoreError) and (type(error) in run.refused or taken), what

    def _stop_is_over(self, run: Run, task: asyncio.Task[None]) -> bool:
        if run.host.process.crashed:
            return True
        if not task.done():
            return False
        error = task.exception()
        assert error is None or run.trouble or type(error) in run.refused, f"the stop of {run.name} raised {error!r}"
        return True

    def _store_is_over(self, host: Any, task: asyncio.Task[Any], id: str) -> bool:
        """A memory was stored alone, and that was told only if the store has done so."""
        if host.process.crashed:
            return True
        if not task.done():
            return False
        error = task.exception()
        assert error is None or isinstance(error, StoreError), f"{id}: {error!r}"
        if error is None:
            entry, (space, content) = task.result(), self.world.said_alone[id]
            told = (entry.memory_id, entry.memory_space_id, entry.content.removesuffix(" But other."))
            assert told == (id, space, content), f"{entry}, and not {id}"
        return True

    def _reading_is_over(self, host: Any, task: asyncio.Task[Any]) -> bool:
        """What is queued for facts was read: what is known to be read must be so."""
        if host.process.crashed:
            return True
        if not task.done():
            return False
        error = task.exception()
        assert error is None or isinstance(error, StoreUnavailable), f"what is queued was read, and raised {error!r}"
        if error is None:
            report = task.result()
            self.world.counted["windows read later"] += report.read
            self.world.counted["windows failed again"] += report.failed
            self.world.counted["windows given up"] += report.dead
        return True

    def _drain_is_over(self, host: Any, task: asyncio.Task[Any]) -> bool:
        world = self.world
        if host.process.crashed:
            return True
        if not task.done():
            return False
        error = task.exception()
        if isinstance(error, SpoolBusy):
            world.counted["drains refused"] += 1
            return True
        report = task.result()
        world.waiting = report.left > 0
        letters = {letter.id: letter for letter in world.see(DeadLetters(world.spool, world.reader).list())}
        for outcome in ("delivered", "dropped", "dead"):
            for drained in getattr(report, outcome):
                world.counted[outcome] += 1
                kept = world.kept.pop(drained.id, None)
                if kept:
                    self._drained(kept, outcome)
                if outcome == "dead":
                    letter = letters[drained.id]
                    assert kept is None or kept.text.endswith(letter.text), f"{letter} has not the text {kept.text!r}"
        return True

    def _drained(self, kept: Kept, outcome: str) -> None:
        """What the report says of it is true."""
        asked = kept.run.asked
        stream = self.world.stream(asked)
        what = f"what {kept.run.name} could not store, {kept.text!r}, was {outcome}: {stream}"
        if outcome == "delivered" and stream and not stream.gone and kept.text.strip():
            if kept.complete:
                assert stream.state == "finished" and stream.text == kept.text, what
            else:
                assert any(text.startswith(kept.text) for text in stream.texts.values()), what
            if stream.state == "open" and kept.text.startswith(stream.text):
                asked.sources[stream.attempt] = kept.run
        elif outcome == "dropped":
            assert stream is None or stream.gone or asked.was_gone, what
        elif outcome == "dead":
            assert stream and not (stream.state == "finished" and stream.text == kept.text), what

    # --- what is stored -----------------------------------------------------------------------------------------------

    async def store(self) -> None:
        """Over a connection of its own: memories, messages, and the streams that were written."""
        world = self.world
        for space in SPACES:
            where = {"memorySpaceId": space}
            for partial in (False, True):
                rows = await world.reader.query("memories:list", {**where, "includePartial": partial})
                found = [
                    (row["content"], row["messageRole"], row["isPartial"], row["conversationRef"]["conversationId"])
                    for row in rows
                ]
                expected = world.model.rows(space, partial=partial)
                assert found == expected, f"memories of {space}: {found}, and not {expected}"
            facts = shown(await world.reader.query("facts:list", {**where, "includeSuperseded": True}))
            expected_facts = world.model.facts.rows(space)
            assert facts == expected_facts, f"facts of {space}: {facts}, and not {expected_facts}"
            world.most_ended = max(world.most_ended, sum(by is not None for _, by, _ in facts))
            queue = [
                (one["streamId"], one["side"], one["from"], one["to"], one["tries"], one["state"] == "dead")
                for dead in (False, True)
                for one in await world.reader.query("facts:queued", {**where, "dead": dead})
            ]
            expected_queue = world.model.facts.queue(world.model.streams_in(space))
            assert sorted(queue) == expected_queue, f"queue of {space}: {queue}, and not {expected_queue}"
            for conversation in CONVERSATIONS:
                talk = await world.reader.query("conversations:get", {**where, "conversationId": conversation})
                said = [(one["role"], one["content"]) for one in talk["messages"]] if talk else []
                expected_said = world.model.messages(space, conversation)
                what = f"conversation {space}/{conversation}"
                assert said == expected_said, f"{what}: {said}, and not {expected_said}"
                expected_pending = world.model.pending(space, conversation)
                assert (talk is not None) == bool(expected_said or expected_pending), f"{what}: {talk}"
                pending = [
                    (one["streamId"], one["userMessage"], one["attempt"], one["length"], one["position"])
                    for one in (talk["pending"] if talk else [])
                ]
                assert pending == expected_pending, f"{what}: pending are {pending}, and not {expected_pending}"
                self._ids(space, talk)
                listed = await world.reader.query("streams:list", {**where, "conversationId": conversation})
                streams = [(one["streamId"], one["state"]) for one in listed]
                assert streams == world.model.streams_of(space, conversation), f"{what}: its streams are {streams}"
        for name in world.written:
            await self._stream(world.asked[name])
        world.written.clear()

    def _ids(self, space: str, talk: dict[str, Any] | None) -> None:
        """The ids of an exchange are what they were when it was seen first, and nothing else has one of them."""
        if talk is None:
            return
        assert talk["messageCount"] == len(talk["messages"])
        messages = [message["id"] for message in talk["messages"]]
        assert len(set(messages)) == len(messages), f"a message is there twice: {messages}"
        for one in talk["pending"]:
            stream = self.world.model.streams[space, one["streamId"]]
            ids = one["messageIds"], one["memoryIds"]
            assert self._first_ids.setdefault(id(stream), (stream, ids))[1] == ids, f"{stream} has other ids: {ids}"
            asked = stream.question_memory  # it was closed before
            assert [at in messages for at in one["messageIds"]] == [asked, False], f"{stream}: {talk}"
        for stream, (question, answer), (question_memory, answer_memory) in (
            (stream, *ids) for stream, ids in self._first_ids.values() if stream.space == space
        ):
            if stream.conversation == talk["conversationId"] and stream.state == "finished":
                assert {question, answer} <= set(messages), f"{stream} has other messages: {messages}"
                assert question_memory != answer_memory

    async def _stream(self, asked: Asked) -> None:
        found = await self.world.reader.query("streams:get", asked.where)
        stream = self.world.stream(asked)
        if stream is None or stream.gone:
            assert found is None, f"{asked.name} is gone, and found as {found}"
            return
        expected = {
            "state": stream.state,
            "epoch": stream.epoch,
            "attempt": stream.attempt,
            "length": len(stream.text),
            "userMessage": asked.question,
            "conversationId": asked.conversation,
            **dict(zip(("messageIds", "memoryIds"), self._first_ids.get(id(stream), (None, ()))[1], strict=False)),
            "owned": stream.owned(round(self.world.loop.wall() * 1000)),
        }
        assert found and expected.items() <= found.items(), f"{asked.name}: {found}, and not {expected}"

    async def found(self, asked: Asked) -> None:
        """Search for its first word: an answer is found when it is one; a partial one only if it is asked for."""
        world = self.world
        stream = world.stream(asked)
        words = stream.text.split() if stream else []
        if stream is None or not words:
            return
        for space in SPACES:
            for partial in (False, True):
                args = {"memorySpaceId": space, "query": words[0], "includePartial": partial}
                found = [row["content"] for row in await world.reader.query("memories:search", args)]
                there = space == asked.space and stream.answer_memory and (partial or stream.state != "open")
                assert found.count(stream.text) == there, f"{words[0]!r} finds {found} in {space}: {stream}"
                world.counted["found by search"] += there

    async def everything(self) -> None:
        """The same, and what costs more: each text of each attempt, counts, search, single memories; by the public
        API.
        """
        world = self.world
        await self.store()
        async with SqliteBackend(world.path, clock=world.loop.wall, read_only=True) as fresh:
            memory = MemoryAPI(fresh)
            for space in SPACES:
                for partial in (False, True):
                    expected = len(world.model.rows(space, partial=partial))
                    assert await memory.count(space, include_partial=partial) == expected
                for row in await memory.list(space, include_partial=True):
                    alone = await memory.get(space, row.memory_id)
                    assert (alone is None) == row.is_partial, f"get of {row} gives {alone}"
                    assert alone is None or alone.content == row.content
                    for other in SPACES:
                        assert other == space or await memory.get(other, row.memory_id, include_partial=True) is None
            for asked in world.asked.values():
                await self._stream(asked)
                await self.found(asked)
                stream = world.stream(asked)
                for attempt, text in (stream.texts if stream and not stream.gone else {}).items():
                    args = {**asked.where, "attempt": attempt, "after": 0}
                    page = await fresh.query("streams:read", args)
                    assert page["text"] == text, f"{asked.name}, attempt {attempt}: {page}, and not {text!r}"

    # --- the end ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """The store is back, sources end, the spool is drained, streams that no process continues are finished; nothing
        is left running.
        """
        world = self.world
        world.down = False
        for host in world.hosts.values():
            host.fault, host.unread = "", False
        for _ in range(8):
            for run in world.runs:
                run.end = run.end or True
                run.wake()
            world.do(world.wait(4.0))
            self.check()
        assert not world.runs, f"{[run.name for run in world.runs]} do not come to their end"
        if os.path.exists(world.spool.path):
            world.do(world.wait(31.0))  # a drainer that was killed is taken for dead
            world.do(world.drain("a"))
            self.check()
            waiting = world.see(world.spool.count())
            assert not waiting and not world.drains, f"{waiting} entries of the spool are not delivered"
            lost = [kept.run.name for kept in world.kept.values() if not kept.unwanted]
            assert not lost, f"what {lost} left in the spool is lost"
        for name in world.asked:
            world.do(world.finish(name))
        world.do(world.wait(4.0))
        self.check()
        assert not world.readings, "readers of what is queued do not come to their end"
        world.do(world.read_all())
        self.check()
        assert not world.followers and not world.stops, "followers or stops do not come to their end"
        world.counted["facts that ended"] += world.most_ended
        world.see(self.everything())
        left = world.do(self._left_by_processes())
        assert not left, f"left behind by processes that go on: {left}"

    async def _left_by_processes(self) -> list[str]:
        return [what for host in self.world.hosts.values() for what in host.process.left()]

    def nothing_left(self) -> None:
        """After the processes were taken away."""
        left = [thing.words for loop in (self.world.loop, self.world.aside) for thing in left_on_loop(loop)]
        assert not left, f"left behind: {left}"
