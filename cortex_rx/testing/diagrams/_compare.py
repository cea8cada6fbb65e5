"""Compare what passed on a lane with what was expected, and show both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from cortex_rx.testing.diagrams._describe import describe
from cortex_rx.testing.diagrams._layout import SYMBOLS, Cell, Layout, names
from cortex_rx.testing.diagrams._text import draw_text
from cortex_rx.testing.diagrams.trace import Mark

__all__ = ["Written", "compare"]


class Written(NamedTuple):
    """One expected item, and the letter that was written for it (none for implied items)."""

    mark: Mark
    letter: str


def compare(lane: str, written: Sequence[Written], came: Sequence[Mark], frame: float) -> str | None:
    """The differences, drawn and in words; None if there are none."""
    instants: dict[float, tuple[list[Written], list[Mark]]] = defaultdict(lambda: ([], []))
    for each in written:
        instants[_at(each.mark)][0].append(each)
    for mark in came:
        instants[_at(mark)][1].append(mark)
    wrong = []
    for at, (wants, marks) in sorted(instants.items()):
        if len(wants) != len(marks) or not all(_same(want.mark, mark) for want, mark in zip(wants, marks, strict=True)):
            expected, got = _words([want.mark for want in wants]), _words(marks)
            if expected == got:  # the few words do not say what is different
                expected, got = _words([want.mark for want in wants], repr), _words(marks, repr)
            wrong.append(f"{round(at * 1000, 3):.12g} ms: expected {expected}, came {got}")
    if not wrong:
        return None
    drawn = draw_text(_layout(instants, frame), times=True, legend=True)
    return "\n".join([f"{lane} is not what was expected", "", drawn, "", *wrong])


def _at(mark: Mark) -> float:
    return round(mark.at, 6)


def _same(want: Mark, came: Mark) -> bool:
    if want.kind != came.kind:
        return False
    wanted, value = want.value, came.value
    if isinstance(wanted, type):
        return isinstance(value, wanted)
    if want.kind == "error":
        return type(wanted) is type(value) and str(wanted) == str(value)
    if type(wanted) is type(value) and is_dataclass(wanted):
        compared = [field.name for field in fields(wanted) if field.compare and field.name != "at"]
        return all(getattr(wanted, name) == getattr(value, name) for name in compared)
    return bool(wanted == value)


def _words(marks: Sequence[Mark], say: Callable[[Any], str] = describe) -> str:
    return ", ".join(_word(mark, say) for mark in marks) or "nothing"


def _word(mark: Mark, say: Callable[[Any], str] = describe) -> str:
    value = mark.value
    if isinstance(value, type):
        article = "an" if value.__name__[0] in "AEIOU" else "a"
        return f"{article} {value.__name__}"
    if mark.kind in ("completed", "disposed"):
        return mark.kind
    return repr(value) if mark.kind == "error" else say(value)


def _layout(instants: dict[float, tuple[list[Written], list[Mark]]], frame: float) -> Layout:
    """Both lanes, in the written letters. Implied items are drawn only if they did not come."""
    written = [want for wants, _ in instants.values() for want in wants]
    letters = {_word(want.mark): want.letter for want in written if want.letter}
    free = names({want.letter for want in written})
    legend: dict[str, str] = {}
    rows: dict[str, dict[int, list[Cell]]] = {"expected": {}, "came": {}}

    def put(row: str, at: float, mark: Mark, letter: str) -> None:
        words = _word(mark)
        if mark.kind == "next":
            letter = letter or letters.get(words) or letters.setdefault(words, next(free))
            legend.setdefault(letter, words)
        else:
            letter = SYMBOLS[mark.kind]
        rows[row].setdefault(round(at / frame), []).append(Cell(letter, mark.kind, words, ""))

    for at, (wants, marks) in sorted(instants.items()):
        matched: dict[int, str] = {}
        for mark, letter in wants:
            found = next((n for n, came in enumerate(marks) if n not in matched and _same(mark, came)), None)
            if found is not None:
                matched[found] = letter
            if found is None or letter:
                put("expected", at, mark, letter)
        for n, mark in enumerate(marks):
            if matched.get(n, "?"):
                put("came", at, mark, matched.get(n, ""))
    columns = sorted({column for row in rows.values() for column in row})
    ends: dict[str, int | None] = {}
    for name, row in rows.items():
        last = max(row, default=None)
        ends[name] = last if last is not None and row[last][-1].kind != "next" else None
    return Layout(frame, tuple(columns), rows, ends, tuple(sorted(legend.items())))
