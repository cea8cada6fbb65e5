"""Conversations that calls make: making and finding them, adding messages, pages, searching, exports, deletion."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from cortex_rx.errors import (
    ConversationExists,
    ConversationNotFound,
    IdempotencyConflict,
    InvalidArgument,
    InvalidParticipants,
    StillOwned,
    StreamNotFound,
)
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()
_ADA = {"type": "user-agent", "participants": {"userId": "ada"}}


async def _create(b: Bench, conversation: str = "c", **more: Any) -> Row:
    made: Row = await b.do("conversations:create", conversationId=conversation, **{**_ADA, **more})
    return made


async def _add(b: Bench, message: str, content: str, conversation: str = "c", **more: Any) -> Row:
    """Add a message; the fields of `more` that are in capitals are those of the call."""
    call = {name: more.pop(name) for name in ("memorySpaceId", "includeMessages") if name in more}
    said = {"id": message, "role": "user", "content": content, **more}
    added: Row = await b.do("conversations:addMessage", conversationId=conversation, message=said, **call)
    return added


async def _said(b: Bench, conversation: str = "c", **more: Any) -> list[str]:
    return [message["content"] for message in await b.messages(conversation, **more)]


async def _listed(b: Bench, **more: Any) -> list[str]:
    return [row["conversationId"] for row in await b.ask("conversations:list", **more)]


@PROMISES.add("conversations:create", "conversations:list", "conversations:count", "conversations:get")
async def a_conversation_is_made_once(b: Bench) -> None:
    """Create makes a conversation, which stays though it is empty; the same call again gives it, another one with its
    id is refused."""
    people = {"userId": "ada", "agentId": "helper"}
    given: Row = {"participants": people, "participantId": "bot", "metadata": {"Is": [1]}}
    made = await _create(b, **given)
    told = {name: made.get(name) for name in ("conversationId", "memorySpaceId", "type", "messages", "pending", *given)}
    want = {"conversationId": "c", "memorySpaceId": b.space, "type": "user-agent", "messages": [], "pending": []}
    b.same(told, {**want, **given}, "what was made")
    b.same(await _create(b, **given), made, "the same call again")
    b.same(await b.ask("conversations:get", conversationId="c"), made, "what is stored")
    others: tuple[Row, ...] = (
        {"metadata": {"Is": [2]}}, {"metadata": {"is": [1]}}, {"participantId": "other"},
        {"participants": {"userId": "bob"}}, {"type": "agent-agent", "participants": {"memorySpaceIds": ["a", "b"]}},
    )  # fmt: skip
    for other in others:
        await b.refused(ConversationExists, _create(b, **{**given, **other}), f"another one with its id: {other}")
    await _create(b, memorySpaceId=b.other, participants={"userId": "bob"})
    b.same((await b.ask("conversations:get", conversationId="c"))["participants"], given["participants"], "its people")
    too_few: tuple[Row, ...] = (
        {"participants": {}}, {"participants": {"memorySpaceIds": ["a", "b"]}},
        {"type": "agent-agent"}, {"type": "agent-agent", "participants": {"memorySpaceIds": ["a", "a"]}},
        {"type": "agent-agent", "participants": {"agentId": "a", "participantId": "a"}},
    )  # fmt: skip
    for wrong in too_few:
        await b.refused(InvalidParticipants, _create(b, "d", **wrong), f"too few participants: {wrong}")
    await b.begin("st", "why?", userId="bob", participantId="p")
    await b.do("streams:rollback", streamId="st", epoch=1)
    b.same(await b.ask("conversations:get", conversationId="c"), made, "after a stream in it was rolled back")
    b.same((await _listed(b), await b.ask("conversations:count")), (["c"], 1), "the list and the count")


@PROMISES.add("conversations:getOrCreate", "conversations:findConversation")
async def participants_have_one_conversation(b: Bench) -> None:
    """getOrCreate finds the oldest conversation of the user, or of the same set of spaces or agents, else makes one;
    findConversation finds the same."""
    b.same(await b.ask("conversations:findConversation", type="user-agent", userId="ada"), None, "before it is made")
    made = await b.do("conversations:getOrCreate", **_ADA, metadata={"a": 1}, conversationId="mine")
    b.same((made["conversationId"], made["metadata"]), ("mine", {"a": 1}), "what was made")
    b.same(await b.do("conversations:getOrCreate", **_ADA, metadata={"a": 2}), made, "what is found")
    await _create(b, "second")
    b.same(await b.do("conversations:getOrCreate", **_ADA), made, "the oldest")
    other = await b.do("conversations:getOrCreate", **_ADA, memorySpaceId=b.other)
    b.same(other["conversationId"] == "mine", False, "whether that of another space is found")
    taken = {"type": "user-agent", "participants": {"userId": "bob"}, "conversationId": "mine"}
    await b.refused(ConversationExists, b.do("conversations:getOrCreate", **taken), "the id of others")
    for first, second, lookup in (
        ({"memorySpaceIds": ["x", "y"]}, {"memorySpaceIds": ["y", "x", "y"]}, {"memorySpaceIds": ["y", "x"]}),
        (
            {"agentId": "x", "participantId": "y"},
            {"agentId": "y", "participantId": "x"},
            {"agentId": "y", "participantId": "x"},
        ),
    ):
        made = await b.do("conversations:getOrCreate", type="agent-agent", participants=first)
        b.same(await b.do("conversations:getOrCreate", type="agent-agent", participants=second), made, f"{second}")
        b.same(await b.ask("conversations:findConversation", type="agent-agent", **lookup), made, f"of {lookup}")
    b.same(await b.ask("conversations:findConversation", type="agent-agent", memorySpaceIds=["x"]), None, "of one")
    b.same(await b.ask("conversations:findConversation", type="agent-agent", userId="ada"), None, "of another type")
    b.same(await b.ask("conversations:findConversation", type="user-agent", userId="eve"), None, "of an unknown user")
    await b.begin("st", "why?", conversationId="asked", userId="eve")
    people = {"userId": "eve", "participantId": "bot", "memorySpaceIds": ["x", "y"]}
    found = await b.do("conversations:getOrCreate", type="user-agent", participants=people)
    b.same((found["conversationId"], len(found["pending"])), ("asked", 1), "one that a stream has made")
    b.same(await b.ask("conversations:get", conversationId="asked"), found, "what is stored of it")
    await b.do("streams:rollback", streamId="st", epoch=1)
    left = await b.ask("conversations:get", conversationId="asked") or {}
    b.same((left.get("messageCount"), left.get("participants")), (0, {"userId": "eve"}), "what stays of it")


@PROMISES.add("conversations:addMessage", "conversations:getMessage", "conversations:getMessagesByIds")
async def a_message_is_added_once(b: Bench) -> None:
    """A message stands behind what was begun before, beside streams, and is stored once under its id."""
    await _create(b)
    long = "It is a long story. " * 1_000
    added = await _add(b, "m1", long, role="agent", participantId="bot", metadata={"Key": {"n": None}})
    (stored,) = added["messages"]
    want = {"id": "m1", "role": "agent", "content": long, "participantId": "bot", "metadata": {"Key": {"n": None}}}
    b.same({name: stored[name] for name in want}, want, "the message")
    b.same(await b.ask("conversations:getMessage", conversationId="c", messageId="m1"), stored, "the message alone")
    again: Row = {"role": "agent", "participantId": "bot", "metadata": {"Key": {"n": None}}}
    b.same(await _add(b, "m1", long, **again), added, "the same call again")
    for name, other in (("role", "user"), ("participantId", "x"), ("metadata", {"key": {"n": None}})):
        await b.refused(IdempotencyConflict, _add(b, "m1", long, **{**again, name: other}), f"another {name}")
    await b.refused(IdempotencyConflict, _add(b, "m1", long + "!", **again), "another content")
    begun = await b.begin("1", "q1")
    await _add(b, "m2", "two", role="system")
    await b.refused(IdempotencyConflict, _add(b, begun["messageIds"][1], "x"), "the id of an answer that comes")
    await b.begin("2", "q2")
    await b.finalize("a2", "2")
    await b.finalize("a1", "1")
    b.same(await _said(b), [long, "q1", "a1", "two", "q2", "a2"], "the order")
    begun = await b.begin("3", "q3")
    await b.end(stream="3")
    await _add(b, "m3", "three")
    await b.refused(IdempotencyConflict, _add(b, begun["messageIds"][1], "x"), "the id of an answer that may come")
    await b.begin("3", "q3")
    await b.finalize("a3", "3", epoch=2, attempt=1)
    b.same((await _said(b))[-3:], ["q3", "a3", "three"], "the order after a question was asked again")
    alone = await _add(b, "m4", "four", includeMessages=False)
    b.same([one["content"] for one in alone["messages"]], ["four"], "without includeMessages")
    b.same(alone["messageCount"], 10, "the number of messages")
    ids = {"conversationId": "c", "messageIds": ["m4", "unknown", "m1", "m4"]}
    found = await b.ask("conversations:getMessagesByIds", **ids)
    b.same([one["id"] for one in found], ["m1", "m4"], "some of them")
    b.same(await b.ask("conversations:getMessagesByIds", **ids, memorySpaceId=b.other), [], "in another space")
    b.same(await b.ask("conversations:getMessage", conversationId="c", messageId="m5"), None, "an unknown one")
    await b.refused(ConversationNotFound, _add(b, "m", "x", "unknown"), "to an unknown conversation")
    await b.refused(ConversationNotFound, _add(b, "m", "x", memorySpaceId=b.other), "to that of another space")


@PROMISES.add("conversations:page", "conversations:list", "conversations:count")
async def conversations_are_paged(b: Bench) -> None:
    """A page goes on behind the one before, whatever is made or deleted meanwhile; filters act before the limit, and
    the count is that of the whole list."""
    for number in range(7):
        of: Row = {"userId": "ada" if number % 2 else "bob"}
        if number in (2, 5):
            of = {"memorySpaceIds": ["x", "y"], **({"userId": "ada"} if number == 5 else {})}
        kind = "agent-agent" if number in (2, 5) else "user-agent"
        await _create(b, f"c{number}", type=kind, participants=of)
    await b.begin("st", "why?", conversationId="pending")
    await _create(b, "theirs", memorySpaceId=b.other)

    async def pages(limit: int, **more: Any) -> list[list[str]]:
        found: list[list[str]] = []
        cursor: dict[str, str] = {}
        while True:
            one = await b.ask("conversations:page", limit=limit, **cursor, **more)
            found.append([row["conversationId"] for row in one["page"]])
            if "cursor" not in one:
                return found
            cursor = {"cursor": one["cursor"]}

    b.same(await pages(3), [["c0", "c1", "c2"], ["c3", "c4", "c5"], ["c6"]], "all pages")
    for narrowed, want in (
        ({"userId": "ada"}, ["c1", "c3", "c5"]), ({"type": "agent-agent"}, ["c2", "c5"]),
        ({"userId": "ada", "type": "agent-agent"}, ["c5"]), ({"userId": "eve"}, []),
        ({"includePending": True}, [*(f"c{n}" for n in range(7)), "pending"]),
    ):  # fmt: skip
        b.same([one for page in await pages(2, **narrowed) for one in page], want, f"the pages of {narrowed}")
        b.same(await _listed(b, **narrowed), want[::-1], f"the list of {narrowed}")
        b.same(await b.ask("conversations:count", **narrowed), len(want), f"the count of {narrowed}")
        b.same(await _listed(b, **narrowed, limit=2, offset=1), want[::-1][1:3], f"a part of the list of {narrowed}")
    b.same(await pages(2, conversationIds=["c6", "theirs", "c0", "c6"]), [["c0", "c6"]], "some by their ids")
    first = await b.ask("conversations:page", limit=2)
    await b.do("conversations:deleteConversation", conversationId="c1")
    await b.do("conversations:deleteConversation", conversationId="c3")
    rest = await b.ask("conversations:page", cursor=first["cursor"])
    b.same([row["conversationId"] for row in rest["page"]], ["c2", "c4", "c5", "c6"], "the page after a deletion")
    b.same(await b.ask("conversations:count"), 5, "the count after a deletion")
    await b.refused(InvalidArgument, b.ask("conversations:page", cursor="no cursor"), "what is no cursor")


@PROMISES.add("conversations:search")
async def conversations_are_found_by_their_text(b: Bench) -> None:
    """Search finds a text in messages, in small or capital letters, in those conversations first in which most messages
    have it; filters act before the limit."""
    for conversation, user, said in (
        ("half", "ada", ["The parcel is in LISBON by now, as the carrier says today.", "Thanks."]),
        ("all", "bob", ["Lisbon?"]),
        ("third", "ada", ["x" * 5_000 + " lis" + "bon " + "y" * 5_000, "No.", "Yes."]),
        ("none", "ada", ["Porto 100%", "a.c"]),
    ):
        await _create(b, conversation, participants={"userId": user})
        for number, text in enumerate(said):
            await _add(b, f"m{number}", text, conversation)
    await _create(b, "theirs", memorySpaceId=b.other)
    await _add(b, "m", "Lisbon", "theirs", memorySpaceId=b.other)
    found = await b.ask("conversations:search", query="liSBon")
    b.same([row["conversation"]["conversationId"] for row in found], ["all", "half", "third"], "what was found")
    b.same([round(row["score"], 3) for row in found], [1, 0.5, 0.333], "the scores")
    b.same([[one["id"] for one in row["matchedMessages"]] for row in found], [["m0"]] * 3, "the messages")
    b.same(found[1]["highlights"], ["The parcel is in LISBON by now, as the carrier says today."[:53]], "the place")
    b.same(found[2]["highlights"], ["x" * 29 + " lisbon " + "y" * 29], "the place in a long text")

    async def names(**args: Any) -> list[str]:
        found = await b.ask("conversations:search", **{"query": "lisbon", **args})
        return [row["conversation"]["conversationId"] for row in found]

    b.same(await names(userId="ada", limit=1), ["half"], "of a user, with a limit")
    b.same(await names(type="agent-agent"), [], "of a type")
    whole = "x" * 5_000 + " Lisbon " + "y" * 5_000
    b.same([await names(query=whole), await names(query=whole + "y")], [["third"], []], "a long text")
    b.same([await names(query=query) for query in ("0%", "A.C", "a%c", "b.*n")], [["none"], ["none"], [], []], "signs")
    made = (await b.ask("conversations:get", conversationId="half"))["createdAt"]
    b.same(await names(dateStart=made + 60_000), [], "of those that were made later")
    b.same("half" in await names(dateStart=made, dateEnd=made), True, "whether its own time is in a range")
    b.same(await names(dateEnd=max(made - 60_000, 0)), [], "of those that were made before")


@PROMISES.add("conversations:exportConversations")
async def conversations_are_exported(b: Bench) -> None:
    """An export has the conversations that the filters let through: as JSON with their messages, as CSV with quotes."""
    await _create(b, "c1", metadata={"Why": 'a "test", \n'})
    await _add(b, "m1", "Hi, \u4eac!", "c1", metadata={"k": 1})
    await _create(b, '=2",x', type="agent-agent", participants={"memorySpaceIds": ["x", "y"]})
    await _create(b, "theirs", memorySpaceId=b.other)
    found = await b.ask("conversations:exportConversations", format="json")
    rows = json.loads(found["data"])
    b.same((found["format"], found["count"], len(rows)), ("json", 2, 2), "format and count")
    whole = await b.ask("conversations:get", conversationId="c1")
    want = {name: value for name, value in whole.items() if name not in ("memorySpaceId", "pending")}
    b.same(rows[0], want, "the first conversation")
    for narrowed, ids in (({"conversationIds": ["c1", "theirs"]}, ["c1"]), ({"type": "agent-agent"}, ['=2",x'])):
        found = await b.ask("conversations:exportConversations", format="json", includeMetadata=False, **narrowed)
        rows = json.loads(found["data"])
        b.same([row["conversationId"] for row in rows], ids, f"those of {narrowed}")
        b.same(["metadata" in row for row in rows], [False], "whether metadata is there")
    found = await b.ask("conversations:exportConversations", format="csv")
    first, second = csv.DictReader(io.StringIO(found["data"], newline=""))
    b.same(json.loads(first["metadata"]), {"Why": 'a "test", \n'}, "the metadata in CSV")
    b.same((first["conversationId"], first["messageCount"]), ("c1", "1"), "the first line")
    b.same(
        (second["conversationId"], json.loads(second["participants"])["memorySpaceIds"]),
        ("'=2\",x", ["x", "y"]),
        "the second line",
    )


async def _fact(b: Bench, fact: str, **source: Any) -> str:
    given = {"factType": "knowledge", "tags": [], "sourceType": "conversation", "confidence": 80, **source}
    stored = await b.do("facts:store", fact=fact, subject=fact, predicate="is", object="so", **given)
    return str(stored["factId"])


@PROMISES.add("conversations:deleteConversation", "memories:list", "facts:get")
async def a_conversation_is_deleted(b: Bench) -> None:
    """A conversation goes with its messages and streams; its memories and facts stay, and name nothing that is gone."""
    await b.exchange("where?", "In Lisbon.", "st1")
    await b.exchange("where?", "Elsewhere.", "st2", conversationId="d")
    ids = [message["id"] for message in await b.messages()]
    await _add(b, "m", "An added word.")
    memory = (await b.rows(conversationId="c"))[0]["memoryId"]
    place = {"conversationId": "c", "memoryId": memory, "start": 0, "end": 2}
    only = await _fact(b, "only here", sourceRef={**place, "messageIds": [ids[1]]})
    both = await _fact(b, "both", sourceRef={"conversationId": "c", "messageIds": [ids[0]]})
    for other in ("d", "e"):
        await _fact(b, "both", sourceRef={"conversationId": other, "messageIds": [f"in {other}"]})
    loose = await _fact(b, "loose", sourceRef={"messageIds": [ids[1], "elsewhere"]})
    sure = {fact: (await b.ask("facts:get", factId=fact))["confidence"] for fact in (only, both, loose)}
    await b.begin("live", "and?", lease=60_000)
    before = await b.everything()
    refused = b.do("conversations:deleteConversation", conversationId="c")
    await b.refused(StillOwned, refused, "while somebody writes in it")
    b.same(await b.everything(), before, "what is stored then")
    await b.do("streams:renew", streamId="live", epoch=1, lease=0)
    gone = await b.do("conversations:deleteConversation", conversationId="c")
    b.same((gone["messagesDeleted"], gone["memoriesDeleted"], gone["factsDeleted"]), (3, 0, 0), "what went")
    b.same(await b.ask("conversations:get", conversationId="c"), None, "the conversation")
    b.same(await _said(b, "d"), ["where?", "Elsewhere."], "the other conversation")
    rows = await b.rows(includePartial=True)
    told = [(row["content"], row.get("conversationRef", {}).get("conversationId")) for row in rows]
    want = [("Elsewhere.", "d"), ("where?", "d"), ("In Lisbon.", None), ("where?", None)]
    b.same(told, want, "the memories")
    b.same(await b.found("lisbon"), ["In Lisbon."], "what is found")
    facts = {fact: await b.ask("facts:get", factId=fact) for fact in (only, both, loose)}
    b.same(facts[only]["sources"], [{"memoryId": memory, "start": 0, "end": 2}], "the source of a fact")
    others = [{"conversationId": other, "messageIds": [f"in {other}"]} for other in ("d", "e")]
    b.same(facts[both]["sources"], others, "the other sources of a fact")
    b.same(facts[loose]["sources"], [{"messageIds": ["elsewhere"]}], "messages without their conversation")
    b.same({fact: row["confidence"] for fact, row in facts.items()}, sure, "how sure the facts are")
    for stream, epoch in (("st1", 1), ("live", 1)):
        await b.refused(StreamNotFound, b.append(0, "x", stream, epoch=epoch), f"a late writer of {stream}")
    again = b.do("conversations:deleteConversation", conversationId="c")
    await b.refused(ConversationNotFound, again, "deleting it again")
    theirs = b.do("conversations:deleteConversation", conversationId="d", memorySpaceId=b.other)
    await b.refused(ConversationNotFound, theirs, "deleting that of another space")
    await _create(b)
    b.same(await _said(b), [], "another one with its id")


@PROMISES.add("conversations:deleteConversation", "memories:list", "facts:get")
async def memories_and_facts_go_with_it_as_asked(b: Bench) -> None:
    """With a conversation go its memories, its facts, or both, as asked; a fact with other sources stays with them."""
    for conversation, memories, facts in (("m", True, False), ("f", False, True), ("mf", True, True)):
        await b.exchange("where?", f"words{conversation}", f"st-{conversation}", conversationId=conversation)
        await b.do("memories:store", memoryId=f"alone-{conversation}", content="alone", contentType="raw",
                   sourceType="conversation", importance=50, tags=[],
                   conversationRef={"conversationId": conversation, "messageIds": []})  # fmt: skip
        memory = (await b.rows(conversationId=conversation))[0]["memoryId"]
        only = await _fact(b, f"only in {conversation}", sourceRef={"conversationId": conversation, "memoryId": memory})
        shared = await _fact(b, f"shared by {conversation}", sourceRef={"conversationId": conversation})
        await _fact(b, f"shared by {conversation}", sourceRef={"conversationId": "other"})
        also = {"deleteMemories": memories, "deleteFacts": facts}
        gone = await b.do("conversations:deleteConversation", conversationId=conversation, **also)
        b.same(gone["memoriesDeleted"], 3 if memories else 0, f"how many memories go, with {also}")
        b.same(gone["factIds"], [only] if facts else [], f"which facts go, with {also}")
        found = await b.ask("facts:get", factId=only)
        b.same(found is None, facts, f"whether the fact is gone, with {also}")
        if found is not None:
            b.same(found["sources"], [], "its sources")
        b.same((await b.ask("facts:get", factId=shared))["sources"], [{"conversationId": "other"}], "of the shared one")
        left = [row["memoryId"] for row in await b.rows()]
        b.same((memory in left, f"alone-{conversation}" in left), (not memories,) * 2, f"the memories, with {also}")
        b.same(await b.found(f"words{conversation}") == [], memories, f"whether nothing is found, with {also}")
        b.same(await b.rows(conversationId=conversation), [], "what names the conversation")


@PROMISES.add("conversations:deleteMany")
async def many_conversations_are_deleted(b: Bench) -> None:
    """deleteMany deletes the conversations of a user or type in the memory space, and no others; none if somebody
    writes in one of them."""
    for number, user in enumerate(("ada", "bob", "ada")):
        await b.exchange("why?", "because", f"st{number}", conversationId=f"c{number}", userId=user)
    await _create(b, "agents", type="agent-agent", participants={"memorySpaceIds": ["x", "y"]})
    await b.exchange("theirs?", "theirs", memorySpaceId=b.other, conversationId="c0")
    await b.begin("live", "and?", conversationId="c9", lease=60_000)
    await b.refused(StillOwned, b.do("conversations:deleteMany", userId="ada"), "while somebody writes in one")
    b.same(sorted(await _listed(b)), ["agents", "c0", "c1", "c2"], "what is there then")
    await b.do("streams:renew", streamId="live", epoch=1, lease=0)
    gone = await b.do("conversations:deleteMany", userId="ada", deleteMemories=True)
    b.same(gone["conversationIds"], ["c0", "c2", "c9"], "those of a user")
    counted = (gone["deleted"], gone["totalMessagesDeleted"], gone["memoriesDeleted"], gone["hasMore"])
    b.same(counted, (3, 4, 4, False), "how much")
    b.same(sorted(await _listed(b, includePending=True)), ["agents", "c1"], "the others")
    b.same(await _said(b, "c0", memorySpaceId=b.other), ["theirs?", "theirs"], "those of another space")
    gone = await b.do("conversations:deleteMany", type="agent-agent")
    b.same(gone["conversationIds"], ["agents"], "those of a type")
    b.same((await b.do("conversations:deleteMany"))["conversationIds"], ["c1"], "all")
    b.same((await b.do("conversations:deleteMany"))["deleted"], 0, "none")
    b.same(await b.ask("conversations:count", includePending=True), 0, "the count")


@PROMISES.add("conversations:get", "conversations:getHistory", "conversations:addMessage")
async def ids_that_stand_swapped_are_named(b: Bench) -> None:
    """Where a conversation is not found because its id and that of the memory space stand swapped, the error says
    so."""
    await _create(b)
    swapped = {"memorySpaceId": "c", "conversationId": b.space}
    message = {"id": "m", "role": "user", "content": "x"}
    calls: dict[str, Row] = {
        "get": {},
        "getHistory": {},
        "getMessage": {"messageId": "m"},
        "getMessagesByIds": {"messageIds": ["m"]},
        "addMessage": {"message": message},
        "deleteConversation": {},
    }
    for what, more in calls.items():
        call = b.do if what in ("addMessage", "deleteConversation") else b.ask
        asked = call(f"conversations:{what}", **swapped, **more)
        error = await b.refused(InvalidArgument, asked, what)
        b.same((error.field, "swapped" in error.accepted), ("conversationId", True), f"what the error of {what} says")
    b.same(await b.ask("conversations:get", memorySpaceId="c", conversationId="c"), None, "other ids")
