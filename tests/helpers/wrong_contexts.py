"""Backends with one defect each in `contexts:*`, and the promise that must catch it."""

import json

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.errors import (
    ContextNotFound,
    ContextReadOnly,
    HasChildren,
    IdempotencyConflict,
    MemorySpaceArchived,
    ParentNotFound,
    VersionConflict,
)


class WrongOf(Wrong):
    """Calls of one function go through `wrong`, which may make the right call: `right`."""

    path = ""

    async def query(self, path, args):
        if path != f"contexts:{self.path}":
            return await super().query(path, args)
        return await self.wrong(args, super().query)

    async def mutation(self, path, args):
        if path != f"contexts:{self.path}":
            return await super().mutation(path, args)
        return await self.wrong(args, super().mutation)

    async def wrong(self, args, right):
        return await right(f"contexts:{self.path}", args)

    async def owner(self, context):
        """The memory space that has a context with this id."""
        return await self._read(
            lambda db: (db.execute("SELECT space FROM contexts WHERE id = ?", (context,)).fetchone() or [None])[0]
        )

    async def run(self, statement, *values):
        return await self._run(self._write_thread, lambda: self._transact(lambda db: db.execute(statement, values)))


def without(args, *names):
    return {name: value for name, value in args.items() if name not in names}


@noticed_by("a_context_is_made_once")
class ForgetsTheDescription(WrongOf):
    path = "create"

    async def wrong(self, args, right):
        return await right("contexts:create", without(args, "description"))


@noticed_by("a_context_is_made_once")
class TakesAnyContextUnderTheId(WrongOf):
    path = "create"

    async def wrong(self, args, right):
        try:
            return await right("contexts:create", args)
        except IdempotencyConflict:
            return without(await self.ask("contexts:get", args, contextId=args["contextId"]), "previousVersions")


@noticed_by("contexts_form_trees")
class KeepsParentsThatAreNotThere(WrongOf):
    path = "create"

    async def wrong(self, args, right):
        try:
            return await right("contexts:create", args)
        except ParentNotFound:
            return await right("contexts:create", without(args, "parentId"))


@noticed_by("contexts_form_trees")
class AncestorsFromBelow(WrongOf):
    path = "getChain"

    async def wrong(self, args, right):
        chain = await right("contexts:getChain", args)
        return {**chain, "ancestors": chain["ancestors"][::-1]}


@noticed_by("contexts_form_trees", "a_chain_shows_only_what_may_be_seen")
class OnlyChildrenForDescendants(WrongOf):
    path = "getChildren"

    async def wrong(self, args, right):
        return await right("contexts:getChildren", {**args, "recursive": False})


@noticed_by("a_change_makes_a_version")
class ReplacesTheData(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        result = await right("contexts:update", args)
        if "data" in args:
            await self.run(
                "UPDATE contexts SET data = ? WHERE id = ? AND space = ?",
                *(json.dumps(args["data"]), args["contextId"], args["memorySpaceId"]),
            )
            return {**result, "data": args["data"]}
        return result


@noticed_by("a_change_makes_a_version")
class TakesAStaleVersion(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        try:
            return await right("contexts:update", args)
        except VersionConflict:
            return await right("contexts:update", without(args, "expectedVersion"))


@noticed_by("a_change_with_an_operation_id_is_made_once")
class ForgetsTheClaim(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        return await right("contexts:update", without(args, "operationId", "expectedVersion"))


@noticed_by("a_change_makes_a_version")
class KeepsTheCompletion(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        before = await self.ask("contexts:get", args, contextId=args["contextId"]) or {}
        kept = {"completedAt": before["completedAt"]} if "completedAt" in before else {}
        return await right("contexts:update", {**kept, **args})


@noticed_by("a_change_makes_a_version")
class FindsVersionsByTheLastTouch(WrongOf):
    path = "getAtTimestamp"

    async def wrong(self, args, right):
        history = await self.ask("contexts:getHistory", args, contextId=args["contextId"])
        return history[-1] if history else None


@noticed_by("participants_come_and_go")
class AddsParticipantsInFront(WrongOf):
    path = "addParticipant"

    async def wrong(self, args, right):
        result = await right("contexts:addParticipant", args)
        first, *others = result["participants"]
        return {**result, "participants": [first, *others[::-1]]}


@noticed_by("a_grant_opens_and_a_revocation_closes", "a_revocation_makes_orphans")
class NeverCloses(WrongOf):
    path = "revokeAccess"

    async def wrong(self, args, right):
        result = await self.ask("contexts:get", args, contextId=args["contextId"])
        if result is None:
            raise ContextNotFound("no context with this id")
        if result["memorySpaceId"] != args["memorySpaceId"]:
            raise ContextReadOnly("another memory space owns the context")
        return without(result, "grantedAccess", "previousVersions")


@noticed_by("a_grant_opens_and_a_revocation_closes")
class ReaderMayChange(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        try:
            return await right("contexts:update", args)
        except ContextReadOnly:
            return await right("contexts:update", {**args, "memorySpaceId": await self.owner(args["contextId"])})


@noticed_by("a_grant_opens_and_a_revocation_closes")
class ChangesWhatIsArchived(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        try:
            return await right("contexts:update", args)
        except MemorySpaceArchived:
            owner = {"memorySpaceId": await self.owner(args["contextId"])}
            await self.do("memorySpaces:reactivate", owner)
            changed = await right("contexts:update", args)
            await self.do("memorySpaces:archive", owner)
            return changed


@noticed_by("a_grant_opens_and_a_revocation_closes")
class ReaderMayDelete(WrongOf):
    path = "deleteContext"

    async def wrong(self, args, right):
        try:
            return await right("contexts:deleteContext", args)
        except ContextReadOnly:
            owner = await self.owner(args["contextId"])
            return await right("contexts:deleteContext", {**args, "memorySpaceId": owner, "orphanChildren": True})


@noticed_by("a_chain_shows_only_what_may_be_seen", "another_space_sees_no_context")
class ShowsTheWholeChain(WrongOf):
    """As the owner of the context sees it."""

    path = "getChain"

    async def wrong(self, args, right):
        owner = await self.owner(args["contextId"])
        return await right("contexts:getChain", {**args, "memorySpaceId": owner or args["memorySpaceId"]})


@noticed_by("a_deleted_context_leaves_nothing_behind")
class DeletesInSpiteOfChildren(WrongOf):
    path = "deleteContext"

    async def wrong(self, args, right):
        try:
            return await right("contexts:deleteContext", args)
        except HasChildren:
            return await right("contexts:deleteContext", {**args, "cascadeChildren": True})


@noticed_by("a_deleted_context_leaves_nothing_behind", "a_revocation_makes_orphans")
class FindsNoOrphans(WrongOf):
    path = "findOrphaned"

    async def wrong(self, args, right):
        return []


@noticed_by("contexts_are_listed_by_every_filter")
class FiltersAfterTheLimit(WrongOf):
    path = "list"

    async def wrong(self, args, right):
        rows = await right("contexts:list", without(args, "userId"))
        return [row for row in rows if args.get("userId") in (None, row.get("userId"))]


@noticed_by("contexts_are_listed_by_every_filter")
class CountsWithoutTheDepth(WrongOf):
    path = "count"

    async def wrong(self, args, right):
        return await right("contexts:count", without(args, "depth"))


@noticed_by("contexts_are_listed_by_every_filter")
class SearchesForAnyText(WrongOf):
    path = "search"

    async def wrong(self, args, right):
        return await right("contexts:search", without(args, "query"))


@noticed_by("many_contexts_change_at_once")
class ChangesInADryRun(WrongOf):
    path = "updateMany"

    async def wrong(self, args, right):
        return await right("contexts:updateMany", {**args, "dryRun": False})


@noticed_by("many_contexts_are_deleted_at_once")
class DeletesParents(WrongOf):
    path = "deleteMany"

    async def wrong(self, args, right):
        return await right("contexts:deleteMany", {**args, "cascadeChildren": True})


@noticed_by("contexts_are_exported")
class ExportsWithoutFilters(WrongOf):
    path = "exportContexts"

    async def wrong(self, args, right):
        return await right("contexts:exportContexts", without(args, "userId", "status"))


@noticed_by("another_space_sees_no_context")
class ChangesWhatIsElsewhere(WrongOf):
    path = "update"

    async def wrong(self, args, right):
        try:
            return await right("contexts:update", args)
        except ContextNotFound:
            owner = await self.owner(args["contextId"])
            return await right("contexts:update", {**args, "memorySpaceId": owner or args["memorySpaceId"]})


@noticed_by("another_space_sees_no_context")
class ListsAllSpaces(WrongOf):
    path = "getByConversation"

    async def wrong(self, args, right):
        spaces = await self._read(lambda db: db.execute("SELECT DISTINCT space FROM contexts").fetchall())
        found = [await right("contexts:getByConversation", {**args, "memorySpaceId": row["space"]}) for row in spaces]
        return [row for rows in found for row in rows]
