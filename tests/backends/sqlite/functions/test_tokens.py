"""Resume tokens: the store keeps only their hashes, and each reason why a token is not valid has its own error."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cortex_rx.errors import (
    IdempotencyConflict,
    StillOwned,
    StreamNotFound,
    TokenError,
    TokenExpired,
    TokenSuperseded,
    TokenUnknown,
    WrongMemorySpace,
)

HOUR = 3_600_000
AT = 1_000_000


def hashed(token: str) -> str:
    return hashlib.sha256(f"resume_{token}".encode()).hexdigest()


K, N, M = hashed("k"), hashed("n"), hashed("m")


def tokens(store: Any) -> list[tuple[Any, ...]]:
    """The tokens in the file, oldest first: hash, space, id of the stream, when it expires."""
    return store.sql(
        "SELECT hash, tokens.space, streams.id, expires FROM tokens LEFT JOIN streams ON seq = stream ORDER BY serial"
    )


async def test_begin_and_issue_store_a_token_once(store: Any) -> None:
    await store.begin(token=K)
    assert tokens(store) == [(K, "s", "st", AT + HOUR)]
    store.now += 1
    assert await store.call("issueToken", token=N, tokenTtl=500) == {"expiresAt": AT + 1_500}
    before = store.tables()
    store.now += 1
    assert await store.call("issueToken", token=N, tokenTtl=9_000) == {
        "expiresAt": AT + 1_500
    }  # the same call once more
    assert await store.call("issueToken", token=K) == {"expiresAt": AT + HOUR}
    assert store.tables() == before
    await store.begin(token=M, tokenTtl=1)  # a second begin has a token of its own
    assert [row[0] for row in tokens(store)] == [K, N, M]
    await store.finalize("x", epoch=2, attempt=1)
    assert await store.call("issueToken", token=hashed("late")) == {"expiresAt": AT + 2_000 + HOUR}
    await store.begin(token=hashed("later"))
    assert len(tokens(store)) == 5


async def test_a_lost_begin_is_repeated_with_its_token(store: Any) -> None:
    await store.begin(claim="one", token=K, lease=10_000)
    before = store.tables()
    store.now += 1
    await store.begin(claim="one", token=K, lease=10_000)
    assert store.tables() == before
    await store.begin(claim="one", token=N)  # with another token, that one is valid as well
    assert [row[0] for row in tokens(store)] == [K, N]


async def test_a_refused_begin_stores_no_token(store: Any) -> None:
    await store.begin(lease=10_000)
    with pytest.raises(StillOwned):
        await store.begin(token=K)
    with pytest.raises(IdempotencyConflict):
        await store.begin(question="who?", token=K)
    with pytest.raises(StreamNotFound):
        await store.call("issueToken", "unknown", token=K)
    assert tokens(store) == []


async def test_the_file_has_the_hash_and_never_the_token(store: Any) -> None:
    secret = "resume_Xk3v0mW0Q2bqg1sVn8yH4mF7cZr5tE6uJpLdA9oB_iw"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    await store.begin(token=digest, lease=5)
    await store.append(0, "abc", mark={"offset": 3}, state={})
    await store.take(digest, "c", newToken=N, force=True)
    folder = Path(store.path).parent
    written = b"".join(file.read_bytes() for file in folder.iterdir())
    assert digest.encode() in written
    for part in (secret, secret[7:], secret[7:27]):
        assert part.encode() not in written


async def test_a_token_that_leads_nowhere_says_why(store: Any) -> None:
    await store.begin(token=K, tokenTtl=500)
    await store.begin("theirs", memorySpaceId="t", token=M)
    before = store.tables()
    for token, error in ((hashed("forged"), TokenUnknown), (K[::-1], TokenUnknown), (M, WrongMemorySpace)):
        with pytest.raises(error) as refused:
            await store.take(token, "c", force=True)
        assert isinstance(refused.value, TokenError) and token not in str(refused.value)
    store.now += 0.499
    assert (await store.take(K, "c1", lease=0))["epoch"] == 2
    store.now += 0.001
    with pytest.raises(TokenExpired) as refused:
        await store.take(K, "c2", force=True)
    assert K not in str(refused.value)
    # The very call that succeeded in time may be repeated later.
    assert (await store.take(K, "c1"))["epoch"] == 2
    with pytest.raises(WrongMemorySpace):
        await store.take(M, "c3")
    assert (await store.take(M, "c3", memorySpaceId="t"))["streamId"] == "theirs"
    assert store.sql("SELECT epoch FROM streams WHERE space = 's'") == [(2,)]
    assert before["tokens"] == store.tables()["tokens"]


async def test_a_newer_token_that_was_presented_supersedes_the_older_ones(store: Any) -> None:
    await store.begin(token=K)
    await store.call("issueToken", token=N)
    await store.call("issueToken", token=M)
    assert (await store.take(K, "c1", lease=0))["epoch"] == 2  # that newer ones are stored does not matter
    assert (await store.take(K, "c2", lease=0))["epoch"] == 3  # and a token may be presented again
    assert (await store.take(N, "c3", lease=10_000))["epoch"] == 4
    for claim in ("c1", "c4"):
        with pytest.raises(TokenSuperseded):  # rather than StillOwned: waiting would not help
            await store.take(K, claim)
    with pytest.raises(StillOwned):
        await store.take(M, "c5")
    with pytest.raises(StillOwned):
        await store.take(N, "c6")  # a take-over that was refused presents nothing
    assert (await store.take(M, "c5", force=True))["epoch"] == 5
    with pytest.raises(TokenSuperseded):
        await store.take(N, "c3")
    # Superseded stays superseded, whatever becomes of the stream.
    await store.finalize("x", epoch=5)
    with pytest.raises(TokenSuperseded):
        await store.take(N, "c7")
    assert (await store.take(M, "c8"))["state"] == "finished"


async def test_a_token_of_another_stream_cannot_be_stored_again(store: Any) -> None:
    await store.begin(token=K)
    await store.begin("st2", "and?")
    await store.begin("st", memorySpaceId="t")
    before = store.tables()
    for again in (
        store.call("issueToken", "st2", token=K),
        store.call("issueToken", token=K, memorySpaceId="t"),
        store.begin("st2", "and?", token=K),
        store.begin("st3", token=K),
    ):
        with pytest.raises(IdempotencyConflict, match="belongs to another stream"):
            await again
    assert store.tables() == before


async def test_a_new_token_must_be_newer(store: Any) -> None:
    await store.begin(token=K)
    await store.call("issueToken", token=N)
    before = store.tables()
    with pytest.raises(IdempotencyConflict, match="older"):
        await store.take(N, "c", newToken=K)
    assert store.tables() == before


async def test_tokens_of_a_deleted_stream_say_so_until_they_expire(store: Any) -> None:
    begun = await store.begin(token=K, tokenTtl=500)
    await store.call("issueToken", token=N)
    await store.append(0, "x")
    await store.delete(begun["memoryId"])
    assert tokens(store) == [(K, "s", None, AT + 500), (N, "s", None, AT + HOUR)]
    for token in (K, N):
        with pytest.raises(StreamNotFound):
            await store.take(token, "c", force=True)
    with pytest.raises(StreamNotFound):
        await store.call("issueToken", token=M)
    with pytest.raises(WrongMemorySpace):
        await store.take(K, "c", memorySpaceId="t")
    store.now += 1
    other = await store.exchange("q", "a", "other", token=M)
    await store.delete(other["memories"][1]["memoryId"])
    assert [row[:3] for row in tokens(store)] == [(N, "s", None), (M, "s", None)]
    with pytest.raises(TokenUnknown):
        await store.take(K, "c")
