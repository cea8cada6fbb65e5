"""What a store has acknowledged, seen from inside of all faults; and what must therefore be in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.backend import Backend

__all__ = ["Ledger"]

_Stream = tuple[str, str]  # memory space and id
_OWNING = ("streams:begin", "streams:takeOver")
_WRITING = ("streams:append", "streams:finalize", "streams:close", "streams:renew", "streams:rollback")


class Ledger:
    """Of all processes together: the newest epoch of each stream, and how far each attempt's text is acknowledged."""

    def __init__(self) -> None:
        self.epochs: dict[_Stream, int] = {}
        self.ends: dict[_Stream, tuple[int, int]] = {}
        self.broken: list[str] = []

    def over(self, backend: Backend) -> Backend:
        """The backend, whose answers are written down."""
        return _Watched(backend, self)

    def done(self, path: str, args: Mapping[str, Any], result: Any, newest: int) -> None:
        """A call was acknowledged; `newest` was the epoch of the stream when it began."""
        if path in _OWNING:
            stream = (args["memorySpaceId"], result["streamId"] if path == "streams:takeOver" else args["streamId"])
            if result["epoch"] < newest:
                self.broken.append(f"{path} gave the epoch {result['epoch']} after {newest}")
            self.epochs[stream] = max(self.epochs.get(stream, 0), int(result["epoch"]))
        elif path in _WRITING:
            stream = (args["memorySpaceId"], args["streamId"])
            if args["epoch"] < newest:
                self.broken.append(f"{path} under epoch {args['epoch']} was acknowledged after {newest} had begun")
            if path == "streams:append":
                self.ends[stream] = max(self.ends.get(stream, (0, 0)), (args["attempt"], result["end"]))

    async def check(self, backend: Backend) -> None:
        """What was acknowledged is in the store: the attempt, and at least as much text of it."""
        for (space, stream), (attempt, end) in self.ends.items():
            found = await backend.query("streams:get", {"memorySpaceId": space, "streamId": stream})
            stored = (found["attempt"], found["length"]) if found else None
            assert stored, f"stream {stream} is gone, though text of it was acknowledged"
            what = f"acknowledged to {end} of attempt {attempt}, stored is {stored[1]} of {stored[0]}"
            assert stored >= (attempt, end), what


class _Watched:
    def __init__(self, backend: Backend, ledger: Ledger) -> None:
        self._backend, self._ledger = backend, ledger

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._backend.query(path, args)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        stream = (args["memorySpaceId"], args.get("streamId", ""))
        newest = self._ledger.epochs.get(stream, 0)
        result = await self._backend.mutation(path, args)
        self._ledger.done(path, args, result, newest)
        return result

    async def close(self) -> None:
        await self._backend.close()
