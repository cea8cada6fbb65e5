"""A program ends with the process that needs it, however that ends. The programs here sleep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from helpers.lanes import slow

from cortex_rx.graph._program import NotStarted, Program, locked_file

SLEEP = ("sh", "-c", "echo up; exec sleep 1000")
PARENT = """
import os, signal, sys
from pathlib import Path
from cortex_rx.graph._program import Program
program = Program(["sleep", "1000"], Path(sys.argv[1]))
program.wait_until(lambda: True, 60)
child = 0 if sys.argv[2] == "alone" else os.fork()
if child or sys.argv[2] == "alone":
    print(program.process_id, program._keeper.pid, child, flush=True)
signal.pause()
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux to end a program with its parent")


def is_up(program: Program) -> Callable[[], bool]:
    return lambda: "up" in program.log.read_text()


def gone(*processes: psutil.Process) -> bool:
    """Whether all of them end. One whose parent has not asked for it yet has ended, too."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    return all(each.status() == psutil.STATUS_ZOMBIE for each in alive)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(SLEEP, tmp_path)
    program.wait_until(is_up(program), 60)
    yield program
    program.stop()


@pytest.mark.parametrize("company", ["with a fork", slow("alone", "a fork makes it harder")])
def test_it_ends_when_its_parent_is_killed(tmp_path: Path, company: str) -> None:
    """A forked child holds the same end of the pipe."""
    command = [sys.executable, "-c", PARENT, str(tmp_path), company]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        program, keeper, child = map(int, parent.stdout.readline().split())
        watched = [psutil.Process(program), psutil.Process(keeper)]
        assert all(each.is_running() for each in watched)
        parent.kill()
        try:
            assert gone(*watched)
        finally:
            if child:
                os.kill(child, signal.SIGKILL)


@linux
def test_it_ends_when_its_keeper_is_killed(program: Program) -> None:
    watched = psutil.Process(program.process_id)
    program._keeper.kill()
    assert gone(watched)


def test_it_ends_when_it_is_stopped(program: Program) -> None:
    watched = psutil.Process(program.process_id)
    program.stop()
    assert not watched.is_running()
    assert not program.runs
    program.stop()  # it is ended already


def test_one_with_the_pipe_of_another_ends_when_it_is_stopped(tmp_path: Path) -> None:
    """As the servers of a run of tests."""
    reading, writing = os.pipe()
    try:
        program = Program(SLEEP, tmp_path, lifeline=reading)
        program.wait_until(is_up(program), 60)
        watched = psutil.Process(program.process_id)
        program.stop()
        assert not watched.is_running()
    finally:
        os.close(reading)
        os.close(writing)


def test_one_that_ends_by_itself_shows_what_it_said(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "echo no room; exit 3"], tmp_path)
    with pytest.raises(NotStarted, match=r"it ended with 3; its last output was:\nno room$"):
        program.wait_until(lambda: False, 60)
    program.stop()


def test_one_that_is_not_ready_shows_what_it_said(program: Program) -> None:
    with pytest.raises(NotStarted, match=r"it is not ready after 0 s; its last output was:\nup$"):
        program.wait_until(lambda: False, 0)


def test_one_that_is_not_there_says_so(tmp_path: Path) -> None:
    program = Program([str(tmp_path / "missing")], tmp_path)
    with pytest.raises(NotStarted, match="No such file or directory"):
        program.wait_until(lambda: True, 60)
    program.stop()


def test_a_file_is_locked_as_long_as_the_program_runs(tmp_path: Path) -> None:
    with locked_file(tmp_path / "lock") as lock:
        program = Program(SLEEP, tmp_path, handed=lock)
        program.wait_until(is_up(program), 60)
    with pytest.raises(BlockingIOError), locked_file(tmp_path / "lock"):
        pass
    program.stop()
    with locked_file(tmp_path / "lock"):
        pass


def test_others_cannot_read_what_it_writes(program: Program) -> None:
    folder = program.log.parent
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {"output.log": 0o600, "pid": 0o600}
