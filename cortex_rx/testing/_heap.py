"""Set the present heap aside before a check, so that a garbage collection examines only new objects.

A test suite holds a million objects. To examine all of them takes half a second, and a check does so several times.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakSet

__all__ = ["instances", "loops", "set_aside", "set_more_aside", "thawed"]

FROZEN = 1000  # Python 3.12 freezes some hundreds of objects itself
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()  # the loops that are set aside


@contextmanager
def set_aside() -> Iterator[None]:
    """Collect garbage, and freeze the rest until the exit, unless other code has frozen the heap already."""
    if gc.get_freeze_count() > FROZEN:
        gc.collect()
        yield
        return
    set_more_aside()
    try:
        yield
    finally:
        gc.unfreeze()
        _loops.clear()


def set_more_aside() -> None:
    """Within `set_aside`, also set aside newer objects: in a test suite, those of modules imported since."""
    gc.collect()
    _loops.update(loops())
    gc.freeze()


@contextmanager
def thawed() -> Iterator[None]:
    """For a while, set nothing aside, so that garbage of any age can be collected."""
    gc.unfreeze()
    try:
        yield
    finally:
        set_more_aside()


def loops() -> list[asyncio.AbstractEventLoop]:
    """Every event loop that is not closed, including those that are set aside."""
    found = cast("list[asyncio.AbstractEventLoop]", instances(asyncio.AbstractEventLoop))
    return [loop for loop in {*found, *_loops} if not loop.is_closed()]


def instances(*kinds: type[Any]) -> list[Any]:
    """The instances of these classes and their subclasses that are not set aside."""
    wanted = _below(kinds)
    return [it for it in gc.get_objects() if type(it) in wanted]


def _below(kinds: Collection[type[Any]]) -> set[type[Any]]:
    found: set[type[Any]] = set()
    more = list(kinds)
    while more:
        if (kind := more.pop()) not in found:
            found.add(kind)
            more += kind.__subclasses__()
    return found
