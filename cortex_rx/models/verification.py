"""Whether what was to be deleted is gone."""

from __future__ import annotations

from cortex_rx.models.records import Record

__all__ = ["VerificationResult"]


class VerificationResult(Record):
    """Whether nothing is left of what was deleted, and what is.

    >>> VerificationResult(True, []).complete
    True
    """

    complete: bool
    issues: tuple[str, ...] = ()
