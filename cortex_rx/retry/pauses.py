"""How long to wait before the next try, and whether there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TypeVar

from cortex_rx.retry.judge import is_transient

__all__ = ["SHORT_PAUSES", "Backoff", "doubling", "retrying"]

T = TypeVar("T")

SHORT_PAUSES = (0.1, 0.4, 1.6)
"""Seconds between the tries of what must be at rest soon: a stream that has come to its end, one that is to be taken over."""


def doubling(first: float, most: float) -> Generator[float, None, None]:
    """Seconds without end: `first`, twice that, and so on, `most` at most.

    >>> pauses = doubling(0.1, 0.3)
    >>> next(pauses), next(pauses), next(pauses), next(pauses)
    (0.1, 0.2, 0.3, 0.3)
    """
    while True:
        yield min(first, most)
        first = min(2 * first, most)


class Backoff:
    """Whether to try again, and the pause before that.

    `pauses` are seconds, one for each further try.  `worth` says which errors it is for, `rest` waits.

    >>> async def main():
    ...     backoff = Backoff([0.0])
    ...     return [await backoff.again(error) for error in (ConnectionError(), ConnectionError())]
    >>> asyncio.run(main())
    [True, False]
    """

    def __init__(
        self,
        pauses: Iterable[float],
        rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
        worth: Callable[[Exception], bool] = is_transient,
    ) -> None:
        self._pauses, self._rest, self._worth = iter(pauses), rest, worth

    def pause(self, error: Exception) -> float | None:
        """Seconds until the next try; None: there is none."""
        return next(self._pauses, None) if self._worth(error) else None

    async def again(self, error: Exception) -> bool:
        """Pause; whether to try again."""
        if (seconds := self.pause(error)) is None:
            return False
        await self._rest(seconds)
        return True


async def retrying(
    call: Callable[[], Awaitable[T]], backoff: Backoff, told: Callable[[Exception], object] | None = None
) -> T:
    """Call until it goes well, or there is no further try; each error that is tried again is `told`.

    >>> async def call():
    ...     return 1
    >>> asyncio.run(retrying(call, Backoff(SHORT_PAUSES)))
    1
    """
    while True:
        try:
            return await call()
        except Exception as error:
            if told:
                told(error)
            if not await backoff.again(error):
                raise
