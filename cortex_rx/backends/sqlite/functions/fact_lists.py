"""`facts:list` and its kin: which facts there are, how many, and all of them as a text."""

from __future__ import annotations

from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts.rows import load
from cortex_rx.backends.sqlite.functions.fact_filters import condition, order, values
from cortex_rx.backends.sqlite.functions.fact_past import seen
from cortex_rx.backends.sqlite.functions.paging import start_of
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.models.fact_exports import pieces

__all__ = ["count", "export", "list_rows", "page_rows"]


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`facts:list`, `facts:queryBySubject` and `facts:queryByRelationship`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return []
    page = {"limit": args.get("limit", -1), "offset": args["offset"]}
    with seen(tx, space, args) as there:
        found = there.db.execute(
            f"SELECT seq FROM facts WHERE {condition(args)} ORDER BY {order(args)}"  # noqa: S608
            " LIMIT :limit OFFSET :offset",
            values(args, space) | page,
        )
        return load(there, args["memorySpaceId"], [row["seq"] for row in found.fetchall()])


# Without any other filter, the count is kept (`schema`).
_KEPT_BY = frozenset({"memorySpaceId", "userId", "factType", "includeSuperseded", "tagMatch", "sortOrder"})
_KEPT = (
    "SELECT coalesce(sum(facts), 0) FROM fact_counts WHERE space = :space AND user = :user AND state <= :state"
    " AND (:kind IS NULL OR kind = :kind)"
)


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`facts:count`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return 0
    if _KEPT_BY.issuperset(name for name, value in args.items() if value is not False):
        given = {"space": space, "user": args.get("userId", ""), "kind": args.get("factType")}
        kept = tx.db.execute(_KEPT, given | {"state": int(args.get("includeSuperseded", False))})
        return int(kept.fetchone()[0])
    with seen(tx, space, args) as there:
        found = there.db.execute(f"SELECT count(*) FROM facts WHERE {condition(args)}", values(args, space))  # noqa: S608
        return int(found.fetchone()[0])


def page_rows(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:page`."""
    space, after, limit = text_store.number_of(tx, args["memorySpaceId"]), start_of(args), args["limit"]
    if space is None:
        return {"page": []}
    rows = tx.db.execute(
        f"SELECT seq FROM facts WHERE {condition(args)} AND facts.seq > :after ORDER BY {order(args)} LIMIT :limit",  # noqa: S608
        values(args, space) | {"after": after, "limit": limit + 1},
    ).fetchall()
    found = load(tx, args["memorySpaceId"], [row["seq"] for row in rows[:limit]])
    return {"page": found, **({"cursor": str(rows[limit - 1]["seq"])} if len(rows) > limit else {})}


def export(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:exportFacts`."""
    facts = list_rows(tx, {**args, "offset": 0})
    text = "".join(pieces(args["format"], facts))
    return {"format": args["format"], "data": text, "count": len(facts), "exportedAt": tx.now}
