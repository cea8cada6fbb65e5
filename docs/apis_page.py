"""The index of the pages of the APIs, for docs/apis/README.md."""

from __future__ import annotations

from pathlib import Path

HEAD = """
# The APIs

What the attributes of a `Cortex` do, a page for each. The examples of these pages are run as tests.

| page | |
|---|---|
"""


def index(folder: Path, note: str) -> str:
    """The pages, each with its first sentence."""
    pages = sorted(page for page in folder.glob("*.md") if page.name != "README.md")
    return note + HEAD + "".join(f"| [{page.stem}]({page.name}) | {_first(page)} |\n" for page in pages)


def _first(page: Path) -> str:
    """The first sentence below the heading."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if not line.startswith("<!--")]
    heading, _, said = "\n".join(lines).strip().partition("\n\n")
    if not heading.startswith("# ") or "\n" in heading or not said:
        raise LookupError(f"{page.name} does not begin with `# title` and a paragraph that says what the page is about")
    return " ".join(said.split("\n\n")[0].split()).partition(". ")[0].rstrip(".").replace("|", "\\|")
