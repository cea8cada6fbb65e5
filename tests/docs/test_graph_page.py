"""`docs/graph.md`: its examples are executed, on ArcadeDB, and its tables are true."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from services.server import Server

import cortex_rx
from cortex_rx.graph.schema import LABELS, PREDICATE_TYPES, RELATIONSHIPS

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "graph.md").read_text(encoding="utf-8")
PLACE = '"bolt://localhost:7687", "neo4j", "secret", database="memory"'


def test_its_examples_run(arcadedb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a graph in a folder is made there
    assert PAGE.count(PLACE) == 1
    page = PAGE.replace(PLACE, f"{arcadedb.uri!r}, *{arcadedb.auth!r}, database={arcadedb.database!r}")
    test = doctest.DocTestParser().get_doctest(page, {}, "graph", "graph.md", 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(test, out=said.append) == (0, len(test.examples)), "".join(said)
    names = [row["name"] for row in arcadedb.ask("MATCH (n) WHERE n._key IS NULL RETURN n.name AS name ORDER BY name")]
    assert names == ["Ada", "Analytical Engine", "Charles"]


def test_its_tables_say_what_is_in_the_graph() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")]
    for label in LABELS.values():
        (row,) = (row for row in rows if row[0] == f"`{label.name}`")
        assert [re.findall("`(.+?)`", cell) for cell in row[1:]] == [[*label.key], [*label.properties]]
    for one in RELATIONSHIPS.values():
        name = "a predicate, or `RELATED`" if one.ends == (("Entity", "Entity"),) else f"`{one.type}`"
        of = [row for row in rows if row[0] == name]
        ends = [(start, end) for _, starts, ends, _ in of for start in starts.split(", ") for end in ends.split(", ")]
        assert sorted(ends) == sorted(one.ends)
        assert {tuple(re.findall("`(.+?)`", row[3])) for row in of} == {one.properties}
    assert f"one of the {len(PREDICATE_TYPES)} that have a type" in " ".join(PAGE.split())
