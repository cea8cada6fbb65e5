"""Entries of a spool, and stores that fail at a chosen call, for the tests of draining."""

from __future__ import annotations

from typing import Any

from cortex_rx import Spool, Turn
from cortex_rx.backends import SqliteBackend
from cortex_rx.events import Opened

SPACE = "space"


def opened(stream: str, at: float = 1000.0, question: str = "What is it?", space: str = SPACE, **turn: Any) -> Opened:
    turn = {"user_id": "ada", "user_name": "Ada"} | turn
    return Opened(Turn(space, "c-1", question, **turn), stream, at, claim=f"claim-{stream}-{at}")


async def put(spool: Spool, open_: Opened, text: str, *, path: str = "streams:finalize", **args: Any) -> str:
    """An entry of a stream that was never begun, unless `epoch` is given."""
    args = {"streamId": open_.stream_id, "memorySpaceId": open_.turn.memory_space_id, "start": 0, "attempt": 0} | args
    args["text"] = text
    if path == "streams:finalize":
        args = {"length": args["start"] + len(text), "reason": "stop"} | args
    else:
        args = {"lease": 0, "state": {"index": 3}, "mark": None} | args
    return (await spool.put(open_, "finalize", path, args)).id


class Flaky:
    """A backend whose n-th call (from 0, of all) fails with `error`, before or after it has done its work."""

    def __init__(self, inner: SqliteBackend, number: int, error: BaseException, *, after: bool) -> None:
        self.inner, self.number, self.error, self.after = inner, number, error, after
        self.calls, self.raised = 0, False

    async def _call(self, function: Any, path: str, args: Any) -> Any:
        mine = self.calls == self.number
        self.calls += 1
        if mine and not self.after:
            self.raised = True
            raise self.error
        result = await function(path, args)
        if mine:
            self.raised = True
            raise self.error
        return result

    async def query(self, path: str, args: Any) -> Any:
        return await self._call(self.inner.query, path, args)

    async def mutation(self, path: str, args: Any) -> Any:
        return await self._call(self.inner.mutation, path, args)

    async def close(self) -> None:
        await self.inner.close()


async def stored(path: Any, space: str = SPACE) -> dict[str, Any]:
    """What another connection finds: the messages, the memories, and every stream that was asked for."""
    async with SqliteBackend(path, read_only=True) as other:
        conversation = await other.query("conversations:get", {"memorySpaceId": space, "conversationId": "c-1"})
        rows = await other.query("memories:list", {"memorySpaceId": space, "includePartial": True})
        contents = []
        for row in rows[::-1]:
            whole = await other.query(
                "memories:get", {"memorySpaceId": space, "memoryId": row["memoryId"], "includePartial": True}
            )
            contents.append((row["messageRole"], whole["content"], row["isPartial"]))
        return {
            "messages": [(one["role"], one["content"]) for one in (conversation or {"messages": []})["messages"]],
            "memories": contents,
        }
