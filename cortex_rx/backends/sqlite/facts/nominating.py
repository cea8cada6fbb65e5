"""Which facts may be alike: bands, under which each fact of the present stands. They nominate; they decide nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from cortex_rx.beliefs.normal import normal
from cortex_rx.beliefs.predicates import PREDICATES
from cortex_rx.beliefs.similarity import bands

__all__ = ["about", "alike", "bands_of"]


def bands_of(columns: Mapping[str, Any]) -> frozenset[int]:
    """All bands of a fact, from its columns."""
    return frozenset((*about(columns), *alike(columns)))


def about(columns: Mapping[str, Any]) -> list[int]:
    """The band of the facts about the same subject, and the band of those with the same predicate, too; none without a
    subject."""
    if columns["subject"] is None:
        return []
    subject = normal(columns["subject"])
    predicate = PREDICATES.resolved(columns["predicate"] or "", columns["qualifier"])
    return [_hash(columns["user_id"], "subject", subject), _hash(columns["user_id"], "topic", subject, *predicate)]


def alike(columns: Mapping[str, Any]) -> list[int]:
    """The bands of the facts with a text like this one."""
    return [_hash(columns["user_id"], band) for band in bands(columns["body"])]


def _hash(*parts: object) -> int:
    """A number that SQLite can keep. Facts of two users have no band in common."""
    digest = blake2b(json.dumps(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
