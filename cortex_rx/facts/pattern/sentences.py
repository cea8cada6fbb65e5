"""Sentences, as lists of tokens."""

from __future__ import annotations

from collections.abc import Iterator

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.words import Token, tokens

__all__ = ["sentences"]

_CLOSERS = frozenset("\"'”’»)]")


def sentences(text: str) -> Iterator[list[Token]]:
    """The sentences of a text, each with its last mark.

    >>> [len(one) for one in sentences("I met Dr. Smith. He lives\\nin Leeds!\\nTea or coffee?")]
    [6, 5, 4]
    """
    found = tokens(text)
    begin = 0
    for at, token in enumerate(found):
        if token.kind == "line":
            if at + 1 < len(found) and at and _goes_on(found, at):
                continue
            yield from _sentence(found[begin:at])
            begin = at + 1
        elif token.low in (".", "!", "?") and _ends(found, at, text):
            yield from _sentence(found[begin : at + 1])
            begin = at + 1
    yield from _sentence(found[begin:])


def _sentence(part: list[Token]) -> Iterator[list[Token]]:
    words = [one for one in part if one.kind != "line"]
    if words:
        yield words


def _goes_on(found: list[Token], at: int) -> bool:
    """Whether a sentence goes on after the end of a line."""
    return found[at + 1].kind == "word" and found[at + 1].text[:1].islower()


def _ends(found: list[Token], at: int, text: str) -> bool:
    token = found[at]
    after = found[at + 1] if at + 1 < len(found) else None
    if after is None or after.low in (".", "!", "?"):
        return after is None
    if token.low != ".":
        return True
    before = found[at - 1] if at else None
    if before is not None and before.stop == token.start and before.kind == "word":
        if before.low in lex.ABBREVIATIONS:
            return before.low == "etc" and after.capital
        if len(before.text) == 1 and before.text.isupper() and before.text != "I" and after.capital:
            return False
    return after.start > token.stop or after.text in _CLOSERS
