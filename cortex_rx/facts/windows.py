"""Which text is read for facts next: windows of whole sentences, each character once, beside an overlap for context."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

__all__ = ["OVERLAP", "THRESHOLD", "Window", "Windows"]

THRESHOLD = 500
"""Code points of new text that make a window."""
OVERLAP = 0.12
"""The most of a window's length that it may repeat of the one before."""
_LONGEST = 3_000  # code points of a sentence: more than a link may have

_PLAIN_END = r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+\s*|\s*\n\s*\n\s*"


class Window(NamedTuple):
    """A piece of text to be read: `text` is new from `start` to `stop`, code points of the whole text; before that it
    repeats `overlap` code points of the window before."""

    text: str
    start: int
    stop: int
    overlap: int = 0

    @property
    def new(self) -> str:
        """The text that no window before has."""
        return self.text[self.overlap :]


class Windows:
    """Cuts one text, which comes in pieces, into windows. However it is split into pieces, the windows are the same.

    A window is closed at the first end of a sentence after `threshold` code points of new text. It begins with the last
    whole sentences before it, as many as fit into a share of `OVERLAP`. Sentences end where `chunk` ends them. Without
    the libraries of `chunk` they end after `.`, `!`, `?` and white space, after `。`, and at a blank line. A sentence
    without an end is closed after 3,000 code points, or after `threshold` if that is more.

    >>> windows = Windows(threshold=40)
    >>> given = "I live in Leeds. ", "My sister Ada plays the cel", "lo. She is 40. We meet on Sun", "days."
    >>> for window in [*(one for text in given for one in windows.feed(text)), *windows.finish()]:
    ...     print(window.start, window.stop, repr(window.text))
    0 48 'I live in Leeds. My sister Ada plays the cello. '
    48 78 'She is 40. We meet on Sundays.'
    """

    def __init__(self, threshold: int = THRESHOLD, start: int = 0) -> None:
        self.threshold: int = threshold
        """It may be changed: what is new holds from the next end of a sentence on."""
        self._longest = max(_LONGEST, threshold)
        self._before: list[str] = []  # the sentences of the window before
        self._sentences: list[str] = []  # of the open window
        self._complete = 0  # their length
        self._open: list[str] = []  # the text that is in no window yet
        self._finder = _finder(self._longest)
        self.start: int = start
        """Where the open window begins, without its overlap."""

    def feed(self, text: str) -> list[Window]:
        """Add text, and return the windows that it completes."""
        if text:
            self._open.append(text)
        return self._add(self._finder.feed(text))

    def finish(self) -> list[Window]:
        """End the text, and return what is left of it, as at most two windows."""
        windows = self._add(self._finder.finish())
        if self._complete:
            windows.append(self._close())
        self._before = []
        return windows

    def _add(self, sentences: list[str]) -> list[Window]:
        windows: list[Window] = []
        for sentence in sentences:
            self._sentences.append(sentence)
            self._complete += len(sentence)
            if self._complete >= self.threshold:
                windows.append(self._close())
        return windows

    def _close(self) -> Window:
        new = "".join(self._sentences)
        context, left = "", int(len(new) * OVERLAP)
        while self._before and len(self._before[-1]) <= left - len(context):
            context = self._before.pop() + context
        window = Window(context + new, self.start, self.start + len(new), len(context))
        self._before, self._sentences = self._sentences, []
        rest = "".join(self._open)[len(new) :]
        self._open = [rest] if rest else []
        self.start, self._complete = window.stop, 0
        return window


class _Finder(Protocol):
    """Finds sentences, each with the white space after it."""

    def feed(self, text: str) -> list[str]:
        """Add text, and return the sentences that it completes."""
        ...

    def finish(self) -> list[str]:
        """The open sentences."""
        ...


class _AsChunks:
    """The sentences of `chunk`."""

    def __init__(self, longest: int) -> None:
        from cortex_rx.chunking import Cutter, Sentences  # here, for a program without `chunk` lacks its libraries

        self._cutter = Cutter(lambda: Sentences(longest), size=1)

    def feed(self, text: str) -> list[str]:
        return [span.text for span in self._cutter.feed(text)]

    def finish(self) -> list[str]:
        return [span.text for span in self._cutter.finish()]


class _Plain:
    """Sentences by their last sign alone. Whether one has ended is known with the first letter of the next."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._text = ""

    def feed(self, text: str) -> list[str]:
        self._text += text
        return self._found()

    def finish(self) -> list[str]:
        found = self._found()
        rest, self._text = self._text, ""
        return [*found, rest] if rest else found

    def _found(self) -> list[str]:
        text, found, at = self._text, list[str](), 0
        while at < len(text):
            end = re.compile(_PLAIN_END).search(text, at)
            stop = end.end() if end and end.end() < len(text) else None
            if (len(text) if stop is None else stop) - at > self._longest:
                space = text.rfind(" ", at + self._longest // 2, at + self._longest) + 1
                stop = space or at + self._longest
            elif stop is None:
                break
            found.append(text[at:stop])
            at = stop
        self._text = text[at:]
        return found


def _finder(longest: int) -> _Finder:
    try:
        return _AsChunks(longest)
    except ImportError:
        return _Plain(longest)
