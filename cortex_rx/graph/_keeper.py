"""Run a program and end it when nobody needs it any more. Started as a script of its own: it imports nothing of ours.

    python -I -S _keeper.py PARENT PID_FILE PROGRAM [ARGUMENT ...]

It ends the program when its standard input is closed, when PARENT is no longer its parent (0: whoever that is), and
when it gets SIGTERM. The first two hold for a parent that was killed: its end of the pipe closes with it. A forked
child may still hold the pipe, hence the second. First the program is asked to end (SIGTERM), so that it can close its
files. After 20 seconds it is killed.

If the keeper itself is killed, Linux ends the program. On other systems the program goes on: its process id is in
PID_FILE. Other files that were handed down are handed on, so that a lock on one is held as long as the program runs.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

PATIENCE = 20  # seconds
LOOK = 0.5  # seconds between two looks at the parent and the program


class _Asked(Exception):
    pass


def main(parent: int, pid_file: str, *command: str) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=_with_us())
    with open(pid_file, "w", encoding="ascii") as file:
        file.write(f"{child.pid}\n")
    closed = threading.Event()
    threading.Thread(target=_until_closed, args=(closed,), daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, _stop)
        while child.poll() is None and not closed.wait(LOOK) and (not parent or os.getppid() == parent):
            pass
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except _Asked:
        pass
    child.terminate()
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Asked


def _until_closed(closed: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    closed.set()


def _with_us() -> Callable[[], None] | None:
    """What the child does before it becomes the program: it asks to be ended with this process."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    libc, keeper, set_death_signal = ctypes.CDLL(None), os.getpid(), 1

    def ask() -> None:
        libc.prctl(set_death_signal, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != keeper:  # it has ended before we asked
            os._exit(1)

    return ask


if __name__ == "__main__":
    code = main(int(sys.argv[1]), *sys.argv[2:])
    os._exit(code if code >= 0 else 128 - code)  # not sys.exit: the thread still reads
