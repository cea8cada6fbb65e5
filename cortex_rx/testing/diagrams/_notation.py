"""Parse marbles written as text; `_text` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument

__all__ = ["Sign", "read", "refuse"]

_TOKEN = re.compile(
    r"(?P<silence>-+)"
    r"|\{ *(?P<number>\d+(?:\.\d+)?) *(?P<unit>frames?|ms|s|min) *\}"
    r"|\((?P<group>[^()]*)\)"
    r"|(?P<letter>[^\W_]|[|#!])"
    r"|(?P<space> +)"
)
_NAME = re.compile(r"[^\W_]+|[|#!]")
_BARE = re.compile(r"(?<= )\d+(?:\.\d+)?(?:ms|s|m)(?= |$)")  # as RxJS writes it: here it would be letters and digits
_UNITS = {"ms": 1_000, "s": 1_000_000, "min": 60_000_000}  # microseconds
_ACCEPTED = "a letter or digit, - for a frame of silence, (ab) for one frame, | # ! for an end, a pause like {5 s}"


@dataclass(frozen=True, slots=True)
class Sign:
    """One written marble: its time (in microseconds), its letter (or `|`, `#`, `!`), and its position in the text."""

    at: int
    letter: str
    position: int


def refuse(lane: str, position: int, accepted: str, length: int = 1) -> NoReturn:
    """Say what is wrong where; a note points at it."""
    error = InvalidArgument(f"lane[{position}]", lane[position : position + length], accepted)
    error.add_note(f"{lane}\n{' ' * position}{'^' * length}")
    raise error


def read(lane: str, frame: timedelta) -> Iterator[Sign]:
    """The marbles of a lane, in order."""
    if not isinstance(lane, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument("lane", type(lane).__name__, "marbles as text, like '--a-b--|'")
    one: int = round(check.seconds()("frame", frame) * 1_000_000)
    if bare := _BARE.search(lane):
        refuse(lane, bare.start(), f"a pause in braces, {{{bare[0]}}}", len(bare[0]))
    at = position = 0
    while position < len(lane):
        token = _TOKEN.match(lane, position)
        if token is None:
            _unknown(lane, position)
        if token["silence"]:
            at += one * len(token["silence"])
        elif token["number"]:
            at += round(float(token["number"]) * _UNITS.get(token["unit"], one))
        elif token["letter"]:
            yield Sign(at, token["letter"], position)
            at += one
        elif token["group"] is not None:
            for start, letter in _group(lane, token.start("group"), token["group"]):
                yield Sign(at, letter, start)
            at += one
        position = token.end()


def _group(lane: str, start: int, inside: str) -> Iterator[tuple[int, str]]:
    """The marbles of one frame: single letters, or names with spaces between them."""
    if not inside.strip(" "):
        refuse(lane, start - 1, "at least one marble in a group", len(inside) + 2)
    for part in re.finditer("[^ ]+" if " " in inside else ".", inside):
        if not _NAME.fullmatch(part[0]):
            refuse(
                lane, start + part.start(), "in a group letters, digits and | # !, or names with spaces between them"
            )
        yield start + part.start(), part[0]


def _unknown(lane: str, position: int) -> NoReturn:
    match lane[position]:
        case "(":
            refuse(lane, position, "a group that is closed, without a group in it")
        case ")":
            refuse(lane, position, "the end of a group only after its beginning")
        case "{":
            refuse(lane, position, "a pause like {5 s}, {250 ms}, {2 min} or {30 frames}")
        case _:
            refuse(lane, position, _ACCEPTED)
