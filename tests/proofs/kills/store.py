"""What a file holds after a process died, what it must hold, and what its readers saw."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cortex_rx import SqliteBackend, remember
from cortex_rx.errors import StreamNotFound
from cortex_rx.models.turn import Turn
from cortex_rx.sources.model_stream import stream_id_of

SPACE, OTHER, CONVERSATION = "space", "other", "c-1"
QUESTION = "What is it, and how?"
KEY = "the key"
PARAMS = {
    "memory_space_id": SPACE,
    "conversation_id": CONVERSATION,
    "user_message": QUESTION,
    "user_id": "ada",
    "user_name": "Ada",
    "idempotency_key": KEY,
}
STREAM = stream_id_of(Turn(SPACE, CONVERSATION, QUESTION, user_id="ada", user_name="Ada", idempotency_key=KEY))
ASKED = {"memorySpaceId": SPACE, "streamId": STREAM}

_UNREFERRED = """SELECT count(*) FROM texts WHERE id NOT IN (
    SELECT question FROM streams WHERE question IS NOT NULL UNION SELECT answer FROM streams WHERE answer IS NOT NULL
    UNION SELECT text FROM attempts UNION SELECT text FROM memories UNION SELECT text FROM messages)"""
_COUNTED = """SELECT count(*) FROM spaces WHERE id > 0 AND (docs, size) <> (
    SELECT count(*), coalesce(sum(documents.size), 0) FROM documents JOIN texts ON texts.id = text
    WHERE texts.space = spaces.id)"""


async def furnish(path: Path) -> None:
    """A file with the same exchange in another space: nothing that happens to the one may touch it."""
    async with SqliteBackend(path) as backend:
        await remember(backend=backend, agent_response="Answer 1.0é, another.", **PARAMS | {"memory_space_id": OTHER})


@dataclass
class Stored:
    """One space of a file: its stream, and what is there of the exchange."""

    state: str = "none"  # or "open", "finished", "empty", "rolledBack"
    epoch: int = 0
    attempt: int = 0
    texts: dict[int, str] = field(default_factory=dict)  # of each attempt
    rows: list[tuple[str, bool, str]] = field(default_factory=list)  # content, partial, role
    messages: list[tuple[str, str]] = field(default_factory=list)  # role, content
    pending: list[tuple[str, int, int, int]] = field(default_factory=list)  # stream, attempt, length, position
    ids: list[list[str]] = field(default_factory=list)  # of both messages and both memories
    there: list[list[str]] = field(default_factory=list)  # of those that are there
    marked: bool = False  # the question is, as unanswered
    incomplete: bool = False
    found: int = 0  # memories that are found by a word of an answer
    certain: dict[tuple[int, int], int] = field(default_factory=dict)  # of an attempt, for a reader of an epoch

    @property
    def text(self) -> str:
        return self.texts.get(self.attempt, "")

    def check(self) -> None:
        """It is whole, whatever has happened: all of an exchange, or as much of it as the state of its stream says."""
        question, partial = (QUESTION, False, "user"), (self.text, True, "agent")
        if self.state in ("none", "rolledBack"):
            expected: Any = ([], [])
        elif self.state == "open":
            expected = ([partial, question], [("user", QUESTION)]) if self.marked else ([partial], [])
        elif self.state == "empty":
            assert self.marked
            expected = ([question], [("user", QUESTION)])
        else:
            assert not self.marked and self.text
            expected = ([(self.text, False, "agent"), question], [("user", QUESTION), ("agent", self.text)])
        assert (self.rows, self.messages) == expected, f"a stream in the state {self.state}"
        pending = [(STREAM, self.attempt, len(self.text), 0)] if self.state == "open" else []
        assert self.pending == pending, f"pending in the state {self.state}"
        for ids, there, said in zip(self.ids, self.there, (self.messages, self.rows), strict=False):
            assert len({*ids}) == 2 and there == [one for one in ids if one in there], "the ids are others"
            assert len(there) == len(said)


def look(path: Path, readers: Iterable[tuple[int, int]] = ()) -> tuple[Stored, Any]:
    """What a next process would find, and the whole other space; read from a copy, so that the file stays as it is for
    that process.

    `readers`: pairs of an attempt and an epoch, for what a reader of that attempt under that epoch can rely on.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for file in path.parent.glob(f"{path.name}*"):
            if not file.name.endswith("-shm"):  # made anew from the -wal file, as after a crash of the machine
                shutil.copyfile(file, copy.parent / file.name)
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            if db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'texts'").fetchone()[0]:
                db.execute("INSERT INTO terms (terms) VALUES ('integrity-check')").fetchall()
                assert db.execute(_UNREFERRED).fetchone() == (0,), "no text is left over"
                assert db.execute(_COUNTED).fetchone() == (0,), "the index has what it says it has"
                assert db.execute("SELECT space, count(*) FROM streams GROUP BY 1 HAVING count(*) > 1").fetchall() == []
        stored, other = asyncio.run(_look(copy, readers))
    stored.check()
    return stored, other


async def _look(path: Path, readers: Iterable[tuple[int, int]]) -> tuple[Stored, Any]:
    async with SqliteBackend(path) as backend:
        stored = await _space(backend, readers)
        where = {"memorySpaceId": OTHER}
        other = [
            await backend.query("memories:list", where | {"includePartial": True}),
            await backend.query("conversations:list", where),
            await backend.query("conversations:get", where | {"conversationId": CONVERSATION}),
        ]
    return stored, other


async def _space(backend: SqliteBackend, readers: Iterable[tuple[int, int]]) -> Stored:
    where = {"memorySpaceId": SPACE}
    rows = await backend.query("memories:list", where | {"includePartial": True})
    conversation = await backend.query("conversations:get", where | {"conversationId": CONVERSATION})
    messages = conversation["messages"] if conversation else []
    pending = conversation["pending"] if conversation else []
    assert conversation is None or messages or pending, "a conversation is left that has nothing"
    found = await backend.query("streams:get", ASKED)
    stored = Stored(
        pending=[(one["streamId"], one["attempt"], one["length"], one["position"]) for one in pending],
        ids=[found["messageIds"], found["memoryIds"]] if found else [],
        there=[[message["id"] for message in messages], [row["memoryId"] for row in rows[::-1]]],
        rows=[(row["content"], row["isPartial"], row["messageRole"]) for row in rows],
        messages=[(message["role"], message["content"]) for message in messages],
        marked=any("unanswered" in message.get("metadata", {}) for message in messages),
        incomplete=any(message.get("metadata", {}).get("incomplete") for message in messages),
        found=len(
            await backend.query(
                "memories:search", where | {"query": "answer", "includePartial": True, "neighbours": False}
            )
        ),
    )
    assert stored.marked == any("unanswered" in row["tags"] for row in rows)
    assert conversation is None or conversation["messageCount"] == len(messages)
    try:
        now = await backend.query("streams:read", ASKED | {"after": 0})
    except StreamNotFound:
        return stored
    stored.state, stored.epoch, stored.attempt = now["state"], now["epoch"], now["attempt"]
    for attempt in range(now["attempts"] + 1):
        page = await backend.query("streams:read", ASKED | {"after": 0, "attempt": attempt})
        assert page["length"] == len(page["text"])
        stored.texts[attempt] = page["text"]
    for attempt, epoch in readers:
        page = await backend.query("streams:read", ASKED | {"after": 0, "attempt": attempt, "epoch": epoch})
        stored.certain[attempt, epoch] = page["certain"]
    return stored


@dataclass
class Ledger:
    """What the store has acknowledged, to whatever process."""

    state: str = "none"
    epoch: int = 0
    texts: dict[int, str] = field(default_factory=dict)
    ids: list[list[str]] = field(default_factory=list)

    def take(self, said: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What one process has said; the writes that were under way when it ended, by name."""
        flying: dict[int, dict[str, Any]] = {}
        shown: dict[int, int] = {}
        for message in said:
            what, effect = message["what"], message.get("effect")
            if what == "shown":
                shown[message["attempt"]] = message["offset"] + len(message["text"])
            elif what == "before":
                flying[message["call"]] = message
                if effect == "streams:append":
                    end = message["start"] + len(message["text"])
                    assert shown.get(message["attempt"], 0) <= end, "a write has all that was shown before it"
            elif what == "refused":
                del flying[message["call"]]
            elif what == "after":
                del flying[message["call"]]
                self._done(effect, message)
        return {message["effect"]: message for message in flying.values()}

    def _done(self, effect: str, message: dict[str, Any]) -> None:
        result = message["result"]
        if effect in ("streams:begin", "streams:takeOver"):
            self.epoch, self.state = result["epoch"], result["state"]
            self.texts.setdefault(result["attempt"], "")
            ids = [result["messageIds"], result["memoryIds"]]
            assert self.ids in ([], ids), "begun again, it has other ids"
            self.ids = ids
        elif effect == "streams:append":
            self.texts[message["attempt"]] = self.after(message)
        elif effect == "streams:finalize":
            self.texts[message["attempt"]] = self.after(message)
            self.state = "finished"
        elif effect == "streams:close":
            self.state = "empty"
        elif effect == "streams:finish":
            self.state = "ended"  # the answer does not say how
        elif effect == "streams:rollback":
            self.state, self.texts, self.ids = "rolledBack", {}, []

    def after(self, write: dict[str, Any]) -> str:
        """The text of an attempt with that of a write."""
        before, start, text = self.texts.get(write["attempt"], ""), write["start"], write["text"]
        assert start <= len(before)
        assert before[start:].startswith(text[: len(before) - start])
        return before[:start] + text if start + len(text) > len(before) else before

    def check(self, stored: Stored, flying: dict[str, dict[str, Any]]) -> bool:
        """What is stored is what was acknowledged; of a write that was under way all, or nothing.  From now on that
        counts.

        Whether there is more than was acknowledged.
        """
        states = {self.state} | {_STATES[effect] for effect in flying if effect in _STATES}
        if {"ended", "streams:finish"} & (states | flying.keys()):
            states = (states - {"ended"}) | {"finished" if stored.text.strip() else "empty"}
        assert stored.state in states, f"{stored.state}, not {states}"
        raising = flying.keys() & {"streams:begin", "streams:takeOver", "streams:finish"} or self.state == "ended"
        most = self.epoch + bool(raising)
        assert self.epoch <= stored.epoch <= most, f"epoch {stored.epoch}, not {self.epoch} to {most}"
        if stored.state not in ("none", "rolledBack"):
            assert self.ids in ([], stored.ids), "other ids were acknowledged"
            for attempt, text in self.texts.items():
                assert stored.texts[attempt].startswith(text), f"of attempt {attempt} more was acknowledged"
            possible = {self.texts.get(stored.attempt, "")}
            ends = flying.get("streams:finalize")
            if ends and stored.state == "finished":
                possible = {self.after(ends)}
            elif (append := flying.get("streams:append")) and append["attempt"] == stored.attempt:
                possible.add(self.after(append))
            assert stored.text in possible, "what is stored was acknowledged, or under way"
        before = self.state, self.epoch, self.texts.get(stored.attempt, "")
        self.state, self.epoch, self.texts, self.ids = stored.state, stored.epoch, dict(stored.texts), stored.ids
        return before != (stored.state, stored.epoch, stored.text)


_STATES = {
    "streams:begin": "open",
    "streams:finalize": "finished",
    "streams:close": "empty",
    "streams:rollback": "rolledBack",
}


class Reader:
    """What the reader of one process saw: the text of each attempt, and the epoch under which it was written."""

    def __init__(self, said: Iterable[dict[str, Any]]) -> None:
        self.texts: dict[int, str] = {}
        self.token: str | None = None
        self.epoch = 0
        # The request was sent again after the exchange had been finished: the text is shown, and in the end compared
        # with what is stored.  If it is another one, there is an IdempotencyConflict, and none of it is the stream's.
        self.before = False
        for message in said:
            self.token = message.get("token", self.token)
            if message["what"] == "begun":
                self.epoch, self.before = message["epoch"], message["before"]
            elif message["what"] == "shown":
                text = self.texts.get(message["attempt"], "")
                assert message["offset"] == len(text), "offsets are contiguous"
                self.texts[message["attempt"]] = text + message["text"]

    def places(self) -> list[tuple[int, int]]:
        return [] if self.before else [(attempt, self.epoch) for attempt in self.texts]

    def check(self, stored: Stored) -> None:
        """What it saw is what is stored, as far as the store says that it is certain, and nothing else where it saw
        less.
        """
        for attempt, epoch in self.places():
            text = self.texts[attempt]
            length = min(len(text), stored.certain[attempt, epoch])
            assert text[:length] == stored.texts.get(attempt, "")[:length], f"attempt {attempt} of epoch {epoch}"
