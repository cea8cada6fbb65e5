"""memorySpaces: registering, participants, the archive, lists, statistics, deleting one with everything in it."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import (
    MemorySpaceArchived,
    MemorySpaceExists,
    MemorySpaceHasData,
    MemorySpaceNotFound,
    ParticipantExists,
    StreamNotFound,
)
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _store(b: Bench, content: str, **more: Any) -> Row:
    args = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": [], **more}
    stored: Row = await b.do("memories:store", content=content, **args)
    return stored


def _ids(rows: list[Row]) -> list[str]:
    return [row["memorySpaceId"] for row in rows]


@PROMISES.add("memorySpaces:register", "memorySpaces:get", "memorySpaces:update")
async def a_memory_space_is_registered_once(b: Bench) -> None:
    """A memory space is registered once: the same again is the same, another is `MemorySpaceExists`. What is registered
    is changed by an update, and what is not given stays. One that is not registered is None."""
    b.same(await b.ask("memorySpaces:get"), None, "what was never registered")
    await b.refused(MemorySpaceNotFound, b.do("memorySpaces:update", name="x"), "changing what is not registered")
    given: Row = {"type": "team", "name": "One", "metadata": {"k": [1, None]}}
    people: list[Row] = [{"id": "ada", "type": "user"}, {"id": "bot", "type": "agent", "joinedAt": 0}]
    made = await b.do("memorySpaces:register", **given, participants=people)
    b.same({name: made.get(name) for name in given}, given, "what is registered")
    b.same((made["status"], made["registered"], made["memorySpaceId"]), ("active", True, b.space), "the rest")
    joined = [{**people[0], "joinedAt": made["createdAt"]}, people[1]]
    b.same(made["participants"], joined, "the participants")
    await b.passes(5)
    b.same(await b.do("memorySpaces:register", **given, participants=people), made, "the same again")
    others: list[Row] = [{"name": "Two"}, {"type": "custom"}, {"metadata": {}}, {"participants": people[:1]}]
    for other in others:
        again = {**given, "participants": people, **other}
        await b.refused(MemorySpaceExists, b.do("memorySpaces:register", **again), f"another one: {other}")
    b.same(await b.ask("memorySpaces:get"), made, "what is stored")
    changed = await b.do("memorySpaces:update", name="New", metadata={"l": 2})
    same = ("type", "participants", "status", "createdAt")
    b.same({name: changed[name] for name in same}, {name: made[name] for name in same}, "what stays")
    b.same((changed["name"], changed["metadata"]), ("New", {"l": 2}), "what is changed")
    b.same(changed["updatedAt"] > made["updatedAt"], True, "whether the time of the change is kept")
    await b.passes(5)
    b.same(await b.do("memorySpaces:update", name="New"), changed, "the same change again")
    b.same(await b.ask("memorySpaces:get", memorySpaceId=b.other), None, "another memory space")


@PROMISES.add("memorySpaces:addParticipant", "memorySpaces:removeParticipant", "memorySpaces:updateParticipants")
async def participants_of_a_space_come_and_go(b: Bench) -> None:
    """Participants are added and removed one by one, or together: first the removed ones, then those that are not there
    yet."""
    nobody = {"participant": {"id": "ada", "type": "user"}}
    await b.refused(MemorySpaceNotFound, b.do("memorySpaces:addParticipant", **nobody), "adding to what is not there")
    await b.do("memorySpaces:register", type="project")

    def told(row: Row) -> list[tuple[str, str]]:
        return [(one["id"], one["type"]) for one in row["participants"]]

    ada, bot = {"id": "ada", "type": "user", "joinedAt": 7}, {"id": "bot", "type": "agent"}
    for _ in range(2):
        row = await b.do("memorySpaces:addParticipant", participant=ada)
        b.same(row["participants"], [ada], "one participant")
    other = {**ada, "type": "agent"}
    await b.refused(ParticipantExists, b.do("memorySpaces:addParticipant", participant=other), "another one")
    row = await b.do("memorySpaces:updateParticipants", add=[bot, {"id": "ada", "type": "agent"}])
    b.same(told(row), [("ada", "user"), ("bot", "agent")], "what is there already is skipped")
    row = await b.do("memorySpaces:updateParticipants", remove=["ada", "nobody"], add=[{"id": "eve", "type": "user"}])
    b.same(told(row), [("bot", "agent"), ("eve", "user")], "removed, then added")
    for _ in range(2):
        row = await b.do("memorySpaces:removeParticipant", participantId="bot")
        b.same(told(row), [("eve", "user")], "one removed")
    b.same(await b.ask("memorySpaces:get"), row, "what is stored")


@PROMISES.add("memorySpaces:archive", "memorySpaces:reactivate")
async def an_archived_space_is_read_and_not_written(b: Bench) -> None:
    """An archived memory space is read. What would write in it is `MemorySpaceArchived`, but an answer that had begun
    is stored. When it is active again, it is written. Another memory space is not concerned."""
    await b.refused(MemorySpaceNotFound, b.do("memorySpaces:archive"), "archiving what is not used")
    stored = await _store(b, "before")
    await b.begin("st")
    await b.append(0, "half ", "st")
    archived = await b.do("memorySpaces:archive", reason="done", metadata={"k": 1})
    b.same((archived["status"], archived["type"]), ("archived", "custom"), "the archived memory space")
    since = archived["metadata"]["archivedAt"]
    b.same(archived["metadata"], {"k": 1, "archivedAt": since, "archiveReason": "done"}, "its metadata")
    await b.passes(5)
    b.same(await b.do("memorySpaces:archive"), archived, "archiving it again")
    begin = {"streamId": "st2", "conversationId": "c", "userMessage": "?", "userId": "u", "importance": 1, "tags": []}
    fact = {"fact": "Tea is hot.", "factType": "knowledge", "confidence": 1, "sourceType": "manual", "tags": []}
    calls: dict[str, Any] = {
        "streams:begin": begin,
        "facts:store": fact,
        "memories:deleteMemory": {"memoryId": stored["memoryId"]},
        "memories:forget": {"memoryId": stored["memoryId"]},
    }
    for path, args in calls.items():
        await b.refused(MemorySpaceArchived, b.do(path, **args), path)
    await b.refused(MemorySpaceArchived, _store(b, "after"), "memories:store")
    await _store(b, "elsewhere", memorySpaceId=b.other)
    await b.append(5, "way", "st")
    await b.finalize(" there", "st", start=8)
    b.same(await b.text("st"), "half way there", "the answer that had begun")
    b.same((await b.memory(stored["memoryId"]) or {})["content"], "before", "what was stored before")
    b.same(await b.ask("memories:count"), 3, "the memories")
    active = await b.do("memorySpaces:reactivate")
    b.same(active["metadata"], archived["metadata"], "the metadata of the active one")
    for _ in range(2):
        b.same((await b.do("memorySpaces:reactivate"))["status"], "active", "the active memory space")
    await _store(b, "after")
    await b.do("memorySpaces:update", status="archived")
    await b.refused(MemorySpaceArchived, _store(b, "later"), "storing in what an update archived")


@PROMISES.add(
    "memorySpaces:list",
    "memorySpaces:count",
    "memorySpaces:page",
    "memorySpaces:search",
    "memorySpaces:findByParticipant",
)
async def memory_spaces_are_listed(b: Bench) -> None:
    """Lists are newest first, pages oldest first. Filters act before the limit, and the count is the length of the full
    list. A search finds ids, names and metadata in any case of letters. A memory space that is used and not registered
    is listed if that is asked for."""
    mark = f"{b.space}-ada"
    ada = [{"id": mark, "type": "user"}]
    given: list[tuple[str, Row]] = [
        ("a", {"type": "team", "participants": ada}), ("b", {"type": "team", "name": f"Straße {mark}"}),
        ("c", {"type": "personal", "participants": ada, "metadata": {"note": f"Ärger {mark}"}}),
        ("d", {"type": "team", "participants": [*ada, {"id": "bot", "type": "agent"}]}),
    ]  # fmt: skip
    names = {f"{b.space}-{name}": name for name, _ in given}
    for name, args in given:
        await b.do("memorySpaces:register", memorySpaceId=f"{b.space}-{name}", **args)
    await b.do("memorySpaces:archive", memorySpaceId=f"{b.space}-d")

    def of(rows: list[Row]) -> str:
        return "".join(names.get(one, "?") for one in _ids(rows))

    mine = {"participantId": mark}
    cases: list[tuple[Row, str]] = [
        (mine, "dca"), ({**mine, "type": "team"}, "da"), ({**mine, "status": "active"}, "ca"),
        ({**mine, "type": "team", "status": "archived"}, "d"), ({**mine, "type": "project"}, ""),
    ]  # fmt: skip
    for args, want in cases:
        b.same(of(await b.ask("memorySpaces:list", **args)), want, f"the list with {args}")
        b.same(await b.ask("memorySpaces:count", **args), len(want), f"the count with {args}")
        for limit in (1, 2):
            pages = ""
            cursor: Row = {}
            while True:
                page = await b.ask("memorySpaces:page", **args, limit=limit, **cursor)
                pages += of(page["page"])
                if "cursor" not in page:
                    break
                cursor = {"cursor": page["cursor"]}
            b.same(pages, want[::-1], f"the pages of {limit} with {args}")
    cases = [({"limit": 1}, "d"), ({"limit": 2, "offset": 1}, "ca"), ({"limit": 0}, ""), ({"offset": 3}, "")]
    for args, want in cases:
        b.same(of(await b.ask("memorySpaces:list", **mine, **args)), want, f"the list with {args}")
    b.same(of(await b.ask("memorySpaces:findByParticipant", participantId=mark)), "dca", "those of a participant")
    searches: list[tuple[str, Row, str]] = [
        (mark.upper(), {}, "cb"), (f"STRASSE {mark}", {}, "b"), (f"ärger {mark}", {}, "c"), (f"{b.space}-", {}, "dcba"),
        (f"{b.space}-", {"limit": 1, "offset": 1}, "c"), (f"{b.space}-", {"type": "team", "limit": 2}, "db"),
        (f"{b.space}-%", {}, ""), (f"{b.space}-", {"status": "archived"}, "d"),
    ]  # fmt: skip
    for query, args, want in searches:
        b.same(of(await b.ask("memorySpaces:search", query=query, **args)), want, f"the search for {query}, {args}")
    before = await b.ask("memorySpaces:count", includeUnregistered=True)
    stored = await _store(b, "used", memorySpaceId=b.other)
    b.same(await b.ask("memorySpaces:count", includeUnregistered=True), before + 1, "the count of all")
    rows = await b.ask("memorySpaces:list", includeUnregistered=True, limit=100_000)
    b.same(len(rows), before + 1, "how many there are in all")
    found = [row for row in rows if row["memorySpaceId"] == b.other]
    b.same([(row["registered"], row["createdAt"]) for row in found], [(False, stored["createdAt"])], "the used one")
    some = await b.ask("memorySpaces:list", includeUnregistered=True, limit=before, offset=before)
    b.same(some, rows[-1:], "the last one")
    b.same(b.other in _ids(await b.ask("memorySpaces:list", limit=100_000)), False, "whether it is in other lists")


@PROMISES.add("memorySpaces:getStats")
async def statistics_count_what_is_there(b: Bench) -> None:
    """The statistics of a memory space count its records as the counts do, their bytes, tags and importance, and those
    of a participant; within a time, if that is asked for."""
    await b.refused(MemorySpaceNotFound, b.ask("memorySpaces:getStats"), "of what is not used")
    await b.exchange("é?", "yes", importance=95, tags=["b", "a"], participantId="p")
    await _store(b, "alone", importance=5, tags=["a", "a"])
    await _store(b, "elsewhere", memorySpaceId=b.other)
    fact = {"factType": "identity", "confidence": 1, "sourceType": "manual", "tags": [], "participantId": "p"}
    triple = {"subject": "Ada", "predicate": "lives_in"}
    for place in ("Rome", "Oslo"):
        await b.do("facts:store", fact=f"Ada lives in {place}.", object=place, **triple, **fact)
    for window in ("all", "24h"):
        got = await b.ask("memorySpaces:getStats", timeWindow=window)
        totals = (got["totalMemories"], got["totalConversations"], got["totalMessages"], got["totalFacts"])
        b.same(totals, (3, 1, 2, 1), "the totals")
        storage = {"conversationsBytes": 6, "memoriesBytes": 11, "factsBytes": 18, "totalBytes": 29}
        b.same(got["storage"], storage, "the bytes")
        b.same(got["topTags"], ["a", "b"], "the tags")
        levels = {"critical": 2, "high": 0, "medium": 0, "low": 0, "trivial": 1}
        b.same(got["importanceBreakdown"], levels, "the importance")
        b.same("participants" in got, False, "whether participants are told that were not asked for")
    counts = [await b.ask(f"{table}:count") for table in ("memories", "conversations", "facts")]
    b.same(counts, [3, 1, 1], "the counts")
    row = await b.do("memorySpaces:register", type="team", participants=[{"id": "p", "type": "agent"}])
    got = await b.ask("memorySpaces:getStats", includeParticipants=True)
    told = {**row["participants"][0], "totalMemories": 2, "totalConversations": 1, "totalFacts": 1}
    b.same(got["participants"], [told], "the participant")


@PROMISES.add("memorySpaces:getStats", virtual=True)
async def statistics_of_a_time_leave_out_what_is_older(b: Bench) -> None:
    """With a time window, statistics count what was made within it."""
    await b.exchange("why?", "because")
    await _store(b, "now")
    age = 0
    for window, days in (("24h", 1), ("7d", 7), ("30d", 30), ("90d", 90)):
        b.set_clock(days * 86_400 - 1 - age)
        b.same((await b.ask("memorySpaces:getStats", timeWindow=window))["totalMemories"], 3, f"just within {window}")
        b.set_clock(2)
        age = days * 86_400 + 1
        old = await b.ask("memorySpaces:getStats", timeWindow=window)
        gone = (old["totalMemories"], old["totalMessages"], old["totalConversations"], old["storage"]["totalBytes"])
        b.same(gone, (0, 0, 0, 0), f"what is older than {window}")
    b.same((await b.ask("memorySpaces:getStats"))["totalMemories"], 3, "all")


@PROMISES.add("memorySpaces:deleteSpace", "memorySpaces:clear")
async def a_space_is_deleted_with_everything_in_it(b: Bench) -> None:
    """A memory space with records is not deleted without `cascade`; with it, all goes: memories, messages, facts,
    exchanges that have not ended. `clear` does it a part at a time. Another memory space keeps all. The id is free
    then."""
    await b.refused(MemorySpaceNotFound, b.do("memorySpaces:deleteSpace", cascade=True), "deleting what is not there")
    for space in (b.space, b.other):
        where = {"memorySpaceId": space}
        await b.do("memorySpaces:register", **where, type="team", participants=[{"id": "ada", "type": "user"}])
        await b.exchange("why?", "zebra because", "st", **where)
        await b.begin("st2", "and?", conversationId="d", **where)
        await b.append(0, "zebra half", "st2", **where)
        await _store(b, "zebra alone", **where)
        fact = {"factType": "knowledge", "confidence": 1, "sourceType": "manual", "tags": []}
        await b.do("facts:store", **where, fact="A zebra is striped.", **fact)
    before = await b.everything()
    kept = [row for row in before if row.get("memorySpaceId", b.other) == b.other]
    await b.refused(MemorySpaceHasData, b.do("memorySpaces:deleteSpace", cascade=False), "deleting without cascade")
    b.same(await b.everything(), before, "what is there after that")
    await b.do("memorySpaces:archive")
    parts = 0
    while True:
        done = await b.do("memorySpaces:clear", limit=2)
        parts += 1
        b.same(done["deleted"] < 6, True, "whether a part is about as small as asked")
        if not done["more"]:
            break
    b.same(parts > 3, True, "whether it took several parts")
    b.same((await b.ask("memorySpaces:get"))["status"], "archived", "what is registered after that")
    deleted = await b.do("memorySpaces:deleteSpace", cascade=False)
    b.same(deleted, {"deleted": True, "memorySpaceId": b.space, "cascaded": False}, "the result")
    await b.refused(MemorySpaceNotFound, b.do("memorySpaces:deleteSpace", cascade=True), "deleting it again")
    b.same(await b.ask("memorySpaces:get"), None, "what is registered")
    b.same(await b.found("zebra", includePartial=True), [], "what is found")
    b.same(await b.stream("st2"), None, "the answer that was being written")
    await b.refused(StreamNotFound, b.append(10, "more", "st2"), "going on with it")
    left = await b.everything()
    b.same([row for row in left if row.get("memorySpaceId") == b.space], [], "what is left")
    b.same(len(left), len(kept), "how much the other one has")
    all_of_other = await b.ask("memories:list", memorySpaceId=b.other, includePartial=True)
    b.same(all_of_other, [row for row in before if row in all_of_other], "the memories of the other one")
    await b.exchange("why?", "anew")
    b.same(await b.text(), "anew", "what is stored in it anew")
    deleted = await b.do("memorySpaces:deleteSpace", cascade=True)
    b.same(deleted["cascaded"], True, "deleting it at once")
    b.same(await b.rows(), [], "what is left after that")
