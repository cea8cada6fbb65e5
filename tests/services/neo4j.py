"""Neo4j Community, one server for a run, from the cache that `make services` fills.

It has one database, so one test at a time has it.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.get_neo4j import VERSION, java, libraries
from services.run import Run, Unavailable
from services.server import Server

from cortex_rx.graph._program import Program, free_ports

__all__ = ["OwnNeo4j", "database"]

_SECONDS = 240  # until it answers: 8 on an idle machine, more than 90 on a busy one
_CALENDAR = not VERSION.startswith("5.")  # such as 2026.09.0
_MAIN = "org.neo4j.server.Neo4jCommunity" if _CALENDAR else "org.neo4j.server.CommunityEntryPoint"
_OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")


@contextmanager
def database(run: Run) -> Iterator[Server]:
    """The emptied database of the run's server, which starts if it does not run yet. Raises `Unavailable`."""
    known = run.shared("neo4j", _start)
    with run.locked("neo4j-database"):
        server = _server(known["port"], known["password"])
        server.empty()
        yield server


def _start(folder: Path, lifeline: int, handed: int) -> tuple[object, dict[str, object]]:
    own = OwnNeo4j(folder, lifeline=lifeline, handed=(handed,))
    return own, {"port": own.port, "password": own.password}


def _server(port: int, password: str) -> Server:
    return Server("neo4j", f"bolt://127.0.0.1:{port}", ("neo4j", password), "neo4j")


class OwnNeo4j:
    """A server of the test's own with its files in `folder`, for a test that kills it. `program.stop()` ends it."""

    def __init__(
        self,
        folder: Path,
        *,
        lifeline: int | None = None,
        handed: Sequence[int] = (),
        port: int | None = None,
    ) -> None:
        """Start it and wait until it answers. `port` is for a second start. Raises `Unavailable` and `NotStarted`."""
        program = java()
        if program is None or not libraries().exists():
            raise Unavailable(f"Neo4j {VERSION} is not in the cache: `make services` needs java and mvn")
        self.port = port or free_ports(1)[0]
        file = folder / "password"
        if not file.exists():
            (folder / "conf").mkdir()
            (folder / "conf" / "neo4j.conf").write_text(_settings(self.port))
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        self.password = file.read_text()
        self.program = Program(_command(program, folder), folder, lifeline=lifeline, handed=handed)
        try:
            self.program.wait_until(self._is_ready, _SECONDS)
        except BaseException:
            self.program.stop()
            raise

    @property
    def server(self) -> Server:
        return _server(self.port, self.password)

    def _is_ready(self) -> bool:
        import neo4j

        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()  # costs less than the driver
            self.server.ask("RETURN 1")
        except neo4j.exceptions.AuthError:
            with neo4j.GraphDatabase.driver(self.server.uri, auth=("neo4j", "neo4j")) as driver:
                statement = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password"
                driver.execute_query(statement, password=self.password, database_="system")
            return False
        except (OSError, neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError):
            return False
        return True


def _settings(port: int) -> str:
    settings = {
        "server.default_listen_address": "127.0.0.1",
        "server.bolt.enabled": "true",
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "dbms.security.auth_enabled": "true",
        "dbms.usage_report.enabled": "false",
        "server.memory.pagecache.size": "64m",
        "db.tx_log.preallocate": "false",  # with the next one, 2 MB and not 500
        "db.tx_log.rotation.size": "1m",
    }
    if _CALENDAR:  # else it announces itself on the network
        settings |= {"server.fleet_discovery.enabled": "false", "dbms.fleet_manager.enabled": "false"}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _command(program: str, folder: Path) -> list[str]:
    more = ["--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"] if _CALENDAR else []
    return [
        program,
        *("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"),
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
        *more,
        *("-cp", str(libraries() / "*"), _MAIN),
        *(f"--home-dir={folder}", f"--config-dir={folder / 'conf'}", "--console-mode"),
    ]
