"""contexts: trees, versions, grants to other memory spaces, orphans, lists, exports."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from cortex_rx.errors import (
    ContextNotFound,
    ContextReadOnly,
    HasChildren,
    IdempotencyConflict,
    MemorySpaceArchived,
    ParentNotFound,
    VersionConflict,
)
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _make(b: Bench, context: str, parent: str | None = None, **more: Any) -> Row:
    """`contexts:create`; its purpose is its id, unless said otherwise."""
    above = {} if parent is None else {"parentId": parent}
    made: Row = await b.do("contexts:create", **{"purpose": context, "contextId": context, **above, **more})
    return made


async def _tree(b: Bench) -> None:
    """root: left (leaf, other leaf), right."""
    for context, parent in (("root", None), ("left", "root"), ("right", "root"), ("leaf", "left"), ("leaf 2", "left")):
        await _make(b, context, parent)


async def _listed(b: Bench, path: str = "contexts:list", **args: Any) -> list[str]:
    return _ids(await b.ask(path, **args))


def _ids(rows: list[Row]) -> list[str]:
    return [row["contextId"] for row in rows]


def _shown(chain: Row) -> Row:
    """The ids in a chain."""
    lists = {name: _ids(chain[name]) for name in ("children", "siblings", "ancestors")}
    parent = {"parent": chain["parent"]["contextId"]} if "parent" in chain else {}
    return {"root": chain["root"]["contextId"], **lists, "depth": chain["depth"], **parent}


@PROMISES.add("contexts:create", "contexts:get")
async def a_context_is_made_once(b: Bench) -> None:
    """A context has what it was made with, at version 1, and its memory space as participant. The same call again
    gives it as it is now; another context under the id is an `IdempotencyConflict`."""
    given: Row = {
        "purpose": "Refund the order",
        "description": "It came broken.",
        "userId": "ada",
        "conversationRef": {"conversationId": "c", "messageIds": ["m1"]},
        "data": {"orderId": 7, "a b": None, "true": True},
        "contextId": "ctx-1",
    }
    made = await b.do("contexts:create", **given)
    times = {name: made.pop(name) for name in ("createdAt", "updatedAt")}
    want = given | {"memorySpaceId": b.space, "rootId": "ctx-1", "depth": 0, "childIds": [], "status": "active"}
    b.same(made, want | {"participants": [b.space], "version": 1}, "the context")
    b.same(await b.ask("contexts:get", contextId="ctx-1"), made | times | {"previousVersions": []}, "what is stored")
    b.same(await b.do("contexts:create", **given), made | times, "the same call again")
    changed = await b.do("contexts:update", contextId="ctx-1", status="blocked", data={"orderId": 8})
    b.same(await b.do("contexts:create", **given), changed, "the same call after a change")
    for other in (
        *(
            {"purpose": "Another"},
            {"description": "Late."},
            {"userId": "bob"},
            {"status": "blocked"},
            {"parentId": "x"},
        ),
        *({"data": {**given["data"], "true": 1}}, {"conversationRef": {"conversationId": "c"}}),
    ):
        again = b.do("contexts:create", **{**given, **other})
        await b.refused(IdempotencyConflict, again, f"another {', '.join(other)} under this id")
    b.same(await _listed(b), ["ctx-1"], "the list")
    done = await b.do("contexts:create", purpose="done", status="completed")
    b.same(done.get("completedAt"), done["createdAt"], "when one that was made as completed was completed")
    more = await b.do("contexts:create", purpose="done", status="completed")
    b.same(more["contextId"] != done["contextId"], True, "whether two without ids are two")


@PROMISES.add("contexts:getChain", "contexts:getRoot", "contexts:getChildren", "contexts:get")
async def contexts_form_trees(b: Bench) -> None:
    """Depth, root, children, siblings and ancestors (root first) are those of the parents; a parent that is not there
    is `ParentNotFound`."""
    await _tree(b)
    leaf = await b.ask("contexts:get", contextId="leaf")
    b.same((leaf["parentId"], leaf["rootId"], leaf["depth"]), ("left", "root", 2), "parent, root and depth")
    root = await b.ask("contexts:get", contextId="root")
    b.same(root["childIds"], ["left", "right"], "the children of the root")
    chain = await b.ask("contexts:getChain", contextId="left")
    want = {"root": "root", "parent": "root", "ancestors": ["root"], "depth": 1}
    b.same(_shown(chain), want | {"children": ["leaf", "leaf 2"], "siblings": ["right"]}, "a chain")
    b.same(_shown(await b.ask("contexts:getChain", contextId="leaf"))["ancestors"], ["root", "left"], "the ancestors")
    got = await b.ask("contexts:get", contextId="left", includeChain=True)
    b.same(got["current"].pop("previousVersions"), [], "the previous versions in a chain")
    b.same(got, chain, "the chain that get gives")
    for context in ("leaf", "root"):
        b.same(await b.ask("contexts:getRoot", contextId=context), chain["root"], f"the root of {context}")
    b.same(await _listed(b, "contexts:getChildren", contextId="root"), ["left", "right"], "the children")
    below = {"contextId": "root", "recursive": True}
    b.same(await _listed(b, "contexts:getChildren", **below), ["left", "right", "leaf", "leaf 2"], "the descendants")
    await b.do("contexts:update", contextId="leaf", status="blocked")
    blocked = await _listed(b, "contexts:getChildren", **below, status="blocked")
    b.same(blocked, ["leaf"], "the descendants of one status")
    await b.refused(ParentNotFound, _make(b, "new", "nowhere"), "a parent that is not there")
    for path in ("contexts:getChain", "contexts:getRoot"):
        await b.refused(ContextNotFound, b.ask(path, contextId="nowhere"), f"{path} of what is not there")
    b.same(await b.ask("contexts:getChildren", contextId="nowhere"), [], "the children of what is not there")


@PROMISES.add("contexts:update", "contexts:getVersion", "contexts:getHistory", "contexts:getAtTimestamp")
async def a_change_makes_a_version(b: Bench) -> None:
    """A change makes the next version, with `data` merged, and nothing but a change does; all versions stay as they
    were, also by the time at which they were current. A stale `expectedVersion` is a `VersionConflict`. Being completed
    sets `completedAt`, leaving it removes it."""
    made = await _make(b, "ctx", data={"kept": 1, "new": 1})
    await b.passes(20)
    second = await b.do("contexts:update", contextId="ctx", data={"new": [2], "more": None}, expectedVersion=1)
    b.same((second["version"], second["data"]), (2, {"kept": 1, "new": [2], "more": None}), "the second version")
    b.same(await b.do("contexts:update", contextId="ctx", data={"kept": 1}), second, "what changes nothing")
    bare = await _make(b, "bare")
    b.same(await b.do("contexts:update", contextId="bare", data={}), bare, "no data for one that has none")
    await b.refused(
        VersionConflict, b.do("contexts:update", contextId="ctx", data={"x": 1}, expectedVersion=1), "a stale version"
    )
    await b.passes(20)
    third = await b.do("contexts:update", contextId="ctx", status="completed", description="why")
    b.same(third.get("completedAt"), third["updatedAt"], "when it was completed")
    fourth = await b.do("contexts:update", contextId="ctx", status="blocked")
    b.same(fourth.get("completedAt"), None, "when it was completed, after it was not any more")
    fifth = await b.do("contexts:update", contextId="ctx", status="completed", completedAt=0)
    b.same(fifth.get("completedAt"), 0, "a time of completion that is given")
    rows = [made, second, third, fourth, fifth]
    kept = ("version", "status", "description", "data", "completedAt")
    want = [
        {name: row[name] for name in kept if name in row} | {"timestamp": row["updatedAt"], "updatedBy": b.space}
        for row in rows
    ]
    history = await b.ask("contexts:getHistory", contextId="ctx")
    b.same(history, want, "the history")
    b.same((await b.ask("contexts:get", contextId="ctx"))["previousVersions"], want[:-1], "the previous versions")
    for row in want:
        got = await b.ask("contexts:getVersion", contextId="ctx", version=row["version"])
        b.same(got, row, f"version {row['version']}")
    for version in (0, 6):
        b.same(await b.ask("contexts:getVersion", contextId="ctx", version=version), None, f"version {version}")
    times = ((made["createdAt"] - 1, None), (made["createdAt"], want[0]), (second["updatedAt"] - 1, want[0]))
    for time, current in (*times, (second["updatedAt"], want[1]), (2**50, want[-1])):
        got = await b.ask("contexts:getAtTimestamp", contextId="ctx", timestamp=time)
        b.same(got, current, "the version that was current at a time")
    await b.refused(ContextNotFound, b.do("contexts:update", contextId="nowhere", status="active"), "what is not there")
    b.same(await b.ask("contexts:getHistory", contextId="nowhere"), [], "the history of what is not there")


@PROMISES.add("contexts:update")
async def a_change_with_an_operation_id_is_made_once(b: Bench) -> None:
    """A change with an `operationId` is made once, also after other changes; another id is another call."""
    await _make(b, "ctx")
    first: Row = {"contextId": "ctx", "data": {"by": "first"}, "expectedVersion": 1, "operationId": "first"}
    made = await b.do("contexts:update", **first)
    b.same(made["version"], 2, "the version")
    b.same(await b.do("contexts:update", **first), made, "the same call again")
    more = {"data": {"by": "other"}, "expectedVersion": 2, "operationId": "other"}
    other = await b.do("contexts:update", **{**first, **more})
    b.same((other["version"], other["data"]), (3, {"by": "other"}), "another call")
    b.same(await b.do("contexts:update", **first), other, "the first call after another one")
    await b.refused(VersionConflict, b.do("contexts:update", **{**first, "operationId": "late"}), "a stale version")


@PROMISES.add("contexts:addParticipant", "contexts:removeParticipant")
async def participants_come_and_go(b: Bench) -> None:
    """Participants stand once, in the order in which they were added, and make no version."""
    await _make(b, "ctx")
    for add, want in (("bob", ["bob"]), ("ada", ["bob", "ada"]), ("bob", ["bob", "ada"])):
        got = await b.do("contexts:addParticipant", contextId="ctx", participantId=add)
        b.same((got["participants"], got["version"]), ([b.space, *want], 1), "the participants")
    for _ in range(2):
        got = await b.do("contexts:removeParticipant", contextId="ctx", participantId="bob")
        b.same(got["participants"], [b.space, "ada"], "the participants")
    b.same((await b.ask("contexts:get", contextId="ctx"))["participants"], [b.space, "ada"], "what is stored")
    for path in ("contexts:addParticipant", "contexts:removeParticipant"):
        call = b.do(path, contextId="nowhere", participantId="bob")
        await b.refused(ContextNotFound, call, f"{path} of what is not there")


@PROMISES.add("contexts:grantAccess", "contexts:revokeAccess", "contexts:listGranted")
async def a_grant_opens_and_a_revocation_closes(b: Bench) -> None:
    """Another memory space sees a context only while it is granted, and changes it, or makes children of it, only as
    the scope allows; it never deletes, grants or revokes. If the owner is archived, it changes nothing."""
    await _make(b, "ctx")
    there = {"memorySpaceId": b.other}
    for scope, changes, makes in (("read-only", False, False), ("context-only", True, False), ("full", True, True)):
        b.same(await b.ask("contexts:get", contextId="ctx", **there), None, "what was not granted")
        b.same(await b.ask("contexts:listGranted", **there), [], "the list before")
        granted = await b.do("contexts:grantAccess", contextId="ctx", targetMemorySpaceId=b.other, scope=scope)
        (grant,) = granted["grantedAccess"]
        b.same((grant["memorySpaceId"], grant["scope"]), (b.other, scope), "the grant")
        again = await b.do("contexts:grantAccess", contextId="ctx", targetMemorySpaceId=b.other, scope=scope)
        b.same(again, granted, "the same grant again")
        seen = await b.ask("contexts:getRoot", contextId="ctx", **there)
        b.same(seen, granted, "the context, there")
        b.same(await b.ask("contexts:listGranted", **there), [seen], "the list of what was granted")
        tries: list[tuple[str, bool, Row]] = [
            ("contexts:update", changes, {"contextId": "ctx", "data": {"from": scope}}),
            ("contexts:addParticipant", changes, {"contextId": "ctx", "participantId": scope}),
            ("contexts:create", makes, {"contextId": f"below {scope}", "purpose": "theirs", "parentId": "ctx"}),
        ]
        for path, allowed, args in tries:
            if allowed:
                await b.do(path, **args, **there)
            else:
                await b.refused(ContextReadOnly, b.do(path, **args, **there), f"{path}, granted as {scope}")
        for path, more in (
            ("contexts:deleteContext", {}),
            ("contexts:grantAccess", {"targetMemorySpaceId": b.space, "scope": "full"}),
            ("contexts:revokeAccess", {"targetMemorySpaceId": b.space}),
        ):
            await b.refused(ContextReadOnly, b.do(path, contextId="ctx", **more, **there), f"{path}, by another space")
        for _ in range(2):
            revoked = await b.do("contexts:revokeAccess", contextId="ctx", targetMemorySpaceId=b.other)
            b.same(revoked.get("grantedAccess"), None, "the grants after a revocation")
        await b.refused(
            ContextNotFound, b.do("contexts:update", contextId="ctx", data={}, **there), "a change after a revocation"
        )
        await b.refused(ParentNotFound, _make(b, "late", "ctx", **there), "a child after a revocation")
    history = await b.ask("contexts:getHistory", contextId="ctx")
    writers = [(row.get("data"), row["updatedBy"]) for row in history]
    want = [(None, b.space), ({"from": "context-only"}, b.other), ({"from": "full"}, b.other)]
    b.same(writers, want, "who wrote which version")
    await b.do("contexts:grantAccess", contextId="ctx", targetMemorySpaceId=b.other, scope="full")
    await b.do("memorySpaces:archive")
    for path, args in (("contexts:update", {"status": "blocked"}), ("contexts:addParticipant", {"participantId": "x"})):
        change = b.do(path, contextId="ctx", **args, **there)
        await b.refused(MemorySpaceArchived, change, f"{path}, when the owner is archived")


@PROMISES.add("contexts:getChain", "contexts:getChildren", "contexts:getRoot")
async def a_chain_shows_only_what_may_be_seen(b: Bench) -> None:
    """What a memory space sees are trees of the contexts that it may see: above what it does not see, nothing is
    shown; nor are other spaces' children or grants."""
    await _tree(b)
    there = {"memorySpaceId": b.other}
    third = f"{b.other}-third"
    for context, target in (("left", b.other), ("left", third), ("leaf 2", b.other)):
        await b.do("contexts:grantAccess", contextId=context, targetMemorySpaceId=target, scope="full")
    await _make(b, "theirs", "left", **there)
    chain = await b.ask("contexts:getChain", contextId="left", **there)
    want: Row = {"root": "left", "children": ["leaf 2", "theirs"], "siblings": [], "ancestors": [], "depth": 0}
    b.same(_shown(chain), want, "the chain, there")
    current = chain["current"]
    b.same((current.get("parentId"), current["childIds"]), (None, want["children"]), "parent and children, there")
    b.same([grant["memorySpaceId"] for grant in current["grantedAccess"]], [b.other], "the grants that are shown there")
    theirs = await b.ask("contexts:getChain", contextId="theirs", **there)
    want = {"root": "left", "parent": "left", "ancestors": ["left"], "siblings": ["leaf 2"], "children": [], "depth": 1}
    b.same(_shown(theirs), want, "the chain of a context of theirs")
    leaf = (await b.ask("contexts:getRoot", contextId="leaf 2", **there))["contextId"]
    b.same(leaf, "left", "the root, there")
    below = await _listed(b, "contexts:getChildren", contextId="left", recursive=True, **there)
    b.same(below, ["leaf 2", "theirs"], "the descendants, there")
    b.same(await _listed(b, "contexts:getChildren", contextId="left"), ["leaf", "leaf 2"], "the children, here")
    own = await b.ask("contexts:get", contextId="left")
    b.same([grant["memorySpaceId"] for grant in own["grantedAccess"]], [b.other, third], "the grants, here")
    await b.do("contexts:grantAccess", contextId="theirs", targetMemorySpaceId=b.space, scope="read-only", **there)
    seen = await _listed(b, "contexts:getChildren", contextId="root", recursive=True)
    b.same(seen, ["left", "right", "leaf", "leaf 2", "theirs"], "the descendants, after one was granted back")


@PROMISES.add("contexts:deleteContext", "contexts:findOrphaned")
async def a_deleted_context_leaves_nothing_behind(b: Bench) -> None:
    """A context with children is deleted with all of them, or makes them roots, or not at all; no id, version or grant
    of it is left. Children in other spaces stay, as orphans."""
    await _tree(b)
    there = {"memorySpaceId": b.other}
    await b.refused(HasChildren, b.do("contexts:deleteContext", contextId="left"), "deleting one with children")
    gone = {"deleted": True, "descendantsDeleted": 0, "orphanedChildren": []}
    b.same(await b.do("contexts:deleteContext", contextId="leaf 2"), gone | {"contextId": "leaf 2"}, "deleting a leaf")
    b.same((await b.ask("contexts:get", contextId="left"))["childIds"], ["leaf"], "the children that are left")
    await b.do("contexts:grantAccess", contextId="left", targetMemorySpaceId=b.other, scope="full")
    await _make(b, "theirs", "left", **there)
    b.same(await b.ask("contexts:findOrphaned", **there), [], "orphans before there are any")
    result = await b.do("contexts:deleteContext", contextId="left", orphanChildren=True)
    b.same(result, gone | {"contextId": "left", "orphanedChildren": ["leaf"]}, "making children roots")
    leaf = await b.ask("contexts:get", contextId="leaf")
    b.same((leaf.get("parentId"), leaf["rootId"], leaf["depth"]), (None, "leaf", 0), "a child that is a root now")
    b.same(await b.ask("contexts:findOrphaned"), [], "whether it is an orphan")
    (theirs,) = await b.ask("contexts:findOrphaned", **there)
    b.same((theirs["contextId"], theirs.get("parentId"), theirs["depth"]), ("theirs", "left", 0), "an orphan elsewhere")
    await _make(b, "leaf's", "leaf")
    await _make(b, "leaf's leaf", "leaf's")
    result = await b.do("contexts:deleteContext", contextId="leaf", cascadeChildren=True)
    b.same(result, gone | {"contextId": "leaf", "descendantsDeleted": 2}, "deleting all below")
    b.same(await _listed(b), ["root", "right"], "what is left")
    for context in ("left", "leaf's leaf"):
        b.same(await b.ask("contexts:get", contextId=context), None, "what was deleted")
        b.same(await b.ask("contexts:getHistory", contextId=context), [], "its versions")
    b.same(await b.ask("contexts:listGranted", **there), [], "its grants")
    await b.refused(ContextNotFound, b.do("contexts:deleteContext", contextId="leaf"), "deleting it again")
    b.same((await _make(b, "left"))["version"], 1, "the version of a new one under a free id")


@PROMISES.add("contexts:findOrphaned", "contexts:revokeAccess")
async def a_revocation_makes_orphans(b: Bench) -> None:
    """What a space has made below a context that it does not see any more is an orphan, at depth 0, until it sees the
    parent again."""
    there = {"memorySpaceId": b.other}
    await _make(b, "ctx")
    for scope in ("full", "read-only"):
        await b.do("contexts:grantAccess", contextId="ctx", targetMemorySpaceId=b.other, scope=scope)
        theirs = await _make(b, "theirs", "ctx", **there)  # the second time it is there already
        b.same((theirs["depth"], theirs["rootId"], theirs["parentId"]), (1, "ctx", "ctx"), "while it is granted")
        b.same(await b.ask("contexts:findOrphaned", **there), [], "the orphans while it is granted")
        await b.do("contexts:revokeAccess", contextId="ctx", targetMemorySpaceId=b.other)
        (orphan,) = await b.ask("contexts:findOrphaned", **there)
        b.same((orphan["depth"], orphan["rootId"], orphan["parentId"]), (0, "theirs", "ctx"), "after a revocation")


async def _various(b: Bench) -> None:
    """Contexts that differ in all that lists narrow by, some of them far apart in the order."""
    await _make(b, "a", userId="ada", conversationRef={"conversationId": "c-1"}, purpose="Refund the orders")
    await _make(b, "b", "a", userId="bob", status="blocked", description="about a refunded order, late")
    await _make(b, "c", userId="ada", status="completed")
    await _make(b, "d", "b", userId="ada", conversationRef={"conversationId": "c-2"})
    await _make(b, "e", "c", status="blocked", conversationRef={"conversationId": "c-1", "messageIds": ["m"]})
    await b.do("contexts:update", contextId="b", completedAt=1_000)
    await _make(b, "f", memorySpaceId=b.other, userId="ada", status="blocked", purpose="refund an order")


@PROMISES.add("contexts:list", "contexts:count", "contexts:search", "contexts:page", "contexts:getByConversation")
async def contexts_are_listed_by_every_filter(b: Bench) -> None:
    """Lists, counts, searches and pages have the contexts that all filters let by, in the order in which they were
    made; filters act before the limit."""
    await _various(b)
    cases: list[tuple[Row, str]] = [
        ({}, "abcde"),
        ({"userId": "ada"}, "acd"),
        ({"status": "blocked"}, "be"),
        ({"parentId": "a"}, "b"),
        ({"rootId": "a"}, "ab" + "d"),
        ({"rootId": "b"}, ""),
        ({"depth": 0}, "ac"),
        ({"depth": 2}, "d"),
        ({"completedBefore": 1_001}, "b"),
        ({"completedBefore": 1_000}, ""),
        ({"completedBefore": 2**50}, "bc"),
        ({"userId": "ada", "rootId": "a", "depth": 2, "parentId": "b", "status": "active"}, "d"),
        ({"userId": "ada", "rootId": "a", "depth": 2, "parentId": "b", "status": "blocked"}, ""),
    ]
    for args, want in cases:
        b.same("".join(await _listed(b, **args)), want, f"the list with {args}")
        b.same(await b.ask("contexts:count", **args), len(want), f"the count with {args}")
        b.same("".join(await _listed(b, "contexts:search", **args)), want, f"the search with {args}")
        b.same("".join(await _listed(b, **args, limit=1, offset=1)), want[1:2], f"a part of the list with {args}")
        cursor: Row = {}
        paged: list[str] = []
        for _ in want or " ":
            page = await b.ask("contexts:page", **args, limit=1, **cursor)
            paged += _ids(page["page"])
            cursor = {"cursor": page["cursor"]} if "cursor" in page else {}
        b.same(("".join(paged), cursor), (want, {}), f"the pages with {args}")
    b.same(await b.ask("contexts:list", limit=0), [], "a list of none")
    for query, want in (("refunding an ORDER", "ab"), ("late order", "b"), ("parcel", ""), ("", ""), ("!", "")):
        b.same("".join(await _listed(b, "contexts:search", query=query)), want, f"the search for {query!r}")
    found = await _listed(b, "contexts:search", query="refund order", status="blocked", limit=1)
    b.same(found, ["b"], "a search with a filter and a limit")
    for conversation, want in (("c-1", "ae"), ("c-2", "d"), ("c-3", "")):
        got = await _listed(b, "contexts:getByConversation", conversationId=conversation)
        b.same("".join(got), want, f"the contexts of {conversation}")
    alone = await b.ask("contexts:get", contextId="b")
    del alone["previousVersions"]
    b.same(await b.ask("contexts:list", parentId="a"), [alone], "a context in a list")


@PROMISES.add("contexts:updateMany")
async def many_contexts_change_at_once(b: Bench) -> None:
    """All that the filters let by change, with a version each, and no other; a dry run changes none and says the
    same."""
    await _various(b)
    before = await b.ask("contexts:list")
    args: Row = {"status": "blocked", "updates": {"status": "completed", "data": {"done": True}}}
    want: Row = {"updated": 2, "contextIds": ["b", "e"]}
    b.same(await b.do("contexts:updateMany", **args, dryRun=True), want, "a dry run")
    b.same(await b.ask("contexts:list"), before, "the list after a dry run")
    b.same(await b.do("contexts:updateMany", **args), want, "what was changed")
    for row, old in zip(await b.ask("contexts:list"), before, strict=True):
        if row["contextId"] in want["contextIds"]:
            got = (row["status"], row.get("data"), row["version"], row.get("completedAt"))
            b.same(got, ("completed", {"done": True}, old["version"] + 1, row["updatedAt"]), "one that was changed")
        else:
            b.same(row, old, "one that was not meant")
    theirs = await b.ask("contexts:list", memorySpaceId=b.other)
    b.same([row["status"] for row in theirs], ["blocked"], "those of another space")
    b.same((await b.do("contexts:updateMany", **args))["updated"], 0, "how many fit the filters the second time")


@PROMISES.add("contexts:deleteMany")
async def many_contexts_are_deleted_at_once(b: Bench) -> None:
    """All that the filters let by are deleted, with their descendants if asked; without, one stays that has a child
    which stays. A dry run deletes none and says the same."""
    await _various(b)
    cases: list[tuple[Row, list[str]]] = [
        ({"userId": "ada"}, ["d"]),
        ({"completedBefore": 1_001}, ["b"]),
        ({"parentId": "nowhere"}, []),
        ({"status": "completed", "cascadeChildren": True}, ["c", "e"]),
        ({}, ["a"]),
    ]
    for args, want in cases:
        there = await _listed(b)
        result = {"deleted": len(want), "contextIds": want}
        b.same(await b.do("contexts:deleteMany", **args, dryRun=True), result, f"a dry run with {args}")
        b.same(await _listed(b), there, "the list after a dry run")
        b.same(await b.do("contexts:deleteMany", **args), result, f"what is deleted with {args}")
        b.same(await _listed(b), [context for context in there if context not in want], "what is left")
    b.same(await _listed(b, memorySpaceId=b.other), ["f"], "those of another space")


@PROMISES.add("contexts:exportContexts", "contexts:page")
async def contexts_are_exported(b: Bench) -> None:
    """An export has all contexts that the filters let by, as they are listed, with what was asked for beside them;
    pages have the same rows."""
    await b.exchange("Where is my order?", "On its way.", conversationId="c-1")
    await _various(b)
    await _make(b, '=odd, "x"\n', purpose="=1+1", data={"a,b": ['"', None]})
    listed = await b.ask("contexts:list")
    as_json = await b.ask("contexts:exportContexts", format="json")
    b.same((as_json["format"], as_json["count"]), ("json", 6), "the format and count")
    b.same(json.loads(as_json["data"]), listed, "as JSON")
    b.same((await b.ask("contexts:page"))["page"], listed, "a page")
    some = await b.ask("contexts:exportContexts", format="json", userId="ada", status="active")
    b.same([row["contextId"] for row in json.loads(some["data"])], ["a", "d"], "with filters")
    included = dict.fromkeys(("includeChain", "includeVersionHistory", "includeConversations"), True)
    whole = json.loads((await b.ask("contexts:exportContexts", format="json", **included))["data"])
    b.same((await b.ask("contexts:page", **included))["page"], whole, "a page with everything")
    by_id = {row["contextId"]: row for row in whole}
    b.same(_ids(by_id["d"]["ancestors"]), ["a", "b"], "the ancestors")
    b.same([row["version"] for row in by_id["b"]["versions"]], [1, 2], "the versions")
    conversations = {context: row.get("conversation", {}).get("messageCount") for context, row in by_id.items()}
    b.same([conversations[one] for one in "ade"], [2, None, 2], "the conversations that are there")
    as_csv = await b.ask("contexts:exportContexts", format="csv")
    table = list(csv.DictReader(io.StringIO(as_csv["data"], newline="")))
    b.same([line["contextId"] for line in table[:-1]], list("abcde"), "the ids as CSV")
    odd = table[-1]
    got = (odd["contextId"], odd["purpose"], json.loads(odd["data"]))
    b.same(got, ('\'=odd, "x"\n', "'=1+1", {"a,b": ['"', None]}), "odd signs as CSV")


@PROMISES.add(
    *("contexts:get", "contexts:list", "contexts:count", "contexts:search", "contexts:page", "contexts:getChain"),
    *("contexts:getRoot", "contexts:getChildren", "contexts:getByConversation", "contexts:getVersion"),
    *("contexts:getHistory", "contexts:getAtTimestamp", "contexts:exportContexts", "contexts:update"),
    *("contexts:deleteContext", "contexts:addParticipant", "contexts:removeParticipant", "contexts:grantAccess"),
)
async def another_space_sees_no_context(b: Bench) -> None:
    """What was not granted is not there for another memory space: nothing shows or changes it, and its id is free."""
    await _make(b, "ctx", conversationRef={"conversationId": "c"}, userId="ada")
    before = await b.ask("contexts:get", contextId="ctx")
    there = {"memorySpaceId": b.other}
    one = {"contextId": "ctx", **there}
    for path, args, nothing in (
        ("get", one, None),
        ("getChildren", one, []),
        ("getVersion", one | {"version": 1}, None),
        ("getHistory", one, []),
        ("getAtTimestamp", one | {"timestamp": 2**50}, None),
        ("list", there, []),
        ("list", there | {"userId": "ada", "rootId": "ctx"}, []),
        ("search", there | {"query": "ctx"}, []),
        ("count", there, 0),
        ("page", there, {"page": []}),
        ("getByConversation", there | {"conversationId": "c"}, []),
    ):
        b.same(await b.ask(f"contexts:{path}", **args), nothing, f"contexts:{path}, there")
    b.same((await b.ask("contexts:exportContexts", format="json", **there))["data"], "[]", "the export, there")
    for path in ("contexts:getChain", "contexts:getRoot"):
        await b.refused(ContextNotFound, b.ask(path, **one), f"{path}, there")
    for path, more in (
        ("contexts:update", {"status": "blocked"}),
        ("contexts:deleteContext", {}),
        ("contexts:addParticipant", {"participantId": "eve"}),
        ("contexts:removeParticipant", {"participantId": b.space}),
        ("contexts:grantAccess", {"targetMemorySpaceId": b.space, "scope": "full"}),
        ("contexts:revokeAccess", {"targetMemorySpaceId": b.space}),
    ):
        await b.refused(ContextNotFound, b.do(path, **one, **more), f"{path}, there")
    await b.do("contexts:updateMany", **there, updates={"status": "blocked"})
    await b.do("contexts:deleteMany", **there, userId="ada", cascadeChildren=True)
    mine = await _make(b, "ctx", **there)
    b.same((mine["memorySpaceId"], mine.get("userId")), (b.other, None), "an own context under the same id")
    b.same(await b.ask("contexts:get", contextId="ctx"), before, "the context afterwards")
