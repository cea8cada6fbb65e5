"""The parts of a sentence that state something by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.words import NEGATIVE, Token

__all__ = ["gives_text", "segments"]

_BREAKS = frozenset([";", ":", "(", ")", "[", "]", "—", "–", "--", "•", "...", "…"])
_POLITE = lex.words("please can could would will you now then help me to just i want need ,")
_GIVEN = lex.words("following below this these")


def segments(sentence: list[Token]) -> Iterator[list[Token]]:
    """The parts of a sentence that stand by themselves, without those that only suppose something or ask."""
    parts: list[list[Token]] = [[]]
    given = gives_text(sentence)
    quoted = False  # what follows "the sign says:" is a quotation without its marks
    for at, token in enumerate(sentence):
        after = sentence[at + 1].low if at + 1 < len(sentence) else ""
        apart = token.low == "-" and at and token.start > sentence[at - 1].stop
        if token.low in _BREAKS or apart:
            quoted = quoted and given
            quoted |= token.low == ":" and (
                given or any(one.low in lex.QUOTING for one in parts[-1]) or _is_speaker(parts[-1])
            )
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


def gives_text(sentence: list[Token]) -> bool:
    """Whether a text follows with which something is to be done, or which somebody is to get: "Translate this:"."""
    lows = [token.low for token in sentence]
    begin = next((at for at, low in enumerate(lows) if low not in _POLITE), 0)
    orders = bool(lows) and lows[0] != "to" and lows[begin] in lex.EDITING  # not "to summarize: you ..."
    if orders and lows[begin] in lex.LABELS and lows[begin + 1 : begin + 2] == [":"]:
        return False
    if ":" in lows:
        return orders or not lex.WRITINGS.isdisjoint(lows[: lows.index(":")])
    return orders and not _GIVEN.isdisjoint(lows)


def _is_speaker(part: list[Token]) -> bool:
    """Whether it is only a name, a pronoun, "Not" or "Step 1", so the user does not say what follows."""
    if not 0 < len(part) <= 2 or not part[0].capital:
        return False
    named = all(token.capital or token.kind == "number" for token in part)
    return named and all(token.low not in lex.LABELS | lex.OPENERS for token in part)


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
