"""The texts of an export of facts, in pieces: JSON, JSON-LD, CSV.

>>> facts = [{"factId": "fact-1", "fact": "Ada sings."}]
>>> print("".join(pieces("json", facts)))
[
  {
    "factId": "fact-1",
    "fact": "Ada sings."
  }
]
>>> "".join(pieces("csv", facts)).splitlines()[1][:23]
'"fact-1","Ada sings.","'
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cortex_rx.models.facts import FactFormat

__all__ = ["end", "piece", "pieces", "start"]

_COLUMNS = (
    *("factId", "fact", "factType", "subject", "predicate", "object", "qualifier", "polarity", "tense", "confidence"),
    *("sourceType", "userId", "participantId", "tags", "validFrom", "validUntil", "knownFrom", "supersedes", "version"),
    *("createdAt", "updatedAt", "sources", "metadata"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a text begins with that a spreadsheet takes for a formula
_CONTEXT = {"@vocab": "https://schema.org/", "fact": "text", "object": "object", "Fact": "Claim"}


def start(format: FactFormat) -> str:
    """What stands before the first fact."""
    if format == "csv":
        return _line(_COLUMNS)
    if format == "json":
        return "["
    return f'{{\n  "@context": {_json(_CONTEXT, 2).lstrip()},\n  "@graph": ['


def piece(format: FactFormat, fact: Mapping[str, Any], first: bool) -> str:
    """One fact. In JSON a comma stands before it, unless it is the first."""
    if format == "csv":
        return _line([_cell(fact.get(name)) for name in _COLUMNS])
    text = _json(dict(fact), 2) if format == "json" else _json({"@type": "Fact", "@id": fact["factId"], **fact}, 4)
    return ("\n" if first else ",\n") + text


def end(format: FactFormat, empty: bool) -> str:
    """What stands behind the last fact."""
    if format == "csv":
        return ""
    if format == "json":
        return "]" if empty else "\n]"
    return "]\n}" if empty else "\n  ]\n}"


def pieces(format: FactFormat, facts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The whole text, a piece a fact."""
    yield start(format)
    first = True
    for fact in facts:
        yield piece(format, fact, first)
        first = False
    yield end(format, first)


def _json(value: object, indent: int) -> str:
    """As JSON whose lines begin with `indent` spaces. A text in it has no line breaks."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return " " * indent + text.replace("\n", "\n" + " " * indent)


def _line(cells: Iterable[str]) -> str:
    """As RFC 4180 says."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(cells)
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else str(value)
