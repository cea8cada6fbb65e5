"""Backends with one defect each in `immutable:*`, and the promise that must catch it."""

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.errors import IdempotencyConflict


class WrongArgs(Wrong):
    """Calls a function with other arguments."""

    path = ""
    forgets = ()

    def changed(self, args):
        return {name: value for name, value in args.items() if name not in self.forgets}

    async def mutation(self, path, args):
        return await super().mutation(path, self.changed(args) if path == self.path else args)

    async def query(self, path, args):
        return await super().query(path, self.changed(args) if path == self.path else args)


class WrongResult(Wrong):
    """Changes the result of a function."""

    path = ""

    def changed(self, args, result):
        raise NotImplementedError

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        return self.changed(args, result) if path == self.path else result

    async def query(self, path, args):
        result = await super().query(path, args)
        return self.changed(args, result) if path == self.path else result


@noticed_by("a_store_makes_a_version")
class KeepsOnlyTheCurrentVersion(WrongResult):
    path = "immutable:getHistory"

    def changed(self, args, result):
        return result[-1:]


@noticed_by("a_store_makes_a_version")
class IgnoresTheUserOfAnUpdate(Wrong):
    async def mutation(self, path, args):
        if path == "immutable:store" and await super().query("immutable:get", {"type": args["type"], "id": args["id"]}):
            args = {name: value for name, value in args.items() if name != "userId"}
        return await super().mutation(path, args)


@noticed_by("a_stale_version_is_refused")
class IgnoresTheExpectedVersion(WrongArgs):
    path = "immutable:store"
    forgets = ("expectedVersion",)


@noticed_by("an_operation_makes_one_version")
class IgnoresTheOperationId(WrongArgs):
    path = "immutable:store"
    forgets = ("operationId",)


@noticed_by("an_operation_makes_one_version")
class TakesAnIdForTheCall(Wrong):
    """Whatever is stored under an id that has made a version is taken for the same call."""

    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            return await super().query("immutable:get", {"type": args["type"], "id": args["id"]})


@noticed_by("a_time_has_its_version")
class GivesTheOldestVersionThatIsKept(Wrong):
    async def query(self, path, args):
        result = await super().query(path, args)
        if path == "immutable:getAtTimestamp" and result is None:
            kept = await super().query("immutable:getHistory", {"type": args["type"], "id": args["id"]})
            return kept[0] if kept else None
        return result


@noticed_by("versions_do_not_go_back_in_time")
class BelievesTheClock(WrongResult):
    path = "immutable:store"

    def changed(self, args, result):
        return {**result, "updatedAt": round(self.clock() * 1000)}


@noticed_by("entries_are_filtered_before_the_limit")
class FiltersEntriesAfterTheLimit(Wrong):
    async def query(self, path, args):
        if path != "immutable:list" or "userId" not in args:
            return await super().query(path, args)
        rows = await super().query(path, {name: value for name, value in args.items() if name != "userId"})
        return [row for row in rows if row.get("userId") == args["userId"]]


@noticed_by("entries_are_filtered_before_the_limit")
class CountsVersions(Wrong):
    async def query(self, path, args):
        result = await super().query(path, args)
        if path == "immutable:count":
            rows = await super().query("immutable:list", {**args, "limit": 1_000_000})
            return sum(row["version"] for row in rows)
        return result


@noticed_by("an_entry_is_found_by_what_it_says")
class ScoresAllTheSame(WrongResult):
    path = "immutable:search"

    def changed(self, args, result):
        return [{**one, "score": 1} for one in result]


@noticed_by("what_is_purged_is_gone")
class PurgesInADryRun(WrongArgs):
    path = "immutable:purgeMany"
    forgets = ("dryRun",)


@noticed_by("what_is_purged_is_gone")
class PurgesAllOfTheUser(WrongArgs):
    path = "immutable:purgeMany"

    def changed(self, args):
        return {name: value for name, value in args.items() if name != "type" or "userId" not in args}


@noticed_by("the_current_version_is_never_purged")
class PurgesWhatEitherMeans(Wrong):
    async def mutation(self, path, args):
        if path == "immutable:purgeVersions" and "keepLatest" in args and "olderThan" in args:
            key = {"type": args["type"], "id": args["id"]}
            first = await super().mutation(path, {**key, "keepLatest": args["keepLatest"]})
            second = await super().mutation(path, {**key, "olderThan": args["olderThan"]})
            return {**second, "versionsPurged": first["versionsPurged"] + second["versionsPurged"]}
        return await super().mutation(path, args)
