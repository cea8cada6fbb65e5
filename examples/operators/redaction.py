"""Redaction: text that matches a pattern is never shown and never stored, however it is split over the deltas.

Run it with `python examples/operators/redaction.py`.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import regex

from cortex_rx import Cortex, Operator, default_chain
from cortex_rx import operators as cx

PERSONAL = (
    r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,3}\b"
    r"|(?<![\w+])\+?\d(?:[ -]?\d){6,14}\b"
    r"|\bsk-[A-Za-z0-9]{16,64}\b"
)
"""E-mail addresses, phone numbers, keys."""
LONGEST = 320
"""The most code points that a match of `PERSONAL` has; all its quantifiers are bounded."""


@cx.operator(rewrites=True)
def redact(pattern: str = PERSONAL, longest: int = LONGEST, mask: str = "[redacted]") -> Operator:
    """Replace all matches of `pattern` by `mask`.

    Text is held back only while it may be the beginning of a match.  A match may have at most `longest` code points; a
    longer one ends the stream with `ValueError`, and is not shown.  A lookahead may look at one character.

    The text of the answer is redacted.  `Custom` events, such as reasoning and tool calls, pass unchanged.
    """
    compiled = regex.compile(pattern)
    if compiled.search(""):
        raise ValueError("the pattern matches the empty text: every place would be masked")
    return cx.rewrite(lambda: Redactor(compiled, longest, mask))


class Redactor:
    """Redacts one text that comes in pieces: the output together is `pattern.sub(mask, text)`."""

    def __init__(self, pattern: regex.Pattern, longest: int, mask: str) -> None:
        self.pattern, self.longest, self.mask = pattern, longest, mask
        self.text = ""  # what is held back, and before it some text that was shown, for lookbehind and \b
        self.at = 0  # where what is held back begins

    def feed(self, text: str) -> str:
        """Return the text that no further text can turn into a match."""
        self.text += text
        return self._release(partial=True)

    def finish(self) -> str:
        """Return the rest: what could have become a match is one, or is not."""
        return self._release(partial=False)

    def _release(self, partial: bool) -> str:
        out: list[str] = []
        end = len(self.text)
        while match := self._next(partial):
            start, after = match.span()
            # A match is certain when more text cannot make it longer; at the latest when it is as long as a match
            # can be.
            if partial and end - start <= self.longest and self.pattern.fullmatch(self.text, start, partial=True):
                end = start
                break
            if after - start > self.longest:
                raise ValueError(f"a match is longer than longest={self.longest}")
            out += self.text[self.at : start], self.mask
            self.at = after
        out.append(self.text[self.at : end])
        seen = max(0, end - self.longest)
        self.text, self.at = self.text[seen:], end - seen
        return "".join(out)

    def _next(self, partial: bool) -> regex.Match | None:
        """The next match, or (`partial`) the next beginning of one."""
        found = self.pattern.search(self.text, self.at, partial=partial)
        if not (found and partial) or found.partial:
            return found
        # A search prefers a whole match to the beginning of an earlier one.
        undecided = range(max(self.at, len(self.text) - self.longest), found.start())
        tries = (self.pattern.match(self.text, start, partial=True) for start in undecided)
        return next(filter(None, tries), found)


ANSWER = (
    "Write to ada.lovelace@example.org, or call +49 30 901820-55. The key is sk-abcdefghijklmnop1234, and 42 is 42."
)


async def main(path: Path) -> None:
    async def model():
        for start in range(0, len(ANSWER), 3):  # three characters at a time: every match is split
            yield ANSWER[start : start + 3]

    async with Cortex(path) as cortex:
        answer = cortex.memory.remember_stream(
            model,
            chain=default_chain(cortex.backend).before("begin", redact()),
            memory_space_id="support",
            conversation_id="c-1",
            user_message="How do I reach you?",
            user_id="ada",
            user_name="Ada",
        )
        async for text in answer:
            print(text, end="", flush=True)
        stored = await cortex.memory.get("support", (await answer).memories[-1].memory_id)
    print("\nstored:", stored.content)
    raw = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    found = [secret for secret in (b"lovelace", b"901820", b"abcdefgh") if secret in raw]
    print("in the file:", found or "none of it")


if __name__ == "__main__":
    asyncio.run(main(Path(tempfile.mkdtemp(prefix="cortex-rx-")) / "memory.db"))
