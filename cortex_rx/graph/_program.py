"""A program that runs beside this process and ends with it, see `_keeper`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["NotStarted", "Program", "free_ports", "locked_file"]

_KEEPER = Path(__file__).with_name("_keeper.py")
_SECONDS = 30  # longer than the keeper's patience
_TAIL = 4_000  # characters of a log that are shown


class NotStarted(Exception):
    """The program has ended or is not ready in time. The message ends with what it wrote last."""


class Program:
    """A program, its keeper and its log. It works in `folder`, where its log and the file of its process id are.

    `lifeline` is a descriptor of a pipe's end to read: the program ends when the pipe is closed, and not before. By
    default the pipe is this process's, and the program ends with this process. `handed` are descriptors that it gets,
    such as that of a locked file.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, *, lifeline: int | None = None, handed: Sequence[int] = ()
    ) -> None:
        self.log = folder / "output.log"
        self._pid_file = folder / "pid"
        self._pid_file.unlink(missing_ok=True)
        parent = os.getpid() if lifeline is None else 0
        keeper = [sys.executable, "-I", "-S", str(_KEEPER), str(parent), self._pid_file.name, *command]
        with ExitStack() as stack:
            log = stack.enter_context(open(os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb"))
            self._keeper = subprocess.Popen(
                keeper,
                stdin=subprocess.PIPE if lifeline is None else lifeline,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # with another locale Java may not find the folder
                pass_fds=handed,
                umask=0o077,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the program in its own time
            )

    @property
    def process_id(self) -> int | None:
        """The program's own, not the keeper's; None until it is known."""
        try:
            return int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None

    @property
    def runs(self) -> bool:
        return self._keeper.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Ask again and again. Raises `NotStarted` when the program has ended, and after so many seconds."""
        end = time.monotonic() + seconds
        while self.process_id is None or not ready():
            if not self.runs:
                raise NotStarted(f"it ended with {self._keeper.returncode}; {self.tail()}")
            if time.monotonic() > end:
                raise NotStarted(f"it is not ready after {seconds:g} s; {self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        text = self.log.read_text(errors="replace")[-_TAIL:].strip()
        return f"its last output was:\n{text}" if text else "it wrote nothing"

    def stop(self) -> None:
        """Ask the program to end, and wait until it has."""
        if self._keeper.stdin:
            self._keeper.stdin.close()
        else:
            self._keeper.terminate()
        self._keeper.wait(_SECONDS)


@contextmanager
def locked_file(file: Path) -> Iterator[list[int]]:
    """Lock a file: here, and in each program that it is handed to. Raises `BlockingIOError` when it is locked.

    On Windows nothing is locked, and there is nothing to hand on.
    """
    if fcntl is None:
        yield []
        return
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield [descriptor]
    finally:
        os.close(descriptor)


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now. Another program may take one before ours does: try again then."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
