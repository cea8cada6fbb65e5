"""A virtual loop that calls back at every place where something may be done to the running code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cortex_rx.testing import VirtualLoop

__all__ = ["StepLoop"]


class StepLoop(VirtualLoop):
    """A virtual loop that calls `on_step(n)` before its n-th callback: finer than its turns, so no place is missed.

    Every turn costs `turn` seconds of virtual time, so that time goes on while somebody cancels on every turn.
    """

    def __init__(self, turn: float = 0.0) -> None:
        super().__init__()
        self.step = 0
        self.turn = turn
        self.on_step: Callable[[int], None] | None = None

    def _counted(self, callback: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: Any) -> object:
            self.step += 1
            if self.on_step:
                self.on_step(self.step)
            return callback(*args)

        return counted

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(self._counted(callback), *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return super().call_at(when, self._counted(callback), *args, context=context)

    def _run_once(self) -> None:
        self.now += self.turn
        super()._run_once()  # type: ignore[misc]
