"""Forgetting: memories and messages, and the facts that come from them."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import MemoryNotFound, StreamNotFound
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _know(b: Bench, text: str, memory: dict[str, Any], **more: Any) -> str:
    """Store a fact that a memory says; its id."""
    subject, predicate, *rest = text.split(" ")
    triple = {"subject": subject, "predicate": predicate, "object": " ".join(rest)}
    about = {"fact": text, "factType": "knowledge", "confidence": 60, "tags": [], "sourceType": "conversation"}
    ref = {"memoryId": memory["memoryId"], **memory["conversationRef"]}
    stored = await b.do("facts:store", **about | triple | {"sourceRef": ref} | more)
    fact: str = stored["factId"]
    return fact


async def _now(b: Bench) -> int:
    """A time at which all is known that was stored so far: that of one more fact, which is retracted again."""
    await b.passes(2)
    row = await b.do("facts:store", fact="-", factType="custom", confidence=0, tags=[], sourceType="manual")
    await b.do("facts:deleteFact", factId=row["factId"])
    known: int = row["knownFrom"] - 1
    await b.passes(2)
    return known


async def _facts(b: Bench, **more: Any) -> list[tuple[str, int]]:
    """The text and the number of sources of each fact."""
    return [(row["fact"], len(row["sources"])) for row in await b.ask("facts:list", **more)]


@PROMISES.add("memories:forget", "facts:store", "facts:list")
async def what_is_forgotten_is_retracted(b: Bench) -> None:
    """A forgotten memory is deleted, and the facts that come from it alone are retracted; the message stays."""
    question, answer = (await b.exchange("I live in Lisbon", "Nice"))["memories"]
    alone = await _know(b, "ada lives_in Lisbon", question)
    await _know(b, "ada likes tea", question)
    await _know(b, "ada likes tea", answer)
    known = await _now(b)
    forgotten = await b.do("memories:forget", memoryId=question["memoryId"])
    want = {"memoryDeleted": True, "conversationDeleted": False, "messagesDeleted": 0, "restorable": True}
    b.same(forgotten, {**want, "factsDeleted": 1, "factIds": [alone]}, "the result")
    b.same(await _facts(b), [("ada likes tea", 2)], "the facts")
    b.same(await _facts(b, knownAt=known), [("ada lives_in Lisbon", 1), ("ada likes tea", 2)], "as known before")
    b.same([row["content"] for row in await b.rows()], ["Nice"], "the memories")
    b.same([m["content"] for m in await b.messages()], ["I live in Lisbon", "Nice"], "the messages")
    again = b.do("memories:forget", memoryId=question["memoryId"])
    await b.refused(MemoryNotFound, again, "forgetting it again")
    theirs = b.do("memories:forget", memorySpaceId=b.other, memoryId=answer["memoryId"])
    await b.refused(MemoryNotFound, theirs, "forgetting it in another space")


@PROMISES.add("memories:forget", "facts:store", "facts:list", "conversations:get")
async def what_is_erased_was_never_said(b: Bench) -> None:
    """What is erased is gone with its message and its stream, and facts have only what others say, also before."""
    first = await b.exchange("I live in Lisbon", "Nice")
    question, answer = first["memories"]
    await b.exchange("more?", "no", "st2")
    await _know(b, "ada lives_in Porto", answer, validFrom=1)
    alone = await _know(b, "ada lives_in Lisbon", question, validFrom=2)
    await _know(b, "ada likes tea", question)
    await _know(b, "ada likes tea", answer)
    known = await _now(b)
    b.same(await _facts(b), [("ada lives_in Lisbon", 1), ("ada likes tea", 2)], "the facts before")
    named = {"messageId": first["conversation"]["messageIds"][0]}
    forgotten = await b.do("memories:forget", erase=True, **named)
    want = {"memoryDeleted": True, "conversationDeleted": False, "messagesDeleted": 1, "restorable": False}
    b.same(forgotten, {**want, "factsDeleted": 1, "factIds": [alone]}, "the result")
    left = [("ada lives_in Porto", 1), ("ada likes tea", 1)]
    b.same(await _facts(b), left, "the facts")
    b.same(await _facts(b, knownAt=known), left, "as known before")
    b.same(await b.ask("facts:get", factId=alone), None, "the fact that it alone said")
    b.same([m["content"] for m in await b.messages()], ["Nice", "more?", "no"], "the messages")
    b.same([row["content"] for row in await b.rows()], ["no", "more?", "Nice"], "the memories")
    await b.refused(StreamNotFound, b.finalize("Nice"), "a finalize that is sent again")
    await b.refused(MemoryNotFound, b.do("memories:forget", erase=True, **named), "erasing it again")
    last: dict[str, Any] = {}
    for row in await b.rows():
        last = await b.do("memories:forget", memoryId=row["memoryId"], erase=True)
    b.same((last["conversationDeleted"], await b.messages()), (True, []), "the conversation at the end")
    b.same(await _facts(b, includeSuperseded=True), [], "the facts at the end")


@PROMISES.add("memories:deleteMemory", "facts:store", "facts:list")
async def a_deleted_memory_takes_its_share_of_the_facts(b: Bench) -> None:
    """With a memory goes what facts have of it, unless they are to stay."""
    for keep in (True, False):
        question, answer = (await b.exchange("I live in Lisbon", "Nice", f"st{keep}"))["memories"]
        alone = await _know(b, f"ada lives_in {keep}", question, cardinality="many")
        await _know(b, f"ada likes {keep}", question)
        await _know(b, f"ada likes {keep}", answer)
        before = await _facts(b)
        options = {"cascadeDeleteFacts": False} if keep else {}
        deleted = await b.do("memories:deleteMemory", memoryId=question["memoryId"], **options)
        gone = [] if keep else [alone]
        want = {"deleted": True, "memoryId": question["memoryId"], "factsDeleted": len(gone), "factIds": gone}
        b.same(deleted, want, "the result")
        after = before if keep else [("ada lives_in True", 1), ("ada likes True", 2), ("ada likes False", 1)]
        b.same(await _facts(b), after, "the facts")
