"""Extractors: any function from a text to facts, called so that nothing it does costs more than its own facts.

An extractor takes `(user_message, text)`. The user's message is extracted once, by itself: `text` is empty. Then come
parts of the answer, with `user_message` empty. An extractor with an attribute `wants_question` that is true gets the
user's message with these as well, as context that is not to be extracted again.

It returns an iterable of facts, or None for none; or it is an async function, a generator or an async generator. A fact
is an `ExtractedFact`, or a mapping, dataclass or pydantic model with its fields. A function that is not async runs on a
thread, at most 16 of them in a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from cortex_rx import validation as check
from cortex_rx.embedding.calling import call_function, is_async, within
from cortex_rx.embedding.threads import Threads
from cortex_rx.errors import InvalidArgument, code_of
from cortex_rx.models.base import parse
from cortex_rx.models.facts import ExtractedFact

__all__ = ["MOST_FACTS", "Extraction", "Extractor", "Facts", "as_fact", "extract"]

MOST_FACTS = 1_000
"""The most facts of one text."""

_WHAT = "extract_facts"
_TURNS = 32  # facts that are checked before others get a turn
_threads = Threads(16, "cortex_rx-extractor")  # of the process, so that extractors that never return leave no more

Facts: TypeAlias = Iterable[object] | None
Extractor: TypeAlias = Callable[[str, str], Facts | AsyncIterable[object] | Awaitable[Facts | AsyncIterable[object]]]
"""A function `(user_message, text)` that returns facts, sync or async, at once or one by one."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The facts of one text, and why there may be more: the first error, or None if these are all."""

    facts: tuple[ExtractedFact, ...] = ()
    error: Exception | None = None

    @property
    def code(self) -> str | None:
        """The code of a `CortexError`, or the name of the exception's class; None if there is no error."""
        return None if self.error is None else code_of(self.error)


async def extract(extractor: Extractor, user_message: str, text: str, *, seconds: float | None = None) -> Extraction:
    """Call an extractor. `text` is a part of the answer, or empty for the facts of the user's message.

    It never raises what the extractor raises. Facts that are complete are kept whatever comes after them: another fact
    that is none, an error, or the end of the time (after `seconds`). An error about a fact names its index and its
    field, and holds no text. After 1,000 facts it stops, with an error.

    >>> def extractor(user_message, text):
    ...     yield {"fact": "Ada likes tea.", "factType": "preference", "confidence": 90}
    ...     yield {"fact": "Ada is 36.", "factType": "identity", "confidence": 900}
    >>> found = asyncio.run(extract(extractor, "I am Ada. I am 36 and like tea.", ""))
    >>> [fact.fact for fact in found.facts], found.code
    (['Ada likes tea.'], 'INVALID_INPUT')
    >>> print(found.error)
    facts[1].confidence: got 900; accepted: a number from 0 to 100
    """
    if text and not getattr(extractor, "wants_question", False):
        user_message = ""
    found = _Found()
    try:
        await within(seconds, _gather(extractor, user_message, text, found), _WHAT)
    except Exception as error:
        found.fail(error)
    return found.extraction()


def as_fact(place: str, item: object) -> ExtractedFact:
    """A fact from what an extractor gives. Raises `InvalidArgument`, with the `place` and without any text.

    >>> as_fact("facts[0]", {"fact": "Ada likes tea.", "fact_type": "taste", "confidence": 90})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: facts[0].fact_type: got 'str'; accepted: 'preference' or 'identity' or
    'knowledge' or 'relationship' or 'event' or 'observation' or 'custom'
    """
    try:
        if isinstance(item, BaseModel) and not isinstance(item, ExtractedFact):
            item = item.model_dump()
        return parse(ExtractedFact, item)
    except InvalidArgument as error:
        name = error.field.split(".")[0].split("[")[0]
        field = f"{place}.{name}" if name in ExtractedFact.model_fields else place
        raise InvalidArgument(field, check.shown(error.given), error.accepted) from None
    except Exception as error:  # of code of the item
        accepted = "an ExtractedFact, or a mapping, dataclass or pydantic model with its fields"
        raise InvalidArgument(place, type(item).__name__, accepted) from error


class _Found:
    """What was found so far. It may be filled on a thread."""

    def __init__(self) -> None:
        self._facts: list[ExtractedFact] = []
        self._error: Exception | None = None
        self._given = 0
        self._closed = False

    def add(self, item: object) -> bool:
        """Take one more. False: no more are wanted."""
        place = f"facts[{self._given}]"
        self._given += 1
        if self._given > MOST_FACTS:
            self.fail(InvalidArgument("facts", f"more than {MOST_FACTS:,} facts", f"at most {MOST_FACTS:,}"))
            return False
        try:
            fact = as_fact(place, item)
        except InvalidArgument as error:
            self.fail(error)
        else:
            if not self._closed:
                self._facts.append(fact)
        return not self._closed

    def fail(self, error: Exception) -> None:
        """Keep the first error."""
        if self._error is None and not self._closed:
            self._error = error

    def extraction(self) -> Extraction:
        """All that was found. What comes later is dropped."""
        self._closed = True
        return Extraction(tuple(self._facts), self._error)


async def _gather(extractor: Extractor, user_message: str, text: str, found: _Found) -> None:
    def on_thread() -> Any:
        value = extractor(user_message, text)
        if isinstance(value, AsyncIterable | Awaitable):
            return value
        for item in _items(value):
            if not found.add(item):
                break
        return None

    if is_async(extractor):
        value = await call_function(_WHAT, _threads, extractor, user_message, text)
    else:
        value = await call_function(_WHAT, _threads, on_thread)
    async with aclosing(_one_by_one(value)) as items:
        async for item in items:
            if not found.add(item):
                break


async def _one_by_one(value: Any) -> AsyncGenerator[object]:
    """The items that an extractor returned or yields, with turns for others between them."""
    if isinstance(value, AsyncIterable):
        iterator = aiter(cast("AsyncIterable[object]", value))
        try:
            async for item in iterator:
                yield item
        finally:
            if (close := getattr(iterator, "aclose", None)) is not None:
                await close()
        return
    for at, item in enumerate(_items(value)):
        if at % _TURNS == 0:
            await asyncio.sleep(0)
        yield item


def _items(value: object) -> Iterable[object]:
    if value is None:
        return ()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping | BaseModel):
        return cast("Iterable[object]", value)
    raise InvalidArgument(_WHAT, type(value).__name__, "an iterable of facts, sync or async, or None")
