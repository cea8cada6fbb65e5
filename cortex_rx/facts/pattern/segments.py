"""The parts of a sentence that state something by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.words import NEGATIVE, Token

__all__ = ["segments"]

_BREAKS = frozenset([";", ":", "(", ")", "[", "]", "—", "–", "--", "•", "...", "…"])


def segments(sentence: list[Token]) -> Iterator[list[Token]]:
    """The parts of a sentence that stand by themselves, without those that only suppose something or ask."""
    parts: list[list[Token]] = [[]]
    quoted = False  # what follows "the sign says:" is a quotation without its marks
    for at, token in enumerate(sentence):
        after = sentence[at + 1].low if at + 1 < len(sentence) else ""
        apart = token.low == "-" and at and token.start > sentence[at - 1].stop
        if token.low in _BREAKS or apart:
            quoted = token.low == ":" and any(one.low in lex.QUOTING for one in parts[-1])
            parts.append([])
        elif quoted:
            continue
        elif token.low == "," and after in ("so", "but"):
            parts.append([])
        else:
            parts[-1].append(token)
    asks = bool(sentence) and sentence[-1].low == "?"
    for number, part in enumerate(parts):
        stated = _without_aside(part)
        if asks and number == len(parts) - 1:
            stated = _before_question(stated)
        lows = [token.low for token in stated]
        pairs = list(pairwise(lows))
        if any(low in lex.CONDITIONALS or low in lex.HEDGES for low in lows) or ("as", "though") in pairs:
            continue
        if _is_invented(lows):
            continue
        if ("let", "us") in pairs or ("for", "example") in pairs:
            continue
        yield stated


def _without_aside(part: list[Token]) -> list[Token]:
    for length in (4, 5):
        if " ".join(token.low for token in part[:length]) in lex.ASIDES:
            return part[length:]
    return part


def _before_question(part: list[Token]) -> list[Token]:
    """What is stated before the question: "I'm vegan, what can I eat?"."""
    for at in range(len(part) - 1, 0, -1):
        if part[at - 1].low in (",", "so", "and", "but") and part[at].low in lex.INTERROGATIVE:
            rest = [token.low for token in part[at:] if token.low not in NEGATIVE and token.kind == "word"]
            return [] if len(rest) <= 2 else part[: at - 1]  # "don't you?" asks for what stands before it
    return []


def _is_invented(lows: list[str]) -> bool:
    """Whether it is set in a story or in another life: "In my next life I'm a cat"."""
    return bool(lows) and lows[0] == "in" and any(low in lex.INVENTED for low in lows[1:5])
