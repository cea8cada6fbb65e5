"""`docs/graph.md`: its examples are executed, on ArcadeDB."""

from __future__ import annotations

import doctest
from pathlib import Path

from services.server import Server

import cortex_rx

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "graph.md").read_text(encoding="utf-8")
PLACE = '"bolt://localhost:7687", "neo4j", "secret", database="memory"'


def test_its_examples_run(arcadedb: Server) -> None:
    assert PAGE.count(PLACE) == 1
    page = PAGE.replace(PLACE, f"{arcadedb.uri!r}, *{arcadedb.auth!r}, database={arcadedb.database!r}")
    test = doctest.DocTestParser().get_doctest(page, {}, "graph", "graph.md", 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(test, out=said.append) == (0, len(test.examples)), "".join(said)
    names = [row["name"] for row in arcadedb.ask("MATCH (n) RETURN n.name AS name ORDER BY name")]
    assert names == ["Ada", "Analytical Engine", "Charles"]
