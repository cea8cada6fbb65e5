"""`facts:list` and its kin: which facts there are, how many, and all of them as a text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts.rows import load
from cortex_rx.backends.sqlite.functions.fact_filters import condition, order, values
from cortex_rx.backends.sqlite.functions.fact_past import seen
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["count", "export", "list_rows"]


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


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`facts:count`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return 0
    with seen(tx, space, args) as there:
        found = there.db.execute(f"SELECT count(*) FROM facts WHERE {condition(args)}", values(args, space))  # noqa: S608
        return int(found.fetchone()[0])


# --- export -----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    *("factId", "fact", "factType", "subject", "predicate", "object", "qualifier", "polarity", "tense", "confidence"),
    *("sourceType", "userId", "participantId", "tags", "validFrom", "validUntil", "knownFrom", "supersedes", "version"),
    *("createdAt", "updatedAt", "sources", "metadata"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a text begins with that a spreadsheet takes for a formula
_CONTEXT = {"@vocab": "https://schema.org/", "fact": "text", "object": "object", "Fact": "Claim"}


def export(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:exportFacts`."""
    facts = list_rows(tx, {**args, "offset": 0})
    data = {"json": _as_json, "jsonld": _as_json_ld, "csv": _as_csv}[args["format"]](facts)
    return {"format": args["format"], "data": data, "count": len(facts), "exportedAt": tx.now}


def _as_json(facts: list[dict[str, Any]]) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _as_json_ld(facts: list[dict[str, Any]]) -> str:
    graph = [{"@type": "Fact", "@id": fact["factId"], **fact} for fact in facts]
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, ensure_ascii=False, indent=2)


def _as_csv(facts: list[dict[str, Any]]) -> str:
    """As RFC 4180 says."""
    text = io.StringIO(newline="")
    table = csv.writer(text, quoting=csv.QUOTE_ALL)
    table.writerow(_COLUMNS)
    table.writerows([_cell(fact.get(name)) for name in _COLUMNS] for fact in facts)
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else str(value)
