"""memories: updates, versions, the archive, many at once."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from cortex_rx.errors import InvalidArgument, MemoryNotArchived, MemoryNotFound, VersionConflict
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()

_BARE: dict[str, Any] = {"contentType": "raw", "sourceType": "system", "importance": 40, "tags": ["a"]}


async def _stored(b: Bench, content: str, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = await b.do("memories:store", content=content, **{**_BARE, **more})
    return row


@PROMISES.add(
    "memories:update", "memories:store", "memories:get", "memories:search", "memories:getVersion", "memories:getHistory"
)
async def an_update_keeps_what_was(b: Bench) -> None:
    """An update changes what it names, the new words are found and the old ones not, and each version stays."""
    first = await _stored(b, "zebra in the garden", memoryId="m", embedding=[1.0, 2.0], metadata={"k": 1})
    await b.passes(2)
    second = await b.do("memories:update", memoryId="m", content="giraffe in the park", embedding=[2.0, 1.0])
    want = {**first, "content": "giraffe in the park", "contentLength": 19, "embedding": [2.0, 1.0], "version": 2}
    b.same({**second, "updatedAt": first["updatedAt"]}, want, "the memory after a new content")
    b.same(second["updatedAt"] > first["updatedAt"], True, "whether updatedAt rises")
    b.same((await b.found("zebra"), await b.found("giraffe")), ([], ["giraffe in the park"]), "what is found")
    await b.passes(2)
    third = await b.do("memories:update", memoryId="m", importance=90.5, tags=["b", "b"], metadata={"n": [None]})
    want = {**second, "importance": 90.5, "tags": ["b", "b"], "metadata": {"n": [None]}, "version": 3}
    b.same({**third, "updatedAt": second["updatedAt"]}, want, "the memory after other changes")
    b.same(await b.memory("m"), third, "memories:get")
    history = await b.ask("memories:getHistory", memoryId="m")
    names = ("content", "contentLength", "embedding", "importance", "tags", "metadata", "version")
    b.same([{name: one[name] for name in names} for one in history],
        [{name: row[name] for name in names} for row in (first, second, third)], "the versions")  # fmt: skip
    began = [first["createdAt"], second["updatedAt"], third["updatedAt"]]
    b.same([one["timestamp"] for one in history], began, "when they began")
    for version, one in enumerate(history, 1):
        b.same(await b.ask("memories:getVersion", memoryId="m", version=version), one, f"version {version}")
    for version in (0, 4):
        b.same(await b.ask("memories:getVersion", memoryId="m", version=version), None, f"version {version}")
    fourth = await b.do("memories:update", memoryId="m", content="no vector")
    b.same(fourth.get("embedding"), None, "the embedding of a content that came without one")
    cleared = await b.do("memories:update", memoryId="m", content="")
    b.same((cleared["content"], cleared["version"]), ("", 5), "an empty content")


@PROMISES.add("memories:update", "memories:getHistory", "memories:store")
async def a_stale_update_is_refused(b: Bench) -> None:
    """An update for another version is refused and changes nothing; one that changes nothing makes no version."""
    first = await _stored(b, "one", memoryId="m")
    change = {"memoryId": "m", "content": "two", "expectedVersion": 1}
    second = await b.do("memories:update", **change, operationId="op")
    b.same(await b.do("memories:update", **change, operationId="op"), second, "the same update again")
    for more in ({}, {"operationId": "another"}):
        call = b.do("memories:update", **change, **more)
        await b.refused(VersionConflict, call, "another update to the same content, for a version that is gone")
    same = await b.do("memories:update", memoryId="m", content="two", tags=["a"], importance=40, expectedVersion=2)
    b.same(same, second, "an update that changes nothing")
    stale = b.do("memories:update", memoryId="m", content="three", expectedVersion=1)
    error = await b.refused(VersionConflict, stale, "an update for version 1 of version 2")
    b.same((error.expected, error.stored), (1, 2), "what the error says")
    b.same(await b.memory("m"), second, "the memory after the refusal")
    b.same(len(await b.ask("memories:getHistory", memoryId="m")), 2, "the number of versions")
    b.same(await b.do("memories:store", memoryId="m", content="one", **_BARE), second, "storing the first again")
    for memory, where in (("unknown", {}), ("m", {"memorySpaceId": b.other})):
        call = b.do("memories:update", memoryId=memory, content="x", **where)
        await b.refused(MemoryNotFound, call, "an update of a memory that is not in the space")
    b.same(await b.ask("memories:getHistory", memoryId="m", memorySpaceId=b.other), [], "the history in another space")
    b.same(first["memoryId"], "m", "the id")


@PROMISES.add("memories:getAtTimestamp", "memories:update", "memories:archive")
async def at_a_time_a_memory_has_its_version(b: Bench) -> None:
    """At a time the memory is what it was then: from when a version began until the next; None before the first."""
    rows = [await _stored(b, "one", memoryId="m")]
    for content in ("two", "three"):
        await b.passes(3)
        rows.append(await b.do("memories:update", memoryId="m", content=content))
    await b.passes(3)
    await b.do("memories:archive", memoryId="m")
    began = [rows[0]["createdAt"], *(row["updatedAt"] for row in rows[1:])]
    for number, content in enumerate(("one", "two", "three")):
        until = began[number + 1] - 1 if number < 2 else began[number] + 10**6
        for time in (began[number], until):
            found = await b.ask("memories:getAtTimestamp", memoryId="m", timestamp=time)
            b.same((found["version"], found["content"]), (number + 1, content), f"the version at {time}")
    before = await b.ask("memories:getAtTimestamp", memoryId="m", timestamp=began[0] - 1)
    b.same(before, None, "before it was made")
    theirs = await b.ask("memories:getAtTimestamp", memoryId="m", timestamp=began[2], memorySpaceId=b.other)
    b.same(theirs, None, "in another space")


@PROMISES.add("memories:update", "streams:finalize", "streams:begin", "conversations:get")
async def a_changed_memory_of_an_exchange_leaves_the_message(b: Bench) -> None:
    """A message stays as it was said; a changed answer has no chunks any more, and its stream does not replace it."""
    begun = await b.begin("st", "zebra?")
    await b.finalize("giraffe", chunks=[{"start": 0, "end": 4}, {"start": 4, "end": 7}], reason="incomplete")
    question, answer = begun["memoryIds"]
    chunk = (await b.memory(answer) or {})["chunkIds"][0]
    await b.refused(InvalidArgument, b.do("memories:update", memoryId=chunk, tags=[]), "an update of a chunk")
    tagged = await b.do("memories:update", memoryId=answer, tags=["kept"])
    b.same(tagged["chunkCount"], 2, "the chunks after other tags")
    await b.do("memories:update", memoryId=answer, content="elephant")
    await b.do("memories:update", memoryId=question, content="okapi?")
    b.same([m["content"] for m in await b.messages()], ["zebra?", "giraffe"], "the messages")
    b.same([row["content"] for row in await b.rows(includeChunks=True)], ["elephant", "okapi?"], "the memories")
    b.same(await b.memory(chunk), None, "a chunk of the former answer")
    b.same([await b.found(word) for word in ("zebra", "gira", "elephant")], [[], [], ["elephant"]], "what is found")
    first = await b.ask("memories:getVersion", memoryId=answer, version=1)
    b.same(first["content"], "giraffe", "the first version")
    again = await b.begin("st", "zebra?", completes=True)
    b.same(again["state"], "finished", "the stream, which does not go on")
    await b.begin("st2", "why?", conversationId="d")
    kept = (await b.end(stream="st2"))["memories"][0]["memoryId"]
    await b.do("memories:update", memoryId=kept, content="how?")
    begun = await b.begin("st2", "why?", conversationId="d")
    await b.finalize("so", "st2", epoch=begun["epoch"], attempt=begun["attempt"])
    b.same([row["content"] for row in await b.rows(conversationId="d")], ["so", "how?"], "the memories of the second")
    b.same([m["content"] for m in await b.messages("d")], ["why?", "so"], "its messages")


@PROMISES.add("memories:update", "memories:getHistory", "memories:deleteMemory", "memories:forget", "conversations:get")
async def a_deleted_memory_takes_its_versions(b: Bench) -> None:
    """With a memory go its versions; a message whose text they have stays."""
    _, answer = (await b.exchange("zebra?", "giraffe"))["memories"]
    await b.do("memories:update", memoryId=answer["memoryId"], content="elephant")
    await _stored(b, "alone", memoryId="m")
    await b.do("memories:update", memoryId="m", content="not alone")
    await b.do("memories:deleteMemory", memoryId=answer["memoryId"])
    await b.do("memories:forget", memoryId="m")
    for memory in (answer["memoryId"], "m"):
        b.same(await b.ask("memories:getHistory", memoryId=memory), [], "the versions of a deleted memory")
    b.same([m["content"] for m in await b.messages()], ["zebra?", "giraffe"], "the messages")
    await _stored(b, "anew", memoryId="m")
    b.same(len(await b.ask("memories:getHistory", memoryId="m")), 1, "the versions of one that is stored anew")


@PROMISES.add("memories:update", "facts:store", "facts:list")
async def a_new_content_retracts_what_the_old_one_said(b: Bench) -> None:
    """An update retracts the facts that come from the memory alone if it is asked to, and no others."""
    for memory in ("m", "other"):
        await _stored(b, memory, memoryId=memory)
    said: dict[str, Any] = {"factType": "knowledge", "confidence": 60, "tags": [], "sourceType": "manual"}
    for fact, memory in (("alone", "m"), ("both", "m"), ("both", "other")):
        named = {"fact": fact, "subject": fact, "predicate": "is", "object": "so", "sourceRef": {"memoryId": memory}}
        await b.do("facts:store", **said, **named)

    async def facts() -> list[str]:
        return [row["fact"] for row in await b.ask("facts:list")]

    for args in ({"content": "m"}, {"content": "new"}):
        await b.do("memories:update", memoryId="m", **args)
        b.same(await facts(), ["alone", "both"], f"the facts after {args}")
    await b.do("memories:update", memoryId="m", content="newer", retractFacts=True)
    b.same(await facts(), ["both"], "the facts after an update that retracts them")
    left = [len(row["sources"]) for row in await b.ask("facts:list")]
    b.same(left, [1], "the sources of the fact that another memory says, too")


@PROMISES.add(
    *("memories:archive", "memories:restoreFromArchive", "memories:get", "memories:list", "memories:page"),
    *("memories:count", "memories:search", "memories:around", "memories:exportMemories"),
)
async def an_archived_memory_is_out_of_sight(b: Bench) -> None:
    """An archived memory shows only where it is asked for, and comes back as it was."""
    for number, content in enumerate(("zebra one", "zebra two", "zebra three")):
        ref = {"conversationRef": {"conversationId": "c", "messageIds": []}}
        await _stored(b, content, memoryId=f"m{number}", userId="ada", embedding=[1.0, 1.0], **ref)
    before = await b.memory("m1")
    await b.passes(2)
    done = {"archived": True, "memoryId": "m1", "restorable": True}
    b.same(await b.do("memories:archive", memoryId="m1"), done, "the result")
    archived = await b.memory("m1") or {}
    kept = {**(before or {}), "isArchived": True, "updatedAt": archived["updatedAt"]}
    b.same(archived, kept, "memories:get")
    b.same(await b.do("memories:archive", memoryId="m1"), done, "archiving it again")
    b.same(await b.memory("m1"), archived, "memories:get after that")

    async def seen(**more: Any) -> list[Any]:
        page = await b.ask("memories:page", **more)
        near = {"query": "zebra", "embedding": [1.0, 1.0], "strategy": "semantic"}
        around = await b.ask("memories:around", memoryIds=["m2"], turns=5, **more)
        export = await b.ask("memories:exportMemories", format="json", **more)
        return [
            sorted(row["memoryId"] for row in await b.rows(**more)),
            sorted(row["memoryId"] for row in await b.rows(userId="ada", **more)),
            sorted(row["memoryId"] for row in await b.rows(conversationId="c", **more)),
            sorted(row["memoryId"] for row in page["page"]),
            ["m0", "m1", "m2"][: await b.ask("memories:count", **more)],
            sorted(row["memoryId"] for row in await b.ask("memories:search", query="zebra", **more)),
            sorted(row["memoryId"] for row in await b.ask("memories:search", **near, **more)),
            [*sorted(row["memoryId"] for row in around[0]["before"]), "m2"],
            sorted(row["memoryId"] for row in json.loads(export["data"])),
        ]

    all_of_them = ["m0", "m1", "m2"]
    others = ["m0", "m2"]
    b.same(await seen(), [others if number != 4 else ["m0", "m1"] for number in range(9)], "what shows")
    b.same(await seen(includeArchived=True), [all_of_them] * 9, "what shows if it is asked for")
    b.same(await b.ask("memories:around", memoryIds=["m1"]), [], "around the archived one")
    back = await b.do("memories:restoreFromArchive", memoryId="m1")
    restored = await b.memory("m1") or {}
    b.same(back, {"restored": True, "memoryId": "m1", "memory": restored}, "the result of restoring it")
    b.same({**restored, "updatedAt": 0}, {**(before or {}), "updatedAt": 0}, "the memory as it was")
    b.same(await seen(), [all_of_them] * 9, "what shows again")
    call = b.do("memories:restoreFromArchive", memoryId="m1")
    await b.refused(MemoryNotArchived, call, "restoring one that is not archived")
    for path in ("memories:archive", "memories:restoreFromArchive"):
        for memory, where in (("unknown", {}), ("m1", {"memorySpaceId": b.other})):
            call = b.do(path, memoryId=memory, **where)
            await b.refused(MemoryNotFound, call, f"{path} of a memory that is not in the space")


_FILTERS: tuple[tuple[dict[str, Any], tuple[int, ...]], ...] = (
    ({"userId": "ada"}, (0, 2)),
    ({"participantId": "p"}, (1,)),
    ({"sourceType": "tool"}, (2,)),
    ({"contentType": "fact"}, (3,)),
    ({"conversationId": "c"}, (1, 2)),
    ({"withTags": ["b", "x"]}, (0, 3)),
    ({"minImportance": 60, "maxImportance": 70}, (1, 2)),
    ({"userId": "ada", "minImportance": 60}, (2,)),
    ({"createdBefore": 0}, ()),
    ({"createdAfter": 0}, (0, 1, 2, 3)),
    ({"userId": "nobody"}, ()),
)


async def _four(b: Bench, run: str) -> list[str]:
    """Four memories, of which each filter finds some."""
    ref = {"conversationRef": {"conversationId": "c", "messageIds": []}}
    for number, given in enumerate((
        {"userId": "ada", "importance": 50, "tags": ["b", "c"]}, {"participantId": "p", "importance": 60, **ref},
        {"userId": "ada", "sourceType": "tool", "importance": 70, **ref},
        {"contentType": "fact", "importance": 80, "tags": ["x"]},
    )):  # fmt: skip
        await _stored(b, f"memory {number}", memoryId=f"{run}-{number}", **given)
    await _stored(b, "theirs", memorySpaceId=b.other, memoryId=f"{run}-0", userId="ada", sourceType="tool", **ref)
    await b.begin(f"{run}-open", "not yet")
    return [f"{run}-{number}" for number in range(4)]


@PROMISES.add("memories:updateMany", "memories:store")
async def many_are_changed_by_filters(b: Bench) -> None:
    """updateMany changes those that pass its filters, each with a version, and no other."""
    for run, (args, numbers) in enumerate(_FILTERS):
        ids = await _four(b, f"r{run}")
        before = {memory: await b.memory(memory) or {} for memory in ids}
        changed = await b.do("memories:updateMany", **args, importance=65, tags=["n"], metadata={"run": run})
        want = [ids[number] for number in numbers]
        b.same(changed, {"updated": len(want), "memoryIds": want}, f"the result with {args}")
        for memory in ids:
            new = {"importance": 65, "tags": ["n"], "metadata": {"run": run}, "version": 2} if memory in want else {}
            row = await b.memory(memory) or {}
            b.same({**row, "updatedAt": 0}, {**before[memory], "updatedAt": 0, **new}, f"{memory} with {args}")
        theirs = await b.memory(f"r{run}-0", memorySpaceId=b.other) or {}
        b.same((theirs["importance"], theirs["version"]), (40, 1), "the memory of another space")
        for memory in ids:
            await b.do("memories:deleteMemory", memoryId=memory)
        await b.do("streams:rollback", streamId=f"r{run}-open", epoch=1)


@PROMISES.add("memories:deleteMany", "memories:list", "memories:store", "facts:store", "facts:list")
async def many_are_deleted_by_filters(b: Bench) -> None:
    """deleteMany deletes those that pass its filters and no other, with the facts of these alone, or without."""
    said: dict[str, Any] = {"factType": "knowledge", "confidence": 60, "tags": [], "sourceType": "manual"}
    for run, (args, numbers) in enumerate(_FILTERS):
        ids = await _four(b, f"r{run}")
        keeps = run % 3 == 0
        for memory in ids:
            fact = {"fact": f"{memory} is so", "subject": memory, "predicate": "is", "object": "so", "factId": memory}
            await b.do("facts:store", **said, **fact, sourceRef={"memoryId": memory})
        gone = [ids[number] for number in numbers]
        deleted = await b.do("memories:deleteMany", **args, **({"cascadeDeleteFacts": False} if keeps else {}))
        facts = [] if keeps else gone
        want = {"deleted": len(gone), "memoryIds": gone, "factsDeleted": len(facts), "factIds": facts}
        b.same(deleted, want, f"the result with {args}")
        left = [memory for memory in ids if memory not in gone]
        b.same([row["memoryId"] for row in await b.rows()], left[::-1], f"what is left with {args}")
        there = {row["factId"] for row in await b.ask("facts:list")}
        b.same(there, set(ids if keeps else left), f"the facts with {args}")
        theirs = await b.memory(f"r{run}-0", memorySpaceId=b.other)
        b.same(theirs is not None, True, "whether the memory of another space is there")
        for memory in left:
            await b.do("memories:deleteMemory", memoryId=memory)
        for row in await b.ask("facts:list"):
            await b.do("facts:deleteFact", factId=row["factId"])
        await b.do("streams:rollback", streamId=f"r{run}-open", epoch=1)


@PROMISES.add("memories:exportMemories", "memories:store", "facts:store")
async def memories_are_exported(b: Bench) -> None:
    """An export has each memory with its whole content, in the order in which they were made, as JSON or CSV."""
    long = 'a "quoted", long\ntext ' * 4_000
    ref = {"conversationRef": {"conversationId": "c", "messageIds": []}}
    await _stored(b, long, memoryId="m", userId="ada", embedding=[0.5, 1.0], metadata={"k": [1]}, **ref)
    await _stored(b, "=1+1", memoryId="n")
    await _stored(b, "theirs", memorySpaceId=b.other)
    fact = {"fact": "m is so", "factType": "knowledge", "confidence": 60, "tags": [], "sourceType": "manual"}
    await b.do("facts:store", **fact, sourceRef={"memoryId": "m"})
    found = await b.ask("memories:exportMemories", format="json")
    rows = json.loads(found["data"])
    b.same((found["format"], found["count"]), ("json", 2), "what the export says")
    b.same([(row["memoryId"], row["content"]) for row in rows], [("m", long), ("n", "=1+1")], "the contents")
    known = {"userId": "ada", "conversationId": "c", "importance": 40, "tags": ["a"], "metadata": {"k": [1]}}
    b.same({name: rows[0].get(name) for name in known}, known, "the rest of a memory")
    b.same("embedding" in rows[0] or "facts" in rows[0], False, "whether it has what was not asked for")
    more = await b.ask("memories:exportMemories", format="json", includeEmbeddings=True, includeFacts=True)
    rows = json.loads(more["data"])
    b.same(rows[0]["embedding"], [0.5, 1.0], "the embedding")
    b.same([[one["fact"] for one in row["facts"]] for row in rows], [["m is so"], []], "the facts")
    of_ada = await b.ask("memories:exportMemories", format="json", userId="ada")
    b.same([row["memoryId"] for row in json.loads(of_ada["data"])], ["m"], "those of a user")
    table = await b.ask("memories:exportMemories", format="csv")
    cells = list(csv.DictReader(io.StringIO(table["data"], newline="")))
    b.same([(row["memoryId"], row["content"]) for row in cells], [("m", long), ("n", "'=1+1")], "the table")
    b.same(json.loads(cells[0]["tags"]), ["a"], "a list in the table")
