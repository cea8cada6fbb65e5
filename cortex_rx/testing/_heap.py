"""The heap that is there before a check, set aside: a collection of garbage then looks at what is new, and at nothing
else.

A test suite holds a million objects; to look at each takes half a second, and a check looks several times.
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
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()  # those that are set aside


@contextmanager
def set_aside() -> Iterator[None]:
    """Collect garbage, and freeze the rest until the exit; unless another has frozen the heap, who knows until when."""
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
    """Within `set_aside`: what has come since, too; in a test suite the modules that were imported meanwhile."""
    gc.collect()
    _loops.update(loops())
    gc.freeze()


@contextmanager
def thawed() -> Iterator[None]:
    """For a while nothing is set aside: what only dead objects hold, of whatever age, can be collected."""
    gc.unfreeze()
    try:
        yield
    finally:
        set_more_aside()


def loops() -> list[asyncio.AbstractEventLoop]:
    """Every event loop that is not closed, those that are set aside as well."""
    found = cast("list[asyncio.AbstractEventLoop]", instances(asyncio.AbstractEventLoop))
    return [loop for loop in {*found, *_loops} if not loop.is_closed()]


def instances(*kinds: type[Any]) -> list[Any]:
    """The objects of these classes, or of a class below them, that are not set aside."""
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
