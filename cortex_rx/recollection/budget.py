"""What fits into a budget of tokens or characters, best first. Of long texts a part is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from cortex_rx.errors import CallbackError, InvalidArgument
from cortex_rx.models.recalled import ContextItem, bare_frame, in_frame, lines_of
from cortex_rx.recollection.excerpts import Excerpts

__all__ = ["Budget", "counter", "estimate_tokens"]

SHARE = 0.5
"""How much of the budget one text may take while others wait."""
LEAST = 40
"""The fewest code points that a text is cut to, but for a part of a word. Less of it says nothing."""
LONGEST = 8
"""The most code points of one text that are shown for each token of the budget: few tokens are longer."""


def estimate_tokens(text: str) -> int:
    """An estimate of the tokens in a text: four ASCII characters, or one other character, are one.

    >>> estimate_tokens("Where is my parcel?"), estimate_tokens("京都に住む")
    (5, 5)
    """
    others = len(text) - len(text.encode("ascii", "ignore"))
    return others + -(-(len(text) - others) // 4)


def counter(unit: str, count_tokens: Callable[[str], int] | None) -> Callable[[str], int]:
    """What counts a text in the unit. Errors of a `count_tokens` are a `CallbackError`."""
    if unit == "characters":
        return len
    if count_tokens is None:
        return estimate_tokens

    def count(text: str) -> int:
        try:
            tokens = cast("object", count_tokens(text))
        except Exception as error:
            raise CallbackError("count_tokens", error) from error
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise InvalidArgument(
                "count_tokens", f"a result of type {type(tokens).__name__}", "a whole number, 0 or more"
            )
        return tokens

    return count


class Budget:
    """Takes items, best first, as long as there is room."""

    def __init__(self, query: str, most: int, unit: str, count_tokens: Callable[[str], int] | None) -> None:
        self._query = query
        self._most, self._count = most, counter(unit, count_tokens)
        self._longest = most * (1 if unit == "characters" else LONGEST)

    def used(self, context: Iterable[ContextItem]) -> int:
        """What the items take in their frame."""
        text = in_frame(context)
        return self._count(text) if text else 0

    def over(self, context: Iterable[ContextItem]) -> bool:
        """Whether the items take more than there is."""
        return self.used(context) > self._most

    def choose(self, items: Sequence[ContextItem]) -> list[ContextItem | None]:
        """The items, best first, each as far as there is room for it; None where there is none."""
        room = self._most - self._count(bare_frame({item.section for item in items}))
        chosen: list[ContextItem | None] = []
        costs: list[int] = []
        for item in items:
            one, cost = self._fitted(item, min(room, int(self._most * SHARE)))
            chosen.append(one)
            costs.append(cost)
            room -= cost
        for at, one in enumerate(chosen):  # what is left goes to the texts that were cut, best first
            if one is not None and one.cut:
                longer, cost = self._fitted(items[at], room + costs[at])
                if longer is not None and len(longer.text) > len(one.text):
                    chosen[at] = longer
                    room -= cost - costs[at]
        return chosen

    def _fitted(self, item: ContextItem, room: int) -> tuple[ContextItem | None, int]:
        """The item, cut to what fits into `room`, and what it takes. None if that is too little."""
        if room <= 0:
            return None, 0
        excerpts = Excerpts(item.text, self._query)
        start, text = excerpts.of(self._longest)
        if (cost := self._cost(item, start, text)) > room:
            least, most = LEAST, min(len(text), room * (self._longest // self._most))
            if most < least or self._cost(item, *excerpts.of(least)) > room:
                return None, 0
            while least < most:
                middle = (least + most + 1) // 2
                if self._cost(item, *excerpts.of(middle)) <= room:
                    least = middle
                else:
                    most = middle - 1
            start, text = excerpts.of(least)
            cost = self._cost(item, start, text)
        return (item if len(text) == len(item.text) else _part(item, start, text)), cost

    def _cost(self, item: ContextItem, start: int, text: str) -> int:
        shown = item if len(text) == len(item.text) else _part(item, start, text)
        return self._count("\n".join(lines_of(99, shown)) + "\n")


def _part(item: ContextItem, start: int, text: str) -> ContextItem:
    return item.model_copy(update={"text": text, "start": start})
