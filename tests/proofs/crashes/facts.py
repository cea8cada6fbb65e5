"""Facts in the proof of crashes: an extractor whose facts are a function of the text, and what must hold of them in the
end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from proofs.crashes.references import Model, Reference

from cortex_rx import SqliteBackend
from cortex_rx.facts.draining import drain
from cortex_rx.facts.reader import FactReader
from cortex_rx.testing import Process

__all__ = ["BEFORE", "LIVES", "check_facts", "extractor", "store_before"]

WHERE = {"memorySpaceId": "space"}
BEFORE = "Ada lives in Rome."
"""Known before the stream begins."""
LIVES = ("Ada", "lives_in")
_SENTENCE = re.compile(r"(\w+) (likes|lives in) (\w+)[.?!]")


def triples(text: str) -> list[tuple[str, str, str]]:
    """What the sentences of a text say, each of which stands for itself."""
    return [(who, verb.replace(" ", "_"), what) for who, verb, what in _SENTENCE.findall(text)]


def read(user_message: str, text: str) -> list[dict[str, Any]]:
    """The facts of a question or of a window."""
    return [
        {
            "fact": f"{who} {verb.replace('_', ' ')} {what}.",
            "factType": "knowledge",
            "subject": who,
            "predicate": verb,
            "object": what,
            "confidence": 80,
        }
        for who, verb, what in triples(text or user_message)
    ]


def extractor(process: Process) -> Callable[[str, str], Awaitable[list[dict[str, Any]]]]:
    """An extractor that takes its time; each call of it is an effect of its process."""

    async def extract(user_message: str, text: str) -> list[dict[str, Any]]:
        async def act() -> list[dict[str, Any]]:
            await asyncio.sleep(0.3)
            return read(user_message, text)

        return await process.effect("extract", act, ConnectionError)

    return extract


async def store_before(store: SqliteBackend) -> None:
    """Store what is known before the stream begins."""
    await store.mutation(
        "facts:store",
        {**WHERE, **read("", BEFORE)[0], "sourceType": "manual", "tags": [], "validFrom": 1, "userId": "ada"},
    )


async def check_facts(store: SqliteBackend, reference: Reference, model: Model, question: str, answer: str) -> None:
    """None is lost: each sentence is a fact, or is one when the queue was read. None is there twice, none is of a text
    that is not the answer, and only the answer has ended what was known before."""
    if not reference.facts:
        assert await store.query("facts:count", {**WHERE, "includeSuperseded": True}) == 0
        return

    async def at_once(user_message: str, text: str) -> list[dict[str, Any]]:
        return read(user_message, text)

    await drain(FactReader(store, at_once, timeout=30.0), "space")
    assert await store.query("facts:queued", {**WHERE, "dead": True}) == []
    assert await store.query("facts:queued", WHERE) == []
    rows = await store.query("facts:list", {**WHERE, "includeSuperseded": True, "limit": 100})
    said = [*triples(question), *triples(answer)]
    wanted = {*said, ("Ada", "lives_in", "Rome")}
    assert len(wanted) == len(set(said)) + 1
    assert sorted((row["subject"], row["predicate"], row["object"]) for row in rows) == sorted(wanted)
    for row in rows:
        if row["sourceType"] != "manual":
            (source,) = row["sources"]
            text = question if source["messageIds"][0] == await _first_message(store) else answer
            assert row["fact"][:-1] in text[source["start"] : source["end"]], "a fact stands where it is said to stand"
    (before,) = [row for row in rows if row["object"] == "Rome"]
    (later,) = [row for row in rows if (row["subject"], row["predicate"]) == LIVES and row is not before]
    assert (before["supersededBy"], later["supersedes"]) == (later["factId"], before["factId"])
    assert later.get("closed") is None and before["closed"] == "changed"
    assert [row["factId"] for row in rows if row.get("closed")] == [before["factId"]]
    assert await store.query("facts:count", {"memorySpaceId": "other", "includeSuperseded": True}) == 0


async def _first_message(store: SqliteBackend) -> str:
    talk = await store.query("conversations:get", {**WHERE, "conversationId": "c-1"})
    first: str = talk["messages"][0]["id"]
    return first
