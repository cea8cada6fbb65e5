"""graphSync: the setting that a graph is kept, and the outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cortex_rx.errors import Fenced, MemoryNotFound
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _rows(b: Bench, after: int = 0) -> dict[tuple[str, str], int]:
    """The revisions of the memory space's rows, by table and id, oldest first."""
    found: list[Row] = await b.ask("graphSync:getUnsyncedItems", limit=100_000, after=after)
    revisions = [row["revision"] for row in found]
    b.same(revisions, sorted(set(revisions)), "the order of the rows")
    mine = [row for row in found if row.get("memorySpaceId") == b.space]
    return {(row["table"], row["entityId"]): row["revision"] for row in mine}


async def _store(b: Bench, content: str, **more: object) -> str:
    """The id of a memory that is stored alone."""
    args = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": [], **more}
    stored: str = (await b.do("memories:store", content=content, **args))["memoryId"]
    return stored


@asynccontextmanager
async def _graph(b: Bench) -> AsyncIterator[None]:
    """While a graph is kept."""
    kept = (await b.ask("graphSync:getSettings"))["enabled"]
    await b.do("graphSync:keep", enabled=True)
    try:
        yield
    finally:
        await b.do("graphSync:keep", enabled=kept)


async def _due(b: Bench, after: int = 0) -> list[Row]:
    """All rows that are due, with their records."""
    found: list[Row] = []
    while some := await b.ask("graphSync:getBatch", after=after):
        after = some[-1]["revision"]
        found += some
    return found


async def _batch(b: Bench, after: int = 0) -> list[Row]:
    """The rows that are due and of this test, with their records."""
    return [row for row in await _due(b, after) if _is_mine(b, row)]


def _is_mine(b: Bench, row: Row) -> bool:
    within = row.get("memorySpaceId"), row.get("entityType"), row.get("namespace")
    return b.space in within or row["entityId"].startswith(b.space)


def _key(row: Row) -> Row:
    """The record that a row is about."""
    return {name: value for name, value in row.items() if name not in ("revision", "attempts", "record")}


def _seen(row: Row) -> Row:
    """The record, and the revision that was read."""
    return {**_key(row), "revision": row["revision"]}


async def _drain(b: Bench) -> None:
    """Take all rows of this test away."""
    rows = await _batch(b)
    await b.do("graphSync:lease", holder=f"{b.space} drains", seconds=60)
    await b.do("graphSync:markSynced", items=[_seen(row) for row in rows], holder=f"{b.space} drains")
    await b.do("graphSync:release", holder=f"{b.space} drains")


@PROMISES.add("graphSync:keep", "graphSync:getSettings", "graphSync:getUnsyncedItems")
async def a_graph_is_told_of_each_change(b: Bench) -> None:
    """While a graph is kept, each record that changes gets a row with the highest revision so far, also when it is
    deleted; a refused call queues nothing. What was there when it was turned on has a row too."""
    kept = (await b.ask("graphSync:getSettings"))["enabled"]
    await b.do("graphSync:keep", enabled=False)
    try:
        before = await _store(b, "before")
        for _ in range(2):  # the second time nothing changes
            b.same(await b.do("graphSync:keep", enabled=True), {"enabled": True}, "the setting")
        b.same(await b.ask("graphSync:getSettings"), {"enabled": True}, "the setting that is kept")
        first = await _rows(b)
        b.same(list(first), [("memories", before)], "the rows of what was there")
        after = await _store(b, "after")
        exchange = await b.exchange("why?", "because")
        fact = await b.do(
            "facts:store", fact="Tea is hot.", factType="knowledge", confidence=1, sourceType="manual", tags=[]
        )
        second = await _rows(b)
        want = {("memories", before), ("memories", after), ("conversations", "c"), ("facts", fact["factId"])}
        want |= {("memories", memory["memoryId"]) for memory in exchange["memories"]}
        b.same(set(second), want, "the rows")
        last = max(second.values())
        b.same(await _rows(b, last), {}, "the rows after the last")
        await b.refused(MemoryNotFound, b.do("memories:deleteMemory", memoryId="nowhere"), "deleting what is not there")
        b.same(await _rows(b), second, "the rows after a refused call")
        await b.do("memories:deleteMemory", memoryId=before)
        third = await _rows(b, last)
        b.same(list(third), [("memories", before)], "the row of what was deleted")
        b.same(len(await _rows(b)), len(want), "how many rows the records have")
    finally:
        await b.do("graphSync:keep", enabled=kept)


@PROMISES.add("graphSync:keep", "graphSync:getSyncStats")
async def without_a_graph_nothing_is_queued(b: Bench) -> None:
    """Without a graph the outbox is empty, and stays so; the revisions go on where they were."""
    kept = (await b.ask("graphSync:getSettings"))["enabled"]
    await b.do("graphSync:keep", enabled=True)
    try:
        await _store(b, "with a graph")
        one = await b.ask("graphSync:getSyncStats")
        b.same(one["unsynced"], sum(one["byTable"].values()), "the rows in all")
        b.same(one["byTable"].get("memories", 0) > 0, True, "whether memories are counted")
        b.same(max((await _rows(b)).values()), one["revision"], "the highest revision")
        b.same(await b.do("graphSync:keep", enabled=False), {"enabled": False}, "the setting")
        await _store(b, "without a graph")
        b.same(await b.ask("graphSync:getUnsyncedItems"), [], "the rows")
        none = {"unsynced": 0, "byTable": {}, "waiting": 0, "failed": 0, "revision": one["revision"]}
        b.same(await b.ask("graphSync:getSyncStats"), none, "what is in the outbox")
        await b.do("graphSync:keep", enabled=True)
        rows = await _rows(b)
        b.same(len(rows), 2, "how many rows there are when it is turned on again")
        b.same(min(rows.values()) > one["revision"], True, "whether the revisions go on")
    finally:
        await b.do("graphSync:keep", enabled=kept)


# --- what a drainer is given ------------------------------------------------------------------------------------------


_NOT_TOLD = {
    "memories": {"sourceUserName", "embedding", "accessCount", "metadata", "chunkIds", "chunkMetadata"},
    "conversations": {"metadata", "messages", "pending"},
    "facts": {"metadata", "sourceRef"},
    "contexts": {"description", "childIds", "data", "previousVersions"},
    "memorySpaces": {"metadata", "registered"},
    "users": {"id", "data"},
    "agents": {"metadata", "config"},
    "immutable": {"previousVersions"},
}
"""What `get` gives of a record, and a graph is not told."""


@PROMISES.add("graphSync:getBatch", "graphSync:exists")
async def a_batch_has_the_records_as_they_are(b: Bench) -> None:
    """A batch has for each row its record as it is now, of all tables, with contents cut to 200 code points; none if it
    was deleted."""
    name = f"{b.space} x"
    long = "é" * 150 + "x" * 150
    async with _graph(b):
        memory = await _store(b, long, userId="ada", conversationRef={"conversationId": "c", "messageIds": ["m"]})
        exchange = await b.exchange("why?", "because")
        told = {"subject": "Tea", "predicate": "is", "object": "hot", "sourceRef": {"conversationId": "c"}}
        fact = await b.do(
            "facts:store", fact=long, factType="knowledge", confidence=9, sourceType="manual", tags=["t"], **told
        )
        for one in ({"contextId": "root"}, {"contextId": "leaf", "parentId": "root", "userId": "ada"}):
            await b.do("contexts:create", purpose="p", status="active", **one)
        await b.do("contexts:grantAccess", contextId="root", targetMemorySpaceId=b.other, scope="full")
        there = {"memorySpaceId": b.other}
        await b.do("contexts:create", purpose="p", status="active", contextId="far", parentId="root", **there)
        await b.do("memorySpaces:register", type="team", participants=[{"id": "p", "type": "user"}])
        await b.do("users:update", userId=name, data={"secret": 1})
        await b.do("agents:register", agentId=name, name="A", metadata={"k": 1})
        await b.do("immutable:store", type=b.space, id="i", data={"k": [1]})
        await b.do("mutable:set", namespace=b.space, key="k", value={"v": None})
        batch = await _batch(b)
        found = {(row["table"], row["entityId"]): row for row in batch}
        b.same(len(found), len(batch), "how many rows the records have")
        full = await b.memory(memory) or {}
        own = {"parentMemorySpaceId": b.space}
        want: dict[tuple[str, str], Row] = {
            ("memories", memory): {**full, "content": long[:200], "contentLength": 300},
            **{("memories", one["memoryId"]): one for one in exchange["memories"]},
            ("conversations", "c"): await b.ask("conversations:get", conversationId="c"),
            ("facts", fact["factId"]): await b.ask("facts:get", factId=fact["factId"]),
            ("contexts", "root"): await b.ask("contexts:get", contextId="root"),
            ("contexts", "leaf"): {**await b.ask("contexts:get", contextId="leaf"), **own},
            ("memorySpaces", b.space): await b.ask("memorySpaces:get"),
            ("users", name): {**await b.ask("users:get", userId=name), "userId": name},
            ("agents", name): await b.ask("agents:get", agentId=name),
            ("immutable", "i"): await b.ask("immutable:get", type=b.space, id="i"),
            ("mutable", "k"): await b.ask("mutable:get", namespace=b.space, key="k"),
        }
        b.same(set(found), set(want), "the records that have rows")
        for key, row in found.items():
            told = {one: value for one, value in want[key].items() if one not in _NOT_TOLD.get(key[0], ())}
            b.same(row.get("record"), told, f"the record of {key[0]}")
        far = [row for row in await _due(b) if row.get("memorySpaceId") == b.other]
        ends = [
            {one: row["record"][one] for one in ("contextId", "parentId", "parentMemorySpaceId", "depth", "rootId")}
            for row in far
        ]
        alone = {"contextId": "far", "parentId": "root", "parentMemorySpaceId": b.space, "depth": 0, "rootId": "far"}
        b.same(ends, [alone], "the context whose parent another memory space owns")
        keys = [_key(row) for row in batch]
        b.same(await b.ask("graphSync:exists", records=keys), [True] * len(keys), "whether they are there")
        await b.do("memories:deleteMemory", memoryId=memory)
        await b.do("mutable:deleteKey", namespace=b.space, key="k")
        gone = await _batch(b, max(row["revision"] for row in batch))
        b.same([row.get("record") for row in gone], [None, None], "the records of what was deleted")
        were = [_key(found["memories", memory]), _key(found["mutable", "k"])]
        b.same([_key(row) for row in gone], were, "their rows")
        there = await b.ask("graphSync:exists", records=[_key(row) for row in gone] + keys[1:3])
        b.same(there, [False, False, True, True], "whether what was deleted is there")


@PROMISES.add("graphSync:getRecords")
async def all_records_are_read_page_by_page(b: Bench) -> None:
    """Page by page each record of a table is given once, as a batch has it, also if it has not changed, with whether it
    has a row at that moment."""
    async with _graph(b):
        stored = [await _store(b, f"memory {number}") for number in range(3)]
        await b.begin()
        await b.do("memorySpaces:register", type="team")
        await b.do("users:update", userId=f"{b.space} x", data={})
        await b.do("immutable:store", type=b.space, id="i", data={"k": [1]})
        await b.do("mutable:set", namespace=b.space, key="k", value=1)
        batch = await _batch(b)
        b.same(len(batch), 9, "how many records there are")
        want = {_text(row): (row["record"], True) for row in batch}
        tables = list(dict.fromkeys(row["table"] for row in batch))
        b.same(await _records(b, tables), want, "the records that have changed")
        await _drain(b)
        await b.do("memories:update", memoryId=stored[1], importance=7)
        await b.do("memories:deleteMemory", memoryId=stored[2])
        now = {_text(row): (row.get("record"), True) for row in await _batch(b)}
        want = {key: now.get(key, (record, False)) for key, (record, _) in want.items()}
        there = {key: one for key, one in want.items() if one[0] is not None}
        b.same(len(there), 8, "how many records are left")
        b.same(await _records(b, tables), there, "the records, some of which have changed again")


def _text(row: Row) -> str:
    """The record that a row is about, as a text."""
    named = {name: value for name, value in _key(row).items() if name not in ("position", "queued")}
    return repr(sorted(named.items()))


async def _records(b: Bench, tables: list[str]) -> dict[str, tuple[Row, bool]]:
    """All records of this test in these tables, read two at a time, and whether they are queued."""
    found: list[Row] = []
    for table in tables:
        after = 0
        while some := await b.ask("graphSync:getRecords", table=table, limit=2, after=after):
            positions = [row["position"] for row in some]
            ordered = positions == sorted({*positions}) and positions[0] > after and len(some) <= 2
            b.same(ordered, True, "whether a page goes on after the one before")
            after = positions[-1]
            found += [row for row in some if _is_mine(b, row)]
    records = {_text(row): (row["record"], row["queued"]) for row in found}
    b.same(len(records), len(found), "how often each record is given")
    return records


@PROMISES.add("graphSync:exists")
async def a_record_is_there_only_in_its_scope(b: Bench) -> None:
    """A record is there only in its memory space, type or namespace; a partial memory is there, a chunk is not."""
    await b.begin()
    partial = (await b.stream() or {})["memoryId"]
    ranges = [{"start": 0, "end": 3}, {"start": 3, "end": 6}]
    await b.begin("st2")
    whole = (await b.finalize("abcdef", "st2", chunks=ranges))["memories"][-1]["memoryId"]
    chunks = (await b.memory(whole) or {}).get("chunkIds", [])
    b.same(len(chunks), 2, "how many chunks there are")
    await b.do("immutable:store", type=b.space, id="i", data={})
    await b.do("mutable:set", namespace=b.space, key="k", value=1)
    asked: list[tuple[Row, bool]] = [
        *(({"table": "memories", "entityId": one, "memorySpaceId": b.space}, True) for one in (partial, whole)),
        *(({"table": "memories", "entityId": one, "memorySpaceId": b.other}, False) for one in (partial, whole)),
        *(({"table": "memories", "entityId": one, "memorySpaceId": b.space}, False) for one in chunks),
        ({"table": "conversations", "entityId": "c", "memorySpaceId": b.space}, True),
        ({"table": "conversations", "entityId": "c", "memorySpaceId": b.other}, False),
        ({"table": "immutable", "entityId": "i", "entityType": b.space}, True),
        ({"table": "immutable", "entityId": "i", "entityType": b.other}, False),
        ({"table": "mutable", "entityId": "k", "namespace": b.space}, True),
        ({"table": "mutable", "entityId": "k", "namespace": b.other}, False),
        *(({"table": table, "entityId": b.space}, False) for table in ("users", "agents", "memorySpaces")),
    ]
    there = await b.ask("graphSync:exists", records=[one for one, _ in asked])
    b.same(there, [yes for _, yes in asked], "what is there")


@PROMISES.add("graphSync:getBatch")
async def a_graph_sees_an_answer_grow(b: Bench) -> None:
    """A partial memory has a row for what was appended since its row was taken away, and one row however often that
    was."""
    async with _graph(b):
        await b.begin()
        memory = (await b.stream() or {})["memoryId"]
        await _drain(b)
        for length in (100, 200, 300):
            for end in range(0, 100, 50):
                await b.append(length - 100 + end, "x" * 50)
            (row,) = [one for one in await _batch(b) if one["table"] == "memories"]
            record = row["record"]
            b.same((row["entityId"], record["isPartial"]), (memory, True), "the memory that grows")
            b.same((len(record["content"]), record["contentLength"]), (min(length, 200), length), "its content")
            b.same(record["partialMetadata"]["userMessage"], "why?", "its question")
            await _drain(b)
        b.same(await _batch(b), [], "the rows while nothing is appended")


# --- what becomes of the rows -----------------------------------------------------------------------------------------


@PROMISES.add("graphSync:markSynced", "graphSync:getBatch")
async def a_row_goes_only_as_it_was_read(b: Bench) -> None:
    """A row is taken away only if its record has not changed since the batch was read; sent again, nothing
    changes."""
    async with _graph(b):
        one, two = await _store(b, "one"), await _store(b, "two")
        read = [_seen(row) for row in await _batch(b)]
        b.same([row["entityId"] for row in read], [one, two], "the rows, oldest first")
        await b.do("memories:update", memoryId=one, importance=7)
        await b.do("graphSync:lease", holder=b.space, seconds=60)
        elsewhere = [{**read[1], "memorySpaceId": b.other}, {**read[1], "entityId": one}]
        synced = await b.do("graphSync:markSynced", items=elsewhere, holder=b.space)
        b.same(synced, {"synced": 0}, "how many rows of another record have the revision")
        for first in (True, False):
            synced = await b.do("graphSync:markSynced", items=read, holder=b.space)
            b.same(synced, {"synced": 1 if first else 0}, "how many rows had the revisions")
            left = await _batch(b)
            b.same([row["entityId"] for row in left], [one], "the row that is left")
            b.same(left[0]["record"]["importance"], 7, "its record")
        b.same((await b.do("graphSync:release", holder=b.space)), {"released": True}, "the end of the lease")


@PROMISES.add("graphSync:lease", "graphSync:release", "graphSync:markSynced")
async def one_drainer_holds_the_lease(b: Bench) -> None:
    """One holder has the lease until it ends or is released, and each other one gets a higher term; only the holder
    that had it last takes rows away."""
    holders = [f"{b.space} {name}" for name in ("one", "two")]
    one, two = holders
    async with _graph(b):
        await _store(b, "x")
        rows = [_seen(row) for row in await _batch(b)]
        first = await b.do("graphSync:lease", holder=one, seconds=60)
        b.same(first["held"], True, "whether a free lease is held")
        again = await b.do("graphSync:lease", holder=one, seconds=60)
        b.same((again["held"], again["term"]), (True, first["term"]), "held and term of a lease that is renewed")
        other = await b.do("graphSync:lease", holder=two, seconds=60)
        b.same((other["held"], other["term"]), (False, first["term"]), "held and term while another one has it")
        b.same(other["leaseUntil"], again["leaseUntil"], "until when another one has it")
        await b.refused(Fenced, b.do("graphSync:markSynced", items=rows, holder=two), "rows taken away by another one")
        b.same(await b.do("graphSync:release", holder=two), {"released": False}, "a release by another one")
        await b.do("graphSync:lease", holder=one, seconds=0.15)
        await b.passes(250)
        b.same(await b.do("graphSync:markSynced", items=rows[:0], holder=one), {"synced": 0}, "a late holder")
        other = await b.do("graphSync:lease", holder=two, seconds=60)
        b.same((other["held"], other["term"] > first["term"]), (True, True), "held and a higher term after its end")
        await b.refused(Fenced, b.do("graphSync:markSynced", items=rows, holder=one), "rows taken away by the first")
        b.same(len(await _batch(b)), 1, "how many rows are left")
        b.same(await b.do("graphSync:release", holder=two), {"released": True}, "a release")
        await b.refused(Fenced, b.do("graphSync:markSynced", items=rows, holder=two), "rows taken away after a release")
        last = await b.do("graphSync:lease", holder=one, seconds=60)
        b.same((last["held"], last["term"] > other["term"]), (True, True), "held and a higher term after a release")
        b.same({first["store"], other["store"], last["store"]}, {first["store"]}, "the id of the store")
        b.same(await b.do("graphSync:markSynced", items=rows, holder=one), {"synced": 1}, "what the holder takes away")
        await b.do("graphSync:release", holder=one)


@PROMISES.add("graphSync:lease", virtual=True)
async def a_lease_of_before_the_clock_was_set_back_is_none(b: Bench) -> None:
    """After the store's clock was set back, another holder gets a lease that would end too late; its former holder has
    it again when it renews it before that."""
    holders = [f"{b.space} {name}" for name in ("one", "two")]
    first = await b.do("graphSync:lease", holder=holders[0], seconds=60)
    b.set_clock(-3600)
    other = await b.do("graphSync:lease", holder=holders[1], seconds=60)
    b.same((other["held"], other["term"]), (True, first["term"] + 1), "held and term after the clock was set back")
    b.same((await b.do("graphSync:lease", holder=holders[0], seconds=60))["held"], False, "the one before")
    await b.do("graphSync:release", holder=holders[1])


@PROMISES.add("graphSync:markFailed", "graphSync:getFailedItems", "graphSync:retry", "graphSync:getSyncStats")
async def a_row_that_failed_is_never_lost(b: Bench) -> None:
    """A row that failed is not due before its time, and without a time it is a dead letter, which is listed, until it
    is asked for or its record changes; the same failure, said twice, counts once."""
    async with _graph(b):
        memories = [await _store(b, "x") for _ in range(3)]
        rows = [_seen(row) for row in await _batch(b)]
        before = await b.ask("graphSync:getSyncStats")
        lease = await b.do("graphSync:lease", holder=b.space, seconds=60)
        await b.do("graphSync:release", holder=b.space)
        for failed in (1, 0):  # the end of that lease is a time that does not come here
            later = {"items": rows[:1], "error": "Later", "retryAt": lease["leaseUntil"]}
            b.same(await b.do("graphSync:markFailed", **later), {"failed": failed}, "how many have failed for a time")
            never = {"items": rows[1:], "error": "Never"}
            b.same(await b.do("graphSync:markFailed", **never), {"failed": 2 * failed}, "how many have failed")
        stats = await b.ask("graphSync:getSyncStats")
        more = {name: stats[name] - before[name] for name in ("unsynced", "waiting", "failed")}
        b.same(more, {"unsynced": 0, "waiting": 1, "failed": 2}, "what is in the outbox")
        b.same(await _batch(b), [], "the rows that are due")
        await b.do("graphSync:markFailed", **later | {"retryAt": lease["leaseUntil"] - 60_000 + 150})
        await b.passes(250)
        (late,) = await _batch(b)
        b.same((late["entityId"], late["attempts"]), (memories[0], 2), "the row whose time has come")
        b.same(late["revision"], rows[0]["revision"], "its revision")
        dead = [row for row in await b.ask("graphSync:getFailedItems") if row.get("memorySpaceId") == b.space]
        b.same([row["entityId"] for row in dead], memories[1:], "the dead letters")
        b.same({(row["attempts"], row["error"]) for row in dead}, {(1, "Never")}, "how often they failed, and why")
        b.same([row["revision"] for row in dead], [row["revision"] for row in rows[1:]], "their revisions")
        after = await b.ask("graphSync:getFailedItems", after=dead[-1]["revision"], limit=1)
        b.same([row for row in after if row.get("memorySpaceId") == b.space], [], "the dead letters after the last")
        await b.do("memories:update", memoryId=memories[1], importance=7)
        changed = {row["entityId"]: row["attempts"] for row in await _batch(b)}
        b.same(changed, {memories[0]: 2, memories[1]: 0}, "the attempts of a row whose record has changed")
        old = await b.do("graphSync:markFailed", items=rows[1:2], error="Never")
        b.same(old, {"failed": 0}, "how many rows have failed that have changed since")
        for retried in (1, 0):
            result = await b.do("graphSync:retry", items=[_key(row) for row in rows[1:]])
            b.same(result, {"retried": retried}, "how many rows are tried again")
        again = {row["entityId"]: row["attempts"] for row in await _batch(b)}
        b.same(again, {memories[0]: 2, memories[1]: 0, memories[2]: 0}, "the rows that are due again")
        await b.do("graphSync:markFailed", items=rows[2:], error="Never")
        await b.do("graphSync:retry")
        b.same([row["attempts"] for row in await _batch(b)], [0, 0, 0], "the attempts when all are tried again")
