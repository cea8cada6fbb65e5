"""Marbles as text."""

from __future__ import annotations

from cortex_rx.testing.diagrams._layout import Cell, Layout, clock

__all__ = ["draw_text"]

SILENCE = 24  # frames of silence that are drawn one by one; a longer one is written as a number


def draw_text(layout: Layout, *, times: bool, legend: bool) -> str:
    unit, time = clock(layout)
    width = max(map(len, (*layout.lanes, unit if times else "")), default=0)
    lines = dict.fromkeys(layout.lanes, "")
    ruler, at = "", 0
    for column in layout.columns:
        gap = column - at
        silence = f"-{{{gap - 2} frames}}-" if gap > SILENCE else "-" * gap
        marks = {lane: _group(cells.get(column, [])) for lane, cells in layout.lanes.items()}
        room = max(map(len, marks.values()))
        start = max(map(len, lines.values())) + len(silence)
        if not ruler or len(ruler) < start:  # else the time before this one leaves no room for it
            ruler = ruler.ljust(start) + time(column)
        for lane, mark in marks.items():
            end = layout.ends[lane]
            over = end is not None and end < at
            after = " " if end is not None and end <= column else "-"
            lines[lane] += (" " * len(silence) if over else silence) + mark.ljust(room, after)
        at = column + 1
    rows = [f"{unit:<{width}}  {ruler}"] if times else []
    rows += [f"{lane:<{width}}  {line}".rstrip() for lane, line in lines.items()]
    if legend:
        size = f"{round(layout.frame * 1000, 6):.12g} ms" if layout.frame < 1 else f"{layout.frame:.12g} s"
        rows += ["", f"1 frame = {size}", *(f"{letter} = {words}" for letter, words in layout.legend)]
    return "\n".join(row.rstrip() for row in rows)


def _group(cells: list[Cell]) -> str:
    letters = [cell.letter for cell in cells]
    if len(letters) <= 1 and len("".join(letters)) <= 1:
        return "".join(letters)
    if all(len(letter) == 1 for letter in letters):
        return f"({''.join(letters)})"
    # A space in the group shows that a name has several letters, also if it is the only one.
    return f"({' '.join(letters)}{' ' * (len(letters) == 1)})"
