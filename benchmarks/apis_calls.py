"""The calls that `benchmarks.apis` measures: one or more of each method of the nine APIs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.apis_store import SPACE, USERS, Content
from cortex_rx import Cortex

__all__ = ["CALLS", "Call"]

Make = Callable[[Cortex, Content, float, int], Awaitable[Any]]
"""Makes a call of a client, whose file has this content, about the records at this share of all, in this round."""

GROWTH = 1.5
LIMIT = 10
"""There are so many of each kind, also among few."""


@dataclass(frozen=True)
class Call:
    """`most`: how much longer it may take among ten times as many records; None if it has to read them."""

    make: Make
    most: float | None = GROWTH


def _at(count: int, place: float) -> int:
    return int(count * place)


def _user(place: float) -> str:
    return f"user-{_at(USERS, place)}"


def _memory(content: Content, place: float) -> str:
    return f"mem-{_at(content.memories, place)}"


def _person(content: Content, place: float) -> str:
    return f"person {_at(content.facts // 20, place)}"


CALLS: dict[str, Call] = {
    "memory.get": Call(lambda cortex, content, place, _: cortex.memory.get(SPACE, _memory(content, place))),
    "memory.list": Call(lambda cortex, *_: cortex.memory.list(SPACE, limit=LIMIT)),
    "memory.list(user_id)": Call(
        lambda cortex, _, place, __: cortex.memory.list(SPACE, user_id=_user(place), limit=LIMIT)
    ),
    "memory.list(source_type)": Call(lambda cortex, *_: cortex.memory.list(SPACE, source_type="tool", limit=LIMIT)),
    "memory.list(conversation_id)": Call(
        lambda cortex, content, place, _: cortex.memory.list(
            SPACE, conversation_id=f"c-{_at(content.memories // 20, place)}", limit=LIMIT
        )
    ),
    "memory.count": Call(lambda cortex, *_: cortex.memory.count(SPACE)),
    "memory.count(user_id)": Call(lambda cortex, _, place, __: cortex.memory.count(SPACE, user_id=_user(place))),
    "memory.count(source_type)": Call(lambda cortex, *_: cortex.memory.count(SPACE, source_type="tool")),
    "facts.get": Call(lambda cortex, content, place, _: cortex.facts.get(SPACE, f"fact-{_at(content.facts, place)}")),
    "facts.list": Call(lambda cortex, *_: cortex.facts.list(memory_space_id=SPACE, limit=LIMIT)),
    "facts.list(user_id)": Call(
        lambda cortex, _, place, __: cortex.facts.list(memory_space_id=SPACE, user_id=_user(place), limit=LIMIT)
    ),
    "facts.count": Call(lambda cortex, *_: cortex.facts.count(memory_space_id=SPACE)),
    "facts.query_by_subject": Call(
        lambda cortex, content, place, _: cortex.facts.query_by_subject(
            memory_space_id=SPACE, subject=_person(content, place)
        )
    ),
    "facts.query_by_relationship": Call(
        lambda cortex, content, place, _: cortex.facts.query_by_relationship(
            memory_space_id=SPACE, subject=_person(content, place), predicate="predicate 7"
        )
    ),
    "facts.get_history": Call(
        lambda cortex, content, place, _: cortex.facts.get_history(SPACE, f"fact-{_at(content.facts, place)}")
    ),
}
