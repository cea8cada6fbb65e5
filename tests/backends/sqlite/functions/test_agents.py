"""`agents:*` on SQLite: by which index agents are found, and their statistics counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cortex_rx.backends.sqlite.functions.agents import STATISTICS, condition, has_capability, has_text, order
from cortex_rx.backends.sqlite.functions.sql_functions import add_functions
from cortex_rx.backends.sqlite.layout import LAYOUT


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        add_functions(made)
        for statement in LAYOUT:
            made.execute(statement)
        yield made


def _plan(db: sqlite3.Connection, statement: str, **values: Any) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]


@pytest.mark.parametrize(
    ("args", "index"),
    [
        ({"sortBy": "name"}, "agents_by_name"),
        ({"sortBy": "registeredAt"}, "agents_by_registered"),
        ({"sortBy": "updatedAt", "sortOrder": "asc"}, "agents_by_updated"),
        ({"status": "active"}, "agents_by_status"),
        ({"registeredAfter": 5}, "agents_by_registered"),
        ({"registeredBefore": 5, "name": "x"}, "agents_by_registered"),
    ],
    ids=str,
)
def test_each_order_and_filter_has_an_index(db: sqlite3.Connection, args: dict[str, Any], index: str) -> None:
    plan = _plan(db, f"SELECT * FROM agents WHERE {condition(args)} ORDER BY {order(args)} LIMIT 5", **args)
    assert f"agents USING INDEX {index}" in plan[0], plan


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_read_what_the_agent_has(db: sqlite3.Connection, name: str) -> None:
    plan = _plan(db, STATISTICS[name], agent="a")
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert [step for step in plan if "agent_id=?" in step or "participant_id=?" in step], plan


def test_a_thousand_memories_of_others_cost_nothing(db: sqlite3.Connection) -> None:
    """The steps of SQLite's machine, counted."""
    add = (
        "INSERT INTO memories (space, id, text, partial, content_type, source_type, source_timestamp, agent_id,"
        " importance, tags, created, updated) VALUES ('s', ?, ?, 0, 'raw', 'conversation', 1, ?, 50, '[]', 1, 1)"
    )
    db.executemany(add, [(f"mine {number}", number, "a") for number in range(10)])

    def steps() -> int:
        counted = [0]

        def more() -> int:
            counted[0] += 1
            return 0

        db.set_progress_handler(more, 1)
        found = db.execute(f"SELECT count(*) FROM ({STATISTICS['totalMemories']})", {"agent": "a"}).fetchone()
        db.set_progress_handler(None, 1)
        assert found == (10,)
        return counted[0]

    alone = steps()
    db.executemany(add, [(f"other {number}", 100 + number, f"b{number % 7}") for number in range(1_000)])
    assert steps() < alone + 10


def test_what_a_filter_finds() -> None:
    assert has_text("Stra\u00dfe", "STRASSE")
    assert not has_text("help", "helper")
    chat = '{"capabilities": ["chat", 1]}'
    assert has_capability(chat, '["chat", "x"]', False)
    assert not has_capability(chat, '["chat", "x"]', True)
    for metadata in (None, "{}", '{"capabilities": "chat"}', '{"capabilities": null}'):
        assert not has_capability(metadata, '["chat"]', False)
