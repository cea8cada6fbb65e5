"""Backends with one defect each in `users:*`, and the promise that must catch it."""

from helpers.wrong_backends import Wrong, noticed_by
from helpers.wrong_immutable import WrongArgs, WrongResult


@noticed_by("a_profile_is_an_entry")
class KeepsProfilesApart(Wrong):
    async def query(self, path, args):
        if path == "immutable:get" and args["type"] == "user":
            return None
        return await super().query(path, args)


@noticed_by("a_profile_is_an_entry")
class UpdatesByMerging(Wrong):
    async def mutation(self, path, args):
        if path == "users:update" and (row := await super().query("users:get", {"userId": args["userId"]})):
            args = {**args, "data": {**row["data"], **args["data"]}}
        return await super().mutation(path, args)


class MergesByHand(Wrong):
    """Reads, and writes what it has merged."""

    def merged(self, data, updates):
        deep = {
            key: self.merged(data[key], value) if isinstance(value, dict) and isinstance(data.get(key), dict) else value
            for key, value in updates.items()
        }
        return {**data, **deep}

    async def mutation(self, path, args):
        row = await super().query("users:get", {"userId": args["userId"]}) if path == "users:merge" else None
        if row is None or "operationId" in args or self.merged(row["data"], args["updates"]) == row["data"]:
            return await super().mutation(path, args)
        more = {name: value for name, value in args.items() if name != "updates"}
        return await super().mutation("users:update", {**more, "data": self.merged(row["data"], args["updates"])})


@noticed_by("merges_lose_nothing")
class LosesMerges(MergesByHand):
    pass


@noticed_by("merges_lose_nothing")
class MergesTheFirstLevel(MergesByHand):
    def merged(self, data, updates):
        return {**data, **updates}


@noticed_by("a_profile_is_made_once")
class MakesAProfileTwice(Wrong):
    async def mutation(self, path, args):
        if path == "users:getOrCreate" and not await super().query("users:exists", {"userId": args["userId"]}):
            return await super().mutation("users:update", {"userId": args["userId"], "data": args.get("defaults", {})})
        return await super().mutation(path, args)


@noticed_by("many_profiles_are_merged")
class KeepsAllVersions(WrongArgs):
    path = "users:updateMany"
    forgets = ("skipVersioning",)


@noticed_by("many_profiles_are_merged")
class CountsUsersWithoutAProfile(WrongResult):
    path = "users:updateMany"

    def changed(self, args, result):
        return {"updated": len(args["userIds"]), "userIds": args["userIds"]}


@noticed_by("a_deleted_profile_is_gone")
class DeletesInADryRun(WrongArgs):
    path = "users:deleteUserProfile"
    forgets = ("dryRun",)


@noticed_by("profiles_are_filtered_before_the_limit")
class FiltersProfilesAfterTheLimit(Wrong):
    async def query(self, path, args):
        rows = await super().query(path, args)
        if path != "users:search" or not rows:
            return rows
        first = {name: value for name, value in args["data"].items() if name == "run"}
        return [row for row in await super().query(path, {**args, "data": first}) if row in rows]


@noticed_by("profiles_are_filtered_before_the_limit")
class TakesTrueForOne(WrongArgs):
    path = "users:search"

    def changed(self, args):
        data = {name: 1 if value is True else value for name, value in args.get("data", {}).items()}
        return {**args, "data": data}


@noticed_by("a_profile_has_its_versions")
class HasTheOldestVersionFirst(WrongResult):
    path = "users:getHistory"

    def changed(self, args, result):
        return result[::-1]
