"""begin and append: the question, the text as it grows, epochs and attempts, and what arguments are accepted."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from cortex_rx.backends.contract.samples import Sample, samples
from cortex_rx.backends.contract.tables import FUNCTIONS
from cortex_rx.errors import (
    Diverged,
    Fenced,
    Gap,
    IdempotencyConflict,
    InvalidArgument,
    StoreClosed,
    StoreError,
    StreamNotFound,
    UnknownFunction,
)
from cortex_rx.testing.backends.bench import Bench, Mismatch
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()
# Code points of one to four bytes, and some that Unicode could compose.
WIDE = "é\u0065\u0301 京都 👩‍👩‍👧 😀\U0010ffff\r\n\tﬁ"


@PROMISES.add("streams:begin", "streams:get", "memories:get")
async def begin_stores_the_question(b: Bench) -> None:
    """Begin stores the question and makes the partial memory of the answer, at epoch 1, attempt 0."""
    begun = await b.begin(userName="Ada", tags=["t"], importance=70, metadata={"k": [1, None]}, startedAt=5)
    b.same((begun["epoch"], begun["attempt"], begun["state"]), (1, 0, "open"), "epoch, attempt and state")
    found = await b.stream()
    assert found is not None
    b.same((found["userMessage"], found["conversationId"]), ("why?", "c"), "question and conversation of the stream")
    b.same(
        (found["state"], found["length"], found["memoryId"]), ("open", 0, begun["memoryId"]), "state, length, memory"
    )
    row = await b.memory(begun["memoryId"])
    if row is None:
        raise Mismatch("there is no partial memory under the id that begin gave")
    b.same((row["isPartial"], row["content"], row["tags"], row["importance"]), (True, "", ["t"], 70), "partial memory")
    b.same(row["userId"], "ada", "its owner")
    partial = row["partialMetadata"]
    b.same(
        (partial["userMessage"], partial["streamId"], partial["streamStartTime"]),
        ("why?", "st", 5),
        "question, stream and start time",
    )
    b.same(await b.messages(), [], "messages before the answer")


@PROMISES.add(
    "streams:begin", "streams:append", "streams:finalize", "streams:close", "memories:deleteMemory", shared=True
)
async def acknowledged_is_stored(b: Bench) -> None:
    """What is acknowledged is stored: another backend over the same store sees it at once."""
    other, where = b.another(), {"memorySpaceId": b.space}

    async def seen(stream: str) -> tuple[Any, ...]:
        found = await other.query("streams:get", {**where, "streamId": stream})
        if found is None:
            return ("nothing",)
        row = await other.query("memories:get", {**where, "memoryId": found["memoryId"], "includePartial": True})
        return found["state"], found["length"], row["content"] if row else None

    begun = await b.begin()
    b.same(await seen("st"), ("open", 0, ""), "after begin")
    await b.append(0, "Hello ")
    b.same(await seen("st"), ("open", 6, "Hello "), "after append")
    await b.append(6, "Ada")
    b.same(await seen("st"), ("open", 9, "Hello Ada"), "after a second append")
    await b.finalize(".", start=9)
    b.same(await seen("st"), ("finished", 10, "Hello Ada."), "after finalize")
    said = await other.query("conversations:get", {**where, "conversationId": "c"})
    b.same([m["content"] for m in said["messages"]] if said else [], ["why?", "Hello Ada."], "messages after finalize")
    await b.begin("st2", "and?")
    await b.end(stream="st2")
    b.same((await seen("st2"))[0], "empty", "after close")
    await b.do("memories:deleteMemory", memoryId=begun["memoryId"])
    b.same(await seen("st"), ("nothing",), "after deleteMemory")


@PROMISES.add("streams:begin", "streams:append")
async def a_restart_begins_anew(b: Bench) -> None:
    """An unfinished stream that is begun again is taken over: epoch and attempt rise, the text begins again."""
    first = await b.begin()
    await b.append(0, "old")
    again = await b.begin(importance=99, tags=["other"])
    b.same((again["epoch"], again["attempt"], again["state"]), (2, 1, "open"), "epoch, attempt and state")
    b.same(again["memoryId"], first["memoryId"], "the memory")
    b.same(await b.text(), "", "the text")
    b.same(await b.append(0, "new", epoch=2, attempt=1), 3, "the end of the new text")
    b.same(await b.text(), "new", "the text")
    row = await b.memory(first["memoryId"])
    assert row is not None
    b.same((row["importance"], row["tags"]), (50, []), "importance and tags of the first begin")


@PROMISES.add("streams:begin")
async def another_turn_is_a_conflict(b: Bench) -> None:
    """Another question, owner or conversation under the same stream id is an IdempotencyConflict, and changes
    nothing."""
    await b.begin()
    await b.append(0, "abc")
    before = await b.everything()
    others: list[dict[str, Any]] = [
        {"question": "who?"}, {"question": "why?!"}, {"userId": "bob"}, {"conversationId": "d"}, {"agentId": "helper"},
        {"participantId": "p"},
    ]  # fmt: skip
    for other in others:
        await b.refused(IdempotencyConflict, b.begin(**other), f"begin with {other}")
    b.same(await b.everything(), before, "what is stored afterwards")


@PROMISES.add("streams:append")
async def append_adds_what_is_new(b: Bench) -> None:
    """Append adds text that is not stored yet; sent again, whole or in part, it succeeds and changes nothing."""
    await b.begin()
    b.same(await b.append(0, "hello "), 6, "the end after 'hello '")
    b.same(await b.append(0, "hello "), 6, "the same again")
    b.same(await b.append(3, "lo world"), 11, "text that overlaps and goes on")
    b.same(await b.append(2, "l"), 11, "a part of the stored text")
    b.same(await b.append(11, ""), 11, "no text, at the end")
    b.same(await b.text(), "hello world", "the text")


@PROMISES.add("streams:append")
async def another_text_is_diverged(b: Bench) -> None:
    """An append that overlaps the stored text and differs from it is Diverged, and changes nothing."""
    await b.begin()
    await b.append(0, "hello world")
    for start, text in ((6, "there"), (0, "Hello world and more"), (10, "D"), (6, "worlt and more")):
        await b.refused(Diverged, b.append(start, text), f"{text!r} at {start} over 'hello world'")
    b.same(await b.text(), "hello world", "the text afterwards")


@PROMISES.add("streams:append")
async def a_gap_is_refused(b: Bench) -> None:
    """An append beyond the end of the text is a Gap, which says where the end is, and changes nothing."""
    await b.begin()
    await b.append(0, "abc")
    gap = await b.refused(Gap, b.append(4, "e"), "a write at 4 after 3 characters")
    b.same((gap.end, gap.start), (3, 4), "end and start of the Gap")
    await b.refused(Gap, b.append(4, ""), "an empty write at 4 after 3 characters")
    b.same(await b.text(), "abc", "the text afterwards")


@PROMISES.add("streams:append", "streams:finalize", "streams:close")
async def an_old_epoch_is_fenced(b: Bench) -> None:
    """A write under another epoch than the stream's is Fenced, in every function, and changes nothing."""
    await b.begin()
    await b.append(0, "abc")
    await b.begin()
    await b.append(0, "new", epoch=2, attempt=1)
    before = await b.everything()
    for epoch in (0, 1, 3):
        await b.refused(Fenced, b.append(3, "late", epoch=epoch, attempt=1), f"append under epoch {epoch}, at 2")
        await b.refused(Fenced, b.append(0, "new", epoch=epoch, attempt=1), f"a repeated append under epoch {epoch}")
        await b.refused(Fenced, b.append(0, "late", epoch=epoch, attempt=5), f"a new attempt under epoch {epoch}")
        await b.refused(Fenced, b.finalize("", start=3, epoch=epoch, attempt=1), f"finalize under epoch {epoch}")
        await b.refused(Fenced, b.end(epoch=epoch), f"close under epoch {epoch}")
    b.same(await b.everything(), before, "what is stored afterwards")
    await b.finalize("", start=3, epoch=2, attempt=1)
    await b.refused(Fenced, b.finalize("new", epoch=1, attempt=1), "finalize under epoch 1, of the same text, finished")


@PROMISES.add("streams:append", "streams:finalize")
async def a_higher_attempt_begins_anew(b: Bench) -> None:
    """A higher attempt begins the text again at 0; from then on a lower one is Fenced."""
    await b.begin()
    await b.append(0, "abc")
    gap = await b.refused(Gap, b.append(3, "d", attempt=1), "a new attempt that starts at 3")
    b.same(gap.end, 0, "the end that the Gap says")
    b.same(await b.append(0, "anew", attempt=3), 4, "the end of a new attempt")
    await b.refused(Fenced, b.append(4, "x", attempt=2), "attempt 2 after 3")
    await b.refused(Fenced, b.finalize("abc", attempt=0), "finalize of attempt 0 after 3")
    b.same(await b.text(), "anew", "the text afterwards")
    found = await b.stream()
    b.same(found and found["attempt"], 3, "the attempt of the stream")


@PROMISES.add("streams:append", "streams:finalize", "streams:get", "memories:list")
async def lengths_are_code_points(b: Bench) -> None:
    """Lengths and offsets are code points: not bytes, not UTF-16 units, not grapheme clusters."""
    await b.begin()
    size = len(WIDE)
    b.same(await b.append(0, WIDE), size, f"the end after {size} code points")
    found = await b.stream()
    b.same(found and found["length"], size, "the length of the stream")
    gap = await b.refused(Gap, b.append(size + 1, "x"), "a write one code point beyond the end")
    b.same(gap.end, size, "the end that the Gap says")
    b.same(await b.append(size - 3, WIDE[-3:] + "😀!"), size + 2, "the end of a write that overlaps by 3 code points")
    result = await b.finalize("", start=size + 2)
    b.same(result["contentLength"], size + 2, "contentLength of the result")
    b.same([row["contentLength"] for row in await b.rows()], [size + 2, 4], "contentLength of the memories")


@PROMISES.add("streams:begin", "streams:append", "memories:list", "conversations:get")
async def text_stays_as_it_was(b: Bench) -> None:
    """A text comes back exactly as it was: no normalising, no trimming, no cut at a NUL."""
    text = f"  a\0b\0{WIDE}\u200b\ufffe\n\n"
    await b.begin(question=text, metadata={"k\0": text}, tags=[text])
    for at in range(0, len(text), 3):
        await b.append(at, text[at : at + 3])
    await b.finalize("", start=len(text))
    b.same([row["content"] for row in await b.rows()], [text, text], "the memories")
    b.same([message["content"] for message in await b.messages()], [text, text], "the messages")
    row = (await b.rows())[1]
    b.same((row["metadata"], row["tags"]), ({"k\0": text}, [text]), "metadata and tags")


@PROMISES.add("streams:append", "streams:finalize", "memories:get", "memories:list", "conversations:get")
async def a_long_text_is_whole(b: Bench) -> None:
    """A long answer in many pieces is stored whole; lists give its first 65,536 code points, and its true length."""
    piece = "京都 is a city. 😀 " * 100
    await b.begin()
    end = 0
    for _ in range(60):
        end = await b.append(end, piece)
    text = piece * 60
    b.same(end, len(text), "the end")
    b.same(await b.text() == text, True, "whether the partial text is whole")
    result = await b.finalize("", start=end)
    (row, _) = await b.rows()
    whole = await b.memory(row["memoryId"], includePartial=False)
    b.same(whole is not None and whole["content"] == text, True, "whether memories:get gives all of it")
    b.same(row["content"] == text[:65_536], True, "whether the list gives the first 65,536 code points")
    b.same(result["memories"][1]["content"] == text[:65_536], True, "whether the result gives as many")
    b.same((row["contentLength"], result["contentLength"]), (len(text), len(text)), "contentLength")
    b.same((await b.messages())[1]["content"] == text, True, "whether the message is whole")


@PROMISES.add("memories:get", "memories:list", "memories:search", "memories:count")
async def a_partial_is_hidden(b: Bench) -> None:
    """A partial memory shows only if it is requested."""
    begun = await b.begin()
    await b.append(0, "zebra")
    b.same(await b.ask("memories:count", includePartial=True), 1, "the count")
    b.same(await b.ask("memories:count"), 0, "the count without includePartial")
    b.same(await b.rows(), [], "the list")
    b.same(await b.found("zebra"), [], "the search")
    b.same(await b.memory(begun["memoryId"], includePartial=False), None, "memories:get")
    b.same([row["content"] for row in await b.rows(includePartial=True)], ["zebra"], "the list with includePartial")
    b.same(await b.found("zebra", includePartial=True), ["zebra"], "the search with includePartial")
    await b.finalize("", start=5)
    b.same(await b.ask("memories:count"), 2, "the count after finalize")
    b.same(await b.ask("memories:count", includePartial=True), 2, "the count with includePartial after finalize")


@PROMISES.add("streams:begin", "streams:append", "streams:finalize")
async def writes_at_once_do_not_disturb_each_other(b: Bench) -> None:
    """Concurrent writes, of several streams or of one, have the same result as writes in sequence."""
    streams = ["st", "st2", "st3"]
    await asyncio.gather(*(b.begin(stream, f"{stream}?") for stream in streams))
    for at in range(5):
        both = (b.append(at, str(number), stream) for number, stream in enumerate(streams) for _ in range(2))
        b.same(await asyncio.gather(*both), [at + 1] * 6, "the ends of writes that were sent twice at once")
    results = await asyncio.gather(*(b.finalize("", stream, start=5) for stream in streams for _ in range(3)))
    b.same(
        sorted(result["stored"] for result in results), ["before"] * 6 + ["now"] * 3, "what finalize says was stored"
    )
    said = [message["content"] for message in await b.messages()]
    pairs = sorted(zip(said[::2], said[1::2], strict=False))
    b.same(pairs, [("st2?", "11111"), ("st3?", "22222"), ("st?", "00000")], "questions with their answers")
    b.same(len(await b.rows(includePartial=True)), 6, "the number of memories")


@PROMISES.add("streams:get", "streams:append", "streams:finalize", "streams:close")
async def what_is_not_there_is_not_found(b: Bench) -> None:
    """For a stream that does not exist, get gives None, and a write is StreamNotFound."""
    b.same(await b.stream("unknown"), None, "streams:get")
    await b.refused(StreamNotFound, b.append(0, "x", "unknown"), "append")
    await b.refused(StreamNotFound, b.finalize("x", "unknown"), "finalize")
    await b.refused(StreamNotFound, b.end(stream="unknown"), "close")


@PROMISES.add("streams:append", "streams:begin", "memories:list")
async def wrong_arguments_are_refused(b: Bench) -> None:
    """A missing, unknown or wrong argument is an InvalidArgument that names it, and nothing is stored."""
    await b.begin()
    await b.append(0, "abc")
    before = await b.everything()
    good = {"streamId": "st", "epoch": 1, "attempt": 0, "start": 3, "text": "x"}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("text", {**good, "text": None}), ("text", {**good, "text": 7}), ("text", {**good, "text": "a\ud800"}),
        ("start", {**good, "start": -1}), ("start", {**good, "start": 1.5}), ("start", {**good, "start": "3"}),
        ("epoch", {**good, "epoch": True}), ("attempt", {**good, "attempt": float("nan")}),
        ("surprise", {**good, "surprise": 1}), ("streamId", {**good, "streamId": ""}),
        ("memorySpaceId", {**good, "memorySpaceId": None}),
    ]  # fmt: skip
    wrong += [(name, {key: value for key, value in good.items() if key != name}) for name in good]
    for field, args in wrong:
        shown = ascii(args.get(field, "left out"))
        error = await b.refused(InvalidArgument, b.do("streams:append", **args), f"append with {field}: {shown}")
        b.same(error.field, field, f"the field that the error names, for {field}: {shown}")
    question: dict[str, Any] = {
        "streamId": "st2",
        "conversationId": "c",
        "userMessage": "why?",
        "importance": 50,
        "tags": [],
    }
    for field, value in (
        ("importance", 101),
        ("importance", float("inf")),
        ("tags", "t"),
        ("tags", [1]),
        ("userId", None),
    ):
        call = b.do("streams:begin", **{**question, field: value})
        error = await b.refused(InvalidArgument, call, f"begin with {field}: {value!r}")
        b.same(str(error.field).startswith(field), True, f"whether the error names {field}")
    await b.refused(InvalidArgument, b.ask("memories:list", limit=-1), "list with limit: -1")
    await b.refused(InvalidArgument, b.backend.query("memories:list", {}), "list without a memory space")
    b.same(await b.everything(), before, "what is stored afterwards")


@PROMISES.add()
async def calls_are_accepted_and_refused(b: Bench) -> None:
    """Every function accepts and refuses the calls of `calls.json`; a refused one names the field, and nothing is
    stored."""
    await b.begin("x")  # the stream that they are about
    await b.append(0, "abc", "x")
    before = await b.everything()
    graph = await b.ask("graphSync:getSettings")
    accepted: list[Sample] = []
    for one in samples():
        if one.field is None:
            accepted.append(one)
            continue
        what = f"{one.path} with {one.field}: {ascii(one.args.get(one.field, 'left out'))[:80]}"
        error = await b.refused(InvalidArgument, b.play(one), what)
        b.same(one.names(error.field), True, f"{what}: whether the error names it, rather than {error.field}")
    b.same(await b.everything(), before, "what is stored after the calls that are refused")
    for one in accepted:
        try:
            made = await b.play(one)
            if one.path == "memories:store" and "embedding" in made:  # or the store would be of the model of a sample
                where = {"memorySpaceId": made["memorySpaceId"], "memoryId": made["memoryId"]}
                await b.do("memories:deleteMemory", **where)
            if one.path == "conversations:deleteMany":
                await b.begin("x")
        except InvalidArgument as error:  # only the store knows its cursors
            b.same(error.field, "cursor", f"{one.path} with {ascii(one.args)[:80]}: what it refuses")
        except StoreError as error:  # there may be no such memory, stream or token
            b.same(
                type(error).__name__ in FUNCTIONS[one.path].errors,
                True,
                f"{one.path} gave {error.code}: whether it may",
            )
    await b.do("graphSync:keep", **graph)


@PROMISES.add()
async def an_unknown_function_is_named(b: Bench) -> None:
    """A function that does not exist is an UnknownFunction; so is a mutation called as a query, or the reverse."""
    await b.refused(UnknownFunction, b.ask("memories:nothing"), "a query that is not there")
    await b.refused(UnknownFunction, b.do("memories:nothing"), "a mutation that is not there")
    await b.refused(UnknownFunction, b.do("memories:list"), "a query called as a mutation")
    await b.refused(UnknownFunction, b.ask("streams:begin"), "a mutation called as a query")


@PROMISES.add(
    "memories:list", "memories:search", "memories:count", "conversations:get", "conversations:list",
    "conversations:count", "streams:begin", "streams:finalize", "streams:get",
)  # fmt: skip
async def results_are_plain(b: Bench) -> None:
    """Results are what Convex carries: dictionaries, lists, strings, numbers, booleans; a key without a value is left
    out."""
    await b.exchange("why?", "because zebra", metadata={"k": None}, userName="Ada")
    await b.begin("st2", "and?")
    queries = ("memories:list", "conversations:list", "memories:count", "conversations:count")
    results = [await b.ask(path) for path in queries]
    results += [await b.ask("memories:search", query="zebra"), await b.stream("st2"), await b.begin("st3", "x")]
    results += [await b.ask("conversations:get", conversationId="c"), await b.finalize("y", "st3")]
    for result in results:
        if odd := _odd(result, ""):
            raise Mismatch(f"in a result, {odd}")


def _odd(value: object, where: str) -> str | None:
    """What is not plain in a result; metadata is the caller's, and may hold None."""
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value)
        for key, item in pairs.items():
            if not isinstance(key, str):
                return f"{where}: a key that is no string"
            if item is None and not where.endswith("metadata"):
                return f"{where}.{key} is None; it should be left out"
            if item is not None and (odd := _odd(item, f"{where}.{key}")):
                return odd
        return None
    if isinstance(value, list):
        items = cast("list[object]", value)
        return next((odd for item in items if (odd := _odd(item, f"{where}[]"))), None)
    return None if type(value) in (str, int, float, bool) else f"{where} is of type {type(value).__name__}"


@PROMISES.add("streams:get", "streams:append")
async def a_closed_backend_says_so(b: Bench) -> None:
    """A backend that was closed refuses every call with StoreClosed; closing it again does nothing."""
    await b.begin()
    await b.backend.close()
    await b.backend.close()
    await b.refused(StoreClosed, b.stream(), "a query")
    await b.refused(StoreClosed, b.append(0, "x"), "a mutation")
