"""A caller of another memory space gets from each method of each API what it would get for ids that do not exist.

It changes nothing of the space that has them. The methods are those of the classes: a new one without an entry in
`CALLS` fails. An API of the whole store is named in `STORE_WIDE`, with the reason.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio
from helpers.apis import APIS
from isolation.world import THEIRS, World, made_world

from cortex_rx import Cortex
from cortex_rx.errors import InvalidArgument

STORE_WIDE: Mapping[str, str] = {
    "users": "a user is the same in all memory spaces",
    "agents": "an agent is the same in all memory spaces",
    "immutable": "an entry is of the whole store",
    "mutable": "a value is of the whole store",
    "memory_spaces": "it is about the memory spaces themselves: who names one means it",
    "memory.reembed": "a store is moved to another model as a whole",
}
"""APIs and methods that are not of one memory space, and why."""

Call = Callable[[Cortex, Mapping[str, str], str], Any]


def _turn(i: Mapping[str, str], space: str) -> dict[str, Any]:
    owner = {"user_id": i["userId"], "user_name": "Ada", "participant_id": i["participantId"]}
    return {"memory_space_id": space, "conversation_id": i["conversationId"], "user_message": "Hi!", **owner}


def _drain(c: Cortex, i: Mapping[str, str], s: str) -> Any:
    return c.facts.drain(s, extract_facts=lambda user_message, text: [], dead=True)


FACT = {"fact": "Ada sings.", "fact_type": "event", "confidence": 50}
CALLS: Mapping[str, Call] = {
    "conversations.create": lambda c, i, s: c.conversations.create(
        memory_space_id=s, type="user-agent", participants={"user_id": i["userId"]}, conversation_id=i["conversationId"]
    ),
    "conversations.get": lambda c, i, s: c.conversations.get(i["conversationId"], memory_space_id=s),
    "conversations.add_message": lambda c, i, s: c.conversations.add_message(
        {"conversation_id": i["conversationId"], "role": "user", "content": "Hi!"}, memory_space_id=s
    ),
    "conversations.list": lambda c, i, s: c.conversations.list(user_id=i["userId"], memory_space_id=s),
    "conversations.iterate": lambda c, i, s: c.conversations.iterate(user_id=i["userId"], memory_space_id=s),
    "conversations.count": lambda c, i, s: c.conversations.count(user_id=i["userId"], memory_space_id=s),
    "conversations.delete": lambda c, i, s: c.conversations.delete(
        i["conversationId"], {"delete_memories": True, "delete_facts": True}, memory_space_id=s
    ),
    "conversations.delete_many": lambda c, i, s: c.conversations.delete_many(i["userId"], s),
    "conversations.get_message": lambda c, i, s: c.conversations.get_message(
        i["conversationId"], i["messageId"], memory_space_id=s
    ),
    "conversations.get_messages_by_ids": lambda c, i, s: c.conversations.get_messages_by_ids(
        i["conversationId"], [i["messageId"]], memory_space_id=s
    ),
    "conversations.find_conversation": lambda c, i, s: c.conversations.find_conversation(s, "user-agent", i["userId"]),
    "conversations.get_or_create": lambda c, i, s: c.conversations.get_or_create(
        memory_space_id=s, type="user-agent", participants={"user_id": i["userId"]}
    ),
    "conversations.get_history": lambda c, i, s: c.conversations.get_history(i["conversationId"], memory_space_id=s),
    "conversations.search": lambda c, i, s: c.conversations.search(i["query"], memory_space_id=s),
    "conversations.export": lambda c, i, s: c.conversations.export(
        "json", memory_space_id=s, conversation_ids=[i["conversationId"]]
    ),
    "conversations.stream_export": lambda c, i, s: c.conversations.stream_export(
        "json", user_id=i["userId"], memory_space_id=s
    ),
    "facts.store": lambda c, i, s: c.facts.store(memory_space_id=s, fact_id=i["factId"], **FACT),
    "facts.get": lambda c, i, s: c.facts.get(s, i["factId"]),
    "facts.list": lambda c, i, s: c.facts.list(memory_space_id=s, subject=i["subject"]),
    "facts.iterate": lambda c, i, s: c.facts.iterate(memory_space_id=s, subject=i["subject"]),
    "facts.count": lambda c, i, s: c.facts.count(memory_space_id=s, user_id=i["userId"]),
    "facts.search": lambda c, i, s: c.facts.search(s, i["query"]),
    "facts.query_by_subject": lambda c, i, s: c.facts.query_by_subject(memory_space_id=s, subject=i["subject"]),
    "facts.query_by_relationship": lambda c, i, s: c.facts.query_by_relationship(
        memory_space_id=s, subject=i["subject"], predicate="keeps"
    ),
    "facts.update": lambda c, i, s: c.facts.update(s, i["factId"], {"confidence": 1}),
    "facts.delete": lambda c, i, s: c.facts.delete(s, i["factId"]),
    "facts.get_history": lambda c, i, s: c.facts.get_history(s, i["factId"]),
    "facts.export": lambda c, i, s: c.facts.export(s, "json"),
    "facts.stream_export": lambda c, i, s: c.facts.stream_export(s, "json"),
    "facts.consolidate": lambda c, i, s: c.facts.consolidate(s, [i["factId"]], i["factId"]),
    "facts.drain": _drain,
    "memory.remember_stream": lambda c, i, s: c.memory.remember_stream(["Hello"], **_turn(i, s)),
    "memory.remember": lambda c, i, s: c.memory.remember(
        _turn(i, s), agent_response="Hello", idempotency_key=i["idempotencyKey"]
    ),
    "memory.store": lambda c, i, s: c.memory.store(
        s, "It rains.", memory_id=i["memoryId"], conversation_id=i["conversationId"]
    ),
    "memory.follow": lambda c, i, s: c.memory.follow(s, i["streamId"]),
    "memory.interrupted": lambda c, i, s: c.memory.interrupted(s, conversation_id=i["conversationId"]),
    "memory.streams": lambda c, i, s: c.memory.streams(s, i["conversationId"]),
    "memory.issue_token": lambda c, i, s: c.memory.issue_token(s, i["streamId"]),
    "memory.stop": lambda c, i, s: c.memory.stop(s, i["streamId"]),
    "memory.finish": lambda c, i, s: c.memory.finish(s, i["streamId"]),
    "memory.search": lambda c, i, s: c.memory.search(s, i["query"], user_id=i["userId"]),
    "memory.recall": lambda c, i, s: c.memory.recall(s, i["query"], conversation_id=i["conversationId"]),
    "memory.recalling": lambda c, i, s: c.memory.remember_stream(
        c.memory.recalling(lambda recalled: [str(recalled)]), **_turn(i, s)
    ),
    "memory.get": lambda c, i, s: c.memory.get(s, i["memoryId"]),
    "memory.update": lambda c, i, s: c.memory.update(s, i["memoryId"], {"content": "It snows."}),
    "memory.count": lambda c, i, s: c.memory.count(s, user_id=i["userId"]),
    "memory.delete": lambda c, i, s: c.memory.delete(s, i["memoryId"]),
    "memory.forget": lambda c, i, s: c.memory.forget(s, message_id=i["messageId"], erase=True),
    "memory.list": lambda c, i, s: c.memory.list(s, user_id=i["userId"]),
    "memory.iterate": lambda c, i, s: c.memory.iterate(s, user_id=i["userId"]),
    "memory.update_many": lambda c, i, s: c.memory.update_many(s, {"user_id": i["userId"]}, {"importance": 1}),
    "memory.delete_many": lambda c, i, s: c.memory.delete_many(s, {"user_id": i["userId"]}),
    "memory.archive": lambda c, i, s: c.memory.archive(s, i["memoryId"]),
    "memory.restore_from_archive": lambda c, i, s: c.memory.restore_from_archive(s, i["memoryId"]),
    "memory.export": lambda c, i, s: c.memory.export(s, i["userId"]),
    "memory.stream_export": lambda c, i, s: c.memory.stream_export(s, i["userId"]),
    "memory.get_version": lambda c, i, s: c.memory.get_version(s, i["memoryId"], 1),
    "memory.get_history": lambda c, i, s: c.memory.get_history(s, i["memoryId"]),
    "memory.get_at_timestamp": lambda c, i, s: c.memory.get_at_timestamp(s, i["memoryId"], 1_764_000_000_000),
    "vector.store": lambda c, i, s: c.vector.store(s, {"content": "It rains.", "memory_id": i["memoryId"]}),
    "vector.get": lambda c, i, s: c.vector.get(s, i["memoryId"]),
    "vector.search": lambda c, i, s: c.vector.search(s, i["query"]),
    "vector.update": lambda c, i, s: c.vector.update(s, i["memoryId"], {"content": "It snows."}),
    "vector.delete": lambda c, i, s: c.vector.delete(s, i["memoryId"]),
    "vector.update_many": lambda c, i, s: c.vector.update_many(s, {"user_id": i["userId"]}, {"importance": 1}),
    "vector.delete_many": lambda c, i, s: c.vector.delete_many(s, {"user_id": i["userId"]}),
    "vector.count": lambda c, i, s: c.vector.count(s, i["userId"]),
    "vector.list": lambda c, i, s: c.vector.list(s, i["userId"]),
    "vector.iterate": lambda c, i, s: c.vector.iterate(s, user_id=i["userId"]),
    "vector.export": lambda c, i, s: c.vector.export(s, i["userId"]),
    "vector.stream_export": lambda c, i, s: c.vector.stream_export(s, i["userId"]),
    "vector.archive": lambda c, i, s: c.vector.archive(s, i["memoryId"]),
    "vector.restore_from_archive": lambda c, i, s: c.vector.restore_from_archive(s, i["memoryId"]),
    "vector.get_version": lambda c, i, s: c.vector.get_version(s, i["memoryId"], 1),
    "vector.get_history": lambda c, i, s: c.vector.get_history(s, i["memoryId"]),
    "vector.get_at_timestamp": lambda c, i, s: c.vector.get_at_timestamp(s, i["memoryId"], 1_764_000_000_000),
    "contexts.create": lambda c, i, s: c.contexts.create(
        purpose="Help", memory_space_id=s, parent_id=i["contextId"], user_id=i["userId"]
    ),
    "contexts.get": lambda c, i, s: c.contexts.get(i["contextId"], True, True, memory_space_id=s),
    "contexts.update": lambda c, i, s: c.contexts.update(i["contextId"], {"status": "blocked"}, memory_space_id=s),
    "contexts.delete": lambda c, i, s: c.contexts.delete(i["contextId"], {"cascade_children": True}, memory_space_id=s),
    "contexts.search": lambda c, i, s: c.contexts.search(s, i["userId"]),
    "contexts.list": lambda c, i, s: c.contexts.list(s),
    "contexts.iterate": lambda c, i, s: c.contexts.iterate(memory_space_id=s),
    "contexts.count": lambda c, i, s: c.contexts.count(s, i["userId"]),
    "contexts.get_chain": lambda c, i, s: c.contexts.get_chain(i["contextId"], memory_space_id=s),
    "contexts.grant_access": lambda c, i, s: c.contexts.grant_access(i["contextId"], "a third", memory_space_id=s),
    "contexts.revoke_access": lambda c, i, s: c.contexts.revoke_access(i["contextId"], "a third", memory_space_id=s),
    "contexts.list_granted": lambda c, i, s: c.contexts.list_granted(memory_space_id=s),
    "contexts.get_root": lambda c, i, s: c.contexts.get_root(i["contextId"], memory_space_id=s),
    "contexts.get_children": lambda c, i, s: c.contexts.get_children(i["contextId"], memory_space_id=s),
    "contexts.find_orphaned": lambda c, i, s: c.contexts.find_orphaned(memory_space_id=s),
    "contexts.add_participant": lambda c, i, s: c.contexts.add_participant(i["contextId"], "bo", memory_space_id=s),
    "contexts.remove_participant": lambda c, i, s: c.contexts.remove_participant(
        i["contextId"], i["participantId"], memory_space_id=s
    ),
    "contexts.get_by_conversation": lambda c, i, s: c.contexts.get_by_conversation(
        i["conversationId"], memory_space_id=s
    ),
    "contexts.update_many": lambda c, i, s: c.contexts.update_many(
        {"user_id": i["userId"]}, {"status": "blocked"}, memory_space_id=s
    ),
    "contexts.delete_many": lambda c, i, s: c.contexts.delete_many({"user_id": i["userId"]}, memory_space_id=s),
    "contexts.export": lambda c, i, s: c.contexts.export({"user_id": i["userId"]}, memory_space_id=s),
    "contexts.stream_export": lambda c, i, s: c.contexts.stream_export({"user_id": i["userId"]}, memory_space_id=s),
    "contexts.get_version": lambda c, i, s: c.contexts.get_version(i["contextId"], 1, memory_space_id=s),
    "contexts.get_history": lambda c, i, s: c.contexts.get_history(i["contextId"], memory_space_id=s),
    "contexts.get_at_timestamp": lambda c, i, s: c.contexts.get_at_timestamp(
        i["contextId"], 1_764_000_000_000, memory_space_id=s
    ),
}
"""How each method is called with ids, in a memory space."""
ENDLESS = {"facts.work": "it drains, again and again"}
"""Methods that are not called here, and why."""


def methods() -> list[str]:
    """Those of the APIs that work in one memory space."""
    names = [
        f"{api}.{name}"
        for api, made in APIS.items()
        if api not in STORE_WIDE
        for name, part in inspect.getmembers(made, inspect.isroutine)
        if not name.startswith("_")
    ]
    return [name for name in names if name not in STORE_WIDE and name not in ENDLESS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with made_world(tmp_path_factory.mktemp("apis") / "memory.db") as made:
        yield made


async def _result(call: Any) -> Any:
    """What comes of a call: awaited, and all that it yields."""
    if inspect.isasyncgen(call) or hasattr(call, "__aiter__") and not inspect.isawaitable(call):
        return [item async for item in call]
    found = await call
    return found.plain() if hasattr(found, "plain") else found


async def seen(world: World, name: str, ids: Mapping[str, str], space: str) -> str:
    """What the caller gets, without the ids that it gave, those that the call made, and the times of this machine."""
    async with Cortex(world.backend, memory_space_id=space) as client:
        try:
            outcome = repr(await _result(CALLS[name](client, ids, space)))
        except Exception as error:
            assert not isinstance(error, InvalidArgument | TypeError | AttributeError), error
            outcome = f"{type(error).__name__}: {error}"
    for one in {space, *ids.values()}:
        outcome = outcome.replace(one, "#")
    return re.sub(r"[0-9a-f]{32}|resume_\w+|\b1[789]\d{11}(\.\d+)?", "~", outcome)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", methods())
async def test_another_space_is_answered_as_if_nothing_were_there(world: World, name: str) -> None:
    assert name in CALLS, f"CALLS does not say how {name} is called"
    before, rows = await world.read(), world.rows()
    real = await seen(world, name, world.real, f"ours-{name}-real")
    unknown = await seen(world, name, world.unknown, f"ours-{name}-unknown")
    assert real == unknown
    assert THEIRS not in real
    assert await world.read() == before
    assert rows - world.rows() == set()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_space_itself_is_answered_otherwise(world: World) -> None:
    """The ids are right, and what is there can be seen and told from nothing."""
    told = []
    for name in methods():
        if re.search(r"\.(get(?!_or)|list|count|search|iterate|export|query|find)", name):
            real = await seen(world, name, world.real, THEIRS)
            unknown = await seen(world, name, world.unknown, THEIRS)
            told += [name] if real != unknown else []
    expected = {"conversations.get", "facts.get", "facts.query_by_subject", "memory.get", "memory.count"}
    assert expected <= set(told)


def test_what_is_called_or_exempt_is_there() -> None:
    there = {*APIS, *(f"{api}.{name}" for api, made in APIS.items() for name in dir(made))}
    assert {*STORE_WIDE, *ENDLESS} <= there
    assert sorted(CALLS) == sorted(methods())
