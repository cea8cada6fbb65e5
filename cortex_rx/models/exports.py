"""Exports: records as JSON or CSV, whole or streamed.

>>> rows = [{"id": "ada", "tags": ["a", "b"]}, {"id": "=1+1"}]
>>> json_text(rows)
'[{"id": "ada", "tags": ["a", "b"]}, {"id": "=1+1"}]'
>>> print(csv_text(("id", "tags"), rows), end="")
id,tags
ada,"[""a"", ""b""]"
'=1+1,
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, Literal

from cortex_rx.models.records import Record

__all__ = ["ExportFormat", "ExportResult", "csv_text", "json_text", "stream_export"]

ExportFormat = Literal["json", "csv"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a text begins with that a spreadsheet takes for a formula


class ExportResult(Record):
    """Records as a text in a format: `count` of them, at `exported_at` (epoch milliseconds)."""

    format: ExportFormat
    data: str
    count: int
    exported_at: float


def json_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as one JSON array."""
    return json.dumps([dict(row) for row in rows], ensure_ascii=False)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV (RFC 4180), with a line of names. What is neither text nor number stands as JSON, and what is
    missing is empty. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> object:
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    return json.dumps(value, ensure_ascii=False)


async def stream_export(
    format: ExportFormat, columns: Sequence[str], rows: AsyncIterable[Mapping[str, Any]]
) -> AsyncGenerator[str]:
    """The same texts in pieces, one a row, however many rows there are.

    >>> import asyncio
    >>> async def rows():
    ...     for name in ("ada", "bob"):
    ...         yield {"id": name}
    >>> async def main():
    ...     pieces = [piece async for piece in stream_export("json", ("id",), rows())]
    ...     return pieces, "".join(pieces) == json_text([{"id": "ada"}, {"id": "bob"}])
    >>> asyncio.run(main())
    (['[', '{"id": "ada"}', ', {"id": "bob"}', ']'], True)
    """
    if format == "csv":
        yield csv_text(columns, ())
        async for row in rows:
            yield csv_text(columns, [row]).partition("\r\n")[2]
        return
    yield "["
    first = True
    async for row in rows:
        yield ("" if first else ", ") + json.dumps(dict(row), ensure_ascii=False)
        first = False
    yield "]"
