"""The tokens of a text that comes in pieces, counted as those of the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from cortex_rx import validation as check
from cortex_rx.errors import MissingExtra
from cortex_rx.metering.estimate import KINDS, added, estimate, kinds_of
from cortex_rx.metering.tokenizers import ENCODINGS, encoding_of, installed, tokenizer

__all__ = ["HELD", "Counted", "TokenCount", "TokensFrom", "checked_tokens", "closed"]

TokensFrom: TypeAlias = Literal["provider", "tokenizer", "estimate"]
"""Who counted the tokens."""

HELD = 65_536
"""The most code points of a text that are held. Few answers are longer, so few are counted before their end."""

_FIRST = "o200k_base"
# A word or a number ends before these. The tokenizers split there whatever comes later: none of their pieces goes on
# from a letter or a digit to one of these. (An apostrophe may belong to the word.)
_END = r"(?s:.*)[^\W_](?=[ \n.,;:!?()\]\[，。、！？；：])"


_NO_KINDS = (0.0,) * len(KINDS)


class Counted(NamedTuple):
    """A number of tokens, and who counted them."""

    tokens: int
    tokens_from: TokensFrom


def closed(text: str) -> int:
    """How much of the text consists of words that have ended: what comes later does not change their tokens.

    >>> closed("It is in Lisb"), closed("It is in Lisbon."), closed("....")
    (8, 15, 0)
    """
    found = re.match(_END, text)
    return found.end() if found else 0


def checked_tokens(field: str, value: object) -> Callable[[str], int] | str | None:
    """How tokens are counted, as `TokenCount` takes it. Raises `MissingExtra` for an encoding without its library."""
    if callable(value):
        return check.function(field, value)
    chosen = check.one_of("auto", "estimate", *ENCODINGS)(field, value)
    if chosen in ENCODINGS and not installed():
        raise MissingExtra("the tokenizer of a model", "tokens")
    return None if chosen == "auto" else str(chosen)


class TokenCount:
    """The tokens of one answer, of which the pieces are added one after the other.

    `count` counts the tokens of a text, or is the name of an encoding; None: the tokenizer is chosen by the name of the
    model, at the end. Nothing is counted before it must be: a provider's count makes it needless. At most `HELD` code
    points are held; if more come, the words that have ended are counted and dropped, and the tokens of the whole are
    the sum. A run without the end of a word that is longer than that is cut, which may add a token for each cut.
    """

    def __init__(self, count: Callable[[str], int] | str | None, library: bool | None = None) -> None:
        self._count = count
        self.by_user: bool = callable(count)
        library = installed() if library is None else library  # to look for it takes longer than all else here
        self._holds = callable(count) or (count != "estimate" and library)
        self.failure: Exception | None = None
        """What the function that counts has raised; then it is estimated."""
        self.begin()

    def begin(self, text: str = "") -> None:
        """The text begins anew, with `text`."""
        self._held = ""  # no list of pieces: a stream that waits holds few objects, and pieces come in batches
        self._length = self._dropped = 0
        self._tokens = 0  # of what was dropped
        self._exact = self._holds and self.failure is None
        self._kinds: Sequence[float] = _NO_KINDS
        if text:
            self.add(text, text.encode())

    def add(self, text: str, data: bytes) -> None:
        """The text goes on with `text`; `data` is its UTF-8."""
        self._length += len(text)
        self._kinds = added(self._kinds, kinds_of(data, len(data) == len(text)))
        if not self._exact:
            return
        self._held += text
        while self._exact and len(self._held) > HELD:
            self._drop()

    def cut(self, length: int) -> None:
        """The text is cut back to `length` code points."""
        if length >= self._length:
            return
        part, self._length = length / self._length, length
        self._kinds = [count * part for count in self._kinds]
        if length < self._dropped:
            self._exact, self._held = False, ""  # what was dropped cannot be counted again
        else:
            self._held = self._held[: length - self._dropped]

    def total(self, model: str | None) -> Counted:
        """The tokens of the text so far, as the tokenizer of the model counts them, else an estimate."""
        known = self._exact and (model is not None or self._count is not None)
        count = self._counter(encoding_of(model)) if known else None
        if count is not None and (last := self._counted(count, self._held)) is not None:
            return Counted(self._tokens + last, "tokenizer")
        return self.estimate()

    def estimate(self) -> Counted:
        """The tokens of the text so far, estimated."""
        return Counted(estimate(self._kinds), "estimate")

    def _counter(self, encoding: str | None) -> Callable[[str], int] | None:
        """The function that counts; None if there is none for this text."""
        if callable(self._count):
            return self._count
        chosen = self._count or encoding
        if chosen is None or (self._dropped and chosen != (self._count or _FIRST)):
            return None
        try:
            return tokenizer(chosen)
        except Exception as error:
            self.failure = error
            return None

    def _counted(self, count: Callable[[str], int], text: str) -> int | None:
        try:
            tokens = count(text) if text else 0
            if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:  # pyright: ignore
                raise TypeError(f"a tokenizer gave a {type(tokens).__name__}, not a whole number, 0 or more")
        except Exception as error:
            self.failure, self._exact, self._held = error, False, ""
            return None
        return tokens

    def _drop(self) -> None:
        """Count the words that have ended, and drop them. The models whose answers are so long have one encoding."""
        text = self._held
        at = closed(text) or len(text)
        count = self._counter(self._count if isinstance(self._count, str) else _FIRST)
        tokens = None if count is None else self._counted(count, text[:at])
        if tokens is None:
            self._exact, self._held = False, ""
            return
        self._tokens += tokens
        self._dropped += at
        self._held = text[at:]
