"""One question, who asks it, and where the answer belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex_rx import validation
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.spelling import to_camel

__all__ = ["TURN_CHECKS", "Turn"]


_NAME_OR_NONE = validation.optional(validation.name)


TURN_CHECKS: Mapping[str, validation.Check] = {
    "memory_space_id": validation.name,
    "conversation_id": validation.name,
    "user_message": validation.any_text,
    "user_id": _NAME_OR_NONE,
    "user_name": _NAME_OR_NONE,
    "agent_id": _NAME_OR_NONE,
    "participant_id": _NAME_OR_NONE,
    "importance": validation.importance,
    "tags": validation.names,
    "metadata": validation.json_mapping,
    "idempotency_key": _NAME_OR_NONE,
}
"""What each field of a `Turn` accepts."""

_KEYS: Mapping[str, str] = {name: to_camel(name) for name in TURN_CHECKS if name != "idempotency_key"}
"""The fields that are arguments of a backend function, and their keys there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: who asks what, in which memory space and conversation.

    An owner is required: `user_id` together with `user_name`, or `agent_id`.  With a user, `agent_id` defaults to
    `agent`.  `importance` is 0 to 100.  `metadata` is JSON, and is copied.  Two turns with the same `idempotency_key`
    in one memory space are the same exchange, stored once.  `read_facts` tells the store that facts are read from the
    exchange: whatever becomes of this process, what it has not read is queued when the exchange has ended.

    Raises `InvalidArgument`, which names the field.

    >>> Turn("support", "c-1", "How do I reset it?", user_id="ada", user_name="Ada").agent_id
    'agent'
    >>> Turn("support", "c-1", "Hello", user_id="ada")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: user_name: got None; accepted: a name, because user_id is given
    """

    memory_space_id: str
    conversation_id: str
    user_message: str
    user_id: str | None = None
    user_name: str | None = None
    agent_id: str | None = None
    participant_id: str | None = None
    importance: float = 50
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    idempotency_key: str | None = None
    read_facts: bool = False

    def __post_init__(self) -> None:
        for name, check in TURN_CHECKS.items():
            given = getattr(self, name)
            if (value := check(name, given)) is not given:
                object.__setattr__(self, name, value)
        if self.read_facts is not False:
            validation.flag("read_facts", self.read_facts)
        if self.user_id is None and self.agent_id is None:
            raise InvalidArgument("user_id", None, "an owner: user_id with user_name, or agent_id")
        if self.user_id is not None and self.user_name is None:
            raise InvalidArgument("user_name", None, "a name, because user_id is given")
        if self.user_id is None and self.user_name is not None:
            raise InvalidArgument("user_id", None, "an id, because user_name is given")
        if self.agent_id is None:
            object.__setattr__(self, "agent_id", "agent")

    def arguments(self) -> dict[str, Any]:
        """The turn as arguments of a backend function: camelCase keys, without fields that have no value."""
        given = {
            key: list(value) if key == "tags" else dict(value) if key == "metadata" else value
            for name, key in _KEYS.items()
            if (value := getattr(self, name)) is not None and (key != "metadata" or value)
        }
        return given | {"readFacts": True} if self.read_facts else given
