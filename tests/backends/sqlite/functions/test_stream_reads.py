"""streams:read, get and interrupted: the state of a stream, its text from any offset, and streams without a writer."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.errors import StreamNotFound
from cortex_rx.testing import run_virtual

AT = 1_000_000


async def test_read_gives_the_text_from_a_place_on_and_where_the_stream_stands(store: Any) -> None:
    await store.begin(lease=10_000)
    await store.append(0, "Bé😀\0")
    await store.append(4, "京都 and")
    common = {
        "streamId": "st", "attempt": 0, "attempts": 0, "length": 10, "index": 2, "state": "open", "epoch": 1,
        "owned": True,
        "leaseUntil": AT + 10_000, "certain": 10, "createdAt": AT, "updatedAt": AT,
    }  # fmt: skip
    for after, limit, start, text in (
        (0, None, 0, "Bé😀\0京都 and"),
        (2, None, 2, "😀\0京都 and"),
        (3, 2, 3, "\0京"),
        (2, 0, 2, ""),
        (10, None, 10, ""),
        (11, None, 10, ""),  # beyond the end: what was seen there is not stored
        (2**63 - 1, 2**63 - 1, 10, ""),
        (0, 2**63 - 1, 0, "Bé😀\0京都 and"),
    ):
        more = {} if limit is None else {"limit": limit}
        assert await store.call("read", after=after, **more) == {**common, "start": start, "text": text}
    assert (
        "".join(body for (body,) in store.sql("SELECT body FROM pieces WHERE text = 2 ORDER BY start"))
        == "Bé😀\0京都 and"
    )
    store.now = 1_010.0  # the lease has run out, which a reader sees by the store's clock
    assert await store.call("read", after=10) == {**common, "start": 10, "text": "", "owned": False}
    await store.call("renew", epoch=1, lease=0)
    assert "leaseUntil" not in await store.call("read", after=10)


async def test_a_read_without_a_limit_is_bounded(store: Any) -> None:
    await store.begin()
    text = "".join(chr(0x1F300 + at % 50) for at in range(70_000))
    await store.append(0, text)
    read = await store.call("read", after=5)
    assert read["text"] == text[5:65_541] and read["length"] == 70_000
    assert (await store.call("read", after=5, limit=100_000))["text"] == text[5:]


@settings(max_examples=examples(40), deadline=None)
@given(
    text=st.text(alphabet="ab 京😀\0", max_size=40),
    cuts=st.lists(st.integers(0, 12_000), max_size=6),
    limit=st.integers(1, 9_000),
)
def test_reading_on_and_on_gives_the_whole_text(make_store: Any, text: str, cuts: list[int], limit: int) -> None:
    text *= 300

    async def check() -> None:
        store = make_store(":memory:")
        await store.begin()
        end = 0
        for cut in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
            end = await store.append(end, text[end:cut])
        seen, after = "", 0
        while (read := await store.call("read", after=after, limit=limit))["text"]:
            assert read["start"] == after and len(read["text"]) <= limit
            seen, after = seen + read["text"], after + len(read["text"])
        assert seen == text and after == read["length"]
        await store.backend.close()

    run_virtual(check())


async def test_older_attempts_are_kept_and_can_be_read(store: Any) -> None:
    await store.begin()
    await store.append(0, "first", state={"index": 3})
    await store.append(0, "second", attempt=2)
    await store.begin()
    await store.append(0, "third", epoch=2, attempt=3, state={"index": 9, "more": 1})

    async def read(**more: Any) -> tuple[Any, ...]:
        row = await store.call("read", after=0, **more)
        return row["attempt"], row["attempts"], row["text"], row["length"], row["index"], row["epoch"]

    assert await read() == await read(attempt=3) == (3, 3, "third", 5, 9, 2)
    assert await read(attempt=0) == (0, 3, "first", 5, 3, 2)
    assert await read(attempt=2) == (2, 3, "second", 6, 1, 2)
    # Of these nothing is stored: a number that was passed over, and one that a lost process had shown.
    assert await read(attempt=1) == (1, 3, "", 0, 0, 2)
    assert await read(attempt=4) == (4, 3, "", 0, 0, 2)
    await store.finalize("", start=5, epoch=2, attempt=3, reason="stop", usage={"total": 7})
    assert await read(attempt=0) == (0, 3, "first", 5, 3, 2)
    row = await store.call("read", after=3)
    assert (row["text"], row["state"], row["reason"], row["usage"], row["owned"]) == (
        "rd",
        "finished",
        "stop",
        {"total": 7},
        False,
    )


@pytest.mark.parametrize("state", [None, 5, [1], {"index": "7"}, {"other": 1}])
async def test_without_an_index_the_writes_are_counted(store: Any, state: Any) -> None:
    await store.begin()
    await store.append(0, "a", state=state)
    await store.append(1, "b")
    assert (await store.call("read", after=0))["index"] == 2


async def test_the_reason_is_the_streams_and_not_the_users_metadata(store: Any) -> None:
    await store.begin(metadata={"finishReason": "mine", "usage": 1})
    await store.finalize("x")
    read = await store.call("read", after=0)
    assert "reason" not in read and "usage" not in read


async def test_what_became_of_a_stream(store: Any) -> None:
    with pytest.raises(StreamNotFound):
        await store.call("read", after=0)
    begun = await store.begin()
    await store.append(0, "abc")
    await store.call("close", epoch=1, outcome="interrupted", reason="cut")
    read = await store.call("read", after=0)
    assert (read["state"], read["text"], read["reason"]) == ("empty", "abc", "cut")
    await store.begin()
    read = await store.call("read", after=0, attempt=0)
    assert (read["state"], read["text"], "reason" in read) == ("open", "abc", False)
    await store.call("rollback", epoch=2)
    assert await store.call("read", after=2) == {
        "streamId": "st", "attempt": 1, "attempts": 1, "start": 0, "text": "", "length": 0, "index": 0,
        "state": "rolledBack",
        "epoch": 2, "owned": False, "certain": 0, "createdAt": AT, "updatedAt": AT,
    }  # fmt: skip
    assert await store.call("get") is None
    again = await store.begin()
    assert again["memoryId"] != begun["memoryId"]
    await store.delete(again["memoryId"])
    with pytest.raises(StreamNotFound):
        await store.call("read", after=0)


async def test_what_a_reader_saw_is_certain_up_to_where_another_writer_went_on(store: Any) -> None:
    """Under epoch 1 more was shown than stored. Epoch 2 continues from what is stored, and so does epoch 4."""
    await store.begin(token="a" * 64)
    await store.append(0, "one ")

    async def certain(epoch: int, **more: Any) -> tuple[int, int]:
        read = await store.call("read", after=0, epoch=epoch, **more)
        return read["certain"], read["length"]

    assert await certain(1) == (4, 4)
    await store.call("takeOver", None, token="a" * 64, claim="x")
    await store.append(4, "two ", epoch=2)
    assert [await certain(epoch) for epoch in (1, 2, 3)] == [(4, 8), (8, 8), (8, 8)]
    await store.call("takeOver", None, token="a" * 64, claim="y", force=True)
    await store.append(8, "three", epoch=3)
    assert [await certain(epoch) for epoch in (1, 2, 3)] == [(4, 13), (8, 13), (13, 13)]
    await store.append(0, "anew", epoch=3, attempt=1)
    assert await certain(3) == (4, 4)
    assert await certain(1) == (0, 4), "what epoch 1 may have shown of an attempt 1 was not stored when epoch 2 went on"
    assert await certain(1, attempt=0) == (4, 13)
    await store.call("rollback", epoch=3)
    await store.begin()
    await store.append(0, "other", epoch=4)
    assert [await certain(epoch) for epoch in (1, 3, 4)] == [(0, 5), (0, 5), (5, 5)]
    await store.begin()
    await store.append(0, "again", epoch=5, attempt=1)
    assert [await certain(epoch) for epoch in (1, 4, 5)] == [(0, 5), (0, 5), (5, 5)]
    assert [await certain(epoch, attempt=0) for epoch in (1, 4, 5)] == [(0, 5), (5, 5), (5, 5)]


@pytest.mark.parametrize(("way", "closed"), [("takeOver", False), ("begin", False), ("begin", True)])
async def test_nothing_is_certain_of_an_attempt_whose_number_another_writer_used_again(
    store: Any, way: str, closed: bool
) -> None:
    """Epoch 2 showed an attempt 1 and stored nothing of it; epoch 3 begins an attempt 1 of its own."""
    await store.begin(token="a" * 64)
    await store.append(0, "one ")
    await store.take("a" * 64, "x")
    store.now += 11
    if way == "takeOver":
        await store.take("a" * 64, "y")
    else:
        if closed:
            await store.call("close", epoch=2, outcome="interrupted")
        assert (await store.begin())["attempt"] == 1
    await store.append(0, "uno dos", epoch=3, attempt=1)
    read = [await store.call("read", after=0, epoch=epoch, attempt=1) for epoch in (1, 2, 3)]
    assert [(page["certain"], page["length"]) for page in read] == [(0, 7), (0, 7), (7, 7)]


async def test_interrupted_lists_what_nobody_owns(store: Any) -> None:
    long = "q" * 70_000
    for at, (stream, lease) in enumerate((("a", 0), ("b", 5_000), ("c", 20_000), ("d", 5_000), ("e", 5_000))):
        store.now = 1_000.0 + at / 1000
        await store.begin(stream, long if stream == "b" else f"{stream}?", lease=lease, conversationId=f"c-{stream}")
    await store.append(0, "partial", "b")
    await store.finalize("done", "d")
    await store.call("close", "e", epoch=1, outcome="empty")
    await store.begin("theirs", memorySpaceId="t")
    before = store.tables()
    assert [row["streamId"] for row in await store.call("interrupted", None)] == ["a"]
    store.now = 1_005.001
    rows = await store.call("interrupted", None)
    assert rows == [
        {"streamId": "b", "conversationId": "c-b", "memoryId": "mem-005", "attempt": 0, "length": 7,
         "messageIds": ["msg-006", "msg-007"], "memoryIds": ["mem-008", "mem-005"], "userMessage": long[:65_536],
         "createdAt": AT + 1, "updatedAt": AT + 4, "leaseUntil": AT + 5_001},
        {"streamId": "a", "conversationId": "c-a", "memoryId": "mem-001", "attempt": 0, "length": 0,
         "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"], "userMessage": "a?",
         "createdAt": AT, "updatedAt": AT},
    ]  # fmt: skip
    store.now = 1_100.0
    assert [row["streamId"] for row in await store.call("interrupted", None)] == ["c", "b", "a"]
    assert [row["streamId"] for row in await store.call("interrupted", None, limit=2)] == ["c", "b"]
    assert [row["streamId"] for row in await store.call("interrupted", None, memorySpaceId="t")] == ["theirs"]
    assert [row["streamId"] for row in await store.call("interrupted", None, conversationId="c-b")] == ["b"]
    assert await store.call("interrupted", None, memorySpaceId="u") == []
    assert store.tables() == before  # it only reads: no token, no epoch
    plan = store.sql(
        "EXPLAIN QUERY PLAN SELECT * FROM streams WHERE space = 's' AND state = 'open' ORDER BY seq DESC LIMIT 5"
    )
    assert "streams_open" in plan[0][3]  # what has ended costs nothing here


async def test_reads_see_only_their_space(store: Any) -> None:
    await store.begin(lease=10_000)
    await store.append(0, "ours")
    for function, more in (
        ("read", {"after": 0}),
        ("issueToken", {"token": "0" * 64}),
        ("finish", {}),
        ("renew", {"epoch": 1}),
        ("rollback", {"epoch": 1}),
    ):
        with pytest.raises(StreamNotFound):
            await store.call(function, memorySpaceId="t", **more)
    assert await store.call("get", memorySpaceId="t") is None
    await store.begin(memorySpaceId="t")
    await store.append(0, "theirs", memorySpaceId="t", mark="m", lease=5)
    assert (await store.call("read", after=0))["text"] == "ours"
    assert (await store.call("read", after=0, memorySpaceId="t"))["text"] == "theirs"
    await store.call("rollback", epoch=1, memorySpaceId="t")
    row = await store.call("get")
    assert row["length"] == 4 and row["leaseUntil"] == AT + 10_000 and "mark" not in row
