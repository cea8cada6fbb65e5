"""How ArcadeDB is started and asked, from the package `arcadedb-embedded`: its Java runtime and its libraries. Nothing
of it is imported, so that no Java runs in this process."""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cortex_rx.graph._program import NotStarted, Program, free_ports
from cortex_rx.unique import new_password

__all__ = ["USER", "ArcadeDB", "Server", "is_installed"]

USER = "root"
_ATTEMPTS = 3


def is_installed() -> bool:
    return find_spec("arcadedb_embedded") is not None


class Server:
    """A server that runs on 127.0.0.1: its port for Bolt, the one for HTTP, and the password."""

    def __init__(self, port: int, http: int, password: str) -> None:
        self.port, self.http, self.password = port, http, password

    def command(self, command: str) -> None:
        """What is for the whole server, such as `create database NAME`. `OSError` or `ValueError` when it fails."""
        self.ask("POST", "/api/v1/server", {"command": command})

    def has(self, database: str) -> bool:
        """Whether the server is ready, knows the password (another one on that port would not) and has a database."""
        try:
            return self.ask("GET", f"/api/v1/exists/{database}").get("result") is True
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A request to its HTTP side: `ValueError` for another answer than a JSON object, `OSError` for none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            known = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
            headers = {"Authorization": f"Basic {known}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        found = json.loads(text)
        if answer.status >= 400 or not isinstance(found, dict):
            raise ValueError(f"{method} {path}: {answer.status}")
        return found


class ArcadeDB(Server):
    """A server that this process starts, with its files in `folder`.

    The password is in a file that only this user can read. It is made with the folder and stays.
    """

    def __init__(
        self,
        folder: Path,
        *,
        memory: int,
        options: Sequence[str] = (),
        lifeline: int | None = None,
        handed: Sequence[int] = (),
        port: int | None = None,
        database: str,
        seconds: float,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start it, and wait until it answers. `memory` is the most for Java's heap, in MB. `port` is for Bolt; by
        default, one that is free. Raises `NotStarted`, also when it is given up."""

        def ready() -> bool:
            if given_up():
                raise NotStarted("it was given up")
            return self.has(database)

        password = _password(folder / "password")
        for left in reversed(range(_ATTEMPTS)):
            free, web = free_ports(2)
            super().__init__(port or free, web, password)
            command = _command(memory, options, self.http, self.port, database)
            self.program = Program(command, folder, lifeline=lifeline, handed=handed)
            try:
                self.program.wait_until(ready, seconds)
                break
            except BaseException as error:
                self.program.stop()
                taken = isinstance(error, NotStarted) and "in use" in str(error)  # a port, meanwhile
                if port or not taken or not left:
                    raise


def _command(memory: int, options: Sequence[str], http: int, bolt: int, database: str) -> list[str]:
    package = Path(str(find_spec("arcadedb_embedded").origin)).parent  # type: ignore[union-attr]
    settings = {
        "server.rootPath": ".",  # the program works in its folder
        "server.rootPasswordPath": "password",
        "server.mode": "development",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": http,
        "bolt.host": "127.0.0.1",
        "bolt.port": bolt,
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "server.defaultDatabases": f"{database}[{USER}]",
    }
    return [
        str(package / "jre" / "bin" / "java"),
        f"-Xmx{memory}m",
        "-XX:+UseSerialGC",
        *options,
        "-Djava.awt.headless=true",
        *("--add-modules", "jdk.incubator.vector"),
        "--enable-native-access=ALL-UNNAMED",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
        *("-cp", str(package / "jars" / "*")),
        "com.arcadedb.server.ArcadeDBServer",
    ]


def _password(file: Path) -> str:
    try:
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
            new.write(new_password())
    except FileExistsError:
        pass
    return file.read_text()
