"""A store in memory that answers like the contract and does next to nothing: what is left is what the pipeline costs.

It imports nothing of the package, so that a loop written by hand may use it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

__all__ = ["NullStore"]


class NullStore:
    """Takes one turn of the loop for each call, and keeps what is appended, so that one can look whether all came."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.texts: list[str] = []
        self._end = 0

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Nothing is found."""
        await asyncio.sleep(0)
        self.calls.append(path)
        return None

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Begin, append or finalise; refuses what a store would refuse."""
        await asyncio.sleep(0)
        self.calls.append(path)
        if path == "streams:begin":
            return {
                "memoryId": "memory-1",
                "epoch": 1,
                "attempt": 0,
                "state": "open",
                "conversationId": "c-1",
                "messageIds": ["message-1", "message-2"],
                "memoryIds": ["memory-0", "memory-1"],
            }
        if args["start"] != self._end:
            raise ValueError(f"{path} at {args['start']}, expected at {self._end}")
        self.texts.append(args["text"])
        self._end += len(args["text"])
        if path == "streams:append":
            return {"end": self._end}
        if path != "streams:finalize" or args["length"] != self._end:
            raise ValueError(f"{path}: length {args.get('length')}, stored are {self._end}")
        return {
            "conversation": {"conversationId": "c-1", "messageIds": ["message-1", "message-2"]},
            "memories": [],
            "contentLength": self._end,
            "stored": "now",
        }

    async def close(self) -> None:
        """Nothing to let go of."""
