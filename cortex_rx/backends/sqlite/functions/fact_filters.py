"""Which facts a call asks for, as SQL with named values. The table is `facts`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cortex_rx.beliefs import PREDICATES

__all__ = ["SORTED", "condition", "has_metadata", "has_predicate", "order", "values"]

# By the sources of a fact: those of a retracted one are closed, those of any other are not.
_SOURCE = (
    "facts.seq IN (SELECT belief FROM statements CROSS JOIN facts AS of ON of.seq = belief"
    " WHERE statements.space = :space AND statements.{column} = :{name}"
    " AND (statements.until IS NULL) = (of.closed IS NOT 'wrong'))"
)
_CLAUSES: Mapping[str, str] = {
    "subject": "facts.subject = :subject",
    "predicate": "has_predicate(facts.predicate, facts.qualifier, :predicate)",
    "object": "facts.object = :object",
    "qualifier": "facts.qualifier = :qualifier",
    "polarity": "facts.polarity = :polarity",
    "tense": "facts.tense = :tense",
    "factType": "facts.fact_type = :factType",
    "minConfidence": "facts.confidence >= :minConfidence",
    "confidence": "facts.confidence = :confidence",
    "participantId": "facts.participant_id = :participantId",
    "conversationId": _SOURCE.format(column="conversation", name="conversationId"),
    "memoryId": _SOURCE.format(column="memory", name="memoryId"),
    "sourceType": "facts.source_type = :sourceType",
    "createdBefore": "facts.created < :createdBefore",
    "createdAfter": "facts.created >= :createdAfter",
    "updatedBefore": "facts.updated < :updatedBefore",
    "updatedAfter": "facts.updated >= :updatedAfter",
    "version": "facts.version = :version",
    "validAt": "facts.valid_from <= :validAt AND (facts.valid_until IS NULL OR :validAt < facts.valid_until)",
    "metadata": "has_metadata(facts.metadata, :metadata)",
}
_WIDE = ("factType", "participantId")
_TAGS = {"any": "any_tag(facts.tags, :tags)", "all": "every_tag(facts.tags, :tags)"}
_OPEN = "facts.closed IS NULL"
_SUPERSEDED = "(facts.closed IS NULL OR facts.superseded_by IS NOT NULL)"
_AS_OF = (
    "facts.closed IS NOT 'wrong' AND facts.valid_from <= :asOf"
    " AND (facts.valid_until IS NULL OR :asOf < facts.valid_until)"
)
SORTED: Mapping[str, str] = {
    "createdAt": "created",
    "updatedAt": "updated",
    "confidence": "confidence",
    "version": "version",
}
"""The columns by which a call may sort."""
_DIRECTIONS = {"asc": "ASC", "desc": "DESC"}


def condition(args: Mapping[str, Any]) -> str:
    """What a fact must be for these arguments of a function, in SQL made of constants."""
    clauses = ["facts.space = :space"]
    if "asOf" in args:
        clauses.append(_AS_OF)
    else:
        clauses.append(_SUPERSEDED if args.get("includeSuperseded") else _OPEN)
    # By an index that leaves the fewest: "+" keeps the others out. A subject or a source is of fewer facts than a user,
    # and a user has fewer than a type or a participant.
    named = "userId" in args or _is_narrow(args)
    clauses += [
        f"+{clause}" if named and name in _WIDE else clause for name, clause in _CLAUSES.items() if name in args
    ]
    if "userId" in args:
        clauses.append("+facts.user_id = :userId" if _is_narrow(args) else "facts.user_id = :userId")
    if "tags" in args:
        clauses.append(_TAGS[args["tagMatch"]])
    return " AND ".join(clauses)


def values(args: Mapping[str, Any], space: int) -> dict[str, Any]:
    """The values of `condition`."""
    found = {name: args[name] for name in (*_CLAUSES, "userId", "asOf") if name in args}
    found |= {name: json.dumps(args[name], ensure_ascii=False) for name in ("tags", "metadata") if name in args}
    return found | {"space": space}


def order(args: Mapping[str, Any]) -> str:
    """The order that a call asks for, in SQL made of constants; by default that in which the facts were made.

    Each index of one user, type or participant is in that order. The facts of a subject or a source are sorted ("+").
    """
    if "sortBy" not in args:  # "+": sorted, rather than read in this order by an index of the whole space
        return "+facts.seq" if _is_narrow(args) else "facts.seq"
    return f"facts.{SORTED[args['sortBy']]} {_DIRECTIONS[args['sortOrder']]}, facts.seq"


def _is_narrow(args: Mapping[str, Any]) -> bool:
    return any(name in args for name in ("subject", "memoryId", "conversationId"))


def has_metadata(metadata: str | None, wanted: str) -> bool:
    """The SQL function `has_metadata`: whether a JSON object has the values of another one under its keys."""
    there: dict[str, Any] = {} if metadata is None else json.loads(metadata)
    # As JSON, where true is not 1.
    return all(
        name in there and json.dumps(there[name], sort_keys=True) == json.dumps(value, sort_keys=True)
        for name, value in json.loads(wanted).items()
    )


def has_predicate(predicate: str | None, qualifier: str | None, wanted: str) -> bool:
    """The SQL function `has_predicate`: whether a fact has a predicate, however it is spelled. One with a qualifier in
    its name ("favorite color") asks for that, too."""
    if predicate is None:
        return False
    name, kind = _resolved(wanted, None)
    there, its_kind = _resolved(predicate, qualifier)
    return there == name and (kind is None or kind == its_kind)


_resolved = lru_cache(4096)(PREDICATES.resolved)
