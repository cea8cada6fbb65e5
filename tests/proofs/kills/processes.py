"""Real processes that are killed and stopped: started through `program`, with reports over a socket."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import cortex_rx

PROGRAM = Path(__file__).with_name("program.py")
LIMIT = 90.0  # seconds that anything may take, on the busiest machine


class Starter:
    """The process that forks others."""

    broken: str | None = None
    """What those that it starts from now on call first, "module:function": it breaks the library in them."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT)
        self._line, self._lines = ours, ours.makefile("r")
        paths = [str(Path(cortex_rx.__file__).parent.parent), str(PROGRAM.parents[2])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", str(PROGRAM), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        assert self._lines.readline(), "the process that starts others did not begin; it says why on stderr"

    def __enter__(self) -> Starter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """It kills what it has started and is still alive, and ends."""
        self._lines.close()
        self._line.close()
        try:
            status = self._process.wait(LIMIT)
        finally:
            self._process.kill()
        assert status == 0, f"the process that starts others ended with {status}"

    def ask(self, order: dict[str, Any], *beside: int) -> int:
        socket.send_fds(self._line, [json.dumps(order).encode() + b"\n"], beside)
        line = self._lines.readline()
        assert line, "the process that starts others has ended"
        answer: int = json.loads(line)
        return answer

    def start(self, order: dict[str, Any]) -> Running:
        ours, theirs = socket.socketpair()
        with theirs:
            return Running(self, self.ask({"run": order, "broken": self.broken}, theirs.fileno()), ours)


class Running:
    """One process: what it has said, and the end of it.  It is reaped only here, so its number is that of no other."""

    def __init__(self, starter: Starter, pid: int, line: socket.socket) -> None:
        self._starter, self._pid, self._line = starter, pid, line
        line.settimeout(LIMIT)
        self._buried = False
        self._heard = b""  # and not taken apart yet
        self.said: list[dict[str, Any]] = []

    @property
    def outcome(self) -> dict[str, Any]:
        """What came of its work, once it has said so."""
        (outcome,) = (message for message in self.said if message["what"] == "outcome")
        return outcome

    def hear(self, *, wait: bool = True) -> dict[str, Any] | None:
        """The next that it says; None if it has ended or, unless we `wait`, has said nothing yet."""
        while b"\n" not in self._heard:
            if not wait and not select.select([self._line], [], [], 0)[0]:
                return None
            data = self._line.recv(1 << 20)
            if not data:
                return None  # what was cut by its death is not said
            self._heard += data
        line, self._heard = self._heard.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        self.said.append(message)
        assert message["what"] != "broken", message["trace"]
        return message

    def until(self, *what: str, **fields: Any) -> dict[str, Any] | None:
        """Hear it to there; None if it ends before."""
        while message := self.hear():
            if message["what"] in what and fields.items() <= message.items():
                return message
        return None

    def said_so_far(self) -> None:
        """Read all reports of a process that stands still."""
        while self.hear(wait=False):
            pass

    def go(self) -> None:
        self._line.sendall(b"g")

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._buried:  # a check has failed
            os.kill(self._pid, signal.SIGKILL)
            self._bury()

    def kill(self) -> None:
        """`kill -9`; what it had said before its death is heard."""
        os.kill(self._pid, signal.SIGKILL)
        self.until()
        status = self._bury()
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status

    def end(self) -> None:
        """It has come to its end by itself, and has left nothing."""
        self.until()
        status = self._bury()
        assert status == 0, status
        assert self.said and self.said[-1] == {"what": "bye", "left": []}, self.said[-1:]

    def stop(self) -> None:
        """SIGSTOP; returns when all of it stands."""
        os.kill(self._pid, signal.SIGSTOP)
        status = self._starter.ask({"stopped": self._pid})
        assert os.WIFSTOPPED(status), status

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def _bury(self) -> int:
        self._buried = True
        self._line.close()
        return self._starter.ask({"reap": self._pid})
