"""The reference streams of the proof of crashes, and what their processes share: the model, the store, the spool."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from cortex_rx import Spool, SqliteBackend
from cortex_rx.errors import StoreUnavailable
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.testing import Process

__all__ = ["REFERENCES", "Epochs", "FaultySpool", "Model", "Reference", "Watched", "sentences"]

FIRST = ("It ", "is ", "a ", "long ", "answer ", "indeed.")
SENTENCES = ("It is one. ", "It is a long one ", "indeed. ", "And it is ", "the only one. ", "That is all.")


def same(number: int) -> tuple[str, ...]:
    """The text does not depend on how often the source was opened."""
    return FIRST


def sentences(number: int) -> tuple[str, ...]:
    """The same, a longer one."""
    return SENTENCES


def another(number: int) -> tuple[str, ...]:
    """Each opening gives another text, so that a mixture would show."""
    return FIRST if number == 1 else ("Opening ", f"number {number} ", "says ", "this.")


def facts(number: int) -> tuple[str, ...]:
    """Sentences that are facts. Each opening says something else, and Ada lives elsewhere."""
    return ("Ada likes ", f"tea{number}. ", f"Ada lives in City{number}", ". Bob ", f"likes rye{number}.")


def same_facts(number: int) -> tuple[str, ...]:
    """Sentences that are facts, the same each time."""
    return facts(1)


def onwards(number: int) -> tuple[str, ...]:
    """What follows the text so far."""
    return FIRST if number == 1 else (" and ", f"on {number}.")


@dataclass(frozen=True)
class Reference:
    """A stream: how its source can be opened again, what it says each time, and the options of the chain."""

    wrap: Callable[[Any], Any] = replayable
    words: Callable[[int], tuple[str, ...]] = same
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    breaks: bool = False
    """The first opening breaks off after three words."""
    durable: bool = False
    """Nothing is shown that is not stored."""
    spooled: bool = False
    """The store goes away in the first process, and what it cannot take waits in a spool."""
    stopped: bool = False
    """The first process is asked to stop, by a request in the store, after some words."""
    facts: bool = False
    """Facts are read from the question and the answer."""
    followed: bool = False
    """A reader on another connection follows the stream from its beginning to its end, over all its writers."""


REFERENCES: dict[str, Reference] = {
    "replayed": Reference(),
    "another text": Reference(words=another),
    "restarted": Reference(restart, another),
    "prefilled": Reference(prefill, onwards),
    "in chunks": Reference(words=sentences, options={"max_single_memory_size": 32}),
    "rolled back": Reference(restart, another, {"partial_failure_handling": "rollback"}, breaks=True),
    "reopened": Reference(restart, another, {"max_retries": 2, "retry_delay": 400}, breaks=True),
    "durable": Reference(words=another, durable=True),
    "spooled": Reference(spooled=True),
    "stopped": Reference(words=another, stopped=True),
    "followed": Reference(restart, another, followed=True),
    "facts": Reference(words=same_facts, facts=True),
    "facts, restarted": Reference(restart, facts, facts=True),
    "facts, rolled back": Reference(restart, facts, {"partial_failure_handling": "rollback"}, breaks=True, facts=True),
    "facts in a spool": Reference(words=same_facts, spooled=True, facts=True),
}


class Model:
    """The source.  It says other words each time that it is opened, in whatever process."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.opened = 0

    async def __call__(self, point: object) -> AsyncGenerator[str, None]:
        self.opened += 1
        number = self.opened
        for at, word in enumerate(self.reference.words(number)):
            await asyncio.sleep(0.7)
            if self.reference.breaks and number == 1 and at == 3:
                raise ConnectionError("the line broke")
            yield word

    @property
    def texts(self) -> list[str]:
        """What it has said, or would have."""
        return ["".join(self.reference.words(number)) for number in range(1, self.opened + 1)]


@dataclass
class Epochs:
    """The epochs that the store has given, and the writes that it took under an older one than the newest."""

    newest: int = 0
    late: list[str] = field(default_factory=list[str])


class Watched:
    """The store as one process has it; it may be gone after so many writes."""

    def __init__(self, inner: SqliteBackend, epochs: Epochs, writes: float = math.inf) -> None:
        self.query, self.close, self._inner, self._left = inner.query, inner.close, inner, writes
        self._epochs = epochs

    async def mutation(self, path: str, args: Any) -> Any:
        """Write, and see under which epoch."""
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailable("away")
        before = self._epochs.newest
        result = await self._inner.mutation(path, args)
        if path in ("streams:begin", "streams:takeOver"):
            self._epochs.newest = max(before, result["epoch"])
        elif args.get("epoch", before) < before:
            self._epochs.late.append(f"{path} under epoch {args['epoch']} after {before}")
        return result


class FaultySpool(Spool):
    """A spool whose every use is an effect of its process."""

    process: Process

    async def run(self, work: Callable[[], Any]) -> Any:
        """Do something with the file."""

        async def act() -> Any:
            return work()

        return await self.process.effect("spool", act, StoreUnavailable)
