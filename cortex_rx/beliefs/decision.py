"""What becomes of a new statement: the four actions of belief revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex_rx import validation
from cortex_rx.errors import InvalidArgument

__all__ = ["ACTIONS", "Action", "Decision"]

Action = Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
"""ADD: a new fact.  UPDATE: its words become those of a known fact.  SUPERSEDE: it ends a known fact, which is closed.
NONE: it says what a known fact says, and becomes another source of that."""

ACTIONS: tuple[Action, ...] = ("ADD", "UPDATE", "SUPERSEDE", "NONE")


@dataclass(frozen=True, slots=True)
class Decision:
    """A decider's word about a new fact.

    >>> Decision("SUPERSEDE", "fact-1")
    Decision(action='SUPERSEDE', fact_id='fact-1')
    >>> Decision("NONE")
    Traceback (most recent call last):
    cortex_rx.errors.InvalidArgument: fact_id: got None; accepted: a string that is not empty

    Raises `InvalidArgument` for another action, and if the id is missing where one is needed or given with ADD.
    """

    action: Action
    fact_id: str | None = None
    """The known fact that is meant; None with ADD."""

    def __post_init__(self) -> None:
        validation.one_of(*ACTIONS)("action", self.action)
        if self.action == "ADD":
            if self.fact_id is not None:
                raise InvalidArgument("fact_id", type(self.fact_id).__name__, "None with ADD")
        else:
            validation.name("fact_id", self.fact_id)
