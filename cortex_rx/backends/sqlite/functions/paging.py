"""Pages behind a cursor: the cursor is the number of the last row, so rows that come and go move nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cortex_rx.errors import InvalidArgument

__all__ = ["page", "start_of"]

_LAST = 2**63 - 1


def start_of(args: Mapping[str, Any]) -> int:
    """The number behind which the page begins. Raises `InvalidArgument` for what is no cursor of ours."""
    cursor = args.get("cursor")
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and int(cursor[:20]) <= _LAST and len(cursor) < 20):
        raise InvalidArgument("cursor", cursor, "the cursor of the page before")
    return int(cursor)


def page(
    rows: Sequence[sqlite3.Row], limit: int, record: Callable[[sqlite3.Row], dict[str, Any]], number: str = "seq"
) -> dict[str, Any]:
    """The page of `limit` + 1 rows, read in the order of `number`: one more shows that there is a next page."""
    shown = rows[:limit]
    more = {"cursor": str(shown[-1][number])} if len(rows) > limit else {}
    return {"page": [record(row) for row in shown], **more}
