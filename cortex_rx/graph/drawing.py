"""A picture of a part of the graph: one node and what is near it, as an SVG that needs nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

from cortex_rx import validation as check
from cortex_rx.errors import GraphNotFound, MissingExtra
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.schema import KEY, LABELS, OWNER, REVISION, key_of, shortened
from cortex_rx.models.graph import GraphEdge, GraphNode

__all__ = ["Picture", "draw", "picture"]

_At: TypeAlias = tuple[str, str]
"""A node: its label and its key."""
_COLOURS: Mapping[str, str] = {
    "Memory": "#4e79a7",
    "Conversation": "#76b7b2",
    "Fact": "#f28e2b",
    "Context": "#b07aa1",
    "MemorySpace": "#9c755f",
    "User": "#e15759",
    "Participant": "#ff9da7",
    "Entity": "#59a14f",
    "Agent": "#edc948",
    "Immutable": "#79706e",
    "Mutable": "#bab0ac",
}
_SHOWN: Mapping[str, str] = {
    "Memory": "content",
    "Fact": "fact",
    "Context": "purpose",
    "Agent": "name",
    "MemorySpace": "name",
}
"""The property that is written at a node, by label, if it has it; otherwise the last one of its key."""
_SHARED = ("User", "Agent")
"""Labels whose nodes belong to no memory space."""
_HUBS = (*_SHARED, "MemorySpace")
"""Labels at whose nodes the walk ends: nearly everything is next to them."""
_LETTERS = 26
_RADIUS = 13
_SPACE = 150  # between nodes, about, in pixels
_MARGIN = 130  # for the captions


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG. A notebook shows it; `str(picture)` is its text."""

    svg: str = field(repr=False)
    nodes: int
    edges: int
    left_out: int
    """How many more nodes are near, but are not shown."""

    def __str__(self) -> str:
        return self.svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it to a file."""
        Path(path).write_text(self.svg, encoding="utf-8")


async def draw(
    graph: GraphAdapter, memory_space_id: str, label: str, name: str, *, depth: int = 1, limit: int = 40
) -> Picture:
    """Draw a node of a memory space, and what is within `depth` edges of it: at most `limit` nodes, the nearest first.

    `name` is the id of a memory, a conversation, a fact, a context or a participant, or the name of an entity. Nothing
    of other memory spaces is shown. Equal graphs give equal pictures.

    Raises `GraphNotFound` if the memory space has no such node, `InvalidArgument`, `MissingExtra` without the extra
    `graph-draw`, and the errors of `GraphAdapter.query`.
    """
    space = check.name("memory_space_id", memory_space_id)
    check.one_of(*_IN_SPACE)("label", label)
    at = label, key_of(space, check.name("name", name))
    most = check.whole(1, 500)("limit", limit)
    steps = check.whole(0, 10)("depth", depth)
    found = await graph.query(f"MATCH (n:{label} {{{KEY}: $key}}) RETURN n", {"key": at[1]}, read=True)
    if not found.records:
        raise GraphNotFound(f"the memory space has no {label} with this name")
    nodes: dict[_At, GraphNode] = {at: found.records[0]["n"]}
    lines: dict[tuple[_At, str, _At, str], GraphEdge] = {}
    border, left = [at], set[_At]()
    for _ in range(steps):
        near: dict[_At, GraphNode] = {}
        for start, edge, node, forward in await _near(graph, space, border):
            end = _at(node)
            ends = (start, end) if forward else (end, start)
            lines[ends[0], edge.type, ends[1], str(edge.properties.get(OWNER, ""))] = edge
            if end not in nodes:
                near[end] = node
        shown = sorted(near)[: most - len(nodes)]
        left |= near.keys() - {*shown}
        nodes |= {one: near[one] for one in shown}
        border = [one for one in shown if one[0] not in _HUBS]
    left -= nodes.keys()
    drawn = [(*one, edge) for one, edge in sorted(lines.items(), key=lambda line: line[0])]
    return picture(nodes, [(start, edge, end) for start, _, end, _, edge in drawn], left_out=len(left))


_IN_SPACE = tuple(label.name for label in LABELS.values() if label.key[0] == "memorySpaceId" and len(label.key) == 2)


async def _near(graph: GraphAdapter, space: str, border: Sequence[_At]) -> list[tuple[_At, GraphEdge, GraphNode, bool]]:
    """What is one edge away: from which node, by which edge, and whether it begins there."""
    found: list[tuple[_At, GraphEdge, GraphNode, bool]] = []
    for label, some in itertools.groupby(sorted(border), key=lambda one: one[0]):
        shared = " OR ".join(f"b:{other}" for other in _SHARED)
        query = (
            f"UNWIND $keys AS key MATCH (a:{label} {{{KEY}: key}})-[r]-(b) "
            f"WHERE (b.memorySpaceId = $space OR {shared}) AND b.{KEY} IS NOT NULL "
            f"RETURN key, r, b, startNode(r).{KEY} = key AS forward"
        )
        values = {"keys": [key for _, key in some], "space": shortened(space)}
        for record in (await graph.query(query, values, read=True)).records:
            found.append(((label, record["key"]), record["r"], record["b"], record["forward"]))
    return found


def _at(node: GraphNode) -> _At:
    return node.label, node.properties[KEY]


# --- the picture ------------------------------------------------------------------------------------------------------


def picture(
    nodes: Mapping[_At, GraphNode], edges: Iterable[tuple[_At, GraphEdge, _At]], *, left_out: int = 0
) -> Picture:
    """An SVG of nodes and of the edges between them. An edge to a node that is not there is left out."""
    lines = [line for line in edges if line[0] in nodes and line[2] in nodes]
    places, width, height = _placed(list(nodes), lines)
    svg = _element(None, "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=width)
    svg.set("height", str(height))
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "11")
    svg.set("role", "img")
    _text(svg, "title", f"{len(nodes)} nodes and {len(lines)} edges of a graph")
    marker = _element(
        _element(svg, "defs"), "marker", id="arrow", viewBox="0 0 8 8", refX=8, refY=4, markerWidth=7, markerHeight=7
    )
    marker.set("orient", "auto")
    _element(marker, "path", d="M0 0 8 4 0 8z", fill="#777")
    _element(svg, "rect", width=width, height=height, fill="#fff")
    beside: dict[frozenset[_At], int] = {}
    for start, edge, end in lines:
        pair = frozenset((start, end))
        beside[pair] = beside.get(pair, -1) + 1
        _draw_edge(svg, places[start], places[end], edge, beside[pair])
    for at, node in nodes.items():
        _draw_node(svg, places[at], node)
    for number, label in enumerate(sorted({label for label, _ in nodes})):
        _element(svg, "circle", cx=16, cy=18 + 18 * number, r=6, fill=_COLOURS.get(label, "#999"))
        _text(svg, "text", label, x=28, y=22 + 18 * number, fill="#333")
    if left_out:
        _text(svg, "text", f"{left_out} more nodes are not shown", x=10, y=height - 8, fill="#777")
    ElementTree.indent(svg)
    return Picture(ElementTree.tostring(svg, encoding="unicode"), len(nodes), len(lines), left_out)


def _placed(
    nodes: Sequence[_At], lines: Sequence[tuple[_At, GraphEdge, _At]]
) -> tuple[dict[_At, tuple[int, int]], int, int]:
    """Where each node stands, and the size of the picture, in pixels."""
    try:
        import networkx
        import numpy  # noqa: F401  # networkx places nodes with it
    except ImportError as error:
        raise MissingExtra("draw", "graph-draw") from error
    net = networkx.Graph()
    numbers = {at: number for number, at in enumerate(nodes)}
    net.add_nodes_from(numbers.values())
    net.add_edges_from((numbers[start], numbers[end]) for start, _, end in lines if start != end)
    found = networkx.spring_layout(net, seed=1, iterations=200, k=1.6 / math.sqrt(len(nodes)))
    side = _SPACE * math.sqrt(len(nodes))
    width, height = round(1.2 * side + _SPACE), round(0.75 * side + _SPACE)
    across, down = (_spread([float(found[number][axis]) for number in numbers.values()]) for axis in (0, 1))
    return (
        {
            at: (_MARGIN + round(x * (width - 2 * _MARGIN)), _MARGIN // 2 + round(y * (height - _MARGIN)))
            for at, x, y in zip(nodes, across, down, strict=True)
        },
        width,
        height,
    )


def _spread(values: Sequence[float]) -> list[float]:
    """The values, moved and stretched to 0 to 1. Equal ones are in the middle."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]


def _draw_node(svg: ElementTree.Element, place: tuple[int, int], node: GraphNode) -> None:
    x, y = place
    group = _element(svg, "g")
    told = [node.label, *(f"{name}: {value}" for name, value in _visible(node.properties))]
    _text(group, "title", "\n".join(told))
    _element(group, "circle", cx=x, cy=y, r=_RADIUS, fill=_COLOURS.get(node.label, "#999"), stroke="#fff")
    _text(group, "text", _caption(node), x=x, y=y + _RADIUS + 12, fill="#111", **_HALO, **_MIDDLE)


def _draw_edge(
    svg: ElementTree.Element, start: tuple[int, int], end: tuple[int, int], edge: GraphEdge, number: int
) -> None:
    """A line from one circle to the other; further ones between the same two bend."""
    (x, y), (to_x, to_y) = start, end
    length = math.hypot(to_x - x, to_y - y)
    group = _element(svg, "g")
    _text(group, "title", "\n".join([edge.type, *(f"{key}: {value}" for key, value in _visible(edge.properties))]))
    line = {"fill": "none", "stroke": "#999", "marker-end": "url(#arrow)"}
    if length < 1:
        top = y - _RADIUS
        _element(
            group, "path", d=f"M{x - 8} {top + 3}C{x - 30} {top - 40} {x + 30} {top - 40} {x + 8} {top + 3}", **line
        )
        _text(group, "text", edge.type, x=x, y=top - 32, **_EDGE_LABEL)
        return
    across_x, across_y = (to_y - y) / length, (x - to_x) / length
    if start > end:  # the same side for both directions
        across_x, across_y = -across_x, -across_y
    bend = 36 * ((number + 1) // 2) * (-1) ** number
    middle = (x + to_x) / 2 + across_x * bend, (y + to_y) / 2 + across_y * bend
    first, last = _towards(start, middle), _towards(end, middle)
    control = 2 * middle[0] - (first[0] + last[0]) / 2, 2 * middle[1] - (first[1] + last[1]) / 2
    points = [round(one) for one in (*first, *control, *last)]
    _element(group, "path", d="M{} {}Q{} {} {} {}".format(*points), **line)
    _text(group, "text", edge.type, x=round(middle[0]), y=round(middle[1]) - 3, **_EDGE_LABEL)


def _towards(place: tuple[int, int], goal: tuple[float, float]) -> tuple[float, float]:
    """The point of a node's circle that is nearest to another point."""
    length = math.hypot(goal[0] - place[0], goal[1] - place[1]) or 1.0
    share = (_RADIUS + 2) / length
    return place[0] + (goal[0] - place[0]) * share, place[1] + (goal[1] - place[1]) * share


_MIDDLE = {"text-anchor": "middle"}
_HALO = {"stroke": "#fff", "stroke-width": "3", "paint-order": "stroke"}
_EDGE_LABEL = {"fill": "#555", "font-size": "9", **_HALO, **_MIDDLE}


def _caption(node: GraphNode) -> str:
    named = LABELS.get(node.label)
    last = named.key[-1] if named else KEY
    text = str(node.properties.get(_SHOWN.get(node.label, last)) or node.properties.get(last, ""))
    text = " ".join(text.split())
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"


def _visible(properties: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in properties.items() if name not in (KEY, OWNER, REVISION))


def _element(parent: ElementTree.Element | None, tag: str, **attributes: object) -> ElementTree.Element:
    given = {name: str(value) for name, value in attributes.items()}
    return ElementTree.Element(tag, given) if parent is None else ElementTree.SubElement(parent, tag, given)


def _text(parent: ElementTree.Element, tag: str, text: str, **attributes: object) -> None:
    """An element with a text. What XML cannot hold is shown as U+FFFD; the rest is escaped when it is written."""
    _element(parent, tag, **attributes).text = "".join(one if _is_xml(one) else "\ufffd" for one in text)


def _is_xml(character: str) -> bool:
    code = ord(character)
    return (code >= 0x20 and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF)) or character in "\t\n"
