"""Taking over a stream of another process, with a token, before the model is asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from cortex_rx import validation as check
from cortex_rx.backends.base import HEAD_LENGTH, Backend, checked_backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import Fenced, IdempotencyConflict, StillOwned
from cortex_rx.events import Waiting
from cortex_rx.models.records import Usage
from cortex_rx.models.source_position import SourcePosition
from cortex_rx.models.spelling import to_camel
from cortex_rx.models.turn import TURN_CHECKS, Turn
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, doubling, retrying
from cortex_rx.streams.writers import locate
from cortex_rx.unique import new_id, new_token, refuse_pickle

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import TakenStream

__all__ = ["LEASE", "TOKEN_TTL", "ResumeFrom", "TakenOverStream", "read_text", "take_over", "token_hash"]

LEASE: timedelta = timedelta(seconds=10)
"""How long a writer owns a stream after its last sign of life."""
TOKEN_TTL: timedelta = timedelta(hours=1)
"""How long a token is valid."""


def token_hash(token: str) -> str:
    """The SHA-256 of a token: all that the store knows of it."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ResumeFrom:
    """A stream to take over: where it is stored, and a token of it.

    While another writer may be alive, the stream emits `Waiting` and waits, at most one lease, and then raises
    `StillOwned`. With `take_over` the stream is taken at once, and the former writer is fenced off. `claim` makes a
    repeated call harmless: a take-over whose answer was lost is the same take-over when it is sent again with the same
    claim.

    >>> from cortex_rx.backends import SqliteBackend
    >>> ResumeFrom(SqliteBackend(":memory:"), "support", "resume_...", claim="mine")  # the token is not shown
    ResumeFrom(backend=SqliteBackend(':memory:'), memory_space_id='support', take_over=False, claim='mine', expected={})
    """

    backend: Backend
    memory_space_id: str
    token: str = field(repr=False)
    take_over: bool = False
    claim: str = field(default_factory=lambda: new_id("claim"))
    expected: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values that fields of the stored `Turn` must have; another value is an `IdempotencyConflict`."""

    def __post_init__(self) -> None:
        checked_backend("backend", self.backend)
        check.name("memory_space_id", self.memory_space_id)
        object.__setattr__(self, "token", check.token("token", self.token))
        check.flag("take_over", self.take_over)
        check.name("claim", self.claim)
        check.instance(Mapping, "a mapping of fields of the turn")("expected", self.expected)
        expected: dict[str, Any] = {}
        for name, value in self.expected.items():
            check.one_of(*TURN_CHECKS)("expected", name)
            expected[name] = TURN_CHECKS[name](f"expected.{name}", value)
        object.__setattr__(self, "expected", expected)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(self)


@dataclass(frozen=True, slots=True)
class TakenOverStream:
    """A stream that this process owns now, or that has ended."""

    turn: Turn
    stream_id: str
    memory_id: str
    started: float
    epoch: int
    attempt: int
    text: str
    index: int
    mark: SourcePosition | None
    token: str = field(repr=False)
    ended: str | None = None
    """The reason why the answer ended, if it is finished."""
    usage: Usage | None = None
    model: str | None = None
    """The model that answered, if it is known."""
    empty: bool = False
    """The stream was closed without an answer."""
    message_ids: tuple[str, ...] = ()
    memory_ids: tuple[str, ...] = ()

    def __reduce__(self) -> NoReturn:
        refuse_pickle(self)


async def take_over(resume: ResumeFrom, flow: FlowScheduler) -> AsyncGenerator[Waiting | TakenOverStream, None]:
    """Take the stream over, and read its stored text. Yields it last, after each `Waiting`.

    Raises `TokenUnknown`, `TokenExpired`, `TokenSuperseded`, `WrongMemorySpace`, `StillOwned` or `StreamNotFound`, and
    `Fenced` if another writer takes it over meanwhile.
    """
    token = new_token()
    streams = Streams(resume.backend)
    async with aclosing(_own(streams, resume, token, flow)) as owning:
        async for answer in owning:
            yield answer if isinstance(answer, Waiting) else await _read(streams, resume, answer, token)


async def _read(streams: Streams, resume: ResumeFrom, answer: TakenStream, token: str) -> TakenOverStream:
    """Check that it is the stream that is meant, and read its stored text."""
    space = resume.memory_space_id
    turn = turn_of(answer["turn"])
    for name, value in resume.expected.items():
        if getattr(turn, name) != value:
            # Release the stream, so that the caller that means it need not wait for the lease to expire.
            stream, epoch = answer["streamId"], answer["epoch"]
            await streams.renew(stream_id=stream, memory_space_id=space, epoch=epoch, lease=0)
            raise IdempotencyConflict(f"the token belongs to a stream with another {name}")
    mark = answer.get("mark")
    text, index = "", 0
    if answer["state"] != "empty":
        ours = answer["epoch"] if answer["state"] == "open" else None
        text, index = await read_text(streams, space, answer["streamId"], answer["attempt"], ours)
    usage, model = Usage.from_stored(answer.get("usage"))
    return TakenOverStream(
        turn,
        answer["streamId"],
        answer["memoryId"],
        answer["turn"]["startedAt"] / 1000,
        answer["epoch"],
        answer["attempt"],
        text,
        index,
        SourcePosition.from_json(mark) if mark else None,
        token,
        (answer.get("reason") or "stop") if answer["state"] == "finished" else None,
        usage,
        model,
        answer["state"] == "empty",
        tuple(answer["messageIds"]),
        tuple(answer["memoryIds"]),
    )


async def _own(
    streams: Streams, resume: ResumeFrom, next_token: str, flow: FlowScheduler
) -> AsyncGenerator[Waiting | TakenStream, None]:
    """Take the stream over, after at most one lease of another writer."""
    call = streams.take_over(
        memory_space_id=resume.memory_space_id,
        token=token_hash(resume.token),
        claim=resume.claim,
        lease=round(LEASE.total_seconds() * 1000),
        new_token=token_hash(next_token),
        token_ttl=round(TOKEN_TTL.total_seconds() * 1000),
        force=resume.take_over,
    )
    deadline, until, pauses = flow.time() + LEASE.total_seconds(), 0.0, doubling(0.05, 1.0)
    while True:
        try:
            taken = await retrying(lambda: call, Backoff(SHORT_PAUSES))
            break
        except StillOwned as error:
            if flow.time() >= deadline:
                raise locate(error, resume.backend) from None
            before, until = until, error.until / 1000
        if until != before:
            yield Waiting("the former writer may be alive: its lease has not ended", until)
        # By the local clock, which may differ from the store's: it only decides when to ask again.
        left = max(until - flow.wall(), next(pauses))
        await asyncio.sleep(min(left, max(deadline - flow.time(), 0.05)))
    yield taken


def turn_of(args: Mapping[str, Any]) -> Turn:
    """The turn that was given to `streams:begin`."""
    values = {one.name: args.get(to_camel(one.name)) for one in fields(Turn)}
    return Turn(**{name: value for name, value in values.items() if value is not None})


async def read_text(
    streams: Streams, space: str, stream_id: str, attempt: int, epoch: int | None = None
) -> tuple[str, int]:
    """The whole text of an attempt, read page by page, and the number of its deltas.

    With `epoch`, raises `Fenced` if another writer has taken the stream over, since the text may have grown.
    """
    parts: list[str] = []
    at = 0
    while True:
        page = await streams.read(
            memory_space_id=space, stream_id=stream_id, attempt=attempt, after=at, limit=16 * HEAD_LENGTH
        )
        if epoch is not None and page["epoch"] != epoch:
            raise Fenced(f"the stream was taken over at epoch {epoch}, and is at epoch {page['epoch']} now")
        parts.append(page["text"])
        at += len(page["text"])
        if at >= page["length"] or not page["text"]:
            return "".join(parts), page["index"]
