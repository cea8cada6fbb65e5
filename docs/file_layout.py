"""Writes the layout of a new SQLite file, which is what all migrations together make.

`make docs` runs it before `generate.py`, which makes new files; a test of the file fails when the layout is stale.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

from cortex_rx.backends.sqlite import schema
from cortex_rx.backends.sqlite.index_move import drop_old_if_empty

PATH = Path(schema.__file__).with_name("layout.py")
_HEAD = '''"""The layout of a new file, and its first rows.

Written by docs/file_layout.py (make docs) from the migrations in `schema`: edit those.
"""
# ruff: noqa: E501

from __future__ import annotations

__all__ = ["LAYOUT"]

LAYOUT: tuple[str, ...] = (
'''


def module() -> str:
    """The whole module, one statement after the other."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        for statement in chain.from_iterable(schema.MIGRATIONS):
            db.execute(statement)
        drop_old_if_empty(db)
        return _HEAD + "".join(f"    {_literal(statement)},\n" for statement in _statements(db)) + ")\n"


def _statements(db: sqlite3.Connection) -> Iterator[str]:
    """What makes the tables in this order, and fills them. SQLite makes its own tables, and those of a virtual table,
    with what is in them.
    """
    kinds = {name: kind for _, name, kind, *_ in db.execute("PRAGMA table_list")}
    for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall():
        if name.startswith("sqlite_") or kinds.get(name) == "shadow":
            continue
        yield sql
        if kind == "table" and kinds[name] == "table":
            for row in db.execute(f"SELECT * FROM {name}").fetchall():  # noqa: S608
                values = ", ".join(db.execute("SELECT quote(?)", (value,)).fetchone()[0] for value in row)
                yield f"INSERT INTO {name} ({', '.join(row.keys())}) VALUES ({values})"  # noqa: S608


def _literal(statement: str) -> str:
    return f'"""{statement}"""' if "\n" in statement or '"' in statement else f'"{statement}"'


if __name__ == "__main__":
    PATH.write_text(module(), encoding="utf-8")
