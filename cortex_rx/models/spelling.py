"""The spelling of a name in Cortex: camelCase for our snake_case."""

from __future__ import annotations

from functools import cache

__all__ = ["to_camel"]


@cache
def to_camel(name: str) -> str:
    """The camelCase of a field's name.  Results are cached, since our fields are few.

    >>> to_camel("memory_space_id"), to_camel("memorySpaceId"), to_camel("tags")
    ('memorySpaceId', 'memorySpaceId', 'tags')
    """
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
