"""Backends with one defect each in the lists, versions and the archive of memories, and the promise that must catch
it."""

import json

from helpers.wrong_backends import Wrong, noticed_by


@noticed_by("each_filter_lists_counts_and_turns_pages")
class CountsAllSources(Wrong):
    async def query(self, path, args):
        if path == "memories:count":
            args = {key: value for key, value in args.items() if key != "sourceType"}
        return await super().query(path, args)


@noticed_by("each_filter_lists_counts_and_turns_pages")
class RepeatsTheLastOfThePageBefore(Wrong):
    async def query(self, path, args):
        if path == "memories:page" and args.get("cursor"):
            args = {**args, "cursor": str(int(args["cursor"]) - 1)}
        return await super().query(path, args)


class Dropping(Wrong):
    """Ignores some arguments of a function."""

    path = ""
    ignored = ()

    def _less(self, path, args):
        return {key: value for key, value in args.items() if path != self.path or key not in self.ignored}

    async def query(self, path, args):
        return await super().query(path, self._less(path, args))

    async def mutation(self, path, args):
        return await super().mutation(path, self._less(path, args))


@noticed_by("an_update_keeps_what_was")
class KeepsNoMetadata(Dropping):
    path = "memories:update"
    ignored = ("metadata",)


@noticed_by("an_update_keeps_what_was")
class ForgetsTheFormerContents(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:getHistory" and found:
            return [{**one, "content": found[-1]["content"]} for one in found]
        return found


@noticed_by("a_stale_update_is_refused")
class LetsTheLastWriterWin(Dropping):
    path = "memories:update"
    ignored = ("expectedVersion",)


@noticed_by("at_a_time_a_memory_has_its_version")
class GivesTheCurrentVersionAtAnyTime(Wrong):
    async def query(self, path, args):
        if path == "memories:getAtTimestamp":
            args = {**args, "timestamp": 2**52}
        return await super().query(path, args)


@noticed_by("a_changed_memory_of_an_exchange_leaves_the_message")
class ChangesTheMessageToo(Wrong):
    changed = {}

    async def mutation(self, path, args):
        if path == "memories:update" and "content" in args:
            row = await self.ask("memories:get", args, memoryId=args["memoryId"]) or {}
            if "content" in row:
                self.changed = {**self.changed, row["content"]: args["content"]}
        return await super().mutation(path, args)

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:get" and found:
            said = [{**one, "content": self.changed.get(one["content"], one["content"])} for one in found["messages"]]
            return {**found, "messages": said}
        return found


@noticed_by("a_deleted_memory_takes_its_versions")
class RemembersVersionsOfTheDeleted(Wrong):
    seen = {}

    async def mutation(self, path, args):
        if path in ("memories:deleteMemory", "memories:forget"):
            found = await self.ask("memories:getHistory", args, memoryId=args["memoryId"])
            self.seen = {**self.seen, args["memoryId"]: found}
        return await super().mutation(path, args)

    async def query(self, path, args):
        found = await super().query(path, args)
        return found or self.seen.get(args["memoryId"], []) if path == "memories:getHistory" else found


@noticed_by("a_new_content_retracts_what_the_old_one_said")
class KeepsTheFactsOfTheOldContent(Dropping):
    path = "memories:update"
    ignored = ("retractFacts",)


@noticed_by("a_new_content_retracts_what_the_old_one_said")
class RetractsFactsUnasked(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {**args, "retractFacts": True} if path == "memories:update" else args)


@noticed_by("an_archived_memory_is_out_of_sight")
class CountsTheArchived(Wrong):
    async def query(self, path, args):
        return await super().query(path, {**args, "includeArchived": True} if path == "memories:count" else args)


@noticed_by("an_archived_memory_is_out_of_sight")
class FindsTheArchivedByTheirVectors(Wrong):
    async def query(self, path, args):
        if path == "memories:search" and "embedding" in args:
            args = {**args, "includeArchived": True}
        return await super().query(path, args)


@noticed_by("many_are_changed_by_filters")
class ChangesAnyImportance(Dropping):
    path = "memories:updateMany"
    ignored = ("maxImportance",)


@noticed_by("many_are_deleted_by_filters")
class DeletesAnyContentType(Wrong):
    async def mutation(self, path, args):
        if path == "memories:deleteMany" and "contentType" in args:
            args = {**args, "contentType": "raw"}
        return await super().mutation(path, args)


@noticed_by("many_are_deleted_by_filters")
class DeletesTheFactsAnyway(Dropping):
    path = "memories:deleteMany"
    ignored = ("cascadeDeleteFacts",)


@noticed_by("memories_are_exported")
class ExportsTheHeads(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:exportMemories" and args["format"] == "json":
            rows = [{**row, "content": row["content"][:65_536]} for row in json.loads(found["data"])]
            return {**found, "data": json.dumps(rows)}
        return found
