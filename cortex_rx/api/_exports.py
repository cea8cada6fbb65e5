"""Exports as one text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from typing import Any

from cortex_rx.models.exports import ExportFormat, ExportResult, csv_text, json_text

__all__ = ["exported"]


async def exported(
    format: ExportFormat, columns: Sequence[str], rows: AsyncIterable[Mapping[str, Any]]
) -> ExportResult:
    """All rows as one text; `exported_at` is by the clock of the running loop."""
    found = [row async for row in rows]
    text = csv_text(columns, found) if format == "csv" else json_text(found)
    wall: Callable[[], float] = getattr(asyncio.get_running_loop(), "wall", time.time)
    return ExportResult(format=format, data=text, count=len(found), exported_at=round(wall() * 1000))
