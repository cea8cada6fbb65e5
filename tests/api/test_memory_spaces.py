"""`cortex.memory_spaces`: Cortex's eleven methods, on a real store."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.errors import (
    InvalidArgument,
    MemorySpaceArchived,
    MemorySpaceExists,
    MemorySpaceHasData,
    MemorySpaceNotFound,
)
from cortex_rx.models.memory_spaces import (
    MemorySpaceUpdate,
    RegisterMemorySpaceParams,
)
from cortex_rx.testing import Faulty

YEAR = 1_700_000_000_000


@pytest.fixture
async def cortex(tmp_path: Path) -> AsyncIterator[Cortex]:
    times = count(YEAR // 1000)
    async with SqliteBackend(tmp_path / "memory.db", clock=lambda: float(next(times))) as backend:
        yield Cortex(backend)


async def stored(cortex: Cortex, space: str, *words: str) -> None:
    for content in words:
        await cortex.memory.store(space, content=content, source={"type": "system"}, metadata={"importance": 50})


async def ids(cortex: Cortex, **filters: Any) -> list[str]:
    return [one.memory_space_id for one in (await cortex.memory_spaces.list(**filters)).spaces]


async def test_it_is_registered_as_cortex_takes_it_and_without_the_time_of_joining(cortex: Cortex) -> None:
    joined = datetime(2026, 1, 1, tzinfo=UTC)
    people: list[Any] = [
        {"id": "bot", "type": "agent"},
        {"id": "eve", "type": "user", "joinedAt": 0},
        "ada",
        {"id": "bob", "joined_at": joined},
    ]
    in_cortex_s_order: Any = RegisterMemorySpaceParams
    params = in_cortex_s_order("team-1", "team", "Team", people, {"camelCase": {"a": None}})
    made = await cortex.memory_spaces.register(params, False)
    told = [(one.id, one.type, one.joined_at) for one in made.participants]
    at = int(joined.timestamp() * 1000)
    assert told == [
        ("bot", "agent", made.created_at),
        ("eve", "user", 0),
        ("ada", "user", told[2][2]),
        ("bob", "user", at),
    ]
    assert made["memorySpaceId"] == made["memory_space_id"] == "team-1"
    assert (made.name, made.status, made.metadata, made.registered) == (
        "Team",
        "active",
        {"camelCase": {"a": None}},
        True,
    )
    assert made.participants[0]["joinedAt"] == made.created_at
    again = await cortex.memory_spaces.register({"memorySpaceId": "team-1", "type": "team", "name": "Team"} | {
        "participants": people, "metadata": {"camelCase": {"a": None}}
    })  # fmt: skip
    assert again == made == await cortex.memory_spaces.get("team-1")
    with pytest.raises(MemorySpaceExists):
        await cortex.memory_spaces.register(memory_space_id="team-1", type="team")
    assert await cortex.memory_spaces.get("nowhere") is None


async def test_lists_are_filtered_before_the_limit_and_used_spaces_can_be_found(cortex: Cortex) -> None:
    spaces = cortex.memory_spaces
    for name, kind, people in (
        ("a", "team", ["ada"]),
        ("b", "personal", []),
        ("c", "team", ["ada"]),
        ("d", "team", []),
    ):
        await spaces.register(memory_space_id=name, type=kind, participants=people)
    await spaces.archive("c")
    await stored(cortex, "used", "x")
    assert await ids(cortex) == ["d", "c", "b", "a"]
    assert await ids(cortex, type="team", limit=1, offset=1) == ["c"]
    assert await ids(cortex, participant="ada") == ["c", "a"]
    assert await ids(cortex, participant="ada", status="active") == ["a"]
    assert await ids(cortex, include_unregistered=True, offset=3) == ["a", "used"]
    assert await ids(cortex, include_unregistered=True, type="team") == ["d", "c", "a"]
    listed = await spaces.list("team", "active", None, 50, 0)
    assert [one["memorySpaceId"] for one in listed["spaces"]] == ["d", "a"]
    assert (await spaces.count(), await spaces.count("team", "active"), await spaces.count(participant="ada")) == (
        4,
        2,
        2,
    )
    assert await spaces.count(include_unregistered=True) == 5
    for size in (1, 2, 100):
        found = [one.memory_space_id async for one in spaces.iterate("team", page_size=size)]
        assert found == ["a", "c", "d"]
    assert [one.memory_space_id for one in await spaces.search("C", "team", None, 5)] == ["c"]


async def test_it_is_updated_by_a_mapping_a_model_or_keywords(cortex: Cortex) -> None:
    spaces = cortex.memory_spaces
    await spaces.register(memory_space_id="s", type="team", metadata={"a": 1})
    assert (await spaces.update("s", {"name": "N", "metadata": {"b": 2}})).metadata == {"b": 2}
    assert (await spaces.update("s", MemorySpaceUpdate(status="archived"))).status == "archived"
    assert (await spaces.update("s", name="")).name == ""
    with pytest.raises(MemorySpaceNotFound):
        await spaces.update("nowhere", name="x")
    with pytest.raises(InvalidArgument, match="type"):
        await spaces.update("s", {"type": "team"})
    got = await spaces.update_participants("s", ["ada", {"id": "bot", "type": "agent"}])
    assert [(one.id, one.type) for one in got.participants] == [("ada", "user"), ("bot", "agent")]
    got = await spaces.update_participants("s", remove=["ada", "nobody"])
    assert [one.id for one in got.participants] == ["bot"]


async def test_an_archived_space_is_read_and_not_written(cortex: Cortex) -> None:
    spaces = cortex.memory_spaces
    await stored(cortex, "s", "zebra")
    archived = await spaces.archive("s", "over", {"by": "ada"})
    assert (archived.status, archived.type) == ("archived", "custom")
    assert archived.metadata == {"by": "ada", "archivedAt": archived.updated_at, "archiveReason": "over"}
    for write in (
        stored(cortex, "s", "more"),
        cortex.facts.store(memory_space_id="s", fact="Tea is hot.", fact_type="knowledge", confidence=1),
    ):
        with pytest.raises(MemorySpaceArchived):
            await write
    assert [one.content for one in await cortex.memory.search("s", "zebra")] == ["zebra"]
    assert (await spaces.reactivate("s")).status == "active"
    await stored(cortex, "s", "more")
    for call in (spaces.archive("nowhere"), spaces.reactivate("nowhere")):
        with pytest.raises(MemorySpaceNotFound):
            await call


async def test_it_is_deleted_with_everything_in_it(cortex: Cortex, caplog: pytest.LogCaptureFixture) -> None:
    spaces = cortex.memory_spaces
    await spaces.register(memory_space_id="s", type="team")
    await stored(cortex, "s", *(f"zebra {number}" for number in range(130)))
    await stored(cortex, "t", "zebra of t")
    with pytest.raises(InvalidArgument, match="confirm_id"):
        await spaces.delete("s", confirm_id="t")
    with pytest.raises(MemorySpaceHasData):
        await spaces.delete("s", cascade=False)
    got = await spaces.get("s")
    assert got is not None and got.status == "active" and await cortex.memory.count("s") == 130
    with caplog.at_level(logging.INFO, logger="cortex_rx"):
        deleted = await spaces.delete("s", True, "no longer needed", "s")
    assert (deleted.deleted, deleted["memorySpaceId"], deleted.cascaded) == (True, "s", True)
    assert [record.message for record in caplog.records if record.name == "cortex_rx"] == [
        "the memory space 's' was deleted: no longer needed"
    ]
    assert (await spaces.get("s"), await cortex.memory.count("s"), await cortex.memory.count("t")) == (None, 0, 1)
    with pytest.raises(MemorySpaceNotFound):
        await spaces.delete("s")
    await stored(cortex, "s", "anew")
    assert await cortex.memory.count("s") == 1


class Dying(SqliteBackend):
    """The process dies before the third write: after the archive and one step."""

    writes = 0

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        self.writes += 1
        if self.writes == 3:
            raise KeyError(path)
        return await super().mutation(path, args)


async def test_what_was_left_of_a_deletion_that_died_is_archived_and_deleted_again(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend, Dying(tmp_path / "memory.db") as dying:
        cortex = Cortex(backend)
        await stored(cortex, "s", *(f"zebra {number}" for number in range(120)))
        with pytest.raises(KeyError, match="memorySpaces:clear"):
            await Cortex(dying).memory_spaces.delete("s")
        left = await cortex.memory_spaces.get("s")
        assert left is not None and left.status == "archived"
        assert 0 < await cortex.memory.count("s") < 120
        assert (await cortex.memory_spaces.delete("s")).deleted
        assert await ids(cortex, include_unregistered=True) == []


async def test_a_deletion_whose_answer_was_lost_is_done(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        cortex = Cortex(backend)
        await stored(cortex, "s", "zebra")
        flaky = Cortex(Faulty(backend, "1 fail, 2 fail-after, 4 fail-after, 6 fail-after"))
        assert (await flaky.memory_spaces.delete("s")).deleted
        assert await ids(cortex, include_unregistered=True) == []


async def test_statistics_are_counted_from_the_data(cortex: Cortex) -> None:
    spaces = cortex.memory_spaces
    await spaces.register(memory_space_id="s", type="team", participants=["ada"])
    await stored(cortex, "s", "zebra")
    stats = await spaces.get_stats("s", "7d", True)
    assert (stats.total_memories, stats.storage["memoriesBytes"], stats["importanceBreakdown"]["medium"]) == (1, 5, 1)
    assert stats.participants is not None and stats.participants[0].total_memories == 0
    got = await spaces.get("s", include_stats=True)
    assert got is not None and got.stats == await spaces.get_stats("s")
    with pytest.raises(InvalidArgument, match="time_window"):
        await spaces.get_stats("s", "1y")  # type: ignore[arg-type]
    with pytest.raises(MemorySpaceNotFound):
        await spaces.get_stats("nowhere")


async def test_exports_are_the_same_whole_and_streamed(cortex: Cortex) -> None:
    spaces = cortex.memory_spaces
    for number in range(3):
        await spaces.register(memory_space_id=f"s{number}", type="team", name="=1+1", metadata={"camelCase": 1})
    for kind in ("json", "csv"):
        whole = await spaces.export(kind, "team", "active")
        assert whole.count == 3 and whole.format == kind
        assert "".join([piece async for piece in spaces.stream_export(kind, "team", page_size=2)]) == whole.data
        rows = json.loads(whole.data) if kind == "json" else list(csv.DictReader(io.StringIO(whole.data)))
        assert [row["memorySpaceId"] for row in rows] == ["s0", "s1", "s2"]
        assert json.dumps(rows[0]["metadata"]) == '{"camelCase": 1}' or rows[0]["metadata"] == '{"camelCase": 1}'
    assert (await spaces.export(participant="nobody")).data == "[]"


async def test_it_says_that_no_graph_is_kept(cortex: Cortex) -> None:
    given: dict[str, Any] = {"memory_space_id": "s", "type": "team"}
    with pytest.warns(GraphNotKept, match="no graph is kept"):
        await cortex.memory_spaces.register(given, True)
    await cortex.backend.mutation("graphSync:keep", {"enabled": True})
    await cortex.memory_spaces.register(given, sync_to_graph=True)  # a warning is an error in tests
    (row,) = await cortex.backend.query("graphSync:getUnsyncedItems", {})
    assert (row["table"], row["entityId"]) == ("memorySpaces", "s")


async def test_a_stream_into_an_archived_space_shows_nothing_and_says_why(cortex: Cortex) -> None:
    turn: dict[str, Any] = {
        "memory_space_id": "s",
        "conversation_id": "c-1",
        "user_message": "Why?",
        "user_id": "ada",
        "user_name": "Ada",
    }
    await stored(cortex, "s", "zebra")
    answer = cortex.memory.remember_stream(["So ", "it is."], **turn)
    reading = aiter(answer)
    shown = [await anext(reading)]
    await cortex.memory_spaces.archive("s")  # while it is shown
    shown += [text async for text in reading]
    assert ("".join(shown), (await answer).full_response) == ("So it is.", "So it is.")
    assert [one.content for one in await cortex.memory.list("s", limit=1)] == ["So it is."]
    later, shown = cortex.memory.remember_stream(["Never ", "shown."], **turn), []
    with pytest.raises(MemorySpaceArchived):
        async for text in later:
            shown.append(text)
    assert shown == []
    assert await cortex.memory.count("s") == 3
