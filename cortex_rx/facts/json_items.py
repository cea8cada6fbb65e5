"""The items of a list in a JSON object, each as soon as it is complete: of an output that is cut off, all but the last.

Each character is looked at once, and only what may still be needed is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

__all__ = ["InvalidJson", "JsonItems"]

_BEFORE = r"\{"
_OUTSIDE = r'["{}\[\],]'
_IN_STRING = r'["\\]'
_PAIRS = {"}": "{", "]": "["}


class InvalidJson:
    """Stands for an item that is no JSON."""


class JsonItems:
    """The items of the list `name` in the first JSON object of a text. What stands before that object is skipped.

    >>> items = JsonItems("facts")
    >>> items.feed('{"facts": [{"fact": "Ada likes tea."}, {"fact": "Ada is'), items.state
    ([{'fact': 'Ada likes tea.'}], 'begun')
    >>> items.feed(' 36."}]}'), items.state
    ([{'fact': 'Ada is 36.'}], 'complete')
    """

    def __init__(self, name: str) -> None:
        self._key = re.compile(rf"\s*{re.escape(json.dumps(name))}\s*:\s*")
        self._open: list[str] = []  # the brackets that are open
        self._held: list[str] = []  # the text since the last comma of the object, or of the list
        self._in_list = self._in_string = self._escaped = False
        self.state: Literal["nothing", "begun", "complete", "another schema", "not JSON"] = "nothing"
        """What the text is so far. It is "complete" with the end of the list."""

    def feed(self, text: str) -> list[Any]:
        """The items that are complete with this text; an `InvalidJson` for each that is no JSON."""
        found: list[Any] = []
        start = 0
        for at, sign in self._signs(text):
            depth = len(self._open)
            if sign in "{[":
                if depth == 0:
                    self.state, start = "begun", at + 1
                elif depth == 1 and sign == "[" and self._key.fullmatch(self._taken(text[start:at])):
                    self._in_list, start = True, at + 1
                self._open.append(sign)
            elif sign != "," and self._open.pop() != _PAIRS[sign]:
                self.state = "not JSON"
            elif not self._in_list:
                if depth == 1:
                    self._held.clear()
                    start = at + 1
                    self.state = self.state if sign == "," else "another schema"
            elif depth == 2 or (depth == 3 and sign != ","):
                found += _parsed(self._taken(text[start : at + (depth == 3)]))
                start = at + 1
                self.state = "complete" if depth == 2 and sign == "]" else self.state
        if self._open:
            self._held.append(text[start:])
        return found

    def _signs(self, text: str) -> Iterator[tuple[int, str]]:
        """The brackets and commas that stand in no string, until it is known what the text is."""
        at = 0
        while at < len(text) and self.state in ("nothing", "begun"):
            if self._escaped:
                self._escaped, at = False, at + 1
                continue
            signs = _IN_STRING if self._in_string else _OUTSIDE if self._open else _BEFORE
            if (found := re.compile(signs).search(text, at)) is None:
                return
            at, sign = found.end(), found[0]
            if sign == "\\":
                self._escaped = True
            elif sign == '"':
                self._in_string = not self._in_string
            else:
                yield found.start(), sign

    def _taken(self, end: str) -> str:
        """The text that was held, with its end."""
        text = "".join([*self._held, end])
        self._held.clear()
        return text


def _parsed(text: str) -> list[Any]:
    """The item; none if there is nothing between two commas."""
    if not text.strip():
        return []
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return [InvalidJson()]
