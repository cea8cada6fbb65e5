"""The layout of marbles: which share a frame, how long the silences are, which letter stands for which value.

Text and SVG are drawn from the same layout. It has one column for every frame in which something happens on any lane.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

__all__ = ["SYMBOLS", "Cell", "Layout", "clock", "lay_out", "names"]

FRAMES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # the frames that are chosen, in seconds
SYMBOLS = {"error": "#", "completed": "|", "disposed": "!"}
LETTERS = string.ascii_letters + "αβγδεζηθλμξπρστφχψω" + "ΓΔΘΛΞΠΣΦΨΩ"


@dataclass(frozen=True, slots=True)
class Cell:
    """One marble: its letter (or symbol), what happened, and its description."""

    letter: str
    kind: str
    words: str
    group: str
    """The class of the value: marbles of one class have one colour."""


@dataclass(frozen=True)
class Layout:
    frame: float
    columns: tuple[int, ...]
    """The frames in which something happens, ascending."""
    lanes: dict[str, dict[int, list[Cell]]]
    """For each lane, what happens in each frame."""
    ends: dict[str, int | None]
    """The frame in which a lane ends, if it does."""
    legend: tuple[tuple[str, str], ...]
    key: dict[str, Any] = field(default_factory=dict[str, Any])
    """What each letter stands for."""


def lay_out(
    lanes: Mapping[str, Sequence[tuple[float, str, Any]]], frame: float | None, label: Callable[[Any], str]
) -> Layout:
    notes = list(chain.from_iterable(lanes.values()))
    if frame is None:
        frame = _frame([at for at, _, _ in notes])
    letters = _letters(value for _, kind, value in notes if kind == "next")
    key: dict[str, Any] = {}
    for _, kind, value in notes:
        if kind == "next":
            key.setdefault(letters[repr(value)], value)
    cells: dict[str, dict[int, list[Cell]]] = {}
    ends: dict[str, int | None] = {}
    legend: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for lane, marks in lanes.items():
        here = cells.setdefault(lane, {})
        last = None
        for at, kind, value in marks:
            if kind == "next":
                letter, words, group = letters[repr(value)], label(value), type(value).__name__
                if repr(value) not in (letter, repr(letter)):
                    legend[letter] = words
            else:
                letter, group = SYMBOLS[kind], kind
                words = f"{type(value).__name__}({_quoted(value)})" if kind == "error" else kind
                if kind == "error":
                    errors.setdefault(words, []).append(lane)
            here.setdefault(round(at / frame), []).append(Cell(letter, kind, words, group))
            last = None if kind == "next" else round(at / frame)
        ends[lane] = last
    rank = {letter: at for at, letter in enumerate(letters.values())}
    known = sorted(legend.items(), key=lambda entry: rank[entry[0]])
    failed = [(f"# {', '.join(dict.fromkeys(where))}", words) for words, where in errors.items()]
    columns = tuple(sorted({at for here in cells.values() for at in here}))
    return Layout(frame, columns, cells, ends, (*known, *failed), key)


def _quoted(error: BaseException) -> str:
    text = str(error)
    return repr(text if len(text) <= 160 else text[:159] + "…") if text else ""


def _frame(times: list[float]) -> float:
    """The longest frame of `FRAMES` that divides all times and leaves a frame of silence between any two of them.

    If there is none, the shortest.
    """
    ordered = sorted(times)
    gaps = [later - earlier for earlier, later in pairwise(ordered) if later - earlier > 1e-6]
    for frame in FRAMES:
        if gaps and frame > min(gaps) / 2 * (1 + 1e-4):
            continue
        if all(abs(at / frame - round(at / frame)) < 1e-4 for at in ordered):
            return frame
    return FRAMES[-1]


def _letters(values: Iterable[Any]) -> dict[str, str]:
    """A letter for every value: a single letter or digit stands for itself, others get one in the order of their
    coming."""
    keys: dict[str, Any] = {}
    for value in values:
        keys.setdefault(repr(value), value)
    named: dict[str, str] = {}
    for key, value in keys.items():
        if (own := _own(value)) and own not in named.values():  # of 5 and "5" the first
            named[key] = own
    free = names(set(named.values()))
    return {key: named.get(key) or next(free) for key in keys}


def _own(value: object) -> str | None:
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value.isalnum():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9:
        return str(value)
    return None


def names(taken: set[str]) -> Iterator[str]:
    """Letters that are not taken, as many as are asked for."""
    yield from (letter for letter in LETTERS if letter not in taken)
    number = 1
    while True:
        yield from (f"{letter}{number}" for letter in string.ascii_lowercase)
        number += 1


def clock(layout: Layout) -> tuple[str, Callable[[int], str]]:
    """The unit for the times of this layout, and how the time of a frame is written in it."""
    last = layout.columns[-1] * layout.frame if layout.columns else 0.0
    unit, factor = ("ms", 1000.0) if last < 10 else ("s", 1.0)
    return unit, lambda frame: f"{round(frame * layout.frame * factor, 6):.12g}"
