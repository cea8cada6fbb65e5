"""Leases and claims: which writer owns a stream, for how long, and what a repeated call returns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import (
    CortexError,
    Fenced,
    Gap,
    IdempotencyConflict,
    InvalidArgument,
    StillOwned,
    StreamNotFound,
)

AT = 1_000_000  # the store's clock at the beginning of each test, epoch ms


def without(row: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != field}


def ownership(store: Any) -> tuple[Any, ...]:
    """What the file says: epoch, claim, lease, mark, state."""
    (row,) = store.sql(
        "SELECT epoch, claim, lease, mark, resume_state FROM streams JOIN texts ON texts.id = answer"
        " WHERE streams.id = 'st'"
    )
    return row


async def test_begin_gives_a_lease_and_its_claim_repeats_it(store: Any) -> None:
    begun = await store.begin(lease=10_000, claim="one")
    assert begun == {
        "memoryId": "mem-001", "epoch": 1, "attempt": 0, "state": "open", "leaseUntil": AT + 10_000,
        "conversationId": "c", "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"],
    }  # fmt: skip
    assert ownership(store) == (1, "one", AT + 10_000, None, None)
    before = store.tables()
    store.now += 3
    assert await store.begin(lease=10_000, claim="one") == begun  # the answer was lost
    assert await store.begin(lease=99, claim="one", tags=["x"]) == begun
    assert store.tables() == before
    with pytest.raises(IdempotencyConflict):
        await store.begin(question="who?", claim="one")


@pytest.mark.parametrize("more", [{}, {"claim": "two"}, {"claim": "two", "lease": 5}])
async def test_a_live_lease_refuses_another_begin_until_it_has_run_out(store: Any, more: dict[str, Any]) -> None:
    await store.begin(lease=10_000, claim="one")
    await store.append(0, "abc")
    before = store.tables()
    for store.now in (1_000.0, 1_009.999):
        with pytest.raises(StillOwned) as owned:
            await store.begin(**more)
        assert owned.value.until == AT + 10_000
    assert store.tables() == before
    store.now = 1_010.0
    begun = await store.begin(**more)
    assert (begun["epoch"], begun["attempt"]) == (2, 1)
    assert begun.get("leaseUntil") == (AT + 10_005 if "lease" in more else None)
    assert ownership(store)[:3] == (2, more.get("claim"), begun.get("leaseUntil", 0))
    with pytest.raises(Fenced):
        await store.append(3, "late", lease=10_000)
    with pytest.raises(Fenced):
        await store.call("renew", epoch=1, lease=10_000)
    # The call that made epoch 1 is another one by now.
    if "lease" in more:
        with pytest.raises(StillOwned):
            await store.begin(claim="one")
    else:
        assert (await store.begin(claim="one"))["epoch"] == 3


async def test_without_leases_whoever_begins_owns(store: Any) -> None:
    assert [(await store.begin(**more))["epoch"] for more in ({}, {}, {"lease": 0}, {})] == [1, 2, 3, 4]
    assert ownership(store) == (4, None, 0, None, None)


async def test_a_claim_of_a_stream_that_has_ended_changes_nothing(store: Any) -> None:
    ids = without(await store.begin(claim="one", lease=5), "leaseUntil")
    await store.call("close", epoch=1, outcome="error")
    before = store.tables()
    assert (await store.begin(claim="one"))["state"] == "empty"
    assert store.tables() == before
    assert (await store.begin(claim="two", lease=5))["epoch"] == 2
    await store.finalize("x", epoch=2, attempt=1)
    before = store.tables()
    finished = {**ids, "epoch": 2, "attempt": 1, "state": "finished"}
    assert await store.begin(claim="two") == await store.begin(claim="three", lease=5) == finished
    assert store.tables() == before


async def test_append_renews_the_lease_and_stores_mark_and_state_with_the_text(store: Any) -> None:
    await store.begin(lease=10_000)
    store.now += 8
    mark, state = {"offset": 3, "cursor": "é"}, {"index": 2, "fold": [1.5, None]}
    await store.append(0, "abc", lease=10_000, mark=mark, state=state)
    assert ownership(store) == (
        1,
        None,
        AT + 18_000,
        '{"offset": 3, "cursor": "é"}',
        '{"index": 2, "fold": [1.5, null]}',
    )
    row = await store.call("get")
    assert (row["mark"], row["resumeState"], row["leaseUntil"], row["owned"]) == (mark, state, AT + 18_000, True)
    # What is left out stays; None clears.
    await store.append(3, "d", mark=[4])
    assert ownership(store)[2:] == (AT + 18_000, "[4]", '{"index": 2, "fold": [1.5, null]}')
    await store.append(4, "", mark=None, state=7)
    row = await store.call("get")
    assert "mark" not in row and row["resumeState"] == 7
    # An append without text: only at the end it says what holds there.
    await store.append(2, "", mark="old", state="old", lease=1)
    assert ownership(store)[2:] == (AT + 8_001, "null", "7")
    store.now += 1
    assert not (await store.call("get"))["owned"]
    # The lease has run out, nobody has taken over: the writer goes on, and may let go.
    await store.append(4, "e", lease=10_000, mark="new")
    assert ownership(store)[2:] == (AT + 19_000, '"new"', "7")
    await store.append(5, "", lease=0)
    row = await store.call("get")
    assert "leaseUntil" not in row and not row["owned"] and row["mark"] == "new"


async def test_a_repeated_append_leaves_mark_and_state_of_a_later_end(store: Any) -> None:
    await store.begin()
    await store.append(0, "abc", mark=3, state=3)
    await store.append(3, "def", mark=6, state=6)
    await store.append(0, "abc", mark=3, state=3, lease=5)
    assert ownership(store) == (1, None, AT + 5, "6", "6")
    before = store.tables()
    await store.append(3, "def", mark=6, state=6)
    assert store.tables() == before
    for wrong in ({"start": 7, "text": "x"}, {"start": 3, "text": "xyz"}, {"start": 6, "text": "x", "epoch": 2}):
        with pytest.raises(CortexError):
            await store.append(**wrong, mark=9, state=9, lease=9)
    assert store.tables() == before


async def test_a_new_attempt_has_no_mark_and_keeps_the_lease(store: Any) -> None:
    await store.begin(lease=10_000)
    await store.append(0, "abc", mark=3, state=3)
    await store.append(0, "xy", attempt=1, mark=2)
    assert ownership(store) == (1, None, AT + 10_000, "2", None)
    await store.append(0, "", attempt=2)
    assert ownership(store) == (1, None, AT + 10_000, None, None)
    await store.append(0, "", attempt=3, lease=5)
    assert ownership(store) == (1, None, AT + 5, None, None)
    store.now += 1
    await store.begin()
    assert ownership(store) == (2, None, 0, None, None)


async def test_renew_is_a_heartbeat_and_lets_go(store: Any) -> None:
    with pytest.raises(StreamNotFound):
        await store.call("renew", epoch=1)
    await store.begin(lease=10_000)
    updated = (await store.call("get"))["updatedAt"]
    store.now += 9
    assert await store.call("renew", epoch=1) == {"leaseUntil": AT + 19_000}
    assert await store.call("renew", epoch=1, lease=30_000) == {"leaseUntil": AT + 39_000}
    assert ownership(store)[2] == AT + 39_000 and (await store.call("get"))["updatedAt"] == updated
    for epoch in (0, 2):
        with pytest.raises(Fenced):
            await store.call("renew", epoch=epoch)
    assert await store.call("renew", epoch=1, lease=0) == await store.call("renew", epoch=1, lease=0) == {}
    assert ownership(store)[2] == 0
    assert (await store.begin())["epoch"] == 2
    for end in ("finalize", "close"):
        await store.begin(end)
        await (store.finalize("x", end) if end == "finalize" else store.call("close", end, epoch=1, outcome="empty"))
        before = store.tables()
        assert await store.call("renew", end, epoch=1) == {}
        assert store.tables() == before
        with pytest.raises(Fenced):
            await store.call("renew", end, epoch=2)


@pytest.mark.parametrize("end", ["finalize", "close"])
async def test_an_end_takes_lease_and_mark_away(store: Any, end: str) -> None:
    await store.begin(lease=10_000, claim="one")
    await store.append(0, "abc", mark=3, state=3)
    if end == "finalize":
        await store.finalize("", start=3)
    else:
        await store.call("close", epoch=1, outcome="interrupted", reason="cut")
        (message,) = (await store.conversation())["messages"]
        assert message["metadata"] == {"unanswered": "interrupted", "finishReason": "cut"}
    assert ownership(store) == (1, "one", 0, None, "3")  # the state says how many deltas the answer has
    row = await store.call("get")
    assert not row["owned"] and {"leaseUntil", "mark", "resumeState"}.isdisjoint(row)
    before = store.tables()
    await store.append(0, "abc", mark=3, state=3, lease=5)  # what it has it accepts, and that is all
    assert store.tables() == before


async def test_a_refused_finalize_keeps_lease_and_mark(store: Any) -> None:
    await store.begin(lease=10_000)
    await store.append(0, "abc", mark=3)
    with pytest.raises(Gap):
        await store.finalize("d", start=3, length=9)
    assert ownership(store) == (1, None, AT + 10_000, "3", None)


async def test_an_append_costs_as_many_statements_whatever_it_brings(store: Any) -> None:
    await store.begin()
    kinds: list[list[str]] = []
    for at, more in enumerate(({}, {"lease": 5}, {"lease": 5, "mark": {"offset": 1}, "state": {"index": 2}})):
        statements: list[str] = []
        store.backend._writer.set_trace_callback(statements.append)
        await store.append(at, "x", **more)
        store.backend._writer.set_trace_callback(None)
        kinds.append([statement.split()[0] for statement in statements])
    assert kinds == [["BEGIN", "SELECT", "INSERT", "UPDATE", "COMMIT"]] * 3


WRONG = {
    "begin": {
        "lease": [-1, 1.5, None, "1", True, 4 * 10**12, float("nan")], "claim": ["", 5, None, "\ud800"],
        "token": ["", "resume_secret", "A" * 64, 5, None], "tokenTtl": [0, -1, "1", None, 4 * 10**12],
    },
    "append": {"lease": [-1, None, "1"], "mark": [{1: 2}, float("inf"), object(), "\ud800"],
     "state": [{"a": {2}}, b"x"]},
    "close": {"outcome": ["unanswered", None, ""]},
    "renew": {"lease": [-1, None, 0.5], "epoch": ["1", None], "streamId": ["", None], "mark": [1]},
    "takeOver": {
        "token": ["resume_secret", None], "claim": ["", None], "lease": [-1, None],
        "newToken": ["resume_secret", None, "1" * 64],
        "tokenTtl": [0], "force": [1, None, "yes"], "streamId": ["st"],
    },
    "issueToken": {"token": ["resume_secret", 1], "tokenTtl": [0, None], "streamId": [None]},
    "finish": {"streamId": ["", None], "epoch": [1]},
    "rollback": {"epoch": [-1, None, "1"]},
    "read": {"after": [-1, None, 0.5], "attempt": [-1, None], "limit": [-1, None]},
    "interrupted": {"limit": [-1, None], "memorySpaceId": ["", None], "streamId": ["st"]},
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "begin": {
        "token": "0" * 64,
        "conversationId": "c",
        "userMessage": "why?",
        "userId": "ada",
        "importance": 50,
        "tags": [],
    },
    "append": {"epoch": 1, "attempt": 0, "start": 0, "text": "x"},
    "close": {"epoch": 1, "outcome": "error"},
    "renew": {"epoch": 1},
    "takeOver": {"token": "1" * 64, "claim": "c", "newToken": "2" * 64},
    "issueToken": {"token": "1" * 64},
    "finish": {},
    "rollback": {"epoch": 1},
    "read": {"after": 0},
    "interrupted": {},
}


async def test_a_wrong_argument_is_named_and_nothing_is_stored(store: Any) -> None:
    await store.begin("other")
    before = store.tables()
    for function, field, value in [
        (function, field, value)
        for function, fields in WRONG.items()
        for field, values in fields.items()
        for value in values
    ]:
        stream = None if function in ("takeOver", "interrupted") else "st"
        with pytest.raises(InvalidArgument) as error:
            await store.call(function, stream, **{**GOOD[function], field: value})
        assert error.value.field.startswith(field), (function, value)
        assert "resume_secret" not in str(error.value) and "resume_secret" not in repr(error.value.given)
    assert store.tables() == before


@pytest.mark.parametrize(("function", "token"), [("begin", "token"), ("takeOver", "newToken")])
async def test_a_lifetime_without_a_token_is_a_mistake(store: Any, function: str, token: str) -> None:
    args = {key: value for key, value in GOOD[function].items() if key != token}
    await store.begin("other")
    with pytest.raises(InvalidArgument, match="tokenTtl"):
        await store.call(function, None if function == "takeOver" else "st", **args, tokenTtl=5)
    assert store.sql("SELECT count(*) FROM streams") == [(1,)]


# --- a clock that is set ----------------------------------------------------------------------------------------------

LONG = 600.0  # seconds; the store's clock begins at 1,000


async def seen(store: Any) -> tuple[Any, ...]:
    """What the three queries say of the lease: `owned` and `leaseUntil` of get and read, and whether it is listed."""
    got, read = await store.call("get"), await store.call("read", after=0)
    listed = [row["streamId"] for row in await store.call("interrupted", None, limit=9)]
    assert (got["owned"], got.get("leaseUntil")) == (read["owned"], read.get("leaseUntil"))
    return got["owned"], got.get("leaseUntil"), listed


@pytest.mark.parametrize("back", [LONG, 0.001], ids=["long", "a millisecond"])
@pytest.mark.parametrize("grant", ["begin", "append", "an append without text", "a new attempt", "renew"])
async def test_a_dead_writer_owns_nothing_after_the_clock_was_set_back(store: Any, grant: str, back: float) -> None:
    begun = await store.begin(claim="one", lease=20_000 if grant == "begin" else 10_000, token="a" * 64)
    store.now += 1
    if grant == "append":
        await store.append(0, "abc", lease=20_000)
    elif grant == "an append without text":
        await store.append(0, "", lease=20_000)
    elif grant == "a new attempt":
        await store.append(0, "", lease=20_000)
        await store.append(0, "abc", attempt=1)
    elif grant == "renew":
        await store.call("renew", epoch=1, lease=20_000)
    until = begun["leaseUntil"] if grant == "begin" else AT + 21_000
    assert await seen(store) == (True, until, [])
    given = until / 1000 - 20
    store.now = given
    assert await seen(store) == (True, until, [])
    store.now = given - back
    assert await seen(store) == (False, None, ["st"])
    assert (await store.take("a" * 64, "two"))["epoch"] == 2


async def test_each_call_that_waits_for_a_lease_waits_for_none_from_before_the_clock_was_set_back(store: Any) -> None:
    for stream in ("begun", "finished"):
        await store.begin(stream, lease=10_000, claim="one")
        await store.append(0, "abc", stream)
    store.now -= LONG
    assert "leaseUntil" not in await store.begin("begun", lease=10_000, claim="one")  # the same call again
    assert (await store.begin("begun", lease=10_000, claim="two"))["epoch"] == 2
    assert (await store.call("finish", "finished"))["stored"] == "now"


async def test_a_writer_whose_clock_was_set_back_has_a_lease_again_when_it_renews(store: Any) -> None:
    await store.begin(lease=10_000, claim="one")
    store.now -= LONG
    assert await store.call("renew", epoch=1, lease=10_000) == {"leaseUntil": AT + 10_000 - 600_000}
    assert await seen(store) == (True, AT + 10_000 - 600_000, [])
    with pytest.raises(StillOwned):
        await store.begin(claim="two")


async def test_a_clock_that_is_set_forward_ends_a_lease_and_the_former_writer_is_fenced(store: Any) -> None:
    await store.begin(lease=10_000, claim="one", token="a" * 64)
    await store.append(0, "abc", lease=10_000)
    store.now += LONG
    assert (await seen(store))[0] is False
    assert await store.append(3, "d", lease=10_000) == 4  # nobody has taken over
    with pytest.raises(StillOwned):
        await store.take("a" * 64, "two")
    store.now += LONG
    assert (await store.take("a" * 64, "two", lease=10_000))["epoch"] == 2
    with pytest.raises(Fenced):
        await store.append(4, "e", lease=10_000)
    with pytest.raises(Fenced):
        await store.call("renew", epoch=1, lease=10_000)


async def test_a_lease_that_is_given_while_a_reader_looks_at_its_clock_is_no_lease_of_the_future(
    make_store: Any, tmp_path: Any
) -> None:
    """The reader's time must not be older than what it reads, or it would say that a living writer has no lease."""
    store = make_store(tmp_path / "memory.db")
    begun = await store.begin(lease=10_000, claim="one")

    def clock() -> float:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as db:  # the writer, 1 ms later
            db.execute("UPDATE texts SET lease = ? WHERE lease", (begun["leaseUntil"] + 1,))
        return 1_000.0

    reader = SqliteBackend(store.path, clock=clock)
    read = await reader.query("streams:read", {"memorySpaceId": "s", "streamId": "st", "after": 0})
    assert read["owned"]
    await reader.close()
    await store.backend.close()
