"""`memories:list`, `memories:page` and `memories:count`: which memories there are, and how many.

A list reads as many rows as it shows. Each order has an index; where the archived ones or several sources are asked
for, their rows are merged. Counts are kept by triggers (`schema`), and only the partial memories, which are those of
the open streams, are counted when they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite.functions import filters
from cortex_rx.backends.sqlite.functions.memories import ANSWERS, CHUNKS, row_of
from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["count", "list_rows", "matching", "page_rows"]

_SOURCES = ("conversation", "system", "tool", "a2a", "fact-extraction")
_NARROWED = (
    "(:user IS NULL OR memories.user_id = :user)"
    " AND (:participant IS NULL OR memories.participant_id = :participant)"
    " AND (:source IS NULL OR memories.source_type = :source)"
)
_BY = {
    "conversation": (
        "memories INDEXED BY memories_by_conversation WHERE memories.space = :space AND conversation = :conversation"
        " AND (partial = 0 OR :partial) AND (archived = 0 OR :archived)"
    ),
    "user": (
        "memories INDEXED BY memories_listed_by_user WHERE memories.space = :space AND user_id = :user AND partial = 0"
        " AND archived = {archived}"
    ),
    "participant": (
        "memories INDEXED BY memories_listed_by_participant WHERE memories.space = :space"
        " AND memories.participant_id = :participant AND partial = 0 AND archived = {archived}"
    ),
    "source": (
        "memories INDEXED BY memories_listed_by_source WHERE memories.space = :space AND archived = {archived}"
        " AND source_type = '{source}' AND partial = 0"
    ),
    "open": (
        "streams CROSS JOIN memories ON memories.stream = streams.seq WHERE streams.space = :space"
        " AND streams.state = 'open' AND partial"
    ),
}
"""Memories in the order of their numbers, each with the index that has this order. `{}`: constants of `_lanes`."""


def _values(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "space": args["memorySpaceId"],
        "user": args.get("userId"),
        "participant": args.get("participantId"),
        "source": args.get("sourceType"),
        "conversation": args.get("conversationId"),
        "partial": args.get("includePartial", False),
        "chunks": args.get("includeChunks", False),
        "archived": args.get("includeArchived", False),
    }


def _order(values: Mapping[str, Any]) -> tuple[str, bool, bool, str | None]:
    """The narrowest order for these values, and what else decides on the statement."""
    by = next((name for name in ("conversation", "user", "participant") if values[name] is not None), "source")
    source = values["source"] if by == "source" else None
    return by, values["archived"], values["partial"], source if source in _SOURCES else None


@lru_cache(64)
def _lanes(by: str, archived: bool, partial: bool, source: str | None, bound: str, direction: str) -> str:
    """The numbers of the memories in order: what is merged, each by an index."""
    lanes = [
        _BY[by].format(archived=flag, source=one)
        for flag in ((0, 1) if archived and by != "conversation" else (0,))
        for one in ((source,) if source else _SOURCES if by == "source" else ("",))
    ]
    if partial and by != "conversation":
        lanes.append(_BY["open"])
    return (
        " UNION ALL ".join(f"SELECT memories.seq AS seq FROM {lane} AND {_NARROWED}{bound}" for lane in lanes)  # noqa: S608
        + f" ORDER BY seq {direction}"
    )


_THESE = " WHERE memories.seq IN (SELECT value FROM json_each(:seqs))"
_LIST = f"{ANSWERS}{_THESE} ORDER BY seq DESC"
_LIST_WITH_CHUNKS = f"{ANSWERS}{_THESE} UNION ALL {CHUNKS}{_THESE} ORDER BY seq DESC, part LIMIT :limit OFFSET :offset"
_PAGE = f"{ANSWERS}{_THESE} ORDER BY seq"


def _numbers(tx: Transaction, args: Mapping[str, Any], limit: int, offset: int) -> list[int]:
    """The numbers of the newest memories, the newest first."""
    values = _values(args) | {"limit": limit, "offset": offset}
    found = tx.db.execute(f"{_lanes(*_order(values), '', 'DESC')} LIMIT :limit OFFSET :offset", values)
    return [row["seq"] for row in found.fetchall()]


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:list`: newest first, an answer before its chunks."""
    limit, offset = args["limit"], args["offset"]
    if args["includeChunks"]:  # each memory has a row at least
        seqs = _numbers(tx, args, limit + offset, 0)
        rows = tx.db.execute(_LIST_WITH_CHUNKS, {"seqs": json.dumps(seqs), "limit": limit, "offset": offset})
    else:
        rows = tx.db.execute(_LIST, {"seqs": json.dumps(_numbers(tx, args, limit, offset))})
    return [row_of(tx, row, HEAD_LENGTH) for row in rows.fetchall()]


def page_rows(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:page`: in the order in which they were made."""
    values = _values(args) | {"after": start_of(args), "limit": args["limit"] + 1}
    found = tx.db.execute(f"{_lanes(*_order(values), _BEHIND, 'ASC')} LIMIT :limit", values)
    seqs = json.dumps([row["seq"] for row in found.fetchall()])
    rows = tx.db.execute(_PAGE, {"seqs": seqs}).fetchall()
    return page(rows, args["limit"], lambda row: row_of(tx, row, HEAD_LENGTH))


_BEHIND = " AND memories.seq > :after"

_MATCHES = f" AND {filters.MATCHES} AND (:most_importance IS NULL OR memories.importance <= :most_importance)"


def matching(tx: Transaction, args: Mapping[str, Any]) -> list[int]:
    """The numbers of the memories that pass all filters of `memories:updateMany` and its like, in order."""
    given = {**args, "includePartial": False, "includeArchived": args.get("includeArchived", False)}
    given.pop("tags", None)  # those that `updateMany` sets
    if "withTags" in args:
        given["tags"] = args["withTags"]
    values = filters.values(given) | _values(given) | {"most_importance": args.get("maxImportance")}
    found = tx.db.execute(_lanes(*_order(values), _MATCHES, "ASC"), values)
    return [row["seq"] for row in found.fetchall()]


_KEPT = """
SELECT coalesce(sum(memories + iif(:chunks, chunks, 0)), 0) FROM memory_counts
WHERE space = (SELECT id FROM spaces WHERE name = :space) AND user = coalesce(:user, '')
    AND participant = coalesce(:participant, '') AND (:source IS NULL OR source = :source) AND archived <= :archived
"""
_OPEN = f"SELECT count(*) FROM {_BY['open']} AND {_NARROWED}"  # noqa: S608


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`memories:count`."""
    values = _values(args)
    number: int = tx.db.execute(_KEPT, values).fetchone()[0]
    if values["partial"]:
        number += tx.db.execute(_OPEN, values).fetchone()[0]
    return number
