"""Checks of arguments: what is wrong is said when a chain is declared, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from cortex_rx.backends.backend import Backend, is_backend
from cortex_rx.errors import InvalidArgument
from cortex_rx.spool import Spool


def count(name: str, value: Any, least: int = 1) -> None:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(name, value, f"a whole number of at least {least}")


def one_of(name: str, value: Any, accepted: Iterable[str]) -> None:
    """One of these words."""
    accepted = tuple(accepted)
    if value not in accepted:
        raise InvalidArgument(name, value, " or ".join(map(repr, accepted)))


def seconds(name: str, value: Any, *, zero: bool = False) -> float:
    """A `timedelta` of more than nothing (or of nothing too), in seconds."""
    if not isinstance(value, timedelta) or value < timedelta() or not (value or zero):
        raise InvalidArgument(name, value, f"a timedelta {'of at least' if zero else 'above'} zero")
    return value.total_seconds()


def backend_of(value: Any) -> Backend:
    """A memory backend."""
    if not is_backend(value):
        raise InvalidArgument("backend", type(value).__name__, "a Backend: query, mutation and close")
    return value


def spool_of(value: Any) -> None:
    """A spool, or None."""
    if value is not None and not isinstance(value, Spool):
        raise InvalidArgument("spool", type(value).__name__, "a Spool, or None")


def callback(name: str, value: object) -> None:
    """A function, or None."""
    if value is not None and not callable(value):
        raise InvalidArgument(name, type(value).__name__, "a function, plain or async, or None")
