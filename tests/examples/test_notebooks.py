"""The notebooks run from top to bottom in a kernel of their own; their output is a transcript that people can read.

The transcript has the headings, the code and the outputs.  Diagrams come from virtual time and are the same each time;
only `live`, which runs in real time, shows figures and ids that differ, and these are put in braces.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import jupytext
import nbclient
import nbformat
import psutil
import pytest
from jupyter_client import AsyncKernelManager
from nbclient.exceptions import CellExecutionError
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.md"))
DIFFERS = (
    (r"\bmem-[0-9a-f]{32}\b", "mem-{id}"),
    (r"(?<=first text after )[\d,]+", "{n}"),
    (r"[\d,]+(?= characters/s)", "{n}"),
    (r"(?<=of the gaps up to )[\d,]+", "{n}"),
)


class Markdown(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    file_extension = "md"

    @classmethod
    def get_snapshot_name(cls, *, test_location, index=0):
        """The name of the notebook: two tests compare with one file."""
        return str(index)


class Text(HTMLParser):
    """The text of HTML, a line for each row and block."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()
        self.text = "\n".join(line.strip(" |") for line in self.text.splitlines() if line.strip(" |"))

    def handle_starttag(self, tag, attributes):
        self.text += {"td": " | ", "th": " | ", "div": "\n", "tr": "\n", "pre": "\n"}.get(tag, "")

    def handle_endtag(self, tag):
        self.text += {"div": "\n", "tr": "\n", "pre": "\n"}.get(tag, "")

    def handle_data(self, data):
        self.text += data


def words(text):
    return re.findall(r"\w+", text)


def shown(output):
    """What an output says, as text."""
    if output.output_type == "stream":
        assert output.name == "stdout", output.text
        return output.text
    kinds = {kind: "".join(text) for kind, text in output.data.items()}
    plain = kinds.pop("text/plain")
    if svg := kinds.pop("image/svg+xml", None):
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        plain = f"{plain}\n[also drawn, as SVG]"
    if html := kinds.pop("text/html", None):
        text = Text(html).text
        plain = f"{plain}\n[also as HTML]" if words(text) == words(plain) else f"[as HTML]\n{text}"
    if markdown := kinds.pop("text/markdown", None):
        plain = markdown
    assert not kinds, kinds.keys()
    return plain


def transcript(notebook):
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts += re.findall(r"^#+ .*", cell.source, re.M)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        # A kernel sends what is printed whenever it likes: pieces that follow each other are one output.
        outputs = []
        for output in cell.outputs:
            if outputs and output.output_type == outputs[-1].output_type == "stream":
                outputs[-1].text += output.text
            else:
                outputs.append(nbformat.from_dict(output))
        parts += [f"````text\n{shown(output).rstrip()}\n````" for output in outputs]
    text = "\n\n".join(parts) + "\n"
    for pattern, instead in DIFFERS:
        text = re.sub(pattern, instead, text)
    return text


@contextmanager
def no_process_left():
    before = set(psutil.Process().children(recursive=True))
    try:
        yield
    finally:
        left = set(psutil.Process().children(recursive=True)) - before
        assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


async def execute(notebook, folder, **more):
    """Run it; what a cell raises is raised, with its traceback."""
    client = nbclient.NotebookClient(notebook, timeout=110, resources={"metadata": {"path": str(folder)}}, **more)
    await client.async_execute()
    if client.kc:  # the kernel is another's, and goes on
        client.kc.stop_channels()
    return notebook


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def test_there_are_notebooks():
    assert NOTEBOOKS == ["01_first_memory", "02_own_operator", "03_recall", "04_facts", "05_memory_system", "06_graph"]


@pytest.mark.timeout(300)  # one of them starts a server, which takes long on a busy machine
async def test_they_run_from_top_to_bottom(tmp_path, snapshot):
    """In one kernel, which imports the library once and forgets all names before each notebook."""
    with no_process_left():
        kernel = AsyncKernelManager()
        try:
            for name in NOTEBOOKS:
                notebook = jupytext.read(EXAMPLES / f"{name}.md")
                notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
                await execute(notebook, tmp_path, km=kernel)
                del notebook.cells[0]
                assert transcript(notebook) == snapshot(extension_class=Markdown, name=name)
                assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == []
        finally:
            await kernel.shutdown_kernel(now=True)


@pytest.mark.timeout(300)
@pytest.mark.slow(reason="each notebook in a kernel of its own; all in one, in every run")
@pytest.mark.parametrize("name", NOTEBOOKS)
async def test_it_runs_from_top_to_bottom(name, tmp_path, snapshot):
    with no_process_left():
        notebook = await execute(jupytext.read(EXAMPLES / f"{name}.md"), tmp_path)
    assert transcript(notebook) == snapshot(extension_class=Markdown, name=name)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_saved_as_it_is_written(name):
    """Opened with jupytext and saved, nothing but its header may change: so a person's change is a small diff."""
    text = (EXAMPLES / f"{name}.md").read_text(encoding="utf-8")
    saved = jupytext.writes(jupytext.reads(text, fmt="md:myst"), fmt="md:myst")
    assert saved.split("---\n", 2)[2].strip() == text.split("---\n", 2)[2].strip()
    assert max(map(len, text.splitlines())) <= 140


async def test_a_cell_that_fails_fails_with_its_traceback(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("def broken():\n    1 / 0\n\nbroken()")])
    with no_process_left(), pytest.raises(CellExecutionError, match="ZeroDivisionError") as failed:
        await execute(notebook, tmp_path)
    assert "broken()" in str(failed.value)
