"""`memories:list`, `memories:page`, `memories:count`: what they cost, and that the kept counts are right."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite import schema
from cortex_rx.backends.sqlite.functions import memory_lists
from cortex_rx.testing.virtual import run_virtual

# Most memories are of many users, of one source, and not archived; what a filter asks for is the rest, evenly spread.
_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO memories (seq, space, id, text, partial, content_type, source_type, source_timestamp, user_id,
    participant_id, conversation, importance, tags, created, updated, archived)
SELECT n, 's', 'mem-' || n, n, 0, 'raw', iif(n % 97, 'conversation', 'tool'), n, 'user-' || (n % 100),
    iif(n % 89, NULL, 'p'), iif(n % 83, NULL, 'c'), 50, '[]', n, n, n % 7 = 0 FROM numbers
"""
_TEXTS = """
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO texts (id, space, length, touched) SELECT n, (SELECT id FROM spaces WHERE name = 's'), 0, n FROM numbers
"""
_ALONE = {"memorySpaceId": "s", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
_NARROWED: tuple[dict[str, Any], ...] = (
    {},
    {"userId": "user-7"},
    {"participantId": "p"},
    {"sourceType": "tool"},
    {"conversationId": "c"},
    {"includeArchived": True},
    {"includePartial": True},
    {"includeChunks": True},
    {"userId": "user-7", "includeArchived": True, "includePartial": True},
)


async def _filled(make_store: Any) -> tuple[Any, Any]:
    store = make_store(":memory:")
    await store.backend.mutation("memories:store", {**_ALONE, "content": "the first"})
    await store.begin()
    return store, store.backend._writer


def _fill(db: Any, first: int, last: int) -> None:
    for statement in (_TEXTS, _FILL):
        db.execute(statement, {"first": first, "last": last})


async def test_a_page_and_a_count_cost_the_same_among_ten_times_as_many(make_store: Any) -> None:
    store, db = await _filled(make_store)
    steps = 0

    def more() -> int:
        nonlocal steps
        steps += 1
        return 0

    calls = [("memories:list", {"limit": 5, **args}) for args in _NARROWED]
    calls += [("memories:page", {"limit": 5, **args}) for args in _NARROWED[:6]]
    calls += [("memories:count", {**args}) for args in _NARROWED if "conversationId" not in args]
    costs: list[list[int]] = []
    last = 100
    for filled in (1_000, 10_000):
        _fill(db, last + 1, filled)
        last = filled
        db.set_progress_handler(more, 1)
        costs.append([])
        for path, args in calls:
            steps = 0
            result = await store.backend.query(path, {"memorySpaceId": "s", **args})
            costs[-1].append(steps)
            found = result["page"] if path == "memories:page" else result
            assert found if path == "memories:count" else len(found) == 5, (path, args, result)
        db.set_progress_handler(None, 1)
    dear = [(call, less, more) for call, less, more in zip(calls, *costs, strict=True) if more > 1.5 * less]
    assert not dear
    assert max(cost for call, cost in zip(calls, costs[1], strict=True) if call[0] == "memories:count") < 500
    await store.backend.close()


@pytest.mark.parametrize("args", _NARROWED)
async def test_a_list_sorts_nothing_but_the_answers_that_are_open(args: dict[str, Any], make_store: Any) -> None:
    store, db = await _filled(make_store)
    values = memory_lists._values({"memorySpaceId": "s", **args}) | {"after": 0}
    for bound, direction in (("", "DESC"), (memory_lists._BEHIND, "ASC")):
        statement = memory_lists._lanes(*memory_lists._order(values), bound, direction)
        plan = [row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if step.startswith("SCAN")], plan
        assert sum("TEMP B-TREE" in step for step in plan) == (args.get("includePartial", False)), plan
    await store.backend.close()


# --- the counts -------------------------------------------------------------------------------------------------------

_GROUPS = (
    "SELECT spaces.id, source_type, archived, count(*), sum(chunks), user_id, participant_id FROM memories"
    " JOIN spaces ON spaces.name = memories.space WHERE partial = 0 GROUP BY 1, 2, 3, 6, 7"
)


def _expected(store: Any) -> set[tuple[Any, ...]]:
    """What the table of counts has to hold, from the memories themselves."""
    sums: dict[tuple[Any, ...], tuple[int, int]] = {}
    for space, source, archived, memories, chunks, user, participant in store.sql(_GROUPS):
        for one in {"", user} - {None}:
            for other in {"", participant} - {None}:
                key = space, one, other, source, archived
                before = sums.get(key, (0, 0))
                sums[key] = before[0] + memories, before[1] + chunks
    return {(*key, *sum_) for key, sum_ in sums.items()}


_STEP = st.tuples(
    st.sampled_from(("store", "begin", "finalize", "chunks", "close", "rollback", "delete", "change", "erase")),
    st.integers(0, 5),
    st.sampled_from((None, "ada", "bob")),
    st.sampled_from((None, "p", "q")),
    st.sampled_from(("s", "t")),
)


@settings(max_examples=25)
@given(st.lists(_STEP, max_size=25))
def test_the_counts_are_those_of_the_memories_after_whatever_was_done(steps: list[tuple[Any, ...]]) -> None:
    run_virtual(_counted(steps))


async def _counted(steps: list[tuple[Any, ...]]) -> None:
    from cortex_rx import SqliteBackend
    from cortex_rx.errors import StoreError

    backend: Any = SqliteBackend(":memory:")
    await backend.query("memories:count", {"memorySpaceId": "s"})
    for action, number, user, participant, space in steps:
        owner = {"userId": user, "participantId": participant, "agentId": "helper"}
        owner = {key: value for key, value in owner.items() if value is not None}
        stream = {"memorySpaceId": space, "streamId": f"st{number}"}
        written = {**stream, "epoch": 1, "attempt": 0}
        chunks = {"chunks": [{"start": 0, "end": 3}, {"start": 3, "end": 6}]} if action == "chunks" else {}
        try:
            if action == "store":
                call = {**_ALONE, "memorySpaceId": space, "memoryId": f"m{number}", "content": "a", **owner}
                await backend.mutation("memories:store", call)
            elif action == "begin":
                turn = {"conversationId": "c", "userMessage": "why?", "importance": 50, "tags": [], **owner}
                await backend.mutation("streams:begin", {**stream, **turn})
            elif action in ("finalize", "chunks"):
                ended = {**written, "start": 0, "text": "abcdef", "length": 6, **chunks}
                await backend.mutation("streams:finalize", ended)
            elif action == "close":
                await backend.mutation("streams:close", {**stream, "epoch": 1, "outcome": "empty"})
            elif action == "rollback":
                await backend.mutation("streams:rollback", {**stream, "epoch": 1})
            elif action == "change":
                backend._writer.execute("UPDATE memories SET user_id = ?, archived = NOT archived", (user,))
            else:
                listed = {"memorySpaceId": space, "includePartial": True, "includeArchived": True}
                rows = await backend.query("memories:list", listed)
                if rows:
                    target = {"memorySpaceId": space, "memoryId": rows[number % len(rows)]["memoryId"]}
                    path = "memories:deleteMemory" if action == "delete" else "memories:forget"
                    await backend.mutation(path, {**target, **({"erase": True} if action == "erase" else {})})
        except StoreError:
            pass  # there is no such stream, or it has ended
    kept = {tuple(row) for row in backend._writer.execute("SELECT * FROM memory_counts")}
    assert kept == _expected(_Sql(backend))
    await backend.close()


class _Sql:
    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def sql(self, statement: str) -> list[Any]:
        found: list[Any] = self._backend._writer.execute(statement).fetchall()
        return found


async def test_a_file_from_before_is_counted_when_it_is_opened(make_store: Any) -> None:
    """What the triggers would have kept: the migration sums the rows that are there."""
    store, db = await _filled(make_store)
    _fill(db, 101, 500)
    kept = {tuple(row) for row in db.execute("SELECT * FROM memory_counts")}
    assert kept == _expected(_Sql(store.backend))
    fill = next(
        one for one in chain.from_iterable(schema.MIGRATIONS) if one.lstrip().startswith("INSERT INTO memory_counts")
    )
    db.execute("DELETE FROM memory_counts")
    db.execute(fill)
    assert {tuple(row) for row in db.execute("SELECT * FROM memory_counts")} == kept
    await store.backend.close()
