"""`make demo` as a program: its output, the content of its file, and what is left when it is interrupted."""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cortex_rx import Cortex

DEMO = Path(__file__).parents[2] / "examples" / "demo"
QUESTION = (
    "I'm Ada. I live in Lisbon, I'm learning Portuguese, and my brother is a sailor."
    " How does a streamed answer become a memory?"
)
TEXT = (DEMO / "answer.md").read_text(encoding="utf-8")
PROGRESS = re.compile(
    r"^\[ *[\d.]+ s  [\d,]+ of 18,739 characters  [\d,]+ chunks/s  stored up to [\d,]+  facts \d+\]\n", re.M
)
FOUND = re.compile(r"^\[a fact: (.*)\]\n", re.M)


def command(*arguments):
    return [sys.executable, "-W", "error", str(DEMO / "main.py"), *map(str, arguments)]


def environment():
    return os.environ | {"PYTHONIOENCODING": "utf-8"}


def demo(*arguments):
    return subprocess.run(
        command(*arguments), capture_output=True, encoding="utf-8", timeout=100, env=environment(), check=False
    )


def without_lines(out):
    """The output without the lines that were written into the text."""
    return FOUND.sub("", PROGRESS.sub("", out))


def stored(path):
    async def read():
        async with Cortex(path) as cortex:
            conversation = await cortex.conversations.get("river", memory_space_id="demo")
            memories = await cortex.memory.list("demo", include_partial=True)
            whole = [await cortex.memory.get("demo", memory.memory_id, include_partial=True) for memory in memories]
            return [message.content for message in conversation.messages] if conversation else [], whole

    return asyncio.run(read())


def test_the_text_is_long_and_has_everything_in_it():
    assert len(TEXT.encode()) >= 20 * 1024
    for part in (
        "```cpp",
        "```python",
        "```sql",
        "記憶",
        "记",
        "한국어",
        "По-русски",
        "👩\u200d🚀",
        "👨\u200d👩\u200d👧\u200d👦",
        "𠮷",
        "C++",
    ):
        assert part in TEXT
    paragraphs = [part for part in TEXT.split("\n\n") if len(part) > 80]
    assert len(paragraphs) == len(set(paragraphs)) > 40


def test_it_streams_stores_and_finds_the_answer_again(tmp_path, snapshot, modules):
    path = tmp_path / "memory.db"
    done = demo("--fast", "--db", path)
    assert (done.returncode, done.stderr) == (0, "")
    out, lines = PROGRESS.subn("", done.stdout)
    assert lines >= 1  # the last of them, at the end
    assert FOUND.findall(out)[-2:] == ["Lisbon is the capital of Portugal", "Your brother is a sailor"]
    assert out.index("[a fact: I live in Lisbon]") < out.index("## 13.")  # while it streams
    out = FOUND.sub("", out)
    assert out.count(TEXT) == 1  # every token, in its order
    out = out.replace(TEXT, "{the answer}").replace(str(path), "{path}")
    out = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:{port}", out)
    out = re.sub(r"(?<=^first token after) .*|(?<=^whole answer after) .*", " {ms}", out, flags=re.M)
    out = re.sub(
        r"^((?:chunks per second|gap between|writes of)[^\d]*?(?: \d\d %)?)  .*", r"\1 {number}", out, flags=re.M
    )
    out = re.sub(r"the answer, [\d,]+ to [\d,]+", "the answer, {from} to {to}", out)
    assert re.sub(r"score \d\.\d+", "score {number}", out) == snapshot
    messages, memories = stored(path)
    assert messages == [QUESTION, TEXT]
    assert [memory.content for memory in memories] == [TEXT, messages[0]]
    assert not any(memory.is_partial for memory in memories)
    assert path.stat().st_mode & 0o777 == 0o600

    assert modules("main").demonstrate(path, TEXT, fast=True) == 0
    assert stored(path)[0] == messages * 2


def test_interrupted_in_the_middle_it_keeps_what_came_and_says_so(tmp_path):
    path = tmp_path / "memory.db"
    with subprocess.Popen(
        command("--db", path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        seen = b""
        while TEXT[:2000] not in without_lines(seen.decode(errors="ignore")):  # more than comes between two writes
            more = os.read(process.stdout.fileno(), 65536)
            assert more, process.stderr.read().decode()
            seen += more
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    out = without_lines((seen + out).decode())
    shown = out.partition("as it comes")[2].partition("\n")[2].partition("\n\ninterrupted; ")[0].rstrip("\n")
    assert len(shown) >= 2000 and TEXT.startswith(shown) and len(shown) < len(TEXT)
    messages, (memory,) = stored(path)
    assert messages == []
    assert memory.is_partial and memory.partial_metadata["userMessage"] == QUESTION
    assert TEXT.startswith(memory.content) and memory.content.startswith(shown)
    kept = f"kept: {len(memory.content):,} characters of the answer, as a partial memory, and the question"
    assert kept in out and f"it is in {path}" in out and "Traceback" not in out


def test_a_file_that_is_not_ours_is_an_error_without_a_traceback(tmp_path, modules, monkeypatch, capsys):
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada, this is no database.\n" * 100)
    monkeypatch.setattr(sys, "argv", ["main.py", "--fast", "--db", str(path)])
    assert modules("main").main() == 1
    error = capsys.readouterr().err
    assert "NotACortexFile" in error and "Traceback" not in error
    assert path.read_text().startswith("Dear Ada")


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMO))
    before = set(sys.modules)
    yield lambda name: importlib.import_module(name)
    for name in {"main", "screen", "server"} & (set(sys.modules) - before):
        del sys.modules[name]


def test_a_difference_is_found_and_is_a_failure(tmp_path, modules, monkeypatch, capsys):
    main = modules("main")
    monkeypatch.setattr(main, "Server", lambda text: modules("server").Server(text.replace("tortoise", "turtle")))
    assert main.demonstrate(tmp_path / "memory.db", TEXT, fast=True) == 1
    out = capsys.readouterr().out
    verified = out.partition("--- verified")[2].splitlines()[1:10]
    assert [line[:3] for line in verified] == ["NO ", "NO ", "NO ", "yes", "yes", "yes", "NO ", "yes", "yes"]


def test_on_a_terminal_the_line_stays_at_the_bottom(modules, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    sizes = iter([os.terminal_size((80, 24))] * 3 + [os.terminal_size((40, 10))] * 9)
    module = modules("screen")
    monkeypatch.setattr(module, "shutil", SimpleNamespace(get_terminal_size=lambda: next(sizes)))  # pytest asks, too
    out = Terminal()
    with module.Screen(out, 100, interval=0) as screen:
        screen.fact("It is three")
        for piece in ("One ", "two\nthr", "ee. "):
            screen.text(piece)
        screen.durable(8)
    drawn = out.getvalue()
    assert drawn.startswith("\n\n\n\x1b[3A")
    assert "\x1b[1;22r" in drawn and "\x1b[1;8r" in drawn  # the lines that scroll, before and after a change of size
    lines = re.findall(r"\x1b7\x1b\[(\d+);1H\x1b\[2K\x1b\[7m(.*?)\x1b\[0m\x1b8", drawn)
    assert {row for row, _ in lines} == {"24", "10"} and all(len(line) < 80 for _, line in lines)
    assert "15 of 100 characters" in lines[-1][1] and lines[-1][0] == "10"
    assert lines[1][1].endswith("facts 1  It is three")
    text = re.sub(r"\x1b7.*?\x1b8|\x1b\[\d*A|\x1b\[10;1H", "", drawn)
    assert text.strip("\n") == "One two\nthree. " and drawn.endswith("\x1b7\x1b[r\x1b8\x1b[10;1H\n")


def test_without_its_extra_it_names_the_install_command(tmp_path):
    (tmp_path / "openai.py").write_text("raise ImportError(\"No module named 'openai'\")")
    env = environment() | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command(), capture_output=True, encoding="utf-8", timeout=100, env=env, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        "No module named 'openai'; the demo needs the extra 'demo': pip install 'cortex-rx[demo]', or say make demo"
    )
