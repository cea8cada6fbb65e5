"""The last characters of a growing text."""

from __future__ import annotations

from collections import deque

from cortex_rx import validation as check

__all__ = ["RollingContextWindow"]


_TEXT = check.instance(str, "a string")


class RollingContextWindow:
    """Exactly the last `max_size` code points of the added text: `get_context()` is `text[-max_size:]`.

    The cost of adding depends on the number of chunks, not on lengths: nothing is joined or copied, except that of a
    chunk longer than the window only the end is kept.  At most twice `max_size` code points are held.  The window
    counts as Python's `len` does, so its start may split a cluster of several code points (an emoji with a skin tone).

    >>> window = RollingContextWindow(max_size=10)
    >>> for chunk in ("It is ", "in ", "Lisbon."):
    ...     window.add(chunk)
    >>> window.get_context(), window.get_size()
    ('in Lisbon.', 10)
    """

    def __init__(self, max_size: int = 1000) -> None:
        self.max_size: int = check.whole(1)("max_size", max_size)
        self._chunks: deque[str] = deque()
        self._start = 0  # the start of the window within the first chunk
        self._size = 0

    def add(self, chunk: str) -> None:
        """Add text at the end."""
        _TEXT("chunk", chunk)
        if len(chunk) >= self.max_size:
            self.clear()
            chunk = chunk[-self.max_size :]
        if not chunk:
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        while (over := self._size - self.max_size) > 0:
            left = len(self._chunks[0]) - self._start
            if left > over:
                self._start += over
                self._size -= over
            else:
                self._chunks.popleft()
                self._start = 0
                self._size -= left

    def get_context(self) -> str:
        """The text in the window, joined on each call."""
        return "".join(self._chunks)[self._start :]

    def get_size(self) -> int:
        """Its length, in code points."""
        return self._size

    def clear(self) -> None:
        """Forget all of it."""
        self._chunks.clear()
        self._start = self._size = 0
