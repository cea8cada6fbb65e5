"""Backends with one defect each in `graphSync:*`, and the promise that must catch it."""

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.errors import Fenced


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


# --- what a drainer is given ------------------------------------------------------------------------------------------


class WrongBatches(Wrong):
    """Gives other rows of a batch, or other records."""

    def row(self, row):
        return row

    async def query(self, path, args):
        found = await super().query(path, args)
        if path != "graphSync:getBatch":
            return found
        return [row for row in map(self.row, found) if row is not None]


@noticed_by("a_batch_has_the_records_as_they_are")
class GivesRecordsAsTheyWere(WrongBatches):
    """As a row that holds its record does."""

    def row(self, row):
        self.first = getattr(self, "first", {})
        known = self.first.setdefault((row["table"], row["entityId"]), row.get("record"))
        return row if known is None else {**row, "record": known}


@noticed_by("a_batch_has_the_records_as_they_are")
class TellsAGraphWhatAUserIs(WrongBatches):
    def row(self, row):
        return {**row, "record": {**row["record"], "data": {}}} if row["table"] == "users" else row


@noticed_by("a_batch_has_the_records_as_they_are")
class LeavesKeysOfMutableOut(WrongBatches):
    def row(self, row):
        return None if row["table"] == "mutable" else row


@noticed_by("a_batch_has_the_records_as_they_are")
class TellsOfAncestorsOfOthers(WrongBatches):
    """The root that another memory space owns."""

    def row(self, row):
        record = row.get("record", {})
        if row["table"] != "contexts" or "parentId" not in record:
            return row
        return {**row, "record": {**record, "rootId": record["parentId"], "depth": 1}}


@noticed_by("a_graph_sees_an_answer_grow")
class WaitsForTheEndOfAnAnswer(WrongBatches):
    def row(self, row):
        return None if row.get("record", {}).get("isPartial") else row


@noticed_by("a_graph_sees_an_answer_grow")
class SeesAnAnswerGrowOnce(WrongBatches):
    """A row of a partial memory is given once."""

    def row(self, row):
        self.seen = getattr(self, "seen", set())
        if not row.get("record", {}).get("isPartial"):
            return row
        known = row["entityId"] in self.seen
        self.seen.add(row["entityId"])
        return None if known else row


class WrongPages(Wrong):
    """Gives other rows of `getRecords`."""

    def rows(self, rows, args):
        return rows

    async def query(self, path, args):
        found = await super().query(path, args)
        return self.rows(found, args) if path == "graphSync:getRecords" else found


@noticed_by("all_records_are_read_page_by_page")
class GivesNoPartialRecord(WrongPages):
    def rows(self, rows, args):
        return [row for row in rows if not row["record"].get("isPartial")]


@noticed_by("all_records_are_read_page_by_page")
class GivesOnlyRecordsThatHaveChanged(WrongPages):
    def rows(self, rows, args):
        return [row for row in rows if row["queued"]]


@noticed_by("all_records_are_read_page_by_page")
class ForgetsWhatIsQueued(WrongPages):
    def rows(self, rows, args):
        return [{**row, "queued": False} for row in rows]


@noticed_by("all_records_are_read_page_by_page")
class GivesAPageTwice(WrongPages):
    """Each page begins with the last record of the one before."""

    def rows(self, rows, args):
        last, self.last = getattr(self, "last", None), rows[-1] if rows else None
        return [last, *rows][:2] if last and rows and args.get("after") else rows


@noticed_by("a_record_is_there_only_in_its_scope")
class TakesAPartialForMissing(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "graphSync:exists":
            for number, one in enumerate(args["records"]):
                if one["table"] == "memories" and found[number]:
                    asked = {"memorySpaceId": one["memorySpaceId"], "memoryId": one["entityId"]}
                    found[number] = await super().query("memories:get", asked) is not None
        return found


@noticed_by("a_record_is_there_only_in_its_scope")
class TakesAChunkForARecord(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path != "graphSync:exists":
            return found
        for number, one in enumerate(args["records"]):
            if one["table"] == "memories":
                asked = {"memorySpaceId": one["memorySpaceId"], "memoryId": one["entityId"], "includePartial": True}
                found[number] = await super().query("memories:get", asked) is not None
        return found


# --- what becomes of the rows -----------------------------------------------------------------------------------------


@noticed_by("a_row_goes_only_as_it_was_read")
class TakesAnyRevisionAway(Wrong):
    """As Cortex 0.11 does."""

    async def mutation(self, path, args):
        if path == "graphSync:markSynced":
            rows = await super().query("graphSync:getUnsyncedItems", {"limit": 1000})
            now = {(row["table"], row["entityId"]): row["revision"] for row in rows}
            newest = [{**one, "revision": now.get((one["table"], one["entityId"]), 0)} for one in args["items"]]
            args = {**args, "items": newest}
        return await super().mutation(path, args)


@noticed_by("a_row_goes_only_as_it_was_read")
class LooksOnlyAtTheRevision(Wrong):
    async def mutation(self, path, args):
        if path == "graphSync:markSynced":
            rows = {row["revision"]: row for row in await super().query("graphSync:getUnsyncedItems", {"limit": 1000})}
            args = {**args, "items": [rows.get(one["revision"], one) for one in args["items"]]}
        return await super().mutation(path, args)


@noticed_by("one_drainer_holds_the_lease")
class GivesEverybodyTheLease(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        return {**result, "held": True} if path == "graphSync:lease" else result


@noticed_by("one_drainer_holds_the_lease")
class TakesRowsAwayForAnybody(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except Fenced:
            return {"synced": 0}


@noticed_by("one_drainer_holds_the_lease")
class KeepsTheTerm(Wrong):
    """So a drainer that was paused is not told from its successor."""

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        return {**result, "term": 1} if path == "graphSync:lease" else result


@noticed_by("a_lease_of_before_the_clock_was_set_back_is_none")
class WaitsForALeaseOfTheFuture(Wrong):
    until = 0
    holder = None

    async def mutation(self, path, args):
        now = self.clock() * 1000
        if path == "graphSync:lease" and args["holder"] != self.holder and now < self.until:
            return {"held": False, "term": 1, "store": "x", "leaseUntil": self.until}
        result = await super().mutation(path, args)
        if path == "graphSync:lease":
            self.until, self.holder = result["leaseUntil"], args["holder"]
        return result


@noticed_by("a_row_that_failed_is_never_lost")
class DropsADeadLetter(Wrong):
    """As Cortex 0.11 does after three failures."""

    async def query(self, path, args):
        return [] if path == "graphSync:getFailedItems" else await super().query(path, args)


@noticed_by("a_row_that_failed_is_never_lost")
class TriesAgainAtOnce(Wrong):
    async def mutation(self, path, args):
        if path == "graphSync:markFailed" and "retryAt" in args:
            args = {**args, "retryAt": 0}
        return await super().mutation(path, args)


@noticed_by("a_row_that_failed_is_never_lost")
class CountsAFailureTwice(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "graphSync:markFailed":
            await super().mutation(path, {**args, "error": f"{args['error']} "})
            await super().mutation(path, args)
        return result


@noticed_by("a_row_that_failed_is_never_lost")
class TriesOnlyWhatItIsAskedFor(Wrong):
    """Without `items` it tries nothing again."""

    async def mutation(self, path, args):
        return await super().mutation(path, {"items": [], **args} if path == "graphSync:retry" else args)
