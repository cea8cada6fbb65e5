"""Marbles as SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from zlib import crc32

from cortex_rx.testing.diagrams._layout import Cell, Layout, clock

__all__ = ["draw_svg"]

R = 12  # radius of a marble
STEP = 2 * R + 4  # between two marbles of one frame
FRAME = 9  # the width of a frame in which nothing happens
SILENCE = 24  # frames; a longer silence is a break of this many frames' room
LANE = 52  # between two lanes
CHAR = 7.2  # about the width of a character of the labels
FILLS = ("#cfe3f7", "#ffe2b8", "#d5efd0", "#f6cfd8", "#e3d7f5", "#cdeeee", "#f3efb5", "#e5ddd3")  # text on them is dark
INK, FAINT, RED = "#1f2937", "#6b7280", "#b91c1c"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _x(text: str) -> str:
    return escape(NOT_XML.sub("\ufffd", text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class _Place:
    """The horizontal layout: the left edge of each column, breaks as (left, right, frames), and the end of the
    lanes."""

    left: dict[int, float]
    breaks: list[tuple[float, float, int]]
    right: float


def _places(layout: Layout, start: float) -> _Place:
    left: dict[int, float] = {}
    breaks: list[tuple[float, float, int]] = []
    x, at = start, 0
    for column in layout.columns:
        gap = column - at
        if gap > SILENCE:
            room = max(SILENCE * FRAME / 2, CHAR * len(f"{gap:,} frames") + 30)
            breaks.append((x, x + room, gap))
            x += room
        else:
            x += gap * FRAME + 2
        left[column] = x
        x += STEP * max(len(cells.get(column, ())) for cells in layout.lanes.values())
        at = column + 1
    return _Place(left, breaks, x)


def draw_svg(layout: Layout, title: str) -> str:
    unit, time = clock(layout)
    labels = max((len(lane) for lane in layout.lanes), default=0) * CHAR * 1.1 + 28
    place = _places(layout, labels + 8)
    groups = dict.fromkeys(
        cell.group for here in layout.lanes.values() for cells in here.values() for cell in cells if cell.kind == "next"
    )
    fills = {group: FILLS[at % len(FILLS)] for at, group in enumerate(groups)}
    height = 40 + LANE * len(layout.lanes) + (22 * len(layout.legend) + 22)
    words = [len(f"{letter}  {text}") for letter, text in layout.legend]
    width = max(place.right + 44, labels + 20, max(words, default=0) * CHAR + 60, len(title) * CHAR)

    out: list[str] = []
    for row, lane in enumerate(layout.lanes):
        out += _lane(layout, lane, 58 + row * LANE, labels, place, fills, unit, time)
    free = 0.0
    for column in layout.columns:  # the times, above; one that would run into the one before it is left out
        x = place.left[column] + STEP / 2
        half = len(time(column)) * CHAR / 2
        if x - half > free:
            out.append(f'<text x="{_n(x)}" y="22" fill="{FAINT}" text-anchor="middle">{time(column)}</text>')
            free = x + half + 4
    out.append(f'<text x="12" y="22" fill="{FAINT}">{unit}</text>')
    top = 40 + LANE * len(layout.lanes)
    size = f"{round(layout.frame * 1000, 6):.12g} ms" if layout.frame < 1 else f"{layout.frame:.12g} s"
    out.append(f'<text x="12" y="{top + 14}" fill="{FAINT}">1 frame = {size}</text>')
    cells = {cell.letter: cell for here in layout.lanes.values() for some in here.values() for cell in some}
    for row, (letter, text) in enumerate(layout.legend):
        y = top + 36 + row * 22
        if letter in cells and cells[letter].kind == "next":
            out.append(f'<circle cx="22" cy="{y - 5}" r="9" fill="{fills[cells[letter].group]}" stroke="{INK}"/>')
            out.append(f'<text x="22" y="{y - 1}" text-anchor="middle" font-size="11">{_x(letter)}</text>')
            out.append(f'<text x="40" y="{y}">{_x(text)}</text>')
        else:
            out.append(f'<text x="18" y="{y}"><tspan fill="{RED}">✕</tspan> {_x(letter[2:])}: {_x(text)}</text>')

    body = "\n".join(out)
    name = f"marbles-{crc32((title + body).encode(errors='replace')):08x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title {name}-desc"'
        f' width="{_n(width)}" height="{height}" viewBox="0 0 {_n(width)} {height}"'
        f' font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="12" fill="{INK}">\n'
        f'<title id="{name}-title">{_x(title)}</title>\n<desc id="{name}-desc">{_x(_told(layout))}</desc>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _told(layout: Layout) -> str:
    """What happened, in words, for readers who do not see the picture."""
    unit, time = clock(layout)
    lanes: list[str] = []
    for lane, here in layout.lanes.items():
        marks = (f"{time(at)} {unit} {' and '.join(cell.words for cell in here[at])}" for at in sorted(here))
        lanes.append(f"{lane}: {'; '.join(marks) or 'nothing'}.")
    return "\n".join(lanes)


def _lane(
    layout: Layout,
    lane: str,
    y: int,
    labels: float,
    place: _Place,
    fills: dict[str, str],
    unit: str,
    time: Callable[[int], str],
) -> list[str]:
    end = layout.ends[lane]
    here = layout.lanes[lane]
    stop = place.left[end] + STEP * (len(here[end]) - 0.5) if end is not None else place.right + 24
    out = [
        f'<text x="12" y="{y + 4}" font-weight="bold">{_x(lane)}</text>',
        f'<path d="M{_n(labels)} {y}H{_n(stop)}" stroke="{INK}" stroke-width="1.5" fill="none"/>',
    ]
    if end is None:
        out.append(f'<path d="M{_n(stop)} {y - 5}l9 5l-9 5z"/>')
    for left, right, frames in place.breaks:
        if right > stop:
            continue
        middle = (left + right) / 2
        half = len(f"{frames:,} frames") * CHAR / 2 + 5
        out.append(f'<rect x="{_n(middle - half)}" y="{y - 9}" width="{_n(2 * half)}" height="18" fill="#ffffff"/>')
        for x in (middle - half, middle + half):
            out.append(f'<path d="M{_n(x - 3)} {y + 7}l6 -14" stroke="{INK}" stroke-width="1.5"/>')
        out.append(
            f'<text x="{_n(middle)}" y="{y + 4}" fill="{FAINT}" text-anchor="middle" font-size="11">'
            f"{frames:,} frames</text>"
        )
    for column, cells in sorted(here.items()):
        x = place.left[column] + STEP / 2
        if len(cells) > 1:  # one frame: a capsule around all of them
            out.append(
                f'<rect x="{_n(x - R - 2)}" y="{y - R - 3}" width="{_n(STEP * (len(cells) - 1) + 2 * R + 4)}"'
                f' height="{2 * R + 6}" rx="{R + 3}" fill="#f3f4f6" stroke="{FAINT}" stroke-dasharray="3 2"/>'
            )
        for cell in cells:
            out.append(_marble(cell, x, y, fills, f"{cell.words}, {time(column)} {unit}"))
            x += STEP
    return out


def _marble(cell: Cell, x: float, y: int, fills: dict[str, str], told: str) -> str:
    if cell.kind == "next":
        size = 13 if len(cell.letter) == 1 else 10
        shape = (
            f'<circle cx="{_n(x)}" cy="{y}" r="{R}" fill="{fills[cell.group]}" stroke="{INK}"/>'
            f'<text x="{_n(x)}" y="{_n(y + size / 3)}" text-anchor="middle" font-size="{size}">{_x(cell.letter)}</text>'
        )
    elif cell.kind == "completed":
        shape = f'<path d="M{_n(x)} {y - R}v{2 * R}" stroke="{INK}" stroke-width="3"/>'
    elif cell.kind == "error":
        shape = f'<path d="M{_n(x - 8)} {y - 8}l16 16m0 -16l-16 16" stroke="{RED}" stroke-width="3"/>'
    else:
        shape = f'<path d="M{_n(x)} {y - R}v{2 * R}" stroke="{INK}" stroke-width="2" stroke-dasharray="3 3"/>'
    return f"<g><title>{_x(told)}</title>{shape}</g>"
