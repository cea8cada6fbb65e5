"""Backends with one defect each in `graphSync:*`, and the promise that must catch it."""

from helpers.wrong_backends import Wrong, noticed_by


@noticed_by("a_graph_is_told_of_each_change")
class TellsAGraphOfNoDeletion(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path != "graphSync:getUnsyncedItems":
            return found
        there = []
        for row in found:
            asked = {"memorySpaceId": row.get("memorySpaceId", "s"), "memoryId": row["entityId"]}
            if row["table"] != "memories" or await super().query("memories:get", asked) is not None:
                there.append(row)
        return there


@noticed_by("a_graph_is_told_of_each_change")
class TellsAGraphNewestFirst(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return found[::-1] if path == "graphSync:getUnsyncedItems" else found


@noticed_by("without_a_graph_nothing_is_queued")
class KeepsTheOutboxOfNoGraph(Wrong):
    async def mutation(self, path, args):
        if path == "graphSync:keep" and not args["enabled"]:
            return args
        return await super().mutation(path, args)
