"""What is left out of `make test`: parameters that are marked `slow`, each with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

__all__ = ["slow", "slow_but"]


def slow(value: Any, reason: str, **more: Any) -> Any:
    """A parameter that `make test` leaves out."""
    return pytest.param(value, marks=pytest.mark.slow(reason=reason), **more)


def slow_but(quick: Collection[Any], values: Iterable[Any], reason: str) -> list[Any]:
    """Parameters of which `make test` runs these only."""
    values = list(values)
    assert set(quick) <= set(values)
    return [value if value in quick else slow(value, reason) for value in values]
