"""What `make test` leaves out: parameters marked `slow`, each with a reason, and most examples of a property."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest
from hypothesis import settings

__all__ = ["examples", "slow", "slow_but", "stride"]


def slow(value: Any, reason: str, **more: Any) -> Any:
    """A parameter that `make test` leaves out."""
    return pytest.param(value, marks=pytest.mark.slow(reason=reason), **more)


def slow_but(quick: Collection[Any], values: Iterable[Any], reason: str) -> list[Any]:
    """Parameters of which `make test` runs only these."""
    values = list(values)
    assert set(quick) <= set(values)
    return [value if value in quick else slow(value, reason) for value in values]


def examples(whole: int) -> int:
    """How many examples of a property are run: the profile's share of the usual hundred."""
    return whole * settings().max_examples // 100


def stride(quick: int, whole: int) -> int:
    """How far it is from one place that is tried to the next: in `make test`, and when all tests run."""
    return whole if examples(100) == 100 else quick
