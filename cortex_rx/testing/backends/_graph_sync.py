"""graphSync: the setting that a graph is kept, and the outbox."""

from __future__ import annotations

from cortex_rx.errors import MemoryNotFound
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


async def _store(b: Bench, content: str) -> str:
    """The id of a memory that is stored alone."""
    args = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}
    stored: str = (await b.do("memories:store", content=content, **args))["memoryId"]
    return stored


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
