"""The test bench of a promise: a backend, memory spaces of its own, and short names for the calls."""

from __future__ import annotations

import asyncio
import hashlib
import reprlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.checks import misshapen
from cortex_rx.backends.contract.samples import Sample
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.backends.contract.types import ListOf, Text
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["Bench", "Mismatch", "Row"]

Row = dict[str, Any]
_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 200
_shorten.maxlist = _shorten.maxtuple = _shorten.maxdict = 12
_OF_THE_STORE = {
    path for path, function in FUNCTIONS.items() if all(field.name != "memorySpaceId" for field in function.args.fields)
}

_NAMES = (  # what a record of the whole store is found by
    *("type", "userId", "userIds", "namespace", "agentId", "agentIds", "operationId"),
)


class Mismatch(AssertionError):
    """A result differs from the contract."""


def _shaped(path: str, result: Any) -> Any:
    if path in FUNCTIONS and (wrong := misshapen(path, result)):
        raise Mismatch(f"in a result of {path}, {wrong}")
    return result


class Bench:
    """A backend and two memory spaces for this test alone, `space` and `other`; so the store need not be empty.

    By default, calls are in `space`, for the stream `st`, in the conversation `c`, under epoch 1 and attempt 0.

    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     bench = Bench(lambda: SqliteBackend(":memory:"), "run-1")
    ...     await bench.exchange("Why?", "Because.")
    ...     contents = [row["content"] for row in await bench.rows()]
    ...     await bench.close()
    ...     return contents
    >>> asyncio.run(main())
    ['Because.', 'Why?']
    """

    def __init__(self, make: Callable[[], Backend], run: str) -> None:
        self._make = make
        self._made: list[Backend] = []
        self.backend: Backend = self.another()
        self.space: str = f"{run}-one"
        self.other: str = f"{run}-two"

    def another(self) -> Backend:
        """Another backend over the same store, as another process would open it."""
        made = self._make()
        self._made.append(made)
        return made

    def token(self, name: str) -> str:
        """The form of a resume token that a store gets: its SHA-256."""
        return hashlib.sha256(f"{self.space} {name}".encode()).hexdigest()

    async def close(self) -> None:
        """Close all backends."""
        for backend in self._made:
            await backend.close()

    async def passes(self, milliseconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(milliseconds / 1000)

    def set_clock(self, seconds: float) -> None:
        """Set the store's clock forward, or back; for promises that are checked in virtual time only."""
        cast(VirtualLoop, asyncio.get_running_loop()).set_clock(seconds)

    # --- calls --------------------------------------------------------------------------------------------------------

    async def ask(self, path: str, **args: Any) -> Any:
        """A query, whose result has the shape that the contract says."""
        return _shaped(path, await self.backend.query(path, self._where(path) | args))

    async def do(self, path: str, **args: Any) -> Any:
        """A mutation, likewise."""
        return _shaped(path, await self.backend.mutation(path, self._where(path) | args))

    def _where(self, path: str) -> Row:
        """The memory space of a call, unless its function works on the whole store."""
        return {} if path in _OF_THE_STORE else {"memorySpaceId": self.space}

    async def play(self, sample: Sample) -> Any:
        """A call of `calls.json`, in `space` or, for an odd name of a space, in one whose name begins with it."""
        args = dict(self._own(sample) if sample.path in _OF_THE_STORE else sample.args)
        for name in {"memorySpaceId", "targetMemorySpaceId"} & args.keys():
            if args[name] == "x":
                args[name] = self.space
            elif sample.field != name:
                args[name] = self.space + args[name]
        call = self.backend.query if sample.kind == "query" else self.backend.mutation
        return _shaped(sample.path, await call(sample.path, args))

    def _own(self, sample: Sample) -> Row:
        """The arguments of a call that is about the whole store, with names of this test alone: the store may have
        records of others."""
        texts = {field.name for field in FUNCTIONS[sample.path].args.fields if isinstance(field.type, Text | ListOf)}
        names = texts & {*_NAMES} - {sample.field}
        args = {name: self._named(value) if name in names else value for name, value in sample.args.items()}
        if sample.field is None:
            if sample.path == "mutable:transaction":
                for name in ("operations", "reads"):
                    steps = [{**step, "namespace": self._named(step["namespace"])} for step in args.get(name, ())]
                    args |= {name: steps} if name in args else {}
            if (sample.path == "immutable:purgeMany" and "type" not in args) or sample.path == "agents:unregisterMany":
                args["dryRun"] = True
        return args

    def _named(self, value: Any) -> Any:
        return [self._named(one) for one in value] if isinstance(value, list) else f"{self.space}{value}"

    async def begin(self, stream: str = "st", question: str = "why?", **more: Any) -> Row:
        """`streams:begin`"""
        args = {"conversationId": "c", "userId": "ada", "importance": 50, "tags": [], **more}
        begun: Row = await self.do("streams:begin", streamId=stream, userMessage=question, **args)
        return begun

    async def append(self, start: int, text: str, stream: str = "st", **more: Any) -> int:
        """`streams:append`; the end"""
        args = {"streamId": stream, "epoch": 1, "attempt": 0, **more}
        end: int = (await self.do("streams:append", start=start, text=text, **args))["end"]
        return end

    async def finalize(self, text: str, stream: str = "st", start: int = 0, **more: Any) -> Row:
        """`streams:finalize`"""
        args = {"streamId": stream, "epoch": 1, "attempt": 0, "length": start + len(text), **more}
        result: Row = await self.do("streams:finalize", start=start, text=text, **args)
        return result

    async def end(self, outcome: str = "empty", stream: str = "st", **more: Any) -> Row:
        """`streams:close`"""
        result: Row = await self.do("streams:close", **{"streamId": stream, "epoch": 1, "outcome": outcome, **more})
        return result

    async def take(self, name: str, claim: str, **more: Any) -> Row:
        """`streams:takeOver`"""
        taken: Row = await self.do("streams:takeOver", token=self.token(name), claim=claim, **more)
        return taken

    async def exchange(self, question: str, answer: str, stream: str = "st", **more: Any) -> Row:
        """A question and its answer, stored."""
        begun = await self.begin(stream, question, **more)
        where = {key: more[key] for key in ("memorySpaceId",) if key in more}
        return await self.finalize(answer, stream, epoch=begun["epoch"], attempt=begun["attempt"], **where)

    async def stream(self, stream: str = "st", **more: Any) -> Row | None:
        """`streams:get`"""
        found: Row | None = await self.ask("streams:get", streamId=stream, **more)
        return found

    async def memory(self, memory: str, **more: Any) -> Row | None:
        """`memories:get`, partial ones too"""
        found: Row | None = await self.ask("memories:get", **{"memoryId": memory, "includePartial": True, **more})
        return found

    async def rows(self, **more: Any) -> list[Row]:
        """`memories:list`"""
        found: list[Row] = await self.ask("memories:list", **more)
        return found

    async def found(self, query: str, **more: Any) -> list[str]:
        """`memories:search`, by the memories' own words unless said otherwise; the contents"""
        args = {"query": query, "neighbours": False, **more}
        return [row["content"] for row in await self.ask("memories:search", **args)]

    async def messages(self, conversation: str = "c", **more: Any) -> list[Row]:
        """The messages of a conversation; none if it is not there."""
        found = await self.ask("conversations:get", conversationId=conversation, **more)
        messages: list[Row] = found["messages"] if found else []
        return messages

    async def text(self, stream: str = "st") -> str | None:
        """The whole text of an answer, finished or not."""
        found = await self.stream(stream)
        row = found and await self.memory(found["memoryId"])
        return row["content"] if row else None

    async def everything(self) -> Any:
        """Everything visible in both spaces, to check that nothing has changed."""
        seen: list[Any] = []
        for space in (self.space, self.other):
            where = {"memorySpaceId": space}
            seen += await self.rows(**where, includePartial=True)
            seen += await self.ask("facts:list", **where, includeSuperseded=True)
            for row in await self.ask("conversations:list", **where):
                seen.append(await self.ask("conversations:get", **where, conversationId=row["conversationId"]))
            seen += await self.ask("contexts:list", **where)
            for stream in ("st", "st2"):
                if found := await self.stream(stream, **where):
                    seen.append({key: value for key, value in found.items() if key != "owned"})
        return seen

    # --- judgement ----------------------------------------------------------------------------------------------------

    def same(self, got: object, want: object, what: str) -> None:
        """Raise `Mismatch` if the values differ."""
        if got != want:
            raise Mismatch(f"{what}: got {_shorten.repr(got)}, the contract says {_shorten.repr(want)}")

    async def refused(self, error: type[Exception], call: Awaitable[object], what: str) -> Any:
        """Return the error with which a call must be refused; raise `Mismatch` if there is another error or none."""
        try:
            result = await call
        except error as refused:
            return refused
        except Exception as other:
            raise Mismatch(f"{what}: {type(other).__name__} ({other}), the contract says {error.__name__}") from other
        raise Mismatch(f"{what}: it gave {_shorten.repr(result)}, the contract says {error.__name__}")
