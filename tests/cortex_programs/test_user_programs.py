"""Programs that keep users' profiles, as Cortex's guides show them."""

from __future__ import annotations

import json

import pytest

from cortex_rx import Cortex, CortexError, DeleteUserOptions, ErrorCode


async def test_a_profile_is_kept_with_its_versions(timed: Cortex) -> None:
    user = await timed.users.update(
        "user-123", {"displayName": "Alex", "email": "alex@example.com", "preferences": {"theme": "dark"}}
    )
    assert (user.id, user.version, user["data"]["displayName"]) == ("user-123", 1, "Alex")

    merged = await timed.users.merge("user-123", {"preferences": {"language": "en"}, "lastSeen": 1_764_000_000_000})
    assert merged.data == {
        "displayName": "Alex",
        "email": "alex@example.com",
        "preferences": {"theme": "dark", "language": "en"},
        "lastSeen": 1_764_000_000_000,
    }
    first = await timed.users.get_version("user-123", 1)
    assert first is not None
    assert first.data["preferences"] == {"theme": "dark"}
    then = await timed.users.get_at_timestamp("user-123", int(merged.updated_at) - 1)
    assert then is not None
    assert then["version"] == 1
    assert [one.version for one in await timed.users.get_history("user-123")] == [1, 2]

    found = await timed.users.get_or_create("user-456", {"displayName": "Bo"})
    assert (found.version, found.data) == (1, {"displayName": "Bo"})
    assert await timed.users.exists("user-456")
    assert await timed.users.count() == 2
    listed = await timed.users.list(10, 0)
    assert {one.id for one in listed["users"]} == {"user-123", "user-456"}
    exported = await timed.users.export(None, "json")
    assert {row["id"] for row in json.loads(exported["data"])} == {"user-123", "user-456"}

    deleted = await timed.users.delete("user-456", DeleteUserOptions(cascade=False))
    assert deleted["userId"] == "user-456"
    assert await timed.users.get("user-456") is None
    with pytest.raises(CortexError) as error:
        await timed.users.merge("user-456", {"displayName": "Bo"})
    assert error.value.code == ErrorCode.USER_NOT_FOUND
