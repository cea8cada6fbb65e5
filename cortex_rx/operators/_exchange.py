"""The exchange that `finalize` stores: what has passed of it, and what the caller's functions make of it."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from cortex_rx.errors import ChainOrderError, CortexError, InvalidArgument, NotStored
from cortex_rx.flow import Inbox
from cortex_rx.events import Begun, Custom, Delta, Ended, Opened, PartialStored, Problem, StreamEvent

_CALL = 30.0  # seconds that a function of the caller's may take
_LATE_CALL = 1.0  # the same when the stream was stopped
_WORDLESS = ("tool_calls", "function_call", "refusal")  # what makes an answer of a stream without text

__all__ = ["Embed", "Exchange", "Extract", "derive"]

Extract: TypeAlias = Callable[[str, str], "str | Awaitable[str | None] | None"]
"""From the question and the answer to the text that is remembered of the question; None leaves it as it is."""
Embed: TypeAlias = Callable[[str], "Sequence[float] | Awaitable[Sequence[float] | None] | None"]
"""From a text to its embedding."""


class Exchange:
    """What has passed: the text that is not durable yet, and what else is needed to finish."""

    def __init__(self, whole: bool) -> None:
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.ended: Ended | None = None
        self.excused: Exception | None = None
        self.attempt = 0
        self.blank = True
        self.needs_text = True  # no call of a tool and no refusal has come, so without text it is no answer
        self._whole: list[str] | None = [] if whole else None
        self._tail: deque[str] = deque()
        self._start = self.end = 0  # of the tail; `end` is the length of what has passed

    def take(self, events: list[StreamEvent]) -> None:
        """Take events in."""
        texts: list[str] = []
        add, attempt = texts.append, self.attempt
        for event in events:
            if type(event) is Delta:
                if event.attempt != attempt:
                    texts.clear()
                    self._anew(event)
                    attempt = self.attempt
                add(event.text)
            elif texts:
                self._text("".join(texts))
                texts.clear()
                self._other(event)
            else:
                self._other(event)
        if texts:
            self._text("".join(texts))

    def _anew(self, event: Delta) -> None:
        self.attempt, self.blank = event.attempt, True
        self._start = self.end = event.offset
        self._tail.clear()
        if self._whole is not None:
            self._whole.clear()

    def _text(self, text: str) -> None:
        if self.begun is None and self.excused is None:
            raise ChainOrderError("finalize got text but no Begun: it belongs after begin(...)")
        self._tail.append(text)
        self.end += len(text)
        if self._whole is not None:
            self._whole.append(text)
        if self.blank and not text.isspace():
            self.blank = False

    def _durable(self, offset: int) -> None:
        """The text before `offset` need not be held."""
        while self._tail and offset > self._start:
            text = self._tail.popleft()
            cut = min(offset - self._start, len(text))
            self._start += cut
            if cut < len(text):
                self._tail.appendleft(text[cut:])

    def _other(self, event: StreamEvent) -> None:
        if isinstance(event, PartialStored):
            if event.attempt == self.attempt:
                self._durable(event.offset)
        elif isinstance(event, Opened):
            self.opened = event
        elif isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Problem):
            if event.phase == "initialization":
                self.excused = event.error or CortexError(event.message)
        elif isinstance(event, Custom) and event.name in _WORDLESS:
            self.needs_text = False

    @property
    def empty(self) -> bool:
        """Whether there is no answer to store: no text, no call of a tool, and no refusal."""
        refused = self.ended is not None and self.ended.reason == "refusal"
        return self.blank and self.needs_text and not refused

    @property
    def text(self) -> str:
        """The whole answer, where it is kept."""
        return "".join(self._whole or ())

    @property
    def start(self) -> int:
        """Where the text begins that is not known to be durable."""
        return self._start

    @property
    def tail(self) -> str:
        """The text that is not known to be durable."""
        return "".join(self._tail)

    def lost(self) -> NotStored:
        """The error that carries what is not durable."""
        return NotStored("the exchange could not be stored", self.tail, self.start)


async def derive(
    inbox: Inbox[StreamEvent],
    args: dict[str, Any],
    question: str,
    answer: str,
    extract: Extract | None,
    embed: Embed | None,
) -> AsyncGenerator[Problem, None]:
    """Ask the caller's functions; what fails, or takes too long, is said and left out."""
    try:
        if extract and (content := await _awaited(inbox, extract(question, answer))) is not None:
            content.encode()  # a lone surrogate, and what is no text at all, the store would refuse, and the exchange with it
            args["userContent"] = content
    except Exception as error:
        yield Problem.of("finalization", error, recoverable=True)
    for key, text in (("userEmbedding", args.get("userContent", question)), ("agentEmbedding", answer)):
        try:
            if embed and (vector := await _awaited(inbox, embed(text))) is not None:
                args[key] = _numbers(vector)
        except Exception as error:
            yield Problem.of("finalization", error, recoverable=True)


def _numbers(vector: Iterable[float]) -> list[float]:
    numbers = [float(number) for number in vector]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise InvalidArgument("generate_embedding", "a vector", "one or more finite numbers")
    return numbers


async def _awaited(inbox: Inbox[StreamEvent], value: Any) -> Any:
    """The value, if it comes in time: a finished answer is not held up for ever, nor lost when the stream is stopped."""
    if not inspect.isawaitable(value):
        return value
    call = asyncio.ensure_future(value)
    disposed = asyncio.ensure_future(inbox.disposed.wait())
    try:
        await asyncio.wait({call, disposed}, timeout=_CALL, return_when=asyncio.FIRST_COMPLETED)
        if not call.done() and disposed.done():
            await asyncio.wait({call}, timeout=_LATE_CALL)
        if not call.done():
            raise TimeoutError("a function of the caller's took too long")
        return call.result()
    finally:
        disposed.cancel()
        call.cancel()
        await asyncio.wait({call, disposed}, timeout=_LATE_CALL)
