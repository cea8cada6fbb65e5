"""The pages: every link leads to a file that is there and to a heading that is in it, and no line is too long."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import cortex_rx

ROOT = Path(cortex_rx.__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
FENCED = re.compile(r"^( *)(```+).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#* *$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_that_it_names_are_there(page):
    """Paths in back quotes that begin at the root of the repository."""
    named = re.findall(r"`((?:tests|docs|examples|benchmarks|cortex_rx|\.ci)/[\w./]+)`", prose(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_names_that_it_names_are_there(page):
    """`file::name` and `file::Class.name`, of code and of tests."""
    gone = []
    for path, names in re.findall(r"`([\w/]+\.py)::([\w.]+)`", page.read_text(encoding="utf-8")):
        scope = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        for name in names.split("."):
            found = [one for one in scope if getattr(one, "name", None) == name]
            scope = getattr(found[-1], "body", []) if found else []
            if not found:
                gone.append(f"{path}::{names}")
    assert gone == []


def test_the_index_names_every_page():
    """The index of `docs`, and those of its folders."""
    folders = ("apis", "decisions", "recipes")
    indexes = [ROOT / "docs/README.md", *(ROOT / "docs" / folder / "README.md" for folder in folders)]
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for index in indexes for link in LINK.findall(prose(index))
    }
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page != indexes[0]}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - linked) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_lines_are_short(page):
    """At most 120 columns, but for tables, comments and code.  Generated pages are as wide as their docstrings."""
    if page.read_text(encoding="utf-8").startswith(("<!-- Written by", "# Errors", "# Streaming options")):
        pytest.skip("generated")
    lines = enumerate(prose(page).splitlines(), 1)
    assert [f"{at}: {line}" for at, line in lines if len(line) > 120 and not line.startswith(("|", "<!--"))] == []


def test_every_paragraph_of_code_is_closed():
    """An open fence would hide the rest of a page from the reader, and from these tests."""
    for page in PAGES:
        assert "```" not in prose(page), page
