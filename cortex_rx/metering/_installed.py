"""Whether a library is there, without importing it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

__all__ = ["is_installed"]


@cache  # a chain of one's own is made for each stream, and to look takes longer than all else in it
def is_installed(library: str) -> bool:
    """Whether it is installed.

    >>> is_installed("reactivex"), is_installed("no_such_library")
    (True, False)
    """
    return find_spec(library) is not None
