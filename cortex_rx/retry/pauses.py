"""How long to wait before the next try, and whether there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from itertools import takewhile
from typing import TypeVar

from cortex_rx.retry.judge import is_transient

__all__ = ["SHORT_PAUSES", "Backoff", "doubling", "retrying", "within"]

T = TypeVar("T")

SHORT_PAUSES = (0.1, 0.4, 1.6)
"""Seconds between the tries of work that must be done soon: a stream that has ended, or one that is to be taken
over."""


def doubling(first: float, most: float) -> Generator[float, None, None]:
    """An endless series of seconds: `first`, twice that, and so on, at most `most`.

    >>> pauses = doubling(0.1, 0.3)
    >>> next(pauses), next(pauses), next(pauses), next(pauses)
    (0.1, 0.2, 0.3, 0.3)
    """
    while True:
        yield min(first, most)
        first = min(2 * first, most)


def within(seconds: float, pauses: Iterable[float]) -> Iterator[float]:
    """Those of `pauses` after which a try may begin at most `seconds` from now, however long the tries before it take.

    By the clock of the running loop.

    >>> async def main():
    ...     return list(within(1.0, [0.4, 1.2, 0.4]))
    >>> asyncio.run(main())
    [0.4]
    """
    time = asyncio.get_running_loop().time
    end = time() + seconds
    return takewhile(lambda pause: time() + pause <= end, pauses)


class Backoff:
    """Decides whether to try again, and pauses before that.

    `pauses` are seconds, one for each further try.  `retry_if` says which errors are retried.  `rest` waits for that
    long.

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
        retry_if: Callable[[Exception], bool] = is_transient,
    ) -> None:
        self._pauses, self._rest, self._retry_if = iter(pauses), rest, retry_if

    def pause(self, error: Exception) -> float | None:
        """Seconds until the next try; None if there is none."""
        return next(self._pauses, None) if self._retry_if(error) else None

    async def again(self, error: Exception) -> bool:
        """Pause, and return whether to try again."""
        if (seconds := self.pause(error)) is None:
            return False
        await self._rest(seconds)
        return True


async def retrying(
    call: Callable[[], Awaitable[T]], backoff: Backoff, told: Callable[[Exception], object] | None = None
) -> T:
    """Call until it succeeds or no try is left.  `told` is called with each error.

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
