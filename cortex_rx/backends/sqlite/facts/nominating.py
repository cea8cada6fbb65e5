"""Which facts may be alike: bands, under which each fact of the present stands. They nominate; they decide nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from cortex_rx.beliefs.normal import normal
from cortex_rx.beliefs.predicates import PREDICATES
from cortex_rx.beliefs.similarity import bands

__all__ = ["alike", "bands_of", "subject", "topic"]


def bands_of(columns: Mapping[str, Any]) -> frozenset[int]:
    """All bands of a fact, from its columns."""
    return frozenset((subject(columns), topic(columns), *alike(columns)) if columns["subject"] else alike(columns))


def subject(columns: Mapping[str, Any]) -> int:
    """The band of the facts about the same subject."""
    return _hash(columns["user_id"], "subject", normal(columns["subject"] or ""))


def topic(columns: Mapping[str, Any]) -> int:
    """The band of the facts with the same subject and predicate."""
    about = PREDICATES.resolved(columns["predicate"] or "", columns["qualifier"])
    return _hash(columns["user_id"], "topic", normal(columns["subject"] or ""), *about)


def alike(columns: Mapping[str, Any]) -> list[int]:
    """The bands of the facts with a text like this one."""
    return [_hash(columns["user_id"], band) for band in bands(columns["body"])]


def _hash(*parts: object) -> int:
    """A number that SQLite can keep. Facts of two users have no band in common."""
    digest = blake2b(json.dumps(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
