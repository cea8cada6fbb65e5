"""docs/numbers.md: its Python runs."""

from __future__ import annotations

from collections.abc import Callable


def test_the_page_runs(run_page: Callable[..., str]) -> None:
    run_page("numbers.md")
