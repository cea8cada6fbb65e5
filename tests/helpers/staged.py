"""A pipeline whose items wait in a stage, for the tests of the engine."""

from __future__ import annotations

import asyncio

__all__ = ["StagedCase"]


class StagedCase:
    """What can be known of one pipeline afterwards: what has passed and was shown, what became of the stage."""

    def __init__(self, kit, source, store):
        self.source, self.store, self.staged = source, store, kit.Closing()
        self.passed, self.shown = [], []

    async def slowly(self, items):
        """The stage: it awaits once for each item."""
        async with self.staged():
            async for x in items:
                await asyncio.sleep(0)
                yield x
