"""What the listings have in common that go on behind a cursor."""

from __future__ import annotations

from cortex_rx.backends.contract.types import COUNT, Cursor, Field, Integer, ListOf, Object, Optional, Type, fields

__all__ = ["LISTED", "PAGED", "page_of"]

PAGED: tuple[Field, ...] = fields(limit=Optional(Integer(1, 1_000), 100), cursor=Optional(Cursor()))
"""The arguments of a function `page`: at most `limit` records, behind those of the page that gave the `cursor`."""
LISTED: tuple[Field, ...] = fields(limit=Optional(COUNT, 100), offset=Optional(COUNT, 0))
"""The arguments of a function `list`."""


def page_of(row: Type, name: str) -> Object:
    """The result of a function `page`: records in the order in which they were made, and the cursor of the next page,
    if there is one."""
    return Object(
        fields(page=ListOf(row), cursor=Optional(Cursor())),
        name=name,
        meaning="A page. Without a `cursor` it is the last.",
    )
