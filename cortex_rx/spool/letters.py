"""Dead letters: calls that failed for good, with their cause, kept until a person looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from cortex_rx import validation as check
from cortex_rx.backends.base import HEAD_LENGTH, Backend, checked_backend
from cortex_rx.errors import InvalidArgument, LetterNotFound
from cortex_rx.spool.delivery import deliver
from cortex_rx.spool.file import Entry
from cortex_rx.spool.spool import Spool, cause_of, checked_spool, log

__all__ = ["DeadLetter", "DeadLetters"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A call that the store refused for good."""

    id: str
    memory_space_id: str
    operator: str
    """The operator that wrote: `finalize`, `persist_partial`, or the name that your own operator gave."""
    path: str
    """The function of the store."""
    args: Mapping[str, Any]
    """The arguments of the call; for an answer without its text."""
    stream_id: str | None
    cause: str
    """The error, in words. It may contain a user's text, so keep it out of logs."""
    code: str
    """The error's code."""
    created_at: int
    """Epoch milliseconds."""
    text: str
    """The text of an answer that the store does not have, from `args["start"]` on. `list` gives its first 65,536 code
    points, `get` all of it."""
    text_length: int


_Letters: TypeAlias = list[DeadLetter]  # inside the class, `list` is a method


class DeadLetters:
    """The dead letters in a spool.

    There are two kinds: an answer that contradicts the stored one, found by `drain`, and another write of an operator
    that failed for good, which the operator hands over with `add`.

    >>> import asyncio, tempfile
    >>> from cortex_rx import SqliteBackend, Spool
    >>> async def main(folder):
    ...     async with SqliteBackend(":memory:") as backend:
    ...         letters = DeadLetters(Spool(f"{folder}/spool.db"), backend)
    ...         args = {"memorySpaceId": "support", "memoryId": "mem-1"}
    ...         id = await letters.add("support", "forget", "memories:deleteMemory", args, "MemoryNotFound")
    ...         found = await letters.list("support")
    ...         await letters.discard(id)
    ...         return [(letter.operator, letter.cause) for letter in found], await letters.list()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    ([('forget', 'MemoryNotFound')], [])
    """

    def __init__(self, spool: Spool, backend: Backend) -> None:
        self._spool: Spool = checked_spool("spool", spool)
        self._backend = checked_backend("backend", backend)

    def __repr__(self) -> str:
        return f"DeadLetters({self._spool!r})"

    async def add(
        self, memory_space_id: str, operator: str, path: str, args: Mapping[str, Any], cause: BaseException | str
    ) -> str:
        """Keep a mutation that failed for good, to be tried again when its cause is mended. Returns the id of the
        letter.

        `path` and `args` are those of the call. It must be repeatable, and belong to this memory space. The letter is
        durable when this returns. Arguments that no backend accepts are refused here, by the checks of every backend
        (`contract.checks.check`): `InvalidArgument`, or `UnknownFunction` for a path that is not a mutation. Raises a
        `StoreError` if the letter cannot be kept.
        """
        for name, value in (("memory_space_id", memory_space_id), ("operator", operator), ("path", path)):
            check.name(name, value)
        args = _deliverable(path, args)
        if not isinstance(cause, BaseException):
            check.any_text("cause", cause)
        if args["memorySpaceId"] != memory_space_id:
            raise InvalidArgument("args", "another memorySpaceId", "arguments of a call in memory_space_id")
        log.warning("a dead letter of %s: %s", operator, "" if isinstance(cause, str) else type(cause).__name__)
        why = (cause, "FAILED") if isinstance(cause, str) else cause_of(cause)
        return await self._spool.run(partial(self._spool.file.add, memory_space_id, operator, path, args, cause=why))

    async def list(self, memory_space_id: str | None = None) -> _Letters:
        """The dead letters of a memory space, or (None) of all spaces, oldest first."""
        check.optional(check.name)("memory_space_id", memory_space_id)
        entries = await self._spool.run(partial(self._spool.file.dead, memory_space_id))
        return [await self._letter(entry, HEAD_LENGTH) for entry in entries]

    async def get(self, id: str) -> DeadLetter:
        """A dead letter with all of its text. `LetterNotFound` if there is none."""
        return await self._letter(await self._find(id), None)

    async def redrive(self, id: str) -> None:
        """Try the call again. When the store has acknowledged it, the letter is removed.

        Raises the store's error; then the letter stays, with the error as its cause. `LetterNotFound` if there is none.
        """
        entry = await self._find(id)
        try:
            await deliver(self._backend, entry, partial(self._spool.piece, entry))
        except Exception as error:
            await self._spool.run(partial(self._spool.file.bury, entry.seq, *cause_of(error)))
            raise
        await self._spool.run(partial(self._spool.file.remove, entry.seq))

    async def discard(self, id: str) -> None:
        """Delete a dead letter for good. `LetterNotFound` if there is none."""
        entry = await self._find(id)
        await self._spool.run(partial(self._spool.file.remove, entry.seq))

    async def _find(self, id: str) -> Entry:
        found = await self._spool.run(partial(self._spool.file.dead, None, check.name("id", id)))
        if not found:
            raise LetterNotFound("there is no dead letter with this id")
        return found[0]

    async def _letter(self, entry: Entry, most: int | None) -> DeadLetter:
        parts: list[str] = []
        while piece := await self._spool.piece(entry, len(parts)):
            parts.append(piece)
            if most is not None:
                break
        return DeadLetter(
            entry.id,
            entry.space,
            entry.operator,
            entry.path,
            entry.args,
            entry.stream,
            entry.cause or "",
            entry.code or "",
            entry.created,
            "".join(parts)[:most],
            entry.length,
        )


def _deliverable(path: str, args: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # Loaded here, since it is a fifteenth of the import, and few programs have letters.
        from cortex_rx.backends.contract.checks import check as checked_args

        return checked_args("mutation", path, args)
    except InvalidArgument as error:
        field = error.field if error.field == "args" else f"args.{error.field}"
        raise InvalidArgument(field, error.given, error.accepted) from None
