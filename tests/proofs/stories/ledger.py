"""What a store has acknowledged, seen from inside of all faults; and what must therefore be in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.base import Backend

__all__ = ["Ledger"]

_Stream = tuple[str, str]  # memory space and id
_OWNING = ("streams:begin", "streams:takeOver")
_WRITING = ("streams:append", "streams:finalize", "streams:close", "streams:renew", "streams:rollback")


class Ledger:
    """Of all processes together: the newest epoch of each stream, and how far each attempt's text is acknowledged."""

    def __init__(self) -> None:
        self.epochs: dict[_Stream, int] = {}
        self.ends: dict[_Stream, tuple[int, tuple[int, int]]] = {}
        """Under which epoch which attempt was acknowledged how far."""
        self.gone: dict[_Stream, float] = {}
        """Up to which epoch a stream was taken back or deleted, or may have been: that of a call whose process died
        with it.
        """
        self.ids: dict[_Stream, tuple[list[str], list[str]]] = {}
        """Of each stream the ids of its messages and of its memories."""
        self.asked: dict[_Stream, tuple[str, set[_Stream]]] = {}
        """Of each stream its conversation, and those that had certainly been begun before it was first begun."""
        self.broken: list[str] = []
        self._memories: dict[tuple[str, str], _Stream] = {}

    def over(self, backend: Backend) -> Backend:
        """The backend, whose answers are written down."""
        return _Watched(backend, self)

    async def call(self, backend: Backend, path: str, args: Mapping[str, Any]) -> Any:
        """Make the call, and write down what came of it."""
        stream = (args["memorySpaceId"], args.get("streamId", ""))
        newest = self.epochs.get(stream, 0)
        until: float | None = None
        if path == "streams:begin":
            begun = {
                one
                for one in self.ids
                if self.asked.get(one, ("",))[0] == args["conversationId"] and one[0] == stream[0]
            }
            self.asked.setdefault(stream, (args["conversationId"], begun - {stream}))
        if path == "streams:rollback":
            until = args["epoch"]
        elif path == "memories:deleteMemory":
            stream, until = self._memories.get((args["memorySpaceId"], args["memoryId"]), stream), math.inf
        before = self.gone.get(stream, 0)
        if until is not None:
            self.gone[stream] = max(before, until)
        try:
            result = await backend.mutation(path, args)
        except Exception:
            if until is not None:
                self.gone[stream] = before
            raise
        self._done(path, args, result, newest)
        return result

    def _done(self, path: str, args: Mapping[str, Any], result: Any, newest: int) -> None:
        """A call was acknowledged; `newest` was the epoch of the stream when it began."""
        space = args["memorySpaceId"]
        if path in _OWNING:
            stream = (space, result["streamId"] if path == "streams:takeOver" else args["streamId"])
            if result["epoch"] < newest:
                self.broken.append(f"{path} gave the epoch {result['epoch']} after {newest}")
            self.epochs[stream] = max(self.epochs.get(stream, 0), int(result["epoch"]))
            self._memories[space, result["memoryId"]] = stream
            ids = result["messageIds"], result["memoryIds"]
            if self.ids.setdefault(stream, ids) != ids and stream not in self.gone:
                self.broken.append(f"{path} gave the ids {ids} after {self.ids[stream]}")
        elif path in _WRITING:
            stream = (space, args["streamId"])
            if args["epoch"] < newest:
                self.broken.append(f"{path} under epoch {args['epoch']} was acknowledged after {newest} had begun")
            gone = self.gone.get(stream, 0)
            if path == "streams:append" and args["epoch"] > gone:
                epoch, end = self.ends.get(stream, (0, (0, 0)))
                if epoch <= gone:  # one that is made anew counts its attempts from 0
                    end = (0, 0)
                self.ends[stream] = args["epoch"], max(end, (args["attempt"], result["end"]))
        elif path == "streams:finish" and result["stored"] == "now":
            self.epochs[space, args["streamId"]] = newest + 1  # at least: it does not say which

    async def check(self, backend: Backend) -> None:
        """What was acknowledged is in the store: the attempt, and at least as much text of it."""
        for (space, stream), (epoch, (attempt, end)) in self.ends.items():
            if epoch <= self.gone.get((space, stream), 0):
                continue
            found = await backend.query("streams:get", {"memorySpaceId": space, "streamId": stream})
            stored = (found["attempt"], found["length"]) if found else None
            assert stored, f"stream {stream} is gone, though text of it was acknowledged"
            what = f"acknowledged to {end} of attempt {attempt}, stored is {stored[1]} of {stored[0]}"
            assert stored >= (attempt, end), what
        for space, conversation in {(space, conversation) for (space, _), (conversation, _) in self.asked.items()}:
            await self._check_order(backend, space, conversation)

    async def _check_order(self, backend: Backend, space: str, conversation: str) -> None:
        """A conversation has its exchanges, ended or not, in the order of asking, under the ids that were told."""
        talk = await backend.query("conversations:get", {"memorySpaceId": space, "conversationId": conversation})
        if talk is None:
            return
        assert talk["messageCount"] == len(talk["messages"]) and (talk["messages"] or talk["pending"])
        places = {message["id"]: float(at) for at, message in enumerate(talk["messages"])}
        for number, one in enumerate(talk["pending"]):
            places.setdefault(one["messageIds"][0], one["position"] - 1 + (number + 1) / (len(talk["pending"]) + 1))
        there = {
            stream: places[ids[0][0]]
            for stream, ids in self.ids.items()
            if stream[0] == space and stream not in self.gone and ids[0][0] in places
        }
        for stream, place in there.items():
            for before in self.asked[stream][1] & there.keys():
                assert there[before] < place, f"{stream} was begun after {before}, and stands before it"


class _Watched:
    def __init__(self, backend: Backend, ledger: Ledger) -> None:
        self._backend, self._ledger = backend, ledger

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._ledger.call(self._backend, path, args)

    async def close(self) -> None:
        await self._backend.close()
