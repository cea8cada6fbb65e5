"""The conformance suite through a client that repeats a call whose answer was lost: for
`tests/proofs/test_conformance_under_faults.py`.

`kept(promise, path, plan)` tries one promise of the contract.  The backend that the suite is given repeats a write that
has failed, with the same arguments, as our operators do; after a crash it goes on with a new backend over the same
file.  The promise must hold, and the second answer must be the one that was lost.  Some functions are not repeated
blindly, since the contract says so:

* `streams:begin` without a `claim` is another beginning each time.  The client gives a claim to every call that has
  none.
* `memories:store` without a `memoryId` stores another memory each time, `facts:store` without a `factId` another
  statement, `contexts:create` without a `contextId` another context, `immutable:store` and `users:update` without an
  `operationId` another version, `mutable:update` counts again.  The client gives an id likewise.
* `streams:finalize`, `close` and `finish` say whether the exchange was stored `now` or `before`.  A client whose answer
  was lost is told `before`, though it was himself; only that differs.
* `memories:deleteMemory` and `memories:forget` of what is gone are `MemoryNotFound`, `memories:restoreFromArchive` of
  what is back is `MemoryNotArchived`, `facts:update` of what was corrected is `FactRetracted`; for a client that
  repeats them, that is a success.  `facts:consolidate` then merges nothing more.

Queries may be repeated at will, so nothing goes wrong with them here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from helpers.empty_store import lay_out

from cortex_rx import SqliteBackend
from cortex_rx.errors import (
    AgentNotRegistered,
    ContextNotFound,
    ConversationNotFound,
    EntryNotFound,
    FactRetracted,
    MemoryNotArchived,
    MemoryNotFound,
    MemorySpaceNotFound,
    StoreUnavailable,
)
from cortex_rx.testing import (
    BACKEND_PROMISES,
    BackendPromise,
    Crashed,
    Fault,
    FaultKind,
    Plan,
    Process,
    run_virtual,
    wall,
)

__all__ = ["KINDS", "LONG", "PROMISES", "Client", "kept"]

KINDS: list[FaultKind] = ["fail", "fail-after", "crash", "crash-after", "delay"]
"""A stall is not among them: it is the client that waits here, and it does not stand still."""

LONG = (
    *("many_are_deleted_by_filters", "many_are_changed_by_filters", "a_stream_has_so_many_facts"),
    *("a_long_text_is_whole", "embeddings_count_in_a_search", "each_filter_lists_counts_and_turns_pages"),
)
"""With a hundred writes, or some that are long: half of the time of all."""

PROMISES = sorted(
    (promise for promise in BACKEND_PROMISES if promise.name != "calls_are_accepted_and_refused"),
    key=lambda promise: promise.name in LONG,
)
"""Those that are long are the last.  The one that is left out makes some eight hundred calls: most are refused and
write nothing, and none is about what a write leaves behind; the same functions are written to by all others.  A fault
in each call would take longer than all other promises together.
"""

_IDS = {
    "memories:store": "memoryId",
    "facts:store": "factId",
    "contexts:create": "contextId",
    **dict.fromkeys(("immutable:store", "users:update", "users:merge", "users:updateMany"), "operationId"),
    **dict.fromkeys(("contexts:update", "memories:update"), "operationId"),
    **dict.fromkeys((f"mutable:{name}" for name in ("set", "update", "deleteKey", "transaction")), "operationId"),
}
_GONE = (
    "memories:deleteMemory",
    "memories:forget",
    "memories:restoreFromArchive",
    "facts:update",
    "conversations:deleteConversation",
    "contexts:deleteContext",
    "immutable:purge",
    "agents:unregister",
    "memorySpaces:deleteSpace",
)
_NOT_THERE = (
    *(AgentNotRegistered, ContextNotFound, ConversationNotFound, EntryNotFound, FactRetracted, MemoryNotFound),
    *(MemoryNotArchived, MemorySpaceNotFound),
)
_COUNTS = {
    "memories:updateMany": ("updated", "memoryIds"),
    "memories:deleteMany": ("deleted", "memoryIds", "factsDeleted", "factIds"),
    "immutable:purgeMany": ("deleted", "totalVersionsDeleted", "entries"),
    "immutable:purgeVersions": ("versionsPurged",),
    "users:deleteUserProfile": ("deleted", "versionsDeleted", "deletedAt"),
    "users:deleteMany": ("deleted", "userIds"),
    "mutable:purgeNamespace": ("deleted",),
    "mutable:purgeMany": ("deleted", "keys"),
    "agents:unregisterMany": ("deleted", "agentIds"),
    "memorySpaces:clear": ("deleted", "more"),
    "contexts:updateMany": ("updated", "contextIds"),
    "contexts:deleteMany": ("deleted", "contextIds"),
    "graphSync:release": ("released",),
    "graphSync:markSynced": ("synced",),
    "graphSync:markFailed": ("failed",),
    "graphSync:retry": ("retried",),
    "conversations:deleteMany": (
        *("deleted", "totalMessagesDeleted", "conversationIds", "hasMore"),
        *("memoriesDeleted", "factsDeleted", "factIds"),
    ),
}
"""What else a function says that it has just done, so that a repeated call says less."""

Make = Callable[[Path], Any]


def _sqlite(path: Path) -> SqliteBackend:
    return SqliteBackend(path, clock=wall)


class World:
    """A file, what goes wrong with the writes to it, and what has been written."""

    def __init__(self, path: Path, plan: Plan, make: Make) -> None:
        self.path, self.make = path, make
        self.faults: dict[int, Fault] = {fault.at: fault for fault in plan.faults}
        self.effects: list[str] = []
        self.hit: Counter[str] = Counter()
        self.claims = itertools.count(1)


class Client:
    """The backend that the suite is given."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dropped: list[Any] = []
        self._closed = False
        self._backend = world.make(world.path)

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read."""
        return await self._backend.query(path, args)

    async def close(self) -> None:
        """Let go of the file, and of what was dropped."""
        self._closed = True
        for backend in (self._backend, *self._dropped):
            await backend.close()

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write; if that fails, or the process that does it dies, the same again."""
        world, backend = self._world, self._backend
        if self._closed:
            return await backend.mutation(path, args)  # it writes nothing
        world.effects.append(path)
        fault = world.faults.get(len(world.effects))
        if path == "streams:begin" and "claim" not in args:
            args = {**args, "claim": f"call {next(world.claims)}"}
        if path in _IDS and _IDS[path] not in args:
            args = {**args, _IDS[path]: f"call {next(world.claims)}"}
        if fault is None:
            return await backend.mutation(path, args)
        world.hit[fault.kind] += 1
        lost: list[Any] = []

        async def act() -> Any:
            lost.append(await backend.mutation(path, args))
            return lost[0]

        async with Process(Plan((Fault(1, fault.kind, fault.seconds),))) as process:
            try:
                return await process.run(process.effect(path, act, StoreUnavailable))
            except StoreUnavailable:
                pass
            except Crashed:
                self._dropped.append(backend)  # not closed: a dead process closes nothing
                self._backend = world.make(world.path)
        try:
            again = await self._backend.mutation(path, args)
        except _NOT_THERE:
            if path in _GONE and lost:
                return lost[0]
            raise
        if lost:
            done = ("stored", "mergedCount", *_COUNTS.get(path, ()))
            again |= {name: lost[0][name] for name in done if name in lost[0]}
            assert again == lost[0], f"{path}, repeated, gave {again}; the answer that was lost was {lost[0]}"
        return again


def kept(
    promise: BackendPromise, path: Path, plan: Plan | str = "", make: Make = _sqlite
) -> tuple[list[str], Counter[str]]:
    """Try a promise, on the file `path`; the writes that it made, and how many of each kind went wrong."""
    world = World(path, Plan.of(plan), make)
    lay_out(path)
    try:
        run_virtual(promise.run(lambda: Client(world)))
    except BaseException as error:
        error.add_note(f"again: kept({promise.name}, path, {str(plan)!r})")
        raise
    return world.effects, world.hit
