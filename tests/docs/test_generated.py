"""Generated pages and diagrams are fresh; diagrams are drawn from runs."""

from __future__ import annotations

import dataclasses
import sys
from typing import get_args

import pytest

from cortex_rx import events
from cortex_rx import operators as cx


@pytest.fixture(scope="module")
def outputs(generate):
    """All that is generated, by file; to run all scenes takes a second."""
    return generate.outputs()


def test_it_is_up_to_date(generate, outputs):
    """The pages, and the marbles in the docstrings of the operators."""
    stale = generate.stale(outputs)
    assert stale == [], "not as the package is now: run `make docs` and look at what has changed"


def test_every_operator_and_sink_is_in_the_reference(generate, outputs):
    page = outputs[generate.ROOT / "docs/operators.md"]
    for name in cx.__all__:
        assert f"# {name}\n" in page


def test_an_operator_without_a_scene_is_named(generate, monkeypatch):
    scenes = sys.modules["scenes"].SCENES
    monkeypatch.delitem(scenes, "limit")
    with pytest.raises(LookupError, match="no scene for limit: add one to docs/scenes.py"):
        generate.outputs()


def test_a_drawing_follows_what_happens(generate):
    """Another run gives another drawing: nothing of it is written by hand."""
    scenes = sys.modules["scenes"]
    assert scenes.marbles((scenes.Scene("limit(2)", ("ab", 1, "c")),)).splitlines()[:3] == [
        "limit(2)",
        "source  (Oab)(c!)",
        "out     (Oab)#",
    ]
    assert scenes.marbles((scenes.Scene("limit(3)", ("ab", 1, "c")),)).splitlines()[2] == "out     (Oab)(cE|)"


def test_every_event_is_in_the_table_with_all_its_fields(generate, outputs):
    page = outputs[generate.ROOT / "docs/events.md"]
    for kind in get_args(events.BuiltinEvent):
        section = page.split(f"\n## {kind.__name__}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(kind):
            (row,) = [row for row in section.splitlines() if row.startswith(f"| `{field.name}` |")]
            assert row.strip("| ").split(" | ")[-1].endswith("."), f"{kind.__name__}.{field.name} has no docstring"


def test_who_emits_and_reads_is_what_is_declared(generate, outputs):
    """By the steps as they are made for a chain, not by what the generator made of them."""
    page = outputs[generate.ROOT / "docs/events.md"]
    rows = {row.split("`")[1]: row.split(" | ") for row in page.splitlines() if row.startswith("| [`")}
    step = cx.measure()
    for column, kinds in ((1, step.emits), (2, step.needs), (3, step.reads)):
        assert {name for name, row in rows.items() if "`measure`" in row[column]} == {kind.__name__ for kind in kinds}
    assert {name for name, row in rows.items() if "from_stream" in row[1]} == {
        "Opened",
        "Delta",
        "Ended",
        "Custom",
        "Problem",
    }


def test_an_import_that_goes_up_or_in_a_circle_is_refused(generate):
    """Two rooms that import each other always have an arrow that does not go down."""
    rooms = sys.modules["rooms_page"]
    down = {"top": {"left", "right"}, "left": {"base"}, "right": {"base"}, "base": set()}
    layers = [{"top"}, {"left", "right"}, {"base"}]
    assert rooms.order(down, layers) == ["top", "left", "right", "base"]
    for room, other in (("base", "top"), ("left", "right"), ("base", "left")):
        with pytest.raises(ValueError, match=f"{room} imports {other}, which is not below it"):
            rooms.order({**down, room: down[room] | {other}}, layers)
    with pytest.raises(ValueError, match="in no layer, or no room: base"):
        rooms.order(down, layers[:2])


def test_the_drawing_has_the_arrows_that_no_longer_path_implies(generate):
    rooms = sys.modules["rooms_page"]
    arrows = {"top": {"left", "base"}, "left": {"base"}, "base": set()}
    assert rooms.direct(arrows) == {"top": {"left"}, "left": {"base"}, "base": set()}


def test_a_decision_needs_a_status_and_a_date(generate, tmp_path):
    (tmp_path / "b.md").write_text("# A title\n\nStatus: in force.\nDate: 1 May 2026.\n\nText.\n")
    (tmp_path / "a.md").write_text("# The other\n\nStatus: superseded.\nDate: 2 May 2026.\n\nText.\n")
    assert generate.decisions_index(tmp_path).splitlines()[-2:] == [
        "| [A title](b.md) | in force | 1 May 2026 |",
        "| [The other](a.md) | superseded | 2 May 2026 |",
    ]
    (tmp_path / "c.md").write_text("# A third\n\nDate: 3 May 2026.\n\nText.\n")
    with pytest.raises(LookupError, match=r"c\.md does not begin with `# title`, `Status: ...` and `Date: ...`"):
        generate.decisions_index(tmp_path)
