"""streams:takeOver: another process continues from what is stored, and the replaced writer changes nothing any more."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any

import pytest

from cortex_rx.errors import Fenced, StillOwned, StreamNotFound

AT = 1_000_000
K, N, M = (hashlib.sha256(token).hexdigest() for token in (b"k", b"n", b"m"))


async def test_a_take_over_gives_all_that_is_needed_to_go_on(store: Any) -> None:
    given = {
        "memorySpaceId": "s", "conversationId": "c", "userMessage": "q" * 70_000 + "é😀\0", "userId": "ada",
        "userName": "Ada",
        "agentId": "helper", "participantId": "p", "importance": 62.5, "tags": ["a", "b"], "metadata": {"k": [1, None]},
        "startedAt": 5,
    }  # fmt: skip
    await store.backend.mutation(
        "streams:begin", {**given, "streamId": "st", "token": K, "lease": 10_000, "claim": "b"}
    )
    await store.append(0, "old")
    await store.append(0, "Bé😀", attempt=1, mark={"offset": 3}, state={"index": 2}, lease=10_000)
    store.now += 10
    taken = await store.take(K, "c1", newToken=N, tokenTtl=500)
    assert taken == {
        "state": "open", "streamId": "st", "memoryId": "mem-001", "epoch": 2, "attempt": 1, "length": 3, "turn": given,
        "conversationId": "c", "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"],
        "mark": {"offset": 3}, "resumeState": {"index": 2}, "leaseUntil": AT + 20_000,
    }  # fmt: skip
    assert store.sql("SELECT epoch, attempt, claim FROM streams") == [(2, 1, "c1")]
    assert store.sql("SELECT hash, expires FROM tokens ORDER BY serial") == [(K, AT + 3_600_000), (N, AT + 10_500)]
    # It goes on under the new epoch, at the end of the text, in the same attempt; the result is that of one writer.
    await store.append(3, " and", epoch=2, attempt=1, lease=10_000)
    result = await store.finalize("", start=7, epoch=2, attempt=1)
    assert [m["content"] for m in (await store.conversation())["messages"]] == [given["userMessage"], "Bé😀 and"]
    assert [m["memoryId"] for m in result["memories"]][1] == "mem-001"


async def test_a_turn_without_options_is_given_without_them(store: Any) -> None:
    await store.begin(token=K)
    turn = {
        "memorySpaceId": "s", "conversationId": "c", "userMessage": "why?", "userId": "ada", "importance": 50,
        "tags": [], "startedAt": AT,
    }  # fmt: skip
    taken = await store.take(K, "c1", lease=0)
    assert taken == {
        "state": "open", "streamId": "st", "memoryId": "mem-001", "epoch": 2, "attempt": 0, "length": 0, "turn": turn,
        "conversationId": "c", "messageIds": ["msg-002", "msg-003"], "memoryIds": ["mem-004", "mem-001"],
    }  # fmt: skip


async def test_a_lost_take_over_is_repeated(store: Any) -> None:
    await store.begin(token=K)
    await store.append(0, "abc", mark=3)
    taken = await store.take(K, "c1", lease=10_000, newToken=N)
    before = store.tables()
    store.now += 3
    assert await store.take(K, "c1", lease=10_000, newToken=N) == taken
    assert await store.take(K, "c1", lease=10_000, newToken=N, force=True) == taken
    assert store.tables() == before
    for claim in ("c2", "b"):
        with pytest.raises(StillOwned) as owned:
            await store.take(K, claim)
        assert owned.value.until == AT + 10_000
    with pytest.raises(StillOwned):
        await store.take(N, "c1")  # a claim goes with its token: this is another take-over
    assert store.tables() == before
    await store.append(3, "d", epoch=2)
    assert await store.take(K, "c1", newToken=M) == {**taken, "length": 4}
    assert (await store.take(M, "c2", force=True))["epoch"] == 3


async def test_a_claim_of_begin_is_none_of_a_take_over(store: Any) -> None:
    await store.begin(token=K, claim="mine", lease=10_000)
    with pytest.raises(StillOwned):
        await store.take(K, "mine")
    assert (await store.take(K, "mine", force=True))["epoch"] == 2
    with pytest.raises(StillOwned):
        await store.begin(claim="mine")


async def test_a_zombie_is_refused_in_every_function(store: Any) -> None:
    await store.begin(token=K, lease=10_000)
    await store.append(0, "abc")
    with pytest.raises(StillOwned):
        await store.take(K, "c1")
    await store.take(K, "c1", force=True)
    before = store.tables()
    for late in (
        store.append(3, "late", lease=10_000, mark=1, state=1),
        store.append(0, "abc"),
        store.append(0, "anew", attempt=1),
        store.finalize("late", start=3),
        store.finalize("", start=3),
        store.call("close", epoch=1, outcome="error"),
        store.call("renew", epoch=1, lease=99_000),
        store.call("renew", epoch=1, lease=0),
        store.call("rollback", epoch=1),
    ):
        with pytest.raises(Fenced):
            await late
    assert store.tables() == before


async def test_take_overs_do_not_go_on_for_ever(store: Any) -> None:
    """Two clients with a token each: the replaced one must wait for the other's lease, and the older token soon
    expires.
    """
    await store.begin(token=K)
    await store.call("issueToken", token=N)
    assert (await store.take(K, "a1"))["epoch"] == 2
    assert (await store.take(N, "b1", force=True))["epoch"] == 3
    with pytest.raises(Exception, match="newer token"):
        await store.take(K, "a2", force=True)
    await store.append(0, "b's", epoch=3)
    assert (await store.finalize("", start=3, epoch=3))["contentLength"] == 3


async def test_a_finished_stream_gives_what_is_stored(store: Any) -> None:
    await store.begin(token=K)
    await store.call("issueToken", token=N)
    result = await store.finalize("answer", reason="stop", usage={"total": 7})
    before = store.tables()
    taken = await store.take(K, "c1")
    turn = taken.pop("turn")
    assert turn["userMessage"] == "why?"
    assert taken == {
        **result, "stored": "before", "state": "finished", "streamId": "st", "memoryId": "mem-001", "epoch": 1,
        "attempt": 0, "conversationId": "c", "messageIds": ["msg-002", "msg-003"],
        "memoryIds": ["mem-004", "mem-001"], "length": 6, "reason": "stop", "usage": {"total": 7},
    }  # fmt: skip
    assert await store.take(N, "c2") == await store.take(K, "c3", force=True) == {**taken, "turn": turn}
    assert store.tables() == before
    await store.take(K, "c4", newToken=M)
    assert (await store.take(M, "c5"))["state"] == "finished"


async def test_a_stream_that_was_taken_over_and_then_finished_repeats_as_finished(store: Any) -> None:
    await store.begin(token=K)
    await store.take(K, "c1", newToken=N)
    await store.finalize("x", epoch=2)
    store.now += 7_200
    assert (await store.take(K, "c1", newToken=N))["state"] == "finished"


async def test_a_stream_closed_as_unanswered_gives_the_question(store: Any) -> None:
    await store.begin(token=K)
    await store.append(0, "cut")
    closed = await store.call("close", epoch=1, outcome="error", reason="timeout")
    before = store.tables()
    taken = await store.take(K, "c1")
    assert taken["state"] == "empty" and taken["reason"] == "timeout" and taken["memories"] == closed["memories"]
    assert store.tables() == before
    # Begun again it is open, and forgets why it was closed.
    await store.begin(claim="b")
    taken = await store.take(K, "c2")
    assert (taken["state"], taken["epoch"], taken["attempt"], "reason" in taken) == ("open", 3, 1, False)


async def test_a_deleted_stream_is_not_found(store: Any) -> None:
    result = await store.exchange("q", "a", "st", token=K)
    await store.delete(result["memories"][1]["memoryId"])
    with pytest.raises(StreamNotFound):
        await store.take(K, "c", force=True)


@pytest.mark.parametrize("seed", range(5))
async def test_two_backends_that_race_on_one_file_have_one_winner(make_store: Any, tmp_path: Any, seed: int) -> None:
    """Each takes over and writes what it can: the text is that of the winner alone."""
    first, second = (make_store(tmp_path / "memory.db", new_id=lambda name=name: name) for name in ("one", "two"))
    await first.begin(token=K)
    await first.append(0, "start ")
    await second.list()  # both are open
    order = [(first, "A"), (second, "B")]
    random.Random(seed).shuffle(order)

    async def race(store: Any, name: str) -> int | None:
        try:
            epoch = (await store.take(K, name, lease=10_000))["epoch"]
        except StillOwned as error:
            assert error.until == AT + 10_000
            return None
        for at in range(20):
            await store.append(6 + at, name, epoch=epoch, lease=10_000)
        return epoch

    epochs = await asyncio.gather(*(race(*one) for one in order))
    assert sorted(epochs, key=str) == [2, None]
    winner = order[epochs.index(2)][1]
    assert (
        "".join(body for (body,) in first.sql("SELECT body FROM pieces WHERE text = 2 ORDER BY start"))
        == "start " + winner * 20
    )
    assert first.sql("SELECT epoch, claim FROM streams") == [(2, winner)]
    await first.backend.close()
    await second.backend.close()


async def test_forced_take_overs_by_two_backends_never_mix_texts(make_store: Any, tmp_path: Any) -> None:
    """Both take over by force, again and again, and write in between. The replaced one is refused; no letter is out of
    place.
    """
    stores = [make_store(tmp_path / "memory.db", new_id=lambda name=name: name) for name in ("one", "two")]
    await stores[0].begin(token=K)
    written: dict[int, str] = {}

    async def writer(store: Any, name: str) -> None:
        for round_ in range(15):
            taken = await store.take(K, f"{name}{round_}", force=True)
            end = taken["length"]
            try:
                for _ in range(round_ % 4 + 1):
                    end = await store.append(end, name, epoch=taken["epoch"], lease=10_000)
                    written[end - 1] = name
            except Fenced:
                continue

    await asyncio.gather(writer(stores[0], "A"), writer(stores[1], "B"))
    text = "".join(body for (body,) in stores[0].sql("SELECT body FROM pieces WHERE text = 2 ORDER BY start"))
    assert text == "".join(written[at] for at in range(len(written)))
    assert stores[0].sql("SELECT epoch FROM streams") == [(31,)]
    for store in stores:
        await store.backend.close()
