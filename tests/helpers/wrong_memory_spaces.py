"""Backends with one defect each in `memorySpaces:*`, and the promise that must catch it."""

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.errors import MemorySpaceArchived, MemorySpaceExists, MemorySpaceHasData, ParticipantExists


@noticed_by("a_memory_space_is_registered_once")
class RegistersOverAnother(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except MemorySpaceExists:
            return await self.ask("memorySpaces:get", args)


@noticed_by("participants_of_a_space_come_and_go")
class AddsAnotherParticipantSilently(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except ParticipantExists:
            return await self.ask("memorySpaces:get", args)


@noticed_by("an_archived_space_is_read_and_not_written")
class WritesInAnArchivedSpace(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except MemorySpaceArchived:
            await self.do("memorySpaces:reactivate", {"memorySpaceId": args["memorySpaceId"]})
            result = await super().mutation(path, args)
            await self.do("memorySpaces:archive", {"memorySpaceId": args["memorySpaceId"]})
            return result


@noticed_by("an_archived_space_is_read_and_not_written")
class CutsAnswersOffWhenItArchives(Wrong):
    async def mutation(self, path, args):
        if path == "streams:append":
            found = await self.ask("memorySpaces:get", args)
            if found is not None and found["status"] == "archived":
                raise MemorySpaceArchived
        return await super().mutation(path, args)


@noticed_by("memory_spaces_are_listed")
class LimitsSpacesBeforeItFilters(Wrong):
    async def query(self, path, args):
        if path != "memorySpaces:list" or "type" not in args:
            return await super().query(path, args)
        rows = await super().query(path, {name: value for name, value in args.items() if name != "type"} | {"limit": 1})
        return [row for row in rows if row["type"] == args["type"]]


@noticed_by("memory_spaces_are_listed")
class HidesUnregisteredSpaces(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return [row for row in found if row["registered"]] if path == "memorySpaces:list" else found


@noticed_by("statistics_count_what_is_there")
class CountsNoBytes(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memorySpaces:getStats":
            found["storage"] = dict.fromkeys(found["storage"], 0)
        return found


@noticed_by("statistics_of_a_time_leave_out_what_is_older")
class ForgetsTheTimeWindow(Wrong):
    async def query(self, path, args):
        if path == "memorySpaces:getStats":
            args = {**args, "timeWindow": "all"}
        return await super().query(path, args)


@noticed_by("a_space_is_deleted_with_everything_in_it")
class DeletesOnlyTheRegistration(Wrong):
    async def mutation(self, path, args):
        if path == "memorySpaces:clear":
            return {"deleted": 0, "more": False}
        return await super().mutation(path, args)


@noticed_by("a_space_is_deleted_with_everything_in_it")
class DeletesWithoutBeingTold(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except MemorySpaceHasData:
            return await super().mutation(path, {**args, "cascade": True})
