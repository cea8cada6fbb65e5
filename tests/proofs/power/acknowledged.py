"""What a store has acknowledged, taken from its calls, and whether a store has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cortex_rx import SqliteBackend
from cortex_rx.errors import StoreUnavailable

__all__ = ["Acknowledging", "Call", "Ledger"]

ENDS = {"streams:finalize": "finished", "streams:finish": "finished", "streams:close": "empty"}
TAKES_AWAY = ("streams:rollback", "memories:deleteMemory")


@dataclass(frozen=True, slots=True)
class Call:
    """A mutation that was sent; `result` once it has returned."""

    path: str
    args: dict[str, Any]
    result: dict[str, Any] | None = None


class Acknowledging:
    """A store that gives each `Call` to `note`, when it is sent and when it has returned; it can be `down` for some
    functions.
    """

    remote = True

    def __init__(self, inner: SqliteBackend, note: Callable[[Call], None]) -> None:
        self.inner = inner
        self.down: tuple[str, ...] = ()
        self._note = note

    async def query(self, path: str, args: Any) -> Any:
        return await self.inner.query(path, args)

    async def mutation(self, path: str, args: Any) -> Any:
        if path in self.down:
            raise StoreUnavailable("down")
        self._note(Call(path, dict(args)))
        result = await self.inner.mutation(path, args)
        self._note(Call(path, dict(args), result))
        return result

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Told:
    """What was sent, and what was acknowledged, of one stream."""

    question: str
    epoch: int = 0
    state: str = "open"
    gone: bool = False
    """It was deleted or rolled back."""
    going: bool = False
    """That was asked for."""
    texts: dict[int, str] = field(default_factory=dict[int, str])
    """What was acknowledged, by attempt."""
    sent: dict[int, str] = field(default_factory=dict[int, str])

    async def check(self, store: SqliteBackend, key: dict[str, str]) -> None:
        """Whether the store has all that was acknowledged, and nothing that was not sent."""
        row = await store.query("streams:get", key)
        if row is None:
            assert self.gone or self.going, f"{self.question} was acknowledged"
            return
        assert not self.gone, f"{self.question} was taken away, and that was acknowledged"
        assert row["userMessage"] == self.question
        assert row["epoch"] >= self.epoch, f"{self.question} epoch {self.epoch} was acknowledged"
        assert self.state in ("open", row["state"]), f"{self.question} {self.state} was acknowledged"
        for attempt, sent in self.sent.items():
            page = await store.query("streams:read", key | {"after": 0, "attempt": attempt})
            acknowledged = self.texts.get(attempt, "")
            assert page["text"].startswith(acknowledged), f"{self.question} {len(acknowledged)} were acknowledged"
            assert sent.startswith(page["text"]), f"{self.question} nothing else was sent"


class Ledger:
    """The streams of one memory space, by id."""

    def __init__(self, space: str, calls: Iterable[Call] = ()) -> None:
        self.space = space
        self.streams: dict[str, Told] = {}
        self.alone: dict[str, str] = {}
        """The memories that were stored alone, by id."""
        self._of_memory: dict[str, str] = {}
        for call in calls:
            self.add(call)

    def add(self, call: Call) -> None:
        """One more call that was sent, or the same with its result."""
        path, args = call.path, call.args
        if path == "memories:store":
            if call.result is not None:
                self.alone[args["memoryId"]] = args["content"]
            return
        attempt, text = args.get("attempt", 0), args.get("text", "")
        if call.result is None:
            told = self.streams.get(args.get("streamId") or self._of_memory.get(args.get("memoryId", ""), ""))
            if told and path in ("streams:append", "streams:finalize"):
                told.sent[attempt] = told.texts.get(attempt, "")[: args["start"]] + text
            if told and path in TAKES_AWAY:
                told.going = True
            return
        if path == "streams:begin":
            self._of_memory[call.result["memoryId"]] = args["streamId"]
            self.streams.setdefault(args["streamId"], Told(args["userMessage"]))
        told = self.streams[args.get("streamId") or call.result.get("streamId") or self._of_memory[args["memoryId"]]]
        told.epoch = max(told.epoch, call.result.get("epoch", 0))
        told.state = ENDS.get(path, told.state)
        told.gone = told.gone or path in TAKES_AWAY
        if path in ("streams:append", "streams:finalize"):
            told.texts[attempt] = told.sent[attempt]

    async def check(self, store: SqliteBackend) -> None:
        """Whether the store has all that was acknowledged."""
        for memory, content in self.alone.items():
            row = await store.query("memories:get", {"memorySpaceId": self.space, "memoryId": memory})
            assert row is not None, f"{memory} was acknowledged"
            assert row["content"] == content, f"{memory} is stored whole"
        for stream, told in self.streams.items():
            await told.check(store, {"memorySpaceId": self.space, "streamId": stream})
