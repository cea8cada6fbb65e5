"""Forgetting: memories and messages."""

from __future__ import annotations

from cortex_rx.errors import MemoryNotFound, StreamNotFound
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


@PROMISES.add("memories:forget", "conversations:get")
async def what_is_erased_was_never_said(b: Bench) -> None:
    """A forgotten memory is deleted and its message stays; what is erased is gone with its message and its stream."""
    first = await b.exchange("I live in Lisbon", "Nice")
    question = first["memories"][0]["memoryId"]
    await b.exchange("more?", "no", "st2")
    want = {"memoryDeleted": True, "conversationDeleted": False, "factsDeleted": 0, "factIds": []}
    theirs = b.do("memories:forget", memorySpaceId=b.other, memoryId=question)
    await b.refused(MemoryNotFound, theirs, "forgetting it in another space")
    forgotten = await b.do("memories:forget", memoryId=question)
    b.same(forgotten, {**want, "messagesDeleted": 0, "restorable": True}, "the result")
    b.same([row["content"] for row in await b.rows()], ["no", "more?", "Nice"], "the memories")
    b.same(len(await b.messages()), 4, "the number of messages")
    await b.refused(MemoryNotFound, b.do("memories:forget", memoryId=question), "forgetting it again")
    named = {"messageId": first["conversation"]["messageIds"][1]}
    forgotten = await b.do("memories:forget", erase=True, **named)
    b.same(forgotten, {**want, "messagesDeleted": 1, "restorable": False}, "the result of erasing")
    b.same([m["content"] for m in await b.messages()], ["I live in Lisbon", "more?", "no"], "the messages")
    b.same([row["content"] for row in await b.rows()], ["no", "more?"], "the memories left")
    await b.refused(StreamNotFound, b.finalize("Nice"), "a finalize that is sent again")
    await b.refused(MemoryNotFound, b.do("memories:forget", erase=True, **named), "erasing it again")
    last = await b.do("memories:forget", memoryId=question, erase=True)
    for row in await b.rows():
        last = await b.do("memories:forget", memoryId=row["memoryId"], erase=True)
    b.same((last["conversationDeleted"], await b.messages()), (True, []), "the conversation at the end")
