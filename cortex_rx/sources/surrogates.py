"""Halves of surrogate pairs. Some providers split a character between two items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cortex_rx.events import Delta, Problem, StreamEvent

__all__ = ["LONE", "flush_surrogate", "is_surrogate", "join_surrogates"]

LONE: Problem = Problem(
    "streaming", "LONE_SURROGATE", "the source sent a lone surrogate; U+FFFD replaces it", recoverable=True
)
"""Emitted once when half a pair came without the other half."""
is_surrogate: Callable[[str], object] = re.compile("[\ud800-\udfff]").search
"""Whether the text contains half a pair."""


def join_surrogates(text: str) -> tuple[str, str, bool]:
    """Returns the text without surrogates, a high one at its end (its other half may follow), and whether a lone one
    was replaced."""
    carried = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    joined = text[: len(text) - len(carried)].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined, carried, joined.count("\ufffd") > text.count("\ufffd")


def flush_surrogate(carried: str, reported: bool, delta: Callable[[str], Delta]) -> Iterator[StreamEvent]:
    """The events for half a pair whose other half never came."""
    if carried:
        if not reported:
            yield LONE
        yield delta("\ufffd")
