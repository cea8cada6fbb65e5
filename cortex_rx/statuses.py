"""What HTTP clients and the SDKs of providers say of a failure; none of them is imported."""

from __future__ import annotations

__all__ = ["status_of"]


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error says, if it does.

    >>> status_of(ValueError()) is None
    True
    """
    for each in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            if isinstance(status := getattr(each, name, None), int):
                return status
    return None
