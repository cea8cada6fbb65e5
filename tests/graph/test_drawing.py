"""Pictures of a part of the graph."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest
from helpers.graph_stores import fill, remember, tell, write_changes

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import GraphNotFound, InvalidArgument, MissingExtra
from cortex_rx.graph.drawing import draw, picture
from cortex_rx.models.graph import GraphEdge, GraphNode
from cortex_rx.testing.virtual import wall

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert('x')</script><image href='http://example.org/x' onload=\"y\"/> &lt; ]]> \x00\x1b\x7f"


def captions(svg: str) -> list[str]:
    return [str(one.text) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture
async def backend(graph):
    async with SqliteBackend(":memory:", clock=wall) as store:
        await fill(store)
        await fill(store, "second")
        await write_changes(store, graph)
        yield store


async def test_what_is_near_a_node(backend, graph):
    shown = await draw(graph, "support", "Entity", "Ada")
    assert captions(shown.svg) == [
        *("KNOWS", "LIVES_IN", "MENTIONS", "MENTIONS"),
        *("Ada", "Bern", "Bob", "Ada lives_in Bern.", "Ada knows Bob."),
        *("Entity", "Fact"),
    ]
    assert (shown.nodes, shown.edges, shown.left_out) == (5, 4, 0)
    again = await draw(graph, "support", "Entity", "Ada")
    assert again == shown and shown._repr_svg_() == str(shown) == shown.svg
    fewer = await draw(graph, "support", "Entity", "Ada", limit=2)
    assert (fewer.nodes, fewer.left_out) == (2, 3) and "3 more nodes are not shown" in captions(fewer.svg)
    alone = await draw(graph, "support", "Entity", "Ada", depth=0)
    assert captions(alone.svg) == ["Ada", "Entity"]
    memory = await draw(graph, "support", "Memory", "m-1", depth=3)
    assert captions(memory.svg)[-3:] == ["Memory", "MemorySpace", "User"]  # the walk ends at the space and the user


async def test_nothing_of_another_memory_space_is_shown(backend, graph):
    await remember(backend, "second", "m-9", content="a secret", userId="ada")
    await tell(backend, "second", "f-9", "Ada", "hides", "a secret")
    await write_changes(backend, graph)
    for label, name in (("Entity", "Ada"), ("Memory", "m-1"), ("Context", "x-1"), ("Conversation", "c-1")):
        shown = await draw(graph, "support", label, name, depth=10, limit=500)
        assert "second" not in shown.svg and "secret" not in shown.svg and "other" not in shown.svg


async def test_what_cannot_be_drawn(graph):
    with pytest.raises(GraphNotFound, match="no Entity"):
        await draw(graph, "support", "Entity", "nobody")
    for label, field in (("User", "label"), ("Entity {x: 1}) DETACH DELETE n //", "label"), ("MemorySpace", "label")):
        with pytest.raises(InvalidArgument, match=field):
            await draw(graph, "support", label, "x")
    with pytest.raises(InvalidArgument, match="limit"):
        await draw(graph, "support", "Entity", "x", limit=0)


def two_nodes(text: str):
    one = GraphNode("Fact", {"_key": "1", "fact": text, "factId": "f", "more": text})
    two = GraphNode("Entity", {"_key": "2", "name": text})
    return {("Fact", "1"): one, ("Entity", "2"): two}


def test_texts_are_escaped():
    nodes = two_nodes(HOSTILE)
    line = GraphEdge("MENTIONS", "1", "2", {"role": HOSTILE})
    shown = picture(nodes, [(("Fact", "1"), line, ("Entity", "2")), (("Fact", "1"), line, ("Entity", "gone"))])
    tree = ElementTree.fromstring(shown.svg)
    tags = {one.tag.removeprefix(SVG) for one in tree.iter()}
    assert tags == {"svg", "title", "defs", "marker", "path", "rect", "g", "circle", "text"}
    assert not [name for one in tree.iter() for name in one.attrib if name.startswith("on") or "href" in name]
    assert shown.edges == 1 and HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd") in "".join(tree.itertext())


def test_several_edges_between_two_do_not_lie_on_each_other(snapshot):
    ends = ("Fact", "1"), ("Entity", "2")
    edges = [(ends[number % 2], GraphEdge(f"TYPE_{number}", "1", "2"), ends[1 - number % 2]) for number in range(3)]
    edges.append((ends[1], GraphEdge("ITSELF", "2", "2"), ends[1]))
    shown = picture(two_nodes("Ada lives in Bern, as far as anybody knows."), edges)
    paths = re.findall(r'<path d="(M[^"]*[QC][^"]*)"', shown.svg)
    assert len(set(paths)) == 4
    # Where nodes stand is found by floating-point numbers, so other machines may differ by a pixel.
    assert re.sub(r"(?<= )(c?x|c?y|d|width|height|viewBox)=\"[^\"]*\"", r'\1="..."', shown.svg) == snapshot


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingExtra, match=r"cortex-rx\[graph-draw\]"):
        picture(two_nodes("x"), [])


def test_a_picture_is_saved(tmp_path):
    shown = picture(two_nodes("größer"), [])
    shown.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == shown.svg
