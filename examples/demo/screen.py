"""The live view: the text as it arrives, the facts in it, and a line that says how much is shown and stored.

On a terminal the line stays at the bottom, below the text that scrolls, and ends with the last fact.  Elsewhere it is
written into the text at intervals, where a line of the text has just ended; so is each fact.
"""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO


class Screen:
    """Shows text and progress on `out` while its `with` block runs."""

    def __init__(self, out: TextIO, length: int, *, interval: float | None = None) -> None:
        self._out, self._length = out, length
        self._fixed = out.isatty()
        self._interval = interval if interval is not None else 0.1 if self._fixed else 2.0
        self._size = (0, 0)
        self._begun = self._said = time.monotonic()
        self._first: float | None = None
        self.characters = self.chunks = self.stored = self.facts = 0
        self._found: list[str] = []  # facts that are not written yet; on a terminal the last one

    def text(self, text: str) -> None:
        """Show a piece of the answer, now."""
        if self._first is None:
            self._first = time.monotonic()
        self.characters += len(text)
        self.chunks += 1
        due = time.monotonic() - self._said >= self._interval
        if self._fixed or not (due or self._found) or "\n" not in text:
            self._out.write(text)
            if self._fixed and due:
                self.progress()
        else:
            line, _, rest = text.rpartition("\n")
            self._out.write(f"{line}\n")
            self._write_facts()
            if due:
                self.progress()
            self._out.write(rest)
        self._out.flush()

    def durable(self, offset: int) -> None:
        """Note that `offset` code points are stored."""
        self.stored = offset
        if self._fixed:
            self.progress()
            self._out.flush()

    def fact(self, fact: str) -> None:
        """Show a fact."""
        self.facts += 1
        if self._fixed:
            self._found = [fact]
            self.progress()
            self._out.flush()
        else:
            self._found.append(fact)

    def _write_facts(self) -> None:
        for fact in self._found:
            self._out.write(f"[a fact: {fact}]\n")
        self._found.clear()

    def progress(self) -> None:
        """Write the line."""
        self._said = time.monotonic()
        seconds = self._said - self._begun
        streamed = self._said - self._first if self._first is not None else 0.0
        rate = self.chunks / streamed if streamed > 0.2 else 0
        line = (
            f"{seconds:5.1f} s  {self.characters:,} of {self._length:,} characters  "
            f"{rate:,.0f} chunks/s  stored up to {self.stored:,}  facts {self.facts}"
        )
        if not self._fixed:
            self._out.write(f"[{line.strip()}]\n")
            return
        if (size := shutil.get_terminal_size()) != self._size:
            self._size = size
            # Let all lines but the last two scroll.  This moves the cursor, so its position is saved and restored.
            self._out.write(f"\x1b7\x1b[1;{max(size.lines - 2, 1)}r\x1b8")
        shown = "  ".join([line, *self._found])[: size.columns - 1]
        self._out.write(f"\x1b7\x1b[{size.lines};1H\x1b[2K\x1b[7m{shown}\x1b[0m\x1b8")

    def __enter__(self) -> Screen:
        if self._fixed:
            self._out.write("\n" * 3 + "\x1b[3A")  # so that the cursor is not in the lines at the bottom
            self.progress()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fixed:
            self.progress()
            self._out.write(f"\x1b7\x1b[r\x1b8\x1b[{self._size[1]};1H\n")
        else:
            self._out.write("\n")
            self._write_facts()
            self.progress()
        self._out.flush()
