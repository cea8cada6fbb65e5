"""finalize and close: an exchange is stored once, whole, in its place, and only in its own memory space."""

from __future__ import annotations

import asyncio
from typing import Any

from cortex_rx.errors import (
    Diverged,
    Fenced,
    Gap,
    IdempotencyConflict,
    InvalidArgument,
    MemoryNotFound,
    StreamNotFound,
)
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


@PROMISES.add("streams:finalize", "memories:list", "conversations:get")
async def an_exchange_is_stored_whole(b: Bench) -> None:
    """Finalize stores both messages next to each other and both memories; the partial becomes the memory of the
    answer."""
    begun = await b.begin(
        userName="Ada", agentId="helper", participantId="p", tags=["t"], metadata={"k": 1}, startedAt=5
    )
    await b.append(0, "Be")
    result = await b.finalize(
        "cause",
        start=2,
        reason="stop",
        usage={"total": 7},
        metadata={"m": 2},
        userEmbedding=[1.0, 2.5],
        agentEmbedding=[0.5, 2],
    )
    b.same((result["stored"], result["contentLength"]), ("now", 7), "stored and contentLength")
    answer, question = await b.rows()
    b.same(result["memories"], [question, answer], "the memories of the result")
    b.same((question["content"], answer["content"]), ("why?", "Because"), "the contents")
    b.same((question["messageRole"], answer["messageRole"]), ("user", "agent"), "the roles")
    b.same(answer["memoryId"], begun["memoryId"], "the id of the answer's memory")
    for row in (question, answer):
        b.same((row["tags"], row["importance"], row["isPartial"]), (["t"], 50, False), "tags, importance, isPartial")
        b.same((row["userId"], row["agentId"], row["participantId"]), ("ada", "helper", "p"), "the owner")
        b.same(
            (row["sourceType"], row["contentType"], row["sourceTimestamp"]), ("conversation", "raw", 5), "the source"
        )
    b.same((question["embedding"], answer["embedding"]), ([1.0, 2.5], [0.5, 2]), "the embeddings")
    b.same((question["metadata"], answer["metadata"]), ({"k": 1}, {"k": 1, "m": 2}), "the metadata")
    said = await b.messages()
    b.same([(m["role"], m["content"]) for m in said], [("user", "why?"), ("agent", "Because")], "the messages")
    b.same([m["id"] for m in said], result["conversation"]["messageIds"], "the ids of the messages")
    b.same(said[1]["metadata"], {"k": 1, "m": 2, "finishReason": "stop", "usage": {"total": 7}}, "the answer's message")
    refs = [row["conversationRef"] for row in (question, answer)]
    b.same(refs, [{"conversationId": "c", "messageIds": [m["id"]]} for m in said], "the references of the memories")
    found = await b.stream()
    b.same(found and (found["state"], found["length"]), ("finished", 7), "state and length of the stream")


@PROMISES.add("streams:finalize", "streams:append", "streams:begin")
async def an_exchange_is_stored_once(b: Bench) -> None:
    """A finished stream that is finalised again gives the stored result, and stores nothing more."""
    await b.begin()
    await b.append(0, "abc")
    first = await b.finalize("d", start=3)
    before = await b.everything()
    again: list[dict[str, Any]] = [{"text": "d", "start": 3}, {"text": "abcd"}, {"text": "", "start": 4}]
    for same in again:
        b.same(await b.finalize(**same), {**first, "stored": "before"}, f"finalize again with {same}")
    b.same(await b.append(1, "bc"), 4, "append of text that a finished stream has")
    b.same((await b.begin())["state"], "finished", "the state that begin gives")
    b.same(await b.everything(), before, "what is stored afterwards")


@PROMISES.add("streams:finalize", "streams:append", "streams:close")
async def another_answer_is_a_conflict(b: Bench) -> None:
    """Another answer for a finished stream is an IdempotencyConflict, and the stored one stays."""
    await b.exchange("why?", "abcd")
    before = await b.everything()
    others: list[dict[str, Any]] = [
        {"text": "abcx"},
        {"text": "abcde"},
        {"text": "abc"},
        {"text": "abcd", "attempt": 1},
    ]
    for other in others:
        await b.refused(IdempotencyConflict, b.finalize(**other), f"finalize with {other} after 'abcd'")
    for start, text, attempt in ((3, "x", 0), (4, "more", 0), (0, "x", 1)):
        await b.refused(IdempotencyConflict, b.append(start, text, attempt=attempt), f"append of {text!r} at {start}")
    await b.refused(IdempotencyConflict, b.end(), "close of a stream that has an answer")
    b.same(await b.everything(), before, "what is stored afterwards")


@PROMISES.add("streams:finalize")
async def finalize_is_all_or_nothing(b: Bench) -> None:
    """A finalize that is refused leaves nothing: no message, no memory, no text."""
    await b.begin()
    await b.append(0, "abc")
    before = await b.everything()
    await b.refused(Gap, b.finalize("d", start=3, length=9), "a length of 9 after 4 characters")
    b.same(await b.text(), "abc", "the text after a finalize that was refused for its length")
    await b.refused(Gap, b.finalize("d", start=4), "a start beyond the end")
    await b.refused(Diverged, b.finalize("xyz"), "another text")
    await b.refused(Fenced, b.finalize("d", start=3, epoch=7), "another epoch")
    b.same(await b.everything(), before, "what is stored afterwards")
    await b.finalize("d", start=3)
    b.same([row["content"] for row in await b.rows()], ["abcd", "why?"], "the memories after a correct finalize")


@PROMISES.add("streams:append", "streams:finalize", "streams:close")
async def repeating_changes_nothing(b: Bench) -> None:
    """Every write that is repeated succeeds and changes nothing."""
    await b.begin()
    for path, args in (
        ("streams:append", {"epoch": 1, "attempt": 0, "start": 0, "text": "abc"}),
        ("streams:append", {"epoch": 1, "attempt": 2, "start": 0, "text": "anew"}),
        ("streams:finalize", {"epoch": 1, "attempt": 2, "start": 4, "text": "!", "length": 5}),
    ):
        first = await b.do(path, streamId="st", **args)
        before = await b.everything()
        again = await b.do(path, streamId="st", **args)
        b.same(_without_stored(again), _without_stored(first), f"the result of a second {path}")
        b.same(await b.everything(), before, f"what is stored after a second {path}")
    await b.begin("st2", "and?")
    first = await b.end(stream="st2")
    before = await b.everything()
    b.same(_without_stored(await b.end(stream="st2")), _without_stored(first), "the result of a second streams:close")
    b.same(await b.everything(), before, "what is stored after a second streams:close")


def _without_stored(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "stored"}


@PROMISES.add("streams:finalize", "memories:count")
async def tool_calls_alone_make_a_message(b: Bench) -> None:
    """An answer of length 0 makes a message and no memory."""
    begun = await b.begin()
    result = await b.finalize("", reason="tool_calls")
    b.same([row["content"] for row in result["memories"]], ["why?"], "the memories of the result")
    b.same([m["content"] for m in await b.messages()], ["why?", ""], "the messages")
    b.same(await b.memory(begun["memoryId"], includePartial=True), None, "the memory of the answer")
    b.same(await b.finalize(""), {**result, "stored": "before"}, "the result of a repeated finalize")
    b.same(await b.ask("memories:count", includePartial=True), 1, "the count of memories")


@PROMISES.add("streams:finalize", "memories:get", "memories:list", "memories:search", "memories:count")
async def an_answer_may_be_stored_in_chunks(b: Bench) -> None:
    """An answer in chunks is fetched whole, found through its chunks, and deleted with them."""
    begun = await b.begin()
    cuts: list[dict[str, Any]] = [{"start": 0, "end": 9}, {"start": 4, "end": 16, "embedding": [0.5, 2]}]
    await b.finalize("the red zebra é😀", chunks=cuts)
    whole = await b.memory(begun["memoryId"])
    b.same(
        whole and (whole["content"], whole["chunkCount"]), ("the red zebra é😀", 2), "the answer, and how many chunks"
    )
    chunks = [await b.memory(one) for one in (whole["chunkIds"] if whole else [])]
    parts = [(row["content"], row.get("embedding")) for row in chunks if row]
    b.same(parts, [("the red z", None), ("red zebra é😀", [0.5, 2])], "contents and embeddings of the chunks")
    own = [row["chunkMetadata"] for row in chunks if row]
    b.same([one["hasOverlap"] for one in own], [False, True], "whether a chunk begins before the end of the one before")
    b.same(await b.found("zebra"), ["red zebra é😀"], "the search")
    b.same([row["content"] for row in await b.rows()], ["the red zebra é😀", "why?"], "the list")
    listed = [row["content"] for row in await b.rows(includeChunks=True)]
    b.same(listed, ["the red zebra é😀", "the red z", "red zebra é😀", "why?"], "the list with includeChunks")
    counts = [await b.ask("memories:count", includeChunks=asked) for asked in (False, True)]
    b.same(counts, [2, 4], "the counts without and with includeChunks")
    call = b.do("memories:deleteMemory", memoryId=whole["chunkIds"][0]) if whole else b.end()
    await b.refused(InvalidArgument, call, "deleting a single chunk")
    await b.do("memories:deleteMemory", memoryId=begun["memoryId"])
    b.same(
        [row["content"] for row in await b.rows(includeChunks=True)], ["why?"], "the list after the answer was deleted"
    )


@PROMISES.add("streams:finalize", "memories:search")
async def a_summary_is_the_memory(b: Bench) -> None:
    """userContent becomes the memory of the question; the message stays unchanged."""
    await b.begin(question="please, why is the sky blue?")
    result = await b.finalize("scattering", userContent="sky colour")
    memories = [(row["content"], row["contentType"]) for row in result["memories"]]
    b.same(memories, [("sky colour", "summarized"), ("scattering", "raw")], "the memories of the result")
    (_, question) = await b.rows()
    b.same((question["content"], question["contentType"]), ("sky colour", "summarized"), "the memory")
    b.same(await b.found("colour"), ["sky colour"], "the search for its words")
    b.same(await b.found("please"), [], "the search for words of the question")
    b.same((await b.messages())[0]["content"], "please, why is the sky blue?", "the message")


@PROMISES.add("streams:close", "streams:finalize", "streams:append")
async def a_question_without_an_answer_is_kept(b: Bench) -> None:
    """Close keeps the question, marked as unanswered, and deletes the partial."""
    begun = await b.begin(tags=["t"], metadata={"k": 1})
    await b.append(0, "half")
    result = await b.end("error", reason="timeout")
    b.same((result["stored"], result["contentLength"]), ("now", 0), "stored and contentLength")
    (row,) = await b.rows(includePartial=True)
    b.same((row["content"], row["tags"], row["isPartial"]), ("why?", ["t", "unanswered"], False), "the memory")
    b.same(await b.memory(begun["memoryId"]), None, "the partial memory")
    (message,) = await b.messages()
    want = {"k": 1, "unanswered": "error", "finishReason": "timeout"}
    b.same((message["content"], message["metadata"]), ("why?", want), "the message")
    found = await b.stream()
    b.same(found and found["state"], "empty", "the state of the stream")
    await b.refused(IdempotencyConflict, b.finalize("late"), "finalize of a stream that was closed")
    await b.refused(IdempotencyConflict, b.append(4, "late"), "append beyond the text of a closed stream")


@PROMISES.add("streams:begin", "streams:close", "streams:finalize")
async def a_question_can_be_answered_after_all(b: Bench) -> None:
    """A closed stream that is begun again is open; its answer is put next to the existing question."""
    first = await b.begin()
    await b.end()
    await b.exchange("and then?", "then", "st2")
    again = await b.begin()
    b.same((again["epoch"], again["attempt"], again["state"]), (2, 1, "open"), "epoch, attempt and state")
    b.same(again["memoryId"], first["memoryId"], "the memory")
    await b.finalize("because", epoch=2, attempt=1)
    said = [message["content"] for message in await b.messages()]
    b.same(said, ["why?", "because", "and then?", "then"], "the messages")
    rows = await b.rows()
    b.same([row["content"] for row in rows], ["then", "and then?", "because", "why?"], "the memories")
    b.same([row["tags"] for row in rows], [[], [], [], []], "their tags")


@PROMISES.add("streams:finalize", "conversations:get", "conversations:getHistory", "memories:list")
async def each_answer_follows_its_question(b: Bench) -> None:
    """Two streams in one conversation: each answer follows its question, in the order in which they were asked."""
    await b.begin("st", "first?")
    await b.begin("st2", "second?")
    for at in range(5):
        await asyncio.gather(b.append(at, "1", "st"), b.append(at, "2", "st2"))
    await b.finalize("", "st2", start=5)
    await b.finalize("", "st", start=5)
    want = ["first?", "11111", "second?", "22222"]
    b.same([message["content"] for message in await b.messages()], want, "the messages")
    history = await b.ask("conversations:getHistory", conversationId="c")
    b.same([message["content"] for message in history["messages"]], want, "the history")
    b.same([row["content"] for row in await b.rows()], ["22222", "second?", "11111", "first?"], "the list of memories")


@PROMISES.add(
    "memories:get",
    "memories:list",
    "memories:search",
    "memories:count",
    "memories:deleteMemory",
    "conversations:get",
    "conversations:list",
    "conversations:count",
    "streams:get",
    "streams:append",
    "streams:finalize",
    "streams:close",
)
async def a_space_never_sees_another(b: Bench) -> None:
    """A memory space sees nothing of another; two spaces may use the same stream or conversation id."""
    there = {"memorySpaceId": b.other}
    await b.exchange("ours?", "ours zebra")
    theirs = (await b.exchange("theirs?", "theirs zebra", **there))["memories"][1]["memoryId"]
    await b.begin("st2", "ours alone?")
    await b.append(0, "zebra", "st2")
    for where, one in (({}, "ours"), (there, "theirs")):
        contents = [row["content"] for row in await b.rows(**where)]
        b.same(contents, [f"{one} zebra", f"{one}?"], f"the list of the space of {one}")
        b.same(await b.found("zebra", **where), [f"{one} zebra"], f"the search in the space of {one}")
        b.same(await b.ask("memories:count", **where), 2, f"the count of the space of {one}")
        said = [message["content"] for message in await b.messages(**where)]
        b.same(said, [f"{one}?", f"{one} zebra"], f"the conversation in the space of {one}")
        b.same(await b.ask("conversations:count", **where), 1, f"the conversations in the space of {one}")
        listed = [row["conversationId"] for row in await b.ask("conversations:list", **where)]
        b.same(listed, ["c"], f"the list of conversations in the space of {one}")
    unused = {"memorySpaceId": f"{b.other}-unused"}
    b.same(await b.ask("conversations:get", conversationId="c", **unused), None, "a conversation, in a third space")
    b.same(await b.ask("conversations:count", **unused), 0, "the conversations in a third space")
    b.same(await b.memory(theirs), None, "a memory of another space, by its id")
    b.same(await b.stream("st2", **there), None, "a stream of another space, by its id")
    before = await b.everything()
    await b.refused(
        MemoryNotFound, b.do("memories:deleteMemory", memoryId=theirs), "deleting a memory of another space"
    )
    await b.refused(StreamNotFound, b.append(5, "x", "st2", **there), "append to a stream of another space")
    await b.refused(StreamNotFound, b.finalize("x", "st2", start=5, **there), "finalize of a stream of another space")
    await b.refused(StreamNotFound, b.end(stream="st2", **there), "close of a stream of another space")
    b.same(await b.everything(), before, "what is stored afterwards")
