"""The parts of a story of answers: exchanges, the runs that ask for them, the model's texts, and what a reader has
seen.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from cortex_rx.errors import Spooled
from cortex_rx.events import Begun, Delta, Ended, Problem, Replayed, Rewound, RolledBack, StreamEvent
from cortex_rx.sources.reopening import ResumePoint
from cortex_rx.streams.follow import Position

__all__ = ["HOWS", "Exchange", "How", "Pieces", "Run", "Seen"]

Pieces: TypeAlias = list[tuple[float, str]]
"""Pauses in seconds, and what is said after each."""

How: TypeAlias = Literal["same", "other", "restart", "prefill", "plain"]
"""What the source of a run is: `replayable` with the same text each time, or with another one; `restart`; `prefill`,
which goes on after the text so far; or one that cannot be opened again.
"""
HOWS: tuple[How, ...] = ("same", "other", "restart", "prefill")


class Seen:
    """What one reader has seen: the text of each attempt, put together from events, which must leave no gap."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.past: list[str] = []
        """Texts that the reader was told to forget."""
        self.attempt = 0
        self.epoch = 1
        self.ended: Ended | None = None
        self.warned = False
        """The reader was told that the question is not stored yet."""
        self._waiting: list[asyncio.Future[None]] = []

    def take(self, event: StreamEvent, *, follows: bool = False) -> None:
        """Note an event; a reader that follows over the store is told before the text begins anew."""
        if isinstance(event, Delta):
            before = self.texts.get(event.attempt, "")
            assert event.offset == len(before), f"text at {event.offset}, seen are {len(before)} characters"
            assert not follows or event.attempt == self.attempt or not self.texts, "another text, and no Rewound"
            self.texts[event.attempt] = before + event.text
            self.attempt = event.attempt
            while self._waiting:
                if not (waiter := self._waiting.pop()).done():
                    waiter.set_result(None)
        elif isinstance(event, Replayed):
            assert event.offset == len(event.text), f"Replayed to {event.offset}: {len(event.text)} characters"
            self.attempt = event.attempt
            self.texts[self.attempt] = event.text
        elif isinstance(event, Rewound):
            text = self.texts.get(event.attempt, "")
            assert event.offset <= len(text), f"rewound to {event.offset}, seen are {len(text)} characters"
            self.past.append(text)
            self.attempt = event.attempt
            self.texts[self.attempt] = text[: event.offset]
        elif isinstance(event, RolledBack):
            self.past += self.texts.values()
            self.texts.clear()
            self.attempt = 0
        elif isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Problem):
            self.warned = self.warned or event.phase == "initialization"

    @property
    def text(self) -> str:
        """The text of the attempt that is being read."""
        return self.texts.get(self.attempt, "")

    @property
    def place(self) -> Position:
        """The position from which the reader continues; the start if it has seen nothing."""
        return Position(len(self.text), self.attempt, self.epoch) if self.texts else Position()

    async def more(self) -> None:
        """Wait until the reader sees more text."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def all(self) -> list[str]:
        """Every text that the reader has seen, complete or not."""
        return [*self.past, *self.texts.values()]


@dataclass
class Run:
    """One time that the answer of an exchange was asked for."""

    how: How
    options: dict[str, Any]
    """As `remember_stream` takes them."""
    durable: bool = False
    """Nothing is shown that is not stored."""
    token: str | None = None
    """With which a stream that is there is resumed; None: it is begun, by its id."""
    take_over: bool = False
    said: list[str] = field(default_factory=list[str])
    """The whole text of each opening of its source, with what it went on after."""
    seen: list[Seen] = field(default_factory=list[Seen])
    """That of each reader; the first one reads from the beginning."""
    begun: Begun | None = None
    requested: bool = False
    """Somebody has asked its writer to stop, by a request in the store."""
    error: BaseException | None = None
    spooled: Spooled | None = None
    remembered: str | None = None
    """The text of its result."""

    @property
    def open(self) -> bool:
        """Nobody knows what became of it: it runs, or its process has died."""
        return self.error is None and self.remembered is None

    def __str__(self) -> str:
        said = [self.how, str(self.options["partial_failure_handling"])]
        if retries := self.options.get("max_retries"):
            said.append(f"{retries} retries")
        said += ["durable"] * self.durable + ["resumed by force" if self.take_over else "resumed"] * bool(self.token)
        return ", ".join(said)


@dataclass
class Exchange:
    """A question, and every run that tried to give it an answer.  The model never says one thing twice, unless it
    replays.
    """

    key: str
    space: str
    conversation: str
    stream: str
    """The id of its stream; in another memory space it may be that of another exchange."""
    how: How = "same"
    """What its sources are, mostly."""
    asks: str = ""
    """With what its question begins."""
    forgetful: bool = False
    """The client keeps no token."""
    token: str | None = None
    """The newest that the client has."""
    left: bool = False
    """It was stopped, and nobody goes on with it."""
    answered: bool = False
    """The store has said that it has an answer."""
    deleted: bool = False
    script: Pieces = field(default_factory=Pieces)
    """The text of a source that gives the same text each time."""
    runs: list[Run] = field(default_factory=list[Run])
    followers: list[Seen] = field(default_factory=list[Seen])
    """The readers that follow it over the store."""
    broken: list[str] = field(default_factory=list[str])
    """What went wrong where raising would have looked like a failure of the model."""

    @property
    def question(self) -> str:
        """Another one for each exchange, so that what is stored says whose it is."""
        return f"{self.asks}What of {self.key} in {self.space}?"

    @property
    def said(self) -> list[str]:
        """Every text that it could be."""
        return [text for run in self.runs for text in run.said]

    @property
    def over(self) -> bool:
        """Nobody asks for it any more."""
        return self.left or self.deleted or any(run.remembered is not None for run in self.runs)

    def asked(self, run: Run, point: ResumePoint | None, pieces: Pieces) -> None:
        """The model was asked, and will say this: after what it is told it has said, which must be the beginning of a
        text.
        """
        before = ""
        if point is not None and point.text is not None:
            known = (text[: point.offset] for text in self.said if len(text) >= point.offset)
            found = next((text for text in known if text.rstrip() == point.text), None)
            if found is None:
                self.broken.append(f"the model was told that it had said {point.text!r}")
            before = found or point.text
        run.said.append(before + "".join(text for _, text in pieces))

    def begins(self, text: str) -> bool:
        """Whether this is the beginning of one text, and so no mixture."""
        return not text or any(said.startswith(text) for said in self.said)

    def check(self) -> None:
        """What every reader has seen is the beginning of one text of the model, and of one attempt the same as for the
        others.
        """
        assert not self.broken, f"{self.key}: {self.broken}"
        for seen in [*self.followers, *(seen for run in self.runs for seen in run.seen)]:
            for text in seen.all():
                assert self.begins(text), f"{self.key}: a reader saw what the model did not say: {text!r}"
        for run in self.runs:
            for attempt in {attempt for seen in run.seen for attempt in seen.texts}:
                texts = [seen.texts.get(attempt, "") for seen in run.seen]
                longest = max(texts, key=len)
                assert all(map(longest.startswith, texts)), f"{self.key}: readers of attempt {attempt} saw two texts"
