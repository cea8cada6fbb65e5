"""A graph server that a test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import neo4j  # not for each test run, see tests/conftest.py

    from cortex_rx.graph._program import Program

__all__ = ["Server", "kill"]


def kill(program: Program) -> None:
    """End a program as a crash does, and wait until it has ended."""
    assert program.process_id and program.runs
    os.kill(program.process_id, signal.SIGKILL)
    program.stop()


@dataclass(frozen=True)
class Server:
    """Where it listens, who may log in, and which database is the test's own. It is empty when the test begins."""

    kind: str  # arcadedb, neo4j or memgraph
    uri: str
    auth: tuple[str, str] = field(repr=False)
    database: str | None

    @contextmanager
    def driver(self, **settings: Any) -> Iterator[neo4j.Driver]:
        """The official driver, to look at the database beside the adapter."""
        import neo4j

        if self.kind == "neo4j":
            settings["notifications_min_severity"] = "OFF"
        with neo4j.GraphDatabase.driver(self.uri, auth=self.auth, **settings) as driver:
            yield driver

    def ask(self, statement: str, **parameters: object) -> list[dict[str, object]]:
        """The records of a statement, in a transaction of its own. It is not tried again."""
        with self.driver(max_transaction_retry_time=0) as driver:
            found = driver.execute_query(statement, parameters, database_=self.database)
            return [record.data() for record in found.records]

    def empty(self) -> None:
        """Delete all nodes, edges, constraints and indexes of the database."""
        with self.driver() as driver:

            def run(statement: str) -> list[neo4j.Record]:
                with driver.session(database=self.database) as session:  # Memgraph changes its schema in no transaction
                    return list(session.run(statement))

            run("MATCH (n) DETACH DELETE n")
            _EMPTY[self.kind](run)


Run = Callable[[str], "list[neo4j.Record]"]


def _empty(run: Run) -> None:
    for row in run("SHOW CONSTRAINTS YIELD name"):
        run(f"DROP CONSTRAINT `{row['name']}`")
    for row in run("SHOW INDEXES YIELD name, type"):
        if row["type"] != "LOOKUP":  # every Neo4j database has those
            run(f"DROP INDEX `{row['name']}`")


def _empty_memgraph(run: Run) -> None:
    for row in run("SHOW CONSTRAINT INFO"):
        kind, label, properties = row.values()[:3]
        names = properties if isinstance(properties, list) else [properties]
        said = ", ".join(f"n.`{name}`" for name in names)
        rule = f"EXISTS ({said})" if kind == "exists" else f"{said} IS UNIQUE"
        run(f"DROP CONSTRAINT ON (n:`{label}`) ASSERT {rule}")
    for row in run("SHOW INDEX INFO"):
        _, label, properties, *_ = row.values()
        names = properties if isinstance(properties, list) else [properties] if properties else []
        said = ", ".join(f"`{name}`" for name in names)
        run(f"DROP INDEX ON :`{label}`" + (f"({said})" if said else ""))


_EMPTY = {"arcadedb": _empty, "neo4j": _empty, "memgraph": _empty_memgraph}
