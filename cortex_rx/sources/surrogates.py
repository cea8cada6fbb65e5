"""Halves of surrogate pairs: some providers split a character between two items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cortex_rx.events import Delta, Problem, StreamEvent

__all__ = ["LONE", "flush_surrogate", "is_surrogate", "join_surrogates"]

LONE: Problem = Problem(
    "streaming", "LONE_SURROGATE", "a lone surrogate came and was replaced by U+FFFD", recoverable=True
)
"""What is said when a half came without its other half."""
is_surrogate: Callable[[str], object] = re.compile("[\ud800-\udfff]").search
"""Whether a half of a pair is in this text."""


def join_surrogates(text: str) -> tuple[str, str, bool]:
    """The text without surrogates; a high one at its end, whose other half may follow; whether a lone one was replaced."""
    carried = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    joined = text[: len(text) - len(carried)].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, carried, joined.count("\ufffd") > text.count("\ufffd")


def flush_surrogate(carried: str, told: bool, delta: Callable[[str], Delta]) -> Iterator[StreamEvent]:
    """What becomes of half a pair whose other half never came."""
    if carried:
        if not told:
            yield LONE
        yield delta("\ufffd")
