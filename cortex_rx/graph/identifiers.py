"""Which labels, types and keys may stand in a query.

Cypher takes values as parameters, but not names. Quoting a name is not enough: Neo4j reads `\\u0060` within a quoted
name as the quote that ends it. So a name is plain, or refused before anything is sent.
"""

from __future__ import annotations

import re

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument

__all__ = ["identifier"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def identifier(field: str, text: object) -> str:
    """`text`, if it may stand in a query as a label, a type or a key. Raises `InvalidArgument` with `field` otherwise.

    >>> identifier("label", "Memory")
    'Memory'
    >>> identifier("label", "X`) DETACH DELETE (n")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: label: got 'another text'; accepted: 1 to 64 of A-Z, a-z, 0-9 and _, without a
    digit in front
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        given = "another text" if isinstance(text, str) else check.shown(text)
        raise InvalidArgument(field, given, "1 to 64 of A-Z, a-z, 0-9 and _, without a digit in front")
    return text
