"""The memory space of a call that does not name one: that of the client."""

from __future__ import annotations

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument

__all__ = ["chosen_space"]


def chosen_space(given: str | None, default: str | None) -> str:
    """The memory space that a call names, else the client's. Raises `InvalidArgument` if there is neither.

    >>> chosen_space(None, "support"), chosen_space("sales", "support")
    ('support', 'sales')
    >>> chosen_space(None, None)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: memory_space_id: got None; accepted: a memory space, here or once for the client:
    Cortex(memory_space_id=...)
    """
    if given is not None:
        return check.name("memory_space_id", given)
    if default is None:
        accepted = "a memory space, here or once for the client: Cortex(memory_space_id=...)"
        raise InvalidArgument("memory_space_id", None, accepted)
    return default
