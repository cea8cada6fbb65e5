"""An exchange is in its conversation from its beginning on: its ids, its place, and what is told of it meanwhile."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import InvalidArgument, MemoryNotFound, StreamNotFound
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()
_IDS = ("conversationId", "messageIds", "memoryIds", "memoryId")


def _ids(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in _IDS} if row else {}


async def _talk(b: Bench, conversation: str = "c", **more: Any) -> Row | None:
    found: Row | None = await b.ask("conversations:get", conversationId=conversation, **more)
    return found


async def _told(b: Bench, conversation: str = "c", **more: Any) -> Any:
    """What a conversation tells: its messages, and the question and position of its pending exchanges."""
    found = await _talk(b, conversation, **more)
    if found is None:
        return None
    b.same(found["messageCount"], len(found["messages"]), "messageCount")
    said = [message["content"] for message in found["messages"]]
    return said, [(one["userMessage"], one["position"]) for one in found["pending"]]


@PROMISES.add("streams:begin", "streams:get", "streams:takeOver", "conversations:get", "conversations:list")
async def an_exchange_is_there_from_its_beginning(b: Bench) -> None:
    """Begin makes the conversation, with the exchange as pending, and all ids, which stay; finalize stores under
    them."""
    begun = await b.begin(token=b.token("k"), lease=60_000)
    b.same((begun["conversationId"], begun["memoryIds"][1]), ("c", begun["memoryId"]), "conversationId and memoryIds")
    b.same([len(begun[name]) for name in ("messageIds", "memoryIds")], [2, 2], "how many messageIds and memoryIds")
    await b.append(0, "half")
    found = await _talk(b) or {}
    b.same((found["messages"], found["messageCount"], found["type"]), ([], 0, "user-agent"), "what has not ended")
    (one,) = found["pending"]
    b.same(_ids(one), _ids(begun), "the ids of the pending exchange")
    b.same((one["streamId"], one["state"], one["position"]), ("st", "streaming", 0), "stream, state and position")
    b.same((one["userMessage"], one["length"], one["attempt"]), ("why?", 4, 0), "question, length and attempt")
    listed = [row["conversationId"] for row in await b.ask("conversations:list", includePending=True)]
    b.same((listed, await b.ask("conversations:list")), (["c"], []), "the list with and without includePending")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0)
    b.same([one["state"] for one in (await _talk(b) or {})["pending"]], ["interrupted"], "the state without a lease")
    b.same(_ids(await b.stream()), _ids(begun), "the ids of streams:get")
    b.same(_ids(await b.take("k", "one")), _ids(begun), "the ids of takeOver")
    result = await b.finalize("!", start=4, epoch=2)
    b.same([row["memoryId"] for row in result["memories"]], begun["memoryIds"], "the ids of the memories")
    b.same(result["conversation"]["messageIds"], begun["messageIds"], "the ids of the result")
    b.same([message["id"] for message in await b.messages()], begun["messageIds"], "the ids of the messages")
    b.same(await _told(b), (["why?", "half!"], []), "the conversation afterwards")
    b.same(_ids(await b.stream()), _ids(begun), "the ids of streams:get afterwards")


@PROMISES.add("streams:begin", "streams:close", "streams:finish", "streams:finalize")
async def ids_stay_as_they_are(b: Bench) -> None:
    """An exchange that is begun again keeps its ids: after a crash, a close, and an answer that was withdrawn."""
    begun = await b.begin()
    b.same(_ids(await b.begin()), _ids(begun), "the ids after another begin")
    closed = await b.end(epoch=2)
    b.same(closed["conversation"]["messageIds"], begun["messageIds"][:1], "the message of a closed stream")
    b.same(closed["memories"][0]["memoryId"], begun["memoryIds"][0], "the memory of a closed stream")
    b.same(_ids(await b.begin()), _ids(begun), "the ids after a close")
    b.same(await _told(b), (["why?"], [("why?", 0)]), "a closed question that was asked again")
    await b.append(0, "half", epoch=3, attempt=2)
    await b.do("streams:finish", streamId="st")
    b.same(_ids(await b.begin(completes=True)), _ids(begun), "the ids after the answer was withdrawn")
    b.same(await _told(b), (["why?"], [("why?", 0)]), "a question whose answer was withdrawn")
    await b.finalize("whole", epoch=5, attempt=3)
    said = [(message["id"], message["content"]) for message in await b.messages()]
    b.same(said, list(zip(begun["messageIds"], ["why?", "whole"], strict=True)), "the messages")
    rows = [row["memoryId"] for row in await b.rows()]
    b.same(rows, begun["memoryIds"][::-1], "the memories")


@PROMISES.add("streams:begin", "streams:finalize", "conversations:get", "conversations:getHistory")
async def history_has_the_order_of_asking(b: Bench) -> None:
    """The exchanges of a conversation stand in the order in which they were begun, whenever and however they end."""
    for stream in ("1", "2", "3", "4"):
        await b.begin(stream, f"q{stream}")
    await b.finalize("a3", "3")
    b.same(await _told(b), (["q3", "a3"], [("q1", 0), ("q2", 0), ("q4", 2)]), "after the third has ended")
    await b.end(stream="1")
    b.same(await _told(b), (["q1", "q3", "a3"], [("q2", 1), ("q4", 3)]), "after the first was closed")
    await b.finalize("a4", "4")
    await b.append(0, "a2", "2")
    await b.do("streams:finish", streamId="2")
    await b.begin("1", "q1")
    b.same(await _told(b), (["q1", "q2", "a2", "q3", "a3", "q4", "a4"], [("q1", 0)]), "after the first was asked again")
    await b.finalize("a1", "1", epoch=2, attempt=1)
    want = [f"{what}{number}" for number in range(1, 5) for what in "qa"]
    b.same(await _told(b), (want, []), "in the end")
    for order, expected in (("asc", want), ("desc", want[::-1])):
        page = await b.ask("conversations:getHistory", conversationId="c", sortOrder=order)
        b.same([message["content"] for message in page["messages"]], expected, f"the history, {order}")


@PROMISES.add("conversations:getHistory", "streams:begin", "streams:finalize")
async def pages_fit_together(b: Bench) -> None:
    """A page of getHistory that goes on after a message repeats and leaves out nothing, whatever ends meanwhile."""
    for stream in ("1", "2", "3", "4"):
        await b.begin(stream, f"q{stream}")
    for stream in ("1", "3", "4"):
        await b.finalize(f"a{stream}", stream)

    async def page(**args: Any) -> tuple[list[str], list[str], bool, str]:
        found = await b.ask("conversations:getHistory", conversationId="c", **args)
        said = [message["content"] for message in found["messages"]]
        last = found["messages"][-1]["id"] if said else ""
        return said, [one["userMessage"] for one in found["pending"]], found["hasMore"], last

    for order, first, second, rest in (
        ("asc", ["q1", "a1", "q3"], ["a3", "q4"], ["a4"]),
        ("desc", ["a4", "q4", "a3"], ["q3", "a1"], ["q1"]),
    ):
        said, pending, more, last = await page(limit=3, sortOrder=order)
        b.same((said, more), (first, True), f"the first page, {order}")
        b.same(pending, ["q2"] if order == "asc" else [], f"the pending of the first page, {order}")
        if order == "asc":
            await b.end(stream="2")  # between the messages of the first page
        else:
            await b.begin("2", "q2")
            await b.finalize("a2", "2", epoch=2, attempt=1)
            second, rest = ["q3", "a2"], ["q2", "a1", "q1"]
        said, _, more, last = await page(limit=2, sortOrder=order, after=last)
        b.same((said, more), (second, True), f"the second page, {order}")
        said, _, more, _ = await page(sortOrder=order, after=last)
        b.same((said, more), (rest, False), f"the last page, {order}")
    call = b.ask("conversations:getHistory", conversationId="c", after="unknown")
    await b.refused(InvalidArgument, call, "a page after a message that is not there")
    await b.begin("5", "q5")
    said, pending, _, last = await page(limit=1, sortOrder="desc")
    b.same((said, pending), (["a4"], ["q5"]), "the newest page, with what is asked now")
    b.same((await page(after=last))[:3], ([], [], False), "the page after the last message")


@PROMISES.add("streams:rollback", "memories:deleteMemory", "conversations:get")
async def what_begin_made_can_be_removed(b: Bench) -> None:
    """A rollback, or the deletion of either memory, removes a pending exchange, and a conversation that is left
    empty."""

    there = {"memorySpaceId": b.other}
    await b.begin("st0", "theirs?", **there)
    await b.begin("st1", "theirs?", **there)
    for at, how in enumerate(("a rollback", "deleting its question", "deleting its answer")):
        stream = f"st{at}"
        begun = await b.begin(stream, "ours?")
        await b.append(0, "half", stream)
        b.same(await _told(b), ([], [("ours?", 0)]), "the conversation")
        if at == 0:
            await b.do("streams:rollback", streamId=stream, epoch=1)
        else:
            delete = {"memoryId": begun["memoryIds"][at - 1]}
            await b.do("memories:deleteMemory", **delete)
            await b.refused(MemoryNotFound, b.do("memories:deleteMemory", **delete), f"{how} again")
            await b.refused(MemoryNotFound, b.do("memories:deleteMemory", **there, **delete), "in another space")
        await b.refused(StreamNotFound, b.append(4, "x", stream), f"append after {how}")
        b.same(await _told(b), None, f"the conversation after {how}")
        b.same(await b.rows(includePartial=True), [], f"the memories after {how}")
        b.same(await b.ask("conversations:count", includePending=True), 0, f"the count after {how}")
    b.same(await _told(b, **there), ([], [("theirs?", 0), ("theirs?", 0)]), "the conversation of another space")


@PROMISES.add("streams:rollback", "conversations:get")
async def a_conversation_of_others_stays(b: Bench) -> None:
    """A conversation stays as long as anybody's exchange is in it, with the participants of those that are."""
    await b.begin("st", "ours?", agentId="helper")
    await b.begin("st2", "theirs?", userId="bob", participantId="p")
    await b.do("streams:rollback", streamId="st", epoch=1)
    b.same(await _told(b), ([], [("theirs?", 0)]), "the conversation without the first exchange")
    b.same((await _talk(b) or {})["participants"], {"userId": "bob", "participantId": "p"}, "its participants")
    await b.finalize("yes", "st2")
    await b.begin("st3", "more?", agentId="other")
    await b.do("streams:rollback", streamId="st3", epoch=1)
    b.same(await _told(b), (["theirs?", "yes"], []), "the conversation with an answer")
    b.same((await _talk(b) or {})["participants"], {"userId": "bob", "participantId": "p"}, "its participants then")


@PROMISES.add("streams:renew", "streams:append", "conversations:get", "streams:interrupted", "streams:get")
async def a_pending_exchange_says_what_it_failed_with(b: Bench) -> None:
    """The error with which a writer released a stream is told until another lease is given."""

    async def told() -> list[str | None]:
        talk = await _talk(b) or {"pending": [{}]}
        (stream,) = await b.ask("streams:list", conversationId="c")
        return [row.get("lastError") for row in (talk["pending"][0], stream, await b.stream() or {})]

    await b.begin(lease=60_000)
    b.same(await told(), [None] * 3, "lastError before a failure")
    await b.append(0, "half", lease=0, lastError="MODEL_GONE")
    b.same(await told(), ["MODEL_GONE"] * 3, "lastError after an append with it")
    b.same((await b.ask("streams:interrupted"))[0].get("lastError"), "MODEL_GONE", "lastError in interrupted")
    await b.append(4, " of it")
    b.same(await told(), ["MODEL_GONE"] * 3, "lastError after an append without a lease")
    await b.append(10, "!", lease=60_000)
    b.same(await told(), [None] * 3, "lastError after another lease")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0, lastError="TIMEOUT")
    b.same(await told(), ["TIMEOUT"] * 3, "lastError after a renew with it")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0)
    b.same(await told(), [None] * 3, "lastError after a renew without it")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0, lastError="TIMEOUT")
    await b.begin()
    b.same(await told(), [None] * 3, "lastError after another begin")
    await b.do("streams:renew", streamId="st", epoch=2, lease=0, lastError="TIMEOUT")
    await b.finalize("whole", epoch=2, attempt=1)
    b.same((await b.stream() or {}).get("lastError"), None, "lastError of a stream that has ended")


@PROMISES.add("streams:list", "streams:interrupted")
async def the_streams_of_a_conversation_are_listed(b: Bench) -> None:
    """streams:list gives the streams of a conversation, newest first, without those that are gone; interrupted may be
    of one conversation."""
    await b.exchange("one?", "1", "st1")
    await b.begin("st2", "two?")
    await b.end(stream="st2", reason="stop")
    begun = await b.begin("st3", "three?", lease=60_000)
    await b.append(0, "half", "st3")
    await b.begin("st4", "four?")
    await b.begin("gone", "gone?")
    await b.do("streams:rollback", streamId="gone", epoch=1)
    await b.begin("deleted", "deleted?")
    await b.do("memories:deleteMemory", memoryId=(await b.stream("deleted") or {})["memoryId"])
    await b.begin("st5", "five?", conversationId="d")
    await b.begin("theirs", memorySpaceId=b.other)
    listed = await b.ask("streams:list", conversationId="c")
    got = [(row["streamId"], row["state"], row["owned"], row["userMessage"]) for row in listed]
    want = [
        ("st4", "open", False, "four?"),
        ("st3", "open", True, "three?"),
        ("st2", "empty", False, "two?"),
        ("st1", "finished", False, "one?"),
    ]
    b.same(got, want, "the list")
    b.same((_ids(listed[1]), listed[1]["length"]), (_ids(begun), 4), "ids and length")
    b.same(listed[2].get("reason"), "stop", "the reason of a stream that has ended")
    b.same([row["streamId"] for row in await b.ask("streams:list", conversationId="c", limit=2)], ["st4", "st3"], "two")
    b.same(await b.ask("streams:list", conversationId="unknown"), [], "the list of an unknown conversation")
    for conversation, ids in (("c", ["st4"]), ("d", ["st5"]), ("unknown", [])):
        found = await b.ask("streams:interrupted", conversationId=conversation)
        b.same([row["streamId"] for row in found], ids, f"what is interrupted in {conversation}")
