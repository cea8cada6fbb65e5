"""Which memories a call asks for: the filters of one memory as SQL, and their values. The table is `memories`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["ARGUMENTS", "MATCHES", "VISIBLE", "any_tag", "every_tag", "narrows", "values"]

VISIBLE = (
    "(NOT memories.partial OR :partial) AND (NOT memories.archived OR :archived)"
    " AND (:user IS NULL OR memories.user_id = :user)"
)
"""Whose memories, and whether those of open answers, and archived ones: no other memory is found, or is a neighbour of
one."""

_UPDATED = (
    "CASE WHEN memories.partial THEN max(memories.updated, (SELECT touched FROM texts WHERE id = memories.text))"
    " ELSE memories.updated END"
)
MATCHES = (
    f"{VISIBLE} AND (:source IS NULL OR memories.source_type = :source)"
    " AND (:participant IS NULL OR memories.participant_id = :participant)"
    " AND (:conversation IS NULL OR memories.conversation = :conversation)"
    " AND (:content_type IS NULL OR memories.content_type = :content_type)"
    " AND (:importance IS NULL OR memories.importance >= :importance)"
    " AND (:any_tag IS NULL OR any_tag(memories.tags, :any_tag))"
    " AND (:every_tag IS NULL OR every_tag(memories.tags, :every_tag))"
    " AND (:created_after IS NULL OR memories.created >= :created_after)"
    " AND (:created_before IS NULL OR memories.created < :created_before)"
    f" AND (:updated_after IS NULL OR {_UPDATED} >= :updated_after)"
    f" AND (:updated_before IS NULL OR {_UPDATED} < :updated_before)"
    " AND (:source_after IS NULL OR memories.source_timestamp >= :source_after)"
    " AND (:source_before IS NULL OR memories.source_timestamp < :source_before)"
)
"""All filters. One whose value is NULL lets all memories through."""

ARGUMENTS: Mapping[str, str] = {
    "sourceType": "source",
    "participantId": "participant",
    "conversationId": "conversation",
    "contentType": "content_type",
    "minImportance": "importance",
    "createdAfter": "created_after",
    "createdBefore": "created_before",
    "updatedAfter": "updated_after",
    "updatedBefore": "updated_before",
    "sourceAfter": "source_after",
    "sourceBefore": "source_before",
}
"""Arguments of `memories:search`, and the values that they give."""
_TAGS = {"any": "any_tag", "all": "every_tag"}


def values(args: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `MATCHES`, and the memory space, from the arguments of a function."""
    found: dict[str, Any] = {name: args.get(argument) for argument, name in ARGUMENTS.items()}
    found |= dict.fromkeys(_TAGS.values())
    if "tags" in args:
        found[_TAGS[args.get("tagMatch", "any")]] = json.dumps(args["tags"])
    return found | {
        "space": args["memorySpaceId"],
        "user": args.get("userId"),
        "partial": args["includePartial"],
        "archived": args["includeArchived"],
    }


def narrows(args: Mapping[str, Any]) -> bool:
    """Whether `MATCHES` lets fewer memories through than `VISIBLE`."""
    return "tags" in args or not ARGUMENTS.keys().isdisjoint(args)


def any_tag(tags: str, wanted: str) -> bool:
    """The SQL function `any_tag`: whether two JSON lists share an item. (SQLite's JSON functions stop at a NUL.)"""
    return not set(json.loads(tags)).isdisjoint(json.loads(wanted))


def every_tag(tags: str, wanted: str) -> bool:
    """The SQL function `every_tag`: whether the first JSON list has all items of the second."""
    return set(json.loads(tags)).issuperset(json.loads(wanted))
