"""Backends with one defect each in `mutable:*`, and the promise that must catch it."""

import asyncio
import contextlib

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import KeyNotFound


class Table(Wrong):
    """What these have in common: `changed` gets a call, and `made` its result."""

    def changed(self, path, args):
        return args

    def made(self, path, args, result):
        return result

    async def mutation(self, path, args):
        return self.made(path, args, await SqliteBackend.mutation(self, path, self.changed(path, args)))

    async def query(self, path, args):
        return self.made(path, args, await SqliteBackend.query(self, path, self.changed(path, args)))


@noticed_by("a_key_has_its_newest_value")
class TakesNoneForMissing(Table):
    def made(self, path, args, result):
        return None if path == "mutable:get" and result and result["value"] is None else result


@noticed_by("a_key_has_its_newest_value")
class ForgetsWhoseItIs(Table):
    """A set replaces the whole row, the user and the metadata too."""

    async def mutation(self, path, args):
        if path == "mutable:set":
            with contextlib.suppress(KeyNotFound):
                key = {name: args[name] for name in ("namespace", "key")}
                await SqliteBackend.mutation(self, "mutable:deleteKey", key)
        return await SqliteBackend.mutation(self, path, args)


@noticed_by("a_stale_change_is_refused")
class IgnoresTheVersion(Table):
    def changed(self, path, args):
        return {name: value for name, value in args.items() if name != "expectedVersion"}


@noticed_by("a_key_that_is_made_again_has_a_new_version")
class BeginsAgainWithOne(Table):
    async def mutation(self, path, args):
        is_new = path == "mutable:set" and not await SqliteBackend.query(
            self, "mutable:exists", {name: args[name] for name in ("namespace", "key")}
        )
        result = await SqliteBackend.mutation(self, path, args)
        return {**result, "version": 1} if is_new else result


@noticed_by("numbers_and_lists_are_updated")
class TakesNothingForOne(Table):
    def changed(self, path, args):
        if args.get("operation") == "increment" and "operand" in args:
            return {**args, "operand": args["operand"] or 1}
        return args


@noticed_by("no_increment_is_lost")
class ReadsThenWrites(Table):
    """An increment is a get and a set."""

    async def mutation(self, path, args):
        if args.get("operation") != "increment":
            return await SqliteBackend.mutation(self, path, args)
        where = {key: args[key] for key in ("namespace", "key")}
        row = await SqliteBackend.query(self, "mutable:get", where)
        await asyncio.sleep(0)
        value = (row["value"] if row else args["initial"]) + args.get("operand", 1)
        return await SqliteBackend.mutation(self, "mutable:set", {**where, "value": value})


@noticed_by("a_change_with_an_id_is_made_once")
class ForgetsOperations(Table):
    def changed(self, path, args):
        return {name: value for name, value in args.items() if name != "operationId"}


@noticed_by("a_transaction_is_all_or_nothing")
class DoesStepByStep(Table):
    """Each step is a transaction of its own."""

    async def mutation(self, path, args):
        if path != "mutable:transaction":
            return await SqliteBackend.mutation(self, path, args)
        await SqliteBackend.mutation(self, path, {**args, "operations": []})
        done = [await SqliteBackend.mutation(self, path, {"operations": [one]}) for one in args["operations"]]
        results = [one for each in done for one in each["results"]]
        return {"success": True, "operationsExecuted": len(results), "results": results}


@noticed_by("keys_are_filtered_before_the_page")
class CutsBeforeItFilters(Table):
    def changed(self, path, args):
        return {key: value for key, value in args.items() if path != "mutable:list" or key != "userId"}

    def made(self, path, args, result):
        if path == "mutable:list" and "userId" in args:
            return [row for row in result if row.get("userId") == args["userId"]]
        return result


@noticed_by("a_purge_deletes_what_it_names")
class PurgesInADryRun(Table):
    def changed(self, path, args):
        return {**args, "dryRun": False} if path == "mutable:purgeNamespace" else args
