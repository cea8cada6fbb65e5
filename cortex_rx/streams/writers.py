"""Which streams this process writes: so `StillOwned` can say that the other writer is here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from cortex_rx.backends.base import Backend
from cortex_rx.errors import StillOwned

__all__ = ["locate", "writing"]

_writing: Counter[tuple[int, int, str]] = Counter()
"""By process, backend and stream id. A child of a fork writes none of its parent's streams."""


def _key(backend: Backend, stream_id: str | None) -> tuple[int, int, str]:
    return os.getpid(), id(backend), stream_id or ""


@contextmanager
def writing(backend: Backend, stream_id: str) -> Generator[None, None, None]:
    """Note that this process writes the stream."""
    key = _key(backend, stream_id)
    _writing[key] += 1
    try:
        yield
    finally:
        _writing[key] -= 1
        if not _writing[key]:
            del _writing[key]


def locate(error: StillOwned, backend: Backend) -> StillOwned:
    """The error, which also says whether the owner is in this process, as far as is known here."""
    return StillOwned(error.until, error.stream_id, here=_key(backend, error.stream_id) in _writing)
