"""docs/resuming.md: its Python runs, and the program that it names kills a client and a server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cortex_rx

ROOT = Path(cortex_rx.__file__).resolve().parents[1]


def test_the_page_runs(run_page: Callable[..., str]) -> None:
    run_page("resuming.md")


@pytest.mark.slow(reason="a program of a page that kills processes; `tests/streams` kills some in every run")
def test_a_client_and_a_server_that_are_killed_lose_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/resuming/main.py")],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("the client was killed")
    assert lines[-1].startswith("the client has seen all")
