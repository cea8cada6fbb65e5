"""The servers of a run: one for all workers, until the run ends, however it ends. Their files go with them.

The server is a program that sleeps. Each case is a run of pytest of its own, on the files of `tree`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from helpers.lanes import slow_but
from services.run import Run

HERE = Path(__file__).parent

WHY = "each is a run of pytest"
SETTINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CORTEX_REQUIRE": ""}
CONFTEST = """
from services.run import Services

def pytest_configure(config):
    config.pluginmanager.register(Services())
"""
TEST = '''
import os, signal
import pytest
from cortex_rx.graph._program import Program
from services.run import this_run

def start(folder, lifeline, handed):
    """A program that is slow to end: it has to be waited for."""
    script = "trap 'sleep 0.3; exit' TERM; echo up; while :; do sleep 0.05; done"
    program = Program(["sh", "-c", script], folder, lifeline=lifeline, handed=(handed,))
    program.wait_until(lambda: "up" in program.log.read_text(), 60)
    return program, {"process": program.process_id}

@pytest.fixture
def server(pytestconfig):
    """Tells who has the server: a line of the server's process, the worker's, and the folder of the run."""
    run = this_run(pytestconfig)
    found = run.shared("sleep", start)
    with open("told", "w") as told:
        told.write(f"{found['process']} {os.getpid()} {run.folder}\\n")

def test_one(server): DO
def test_two(server): DO
def test_three(server): DO
'''


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a run. Its tests tell a pipe who they are, and then do something."""

    def begin(do: str, *arguments: str) -> subprocess.Popen[str]:
        os.mkfifo(tmp_path / "told")
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "test_it.py").write_text(TEST.replace("DO", do))
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        paths = os.pathsep.join(map(str, (HERE.parent, HERE.parents[1])))
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist.plugin", *arguments],
            cwd=tmp_path,
            env={**os.environ, **SETTINGS, "PYTHONPATH": paths, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        runs.append(run)
        return run

    runs: list[subprocess.Popen[str]] = []
    yield begin
    for run in runs:
        with run:
            run.kill()  # that of a test that failed


def told(folder: Path) -> list[tuple[int, int, Path]]:
    """What tests have told, one or more."""
    lines = (folder / "told").read_text().splitlines()
    return [(int(server), int(worker), Path(place)) for server, worker, place in map(str.split, lines)]


@pytest.mark.slow(reason=WHY)
def test_it_outlives_the_worker_that_started_it_and_ends_with_the_run(begun, tmp_path: Path) -> None:
    run = begun("os.kill(os.getpid(), signal.SIGKILL)", "-n", "1", "--max-worker-restart=5")
    found = []
    while len(found) < 3:
        found += told(tmp_path)
    output, _ = run.communicate()
    assert re.search(r"\b3 failed\b", output), output  # each has killed its worker
    servers, workers, folders = map(set, zip(*found))
    assert (len(servers), len(workers), len(folders)) == (1, 3, 1)
    assert not psutil.pid_exists(servers.pop())
    assert not folders.pop().exists()


ENDS = {"Ctrl-C": signal.SIGINT, "kill": signal.SIGTERM, "kill -9": signal.SIGKILL}


CASES = [(how, workers) for how in ENDS for workers in ("0", "1")]


@pytest.mark.parametrize("case", slow_but([("kill -9", "0")], CASES, WHY), ids=" -n ".join)
def test_it_ends_when_the_run_is_ended(begun, tmp_path: Path, monkeypatch, case: tuple[str, str]) -> None:
    how, workers = case
    run = begun("signal.pause()", "-n", workers)
    [(server, _, folder)] = told(tmp_path)
    alive = psutil.Process(server)
    keeper = alive.parent()
    assert keeper is not None
    if how == "Ctrl-C":
        os.killpg(run.pid, ENDS[how])  # as a terminal does
    else:
        os.kill(run.pid, ENDS[how])
    run.communicate()
    psutil.wait_procs([alive, keeper], timeout=60)
    assert not psutil.pid_exists(server)
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    Run.begin().end()  # a killed run leaves its folder to the next one
    assert not folder.exists()


def test_a_run_leaves_the_folder_of_another_that_is_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    first = Run.begin()
    Run.begin().end()
    assert first.folder.exists()
    first.end()
    assert not first.folder.exists()
