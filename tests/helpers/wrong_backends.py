"""Backends with one defect each, and the promise that must catch it."""

import asyncio
import contextlib
import functools
import itertools
import unicodedata

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import (
    Diverged,
    FactRetracted,
    Fenced,
    Gap,
    IdempotencyConflict,
    InvalidArgument,
    StoreClosed,
    StoreError,
    StreamNotFound,
    TokenUnknown,
    UnknownFunction,
    WrongMemorySpace,
)

WRONG = {}
WRITES = ("streams:append", "streams:finalize", "streams:close")


def noticed_by(*promises):
    def register(kind):
        WRONG[kind.__name__] = (kind, promises)
        return kind

    return register


class Wrong(SqliteBackend):
    """What all have in common: `ask` and `do` are the right ones."""

    async def ask(self, path, args, **more):
        where = {"memorySpaceId": args["memorySpaceId"]}
        return await SqliteBackend.query(self, path, {**where, **more})

    async def stream(self, args):
        return await self.ask("streams:get", args, streamId=args["streamId"])

    async def do(self, path, args, **more):
        return await SqliteBackend.mutation(self, path, {**args, **more})


# --- what is stored ---------------------------------------------------------------------------------------------------


@noticed_by("acknowledged_is_stored")
class AcknowledgesBeforeItCommits(Wrong):
    """Appends wait in memory until another call comes; a caller of this backend does not notice."""

    waiting = ()

    @functools.cached_property
    def turn(self):
        return asyncio.Lock()

    async def mutation(self, path, args):
        async with self.turn:
            return await self.in_turn(path, args)

    async def in_turn(self, path, args):
        if path == "streams:append":
            if self.waiting and self.waiting[-1]["start"] + len(self.waiting[-1]["text"]) != args["start"]:
                await self.write()
            if found := await self.stream(args):
                known = self.waiting[-1]["start"] + len(self.waiting[-1]["text"]) if self.waiting else found["length"]
                if found["state"] == "open" and args["start"] == known and args["epoch"] == found["epoch"]:
                    self.waiting = (*self.waiting, args)
                    return {"end": args["start"] + len(args["text"])}
        await self.write()
        return await super().mutation(path, args)

    async def query(self, path, args):
        async with self.turn:
            await self.write()
            return await super().query(path, args)

    async def write(self):
        waiting, self.waiting = self.waiting, ()
        for args in waiting:
            await SqliteBackend.mutation(self, "streams:append", args)


@noticed_by("begin_stores_the_question")
class ForgetsImportance(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {**args, "importance": 50} if path == "streams:begin" else args)


@noticed_by("an_old_epoch_is_fenced")
class ForgetsTheFence(Wrong):
    async def mutation(self, path, args):
        if path in WRITES and (found := await self.stream(args)):
            args = {**args, "epoch": found["epoch"]}
        return await super().mutation(path, args)


@noticed_by("another_text_is_diverged")
class ChecksNoOverlap(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except Diverged:
            found = await self.stream(args)
            return {"end": max(found["length"], args["start"] + len(args["text"]))}


@noticed_by("lengths_are_code_points")
class CountsBytes(Wrong):
    def count(self, text):
        return len(text.encode())

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:append":
            result["end"] += self.count(args["text"]) - len(args["text"])
        return result


@noticed_by("lengths_are_code_points")
class CountsUtf16(CountsBytes):
    def count(self, text):
        return len(text.encode("utf-16-le")) // 2


@noticed_by("an_exchange_is_stored_once")
class FinalisesTwice(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:finalize" and result["stored"] == "before":
            found = await self.stream(args)
            row = await self.ask("memories:get", args, memoryId=found["memoryId"])
            twin = {"memorySpaceId": args["memorySpaceId"], "streamId": f"{args['streamId']}-again"}
            begin = {"conversationId": "c", "userMessage": found["userMessage"], "importance": 50, "tags": []}
            await self.do("streams:begin", twin, **begin)
            whole = {"epoch": 1, "attempt": 0, "start": 0, "text": row["content"], "length": len(row["content"])}
            await self.do("streams:finalize", twin, **whole)
        return result


@noticed_by("a_space_never_sees_another")
class MixesSpaces(Wrong):
    spaces = ()

    async def query(self, path, args):
        self.spaces = {*self.spaces, args["memorySpaceId"]}
        found = await super().query(path, args)
        if path == "memories:search":
            for space in sorted(self.spaces - {args["memorySpaceId"]}):
                found = found + await super().query(path, {**args, "memorySpaceId": space})
        return found


@noticed_by("a_gap_is_refused")
class FillsGaps(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except Gap as gap:
            if path != "streams:append":
                raise
            return await super().mutation(path, {**args, "start": gap.end})


@noticed_by("finalize_is_all_or_nothing")
class FinalisesInTwoSteps(Wrong):
    async def mutation(self, path, args):
        if path == "streams:finalize" and args["text"]:
            keys = ("memorySpaceId", "streamId", "epoch", "attempt", "start", "text")
            await self.do("streams:append", {key: args[key] for key in keys})
        return await super().mutation(path, args)


@noticed_by("text_stays_as_it_was")
class Normalises(Wrong):
    async def mutation(self, path, args):
        if path == "streams:begin":
            args = {**args, "userMessage": unicodedata.normalize("NFC", args["userMessage"])}
        return await super().mutation(path, args)


@noticed_by("text_stays_as_it_was")
class CutsAtNul(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:list":
            for row in found:
                row["content"] = row["content"].split("\0")[0]
        return found


@noticed_by("a_restart_begins_anew")
class StaysAtItsAttempt(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        return {**result, "attempt": 0} if path == "streams:begin" else result


@noticed_by("another_turn_is_a_conflict")
class TakesAnyQuestion(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            if path != "streams:begin":
                raise
            return await self.stream(args)


@noticed_by("another_answer_is_a_conflict")
class KeepsTheFirstAnswerSilently(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            if path != "streams:finalize":
                raise
            return {"stored": "before"}


@noticed_by("append_adds_what_is_new")
class AppendsTwice(Wrong):
    async def mutation(self, path, args):
        if path == "streams:append" and (found := await self.stream(args)):
            args = {**args, "start": found["length"]}
        return await super().mutation(path, args)


@noticed_by("a_long_text_is_whole")
class CutsLongTexts(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:get" and found:
            found["content"] = found["content"][:65_536]
        return found


@noticed_by("a_higher_attempt_begins_anew")
class TakesOldAttempts(Wrong):
    async def mutation(self, path, args):
        if path == "streams:append" and (found := await self.stream(args)):
            args = {**args, "attempt": max(args["attempt"], found["attempt"])}
        return await super().mutation(path, args)


@noticed_by("writes_at_once_do_not_disturb_each_other")
class LosesWhatComesAtOnce(Wrong):
    busy = False

    async def mutation(self, path, args):
        if path == "streams:append" and self.busy:
            return {"end": args["start"] + len(args["text"])}
        self.busy = True
        try:
            return await super().mutation(path, args)
        finally:
            self.busy = False


@noticed_by("what_is_not_there_is_not_found")
class RaisesWhatItLikes(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except StreamNotFound as error:
            raise KeyError(args["streamId"]) from error


@noticed_by("wrong_arguments_are_refused")
class TakesAnyArgument(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {key: value for key, value in args.items() if key != "surprise"})


@noticed_by("calls_are_accepted_and_refused")
class ChecksNoTakeOver(Wrong):
    """Of what a take-over is given it looks at the token only."""

    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except InvalidArgument as error:
            if path != "streams:takeOver" or error.field == "token":
                raise
            raise TokenUnknown("no stream has this token") from error


@noticed_by("an_unknown_function_is_named")
class KnowsEverything(Wrong):
    async def query(self, path, args):
        try:
            return await super().query(path, args)
        except UnknownFunction:
            return None


@noticed_by("results_are_plain")
class GivesNone(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return [{"agentId": None, **row} for row in found] if path == "memories:list" else found


@noticed_by("history_comes_in_pages")
class GivesItsOwnKeys(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return {**found, "_id": "7"} if path == "conversations:getHistory" else found


@noticed_by("results_are_plain")
class LeavesOutWhatIsFalse(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return {k: v for k, v in found.items() if v is not False} if path == "streams:get" and found else found


@noticed_by("a_closed_backend_says_so")
class SaysNothingWhenClosed(Wrong):
    async def query(self, path, args):
        try:
            return await super().query(path, args)
        except StoreClosed:
            return None


@noticed_by("a_partial_is_hidden")
class ShowsPartials(Wrong):
    async def query(self, path, args):
        return await super().query(path, {**args, "includePartial": True} if path == "memories:count" else args)


# --- exchanges --------------------------------------------------------------------------------------------------------


@noticed_by("an_answer_may_be_stored_in_chunks")
class ListsChunksAsAnswers(Wrong):
    async def query(self, path, args):
        return await super().query(path, {**args, "includeChunks": True} if path == "memories:list" else args)


@noticed_by("an_exchange_is_stored_whole")
class DropsEmbeddings(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {key: value for key, value in args.items() if key != "userEmbedding"})


@noticed_by("repeating_changes_nothing")
class RefusesRepetitions(Wrong):
    async def mutation(self, path, args):
        if path == "streams:close" and (found := await self.stream(args)) and found["state"] == "empty":
            raise IdempotencyConflict("closed already")
        return await super().mutation(path, args)


@noticed_by("tool_calls_alone_make_a_message")
class RefusesEmptyAnswers(Wrong):
    async def mutation(self, path, args):
        if path == "streams:finalize" and args["length"] == 0:
            raise InvalidArgument("length", 0, "1 or more")
        return await super().mutation(path, args)


@noticed_by("a_summary_is_the_memory")
class IgnoresSummaries(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {key: value for key, value in args.items() if key != "userContent"})


@noticed_by("a_question_without_an_answer_is_kept")
class DropsTheQuestion(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:close":
            where = {"memorySpaceId": args["memorySpaceId"], "memoryId": result["memories"][0]["memoryId"]}
            await self.do("memories:deleteMemory", where)
        return result


@noticed_by("a_question_can_be_answered_after_all")
class StaysClosed(Wrong):
    async def mutation(self, path, args):
        if path == "streams:begin" and (found := await self.stream(args)) and found["state"] == "empty":
            return found
        return await super().mutation(path, args)


@noticed_by("each_answer_follows_its_question")
class SortsMessages(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:get" and found:
            found["messages"].sort(key=lambda message: message["role"] == "agent")
        return found


# --- what is in a conversation from the beginning on -----------------------------------------------------------------


@noticed_by("an_exchange_is_there_from_its_beginning")
class ShowsConversationsLater(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return found if path != "conversations:get" or found is None or found["messages"] else None


@noticed_by("ids_stay_as_they_are")
class GivesNewIds(Wrong):
    numbers = itertools.count()

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:begin" and result["attempt"]:
            result["messageIds"] = [f"msg-{next(self.numbers)}", result["messageIds"][1]]
        return result


@noticed_by("history_has_the_order_of_asking", "each_answer_follows_its_question")
class KeepsTheOrderOfEnding(Wrong):
    ended = ()

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path in ("streams:finalize", "streams:close", "streams:finish"):
            self.ended += tuple(result["conversation"]["messageIds"])
        return result

    async def query(self, path, args):
        found = await super().query(path, args)
        if path in ("conversations:get", "conversations:getHistory") and found:
            found["messages"].sort(key=lambda message: self.ended.index(message["id"]))
        return found


@noticed_by("pages_fit_together")
class CountsPagesAnew(Wrong):
    """It takes the position of a message for that of the page before."""

    seen = 0

    async def query(self, path, args):
        if path != "conversations:getHistory":
            return await super().query(path, args)
        if after := args.get("after"):
            assert after
            args = {**{key: value for key, value in args.items() if key != "after"}, "offset": self.seen}
        else:
            self.seen = 0
        found = await super().query(path, args)
        self.seen += len(found["messages"])
        return found


@noticed_by("what_begin_made_can_be_removed")
class LeavesEmptyConversations(Wrong):
    last = None

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:get":
            self.last = found or (self.last and {**self.last, "pending": []})
            return self.last
        return found


@noticed_by("a_conversation_of_others_stays")
class KeepsParticipants(Wrong):
    told = {}

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:get" and found:
            self.told = {**found["participants"], **self.told}
            found["participants"] = dict(self.told)
        return found

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:begin":
            await self.query("conversations:get", {key: args[key] for key in ("memorySpaceId", "conversationId")})
        return result


@noticed_by("a_pending_exchange_says_what_it_failed_with")
class ForgetsNoFailure(Wrong):
    failures = {}

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:get" and found:
            for one in found["pending"]:
                if "lastError" in one:
                    self.failures[one["streamId"]] = one["lastError"]
                elif failure := self.failures.get(one["streamId"]):
                    one["lastError"] = failure
        return found


@noticed_by("the_streams_of_a_conversation_are_listed")
class ListsTheOldestFirst(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return found[::-1] if path == "streams:list" else found


# --- memories and conversations ---------------------------------------------------------------------------------------


@noticed_by("the_newest_comes_first")
class OldestFirst(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return found[::-1] if path == "memories:list" else found


@noticed_by("filters_act_before_the_limit")
class LimitsBeforeItFilters(Wrong):
    async def query(self, path, args):
        if path != "memories:list" or "userId" not in args:
            return await super().query(path, args)
        rest = {key: value for key, value in args.items() if key != "userId"}
        return [row for row in await super().query(path, rest) if row.get("userId") == args["userId"]]


@noticed_by("words_are_found")
class SearchesSubstrings(Wrong):
    async def query(self, path, args):
        if path != "memories:search":
            return await super().query(path, args)
        rows = await self.ask("memories:list", args)
        return [{**row, "_score": 0.5} for row in rows if args["query"].lower() in row["content"].lower()]


class Without(Wrong):
    """Ignores some arguments of a search."""

    ignored = ()

    async def query(self, path, args):
        if path == "memories:search":
            args = {key: value for key, value in args.items() if key not in self.ignored}
        return await super().query(path, args)


@noticed_by("a_search_narrows_and_turns_pages")
class TakesAnyTag(Without):
    ignored = ("tagMatch",)


@noticed_by("a_search_narrows_and_turns_pages")
class BeginsEachPageAnew(Without):
    ignored = ("offset",)


@noticed_by("a_search_narrows_and_turns_pages")
class SearchesAtAnyTime(Without):
    ignored = ("createdAfter", "createdBefore", "updatedBefore", "sourceAfter")


@noticed_by("a_turn_is_found_by_its_neighbours")
class AlwaysTakesNeighbours(Without):
    ignored = ("neighbours",)


@noticed_by("embeddings_count_in_a_search")
class SearchesByWordsAlone(Without):
    ignored = ("embedding", "embeddingModel", "alpha", "strategy")


@noticed_by("embeddings_count_in_a_search")
class WeighsAsItLikes(Without):
    ignored = ("alpha",)


@noticed_by("any_string_is_a_query")
class ReadsQueriesAsSyntax(Wrong):
    async def query(self, path, args):
        if path == "memories:search" and args["query"].count('"') % 2:
            raise StoreError("fts5: syntax error")
        return await super().query(path, args)


@noticed_by("a_search_does_not_depend_on_other_spaces")
class ScoresByTheWholeStore(Wrong):
    written = 0

    async def mutation(self, path, args):
        self.written += 1
        return await super().mutation(path, args)

    async def query(self, path, args):
        found = await super().query(path, args)
        return [{**row, "_score": 1 / self.written} for row in found] if path == "memories:search" else found


@noticed_by("a_memory_has_its_conversation_around_it")
class TakesTurnsOfAnyConversation(Wrong):
    async def query(self, path, args):
        if path != "memories:around":
            return await super().query(path, args)
        rows = (await self.ask("memories:list", args))[::-1]
        ids = [row["memoryId"] for row in rows]
        places = [(each, ids.index(each)) for each in args["memoryIds"] if each in ids]
        turns = args.get("turns", 1)
        return [
            {"memoryId": each, "before": rows[max(at - turns, 0) : at], "after": rows[at + 1 : at + 1 + turns]}
            for each, at in places
        ]


@noticed_by("a_store_is_moved_to_another_model")
class ForgetsOldEmbeddingsAtOnce(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "memories:reembed" and result["missing"]:
            page = await SqliteBackend.query(self, "memories:unembedded", {"model": args["model"]})
            keys = ("memorySpaceId", "memoryId", "updatedAt")
            vectors = [{key: row[key] for key in keys} for row in page["memories"]]
            await SqliteBackend.mutation(self, "memories:embed", {"model": args["model"], "vectors": vectors})
        return result


@noticed_by("a_store_is_moved_to_another_model")
class EmbedsWhatHasChanged(Wrong):
    async def mutation(self, path, args):
        if path == "memories:embed":
            args = {**args, "vectors": [one for one in args["vectors"] if one["updatedAt"]]}
            stored = await super().mutation(path, args)
            return {"stored": stored["stored"] + 1}
        return await super().mutation(path, args)


@noticed_by("one_memory_is_stored")
class LosesReferences(Wrong):
    async def mutation(self, path, args):
        lost = "mutableRef" if path == "memories:store" else ""
        return await super().mutation(path, {key: value for key, value in args.items() if key != lost})


@noticed_by("ids_are_made_and_contents_are_whole")
class NamesMemoriesByTheirContent(Wrong):
    async def mutation(self, path, args):
        named = {"memoryId": f"mem-{args['content'][:20]}", **args} if path == "memories:store" else args
        return await super().mutation(path, named)


@noticed_by("ids_are_made_and_contents_are_whole")
class CutsLongMemories(Wrong):
    async def mutation(self, path, args):
        cut = {**args, "content": args["content"][:65_536]} if path == "memories:store" else args
        return await super().mutation(path, cut)


@noticed_by("a_memory_id_is_stored_once")
class KeepsTheFirst(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            row = path == "memories:store" and await self.ask("memories:get", args, memoryId=args["memoryId"])
            if not row:
                raise
            return row


@noticed_by("a_memory_id_is_stored_once", "an_exchange_keeps_its_memory_ids")
class StoresUnderAnotherId(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            if path != "memories:store":
                raise
            return await super().mutation(path, {key: value for key, value in args.items() if key != "memoryId"})


@noticed_by("what_was_deleted_is_gone")
class ForgetsTheIndex(Wrong):
    gone = ()

    async def mutation(self, path, args):
        if path == "memories:deleteMemory" and (row := await self.ask("memories:get", args, memoryId=args["memoryId"])):
            self.gone = (*self.gone, {**row, "_score": 0.1})
        return await super().mutation(path, args)

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:search":
            found += [row for row in self.gone if args["query"] in row["content"]]
        return found


@noticed_by("what_is_forgotten_is_retracted")
class ErasesWhatIsForgotten(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, {**args, "erase": True} if path == "memories:forget" else args)
        return result | {"restorable": True, "messagesDeleted": 0} if path == "memories:forget" else result


@noticed_by("what_is_erased_was_never_said")
class ErasesNothing(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {**args, "erase": False} if path == "memories:forget" else args)


@noticed_by("a_deleted_memory_takes_its_share_of_the_facts")
class KeepsTheFactsOfWhatIsDeleted(Wrong):
    async def mutation(self, path, args):
        kept = {"cascadeDeleteFacts": False} if path == "memories:deleteMemory" else {}
        return await super().mutation(path, {**args, **kept})


@noticed_by("a_deleted_partial_stays_deleted")
class WritesToWhatIsGone(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except StreamNotFound:
            if path != "streams:append":
                raise
            return {"end": args["start"] + len(args["text"])}


@noticed_by("conversations_are_there")
class ListsMessages(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "conversations:list":
            found = [await self.ask("conversations:get", args, conversationId=row["conversationId"]) for row in found]
        return found


@noticed_by("history_comes_in_pages")
class AlwaysHasMore(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return {**found, "hasMore": True} if path == "conversations:getHistory" else found


# --- leases and tokens ------------------------------------------------------------------------------------------------


@noticed_by("a_lease_holds_others_off")
class IgnoresLeases(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {key: value for key, value in args.items() if key != "lease"})


@noticed_by("a_lease_of_the_future_is_none")
class TrustsTheClock(Wrong):
    """A lease that was given before the clock was set back holds others off."""

    until = 0

    async def query(self, path, args):
        found = await super().query(path, args)
        return (
            {**found, "owned": self.until > self.clock() * 1000} if path in ("streams:get", "streams:read") else found
        )

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        self.until = result.get("leaseUntil", self.until)
        return result


@noticed_by("a_claim_repeats_a_begin")
class IgnoresClaims(Wrong):
    numbers = itertools.count()

    async def mutation(self, path, args):
        if path == "streams:begin" and "claim" in args:
            await self.let_go(args)
            args = {**args, "claim": f"{next(self.numbers)}"}
        return await super().mutation(path, args)

    async def let_go(self, args):
        if (found := await self.stream(args)) and found["state"] == "open":
            where = {"memorySpaceId": args["memorySpaceId"], "streamId": args["streamId"]}
            await self.do("streams:renew", where, epoch=found["epoch"], lease=0)


@noticed_by("a_lease_is_renewed_and_released")
class NeverLetsGo(Wrong):
    async def mutation(self, path, args):
        if path == "streams:append" and args.get("lease") == 0:
            args = {**args, "lease": 60_000}
        return await super().mutation(path, args)


@noticed_by("a_writer_is_asked_to_stop")
class StopsTheNextWriterToo(Wrong):
    stopped = frozenset()

    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        key = (args["memorySpaceId"], args.get("streamId"))
        if path == "streams:stop":
            self.stopped |= {key}
        return (
            {**result, "stop": True} if path in ("streams:append", "streams:renew") and key in self.stopped else result
        )


@noticed_by("a_writer_is_asked_to_stop")
class StopsEverySpace(Wrong):
    async def mutation(self, path, args):
        if path == "streams:stop":
            for space in (args["memorySpaceId"], args["memorySpaceId"].replace("-one", "-two")):
                with contextlib.suppress(StreamNotFound):
                    await self.do(path, {**args, "memorySpaceId": space})
        return await super().mutation(path, args)


@noticed_by("a_stop_leaves_what_has_ended")
class FencesWhoIsStopped(Wrong):
    stopped = frozenset()

    async def mutation(self, path, args):
        if path == "streams:finalize" and args["streamId"] in self.stopped:
            raise Fenced("stopped")
        result = await super().mutation(path, args)
        if path == "streams:stop":
            self.stopped |= {args["streamId"]}
        return result


@noticed_by("a_token_takes_the_stream_over")
class LosesTheMark(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        return {**result, "mark": None} if path == "streams:takeOver" else result


@noticed_by("a_take_over_waits_for_the_lease")
class AlwaysForces(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {**args, "force": True} if path == "streams:takeOver" else args)


@noticed_by("a_claim_repeats_a_take_over")
class TakesOverAgain(Wrong):
    numbers = itertools.count()

    async def mutation(self, path, args):
        if path == "streams:takeOver":
            args = {**args, "claim": f"{args['claim']}-{next(self.numbers)}"}
        return await super().mutation(path, args)


@noticed_by("a_token_opens_only_its_own")
class OpensAnySpace(Wrong):
    """A token is not bound to its memory space."""

    spaces = ()

    async def mutation(self, path, args):
        self.spaces = (*self.spaces, args["memorySpaceId"])
        try:
            return await super().mutation(path, args)
        except WrongMemorySpace:
            return await super().mutation(path, {**args, "memorySpaceId": self.spaces[0]})


@noticed_by("a_token_of_a_finished_stream_gives_the_result")
class ForgetsTokensOfFinished(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:takeOver" and result["state"] == "finished":
            raise TokenUnknown("no stream has this token")
        return result


@noticed_by("marks_go_with_the_text")
class TakesAnyMark(Wrong):
    mark = None

    async def mutation(self, path, args):
        self.mark = args.get("mark", self.mark)
        return await super().mutation(path, args)

    async def query(self, path, args):
        found = await super().query(path, args)
        return {**found, "mark": self.mark} if path == "streams:get" and found else found


@noticed_by("text_is_read_from_anywhere")
class SplicesBeyondTheEnd(Wrong):
    """A reader whose place was lost gets the text from the beginning, and takes it for what comes next."""

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "streams:read" and args["after"] > found["length"]:
            return await super().query(path, {**args, "after": 0})
        return found


@noticed_by("what_was_lost_is_not_certain")
class TakesAnAttemptForAnother(Wrong):
    """An attempt that a writer showed and never stored is taken for that of the same number which the next one
    stored.
    """

    async def query(self, path, args):
        found = await super().query(path, args)
        return {**found, "certain": found["length"]} if path == "streams:read" and found["attempt"] else found


@noticed_by("interrupted_streams_are_listed")
class ListsInAnyOrder(Wrong):
    async def query(self, path, args):
        found = await super().query(path, args)
        return found[::-1] if path == "streams:interrupted" else found


@noticed_by("a_partial_can_be_finished")
class FinishesWhatIsOwned(IgnoresClaims):
    async def mutation(self, path, args):
        if path == "streams:finish":
            await self.let_go(args)
        return await SqliteBackend.mutation(self, path, args)


@noticed_by("an_incomplete_answer_can_be_completed")
class CompletesNothing(Wrong):
    async def mutation(self, path, args):
        return await super().mutation(path, {key: value for key, value in args.items() if key != "completes"})


@noticed_by("a_rollback_leaves_nothing")
class ClosesInsteadOfRollingBack(Wrong):
    async def mutation(self, path, args):
        if path == "streams:rollback":
            await self.do("streams:close", args, outcome="error")
            return {"streamId": args["streamId"], "rolledBack": True}
        return await super().mutation(path, args)


@noticed_by("a_rollback_takes_a_closed_question_too")
class RollsAnswersBack(Wrong):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except IdempotencyConflict:
            if path != "streams:rollback":
                raise
            return {"streamId": args["streamId"], "rolledBack": True}


# --- facts of a stream ------------------------------------------------------------------------------------------------


@noticed_by("facts_are_visible_when_the_stream_ends")
class DropsTheTail(Wrong):
    async def mutation(self, path, args):
        if path == "streams:finalize" and "extractions" in args:
            args = {**args, "extractions": []}
        return await super().mutation(path, args)


@noticed_by("a_window_is_committed_once")
class CommitsOnlyTheOffset(Wrong):
    """The facts of a window are stored by another call, which may never come."""

    async def mutation(self, path, args):
        if path == "facts:commit" and "error" not in args:
            args = {**args, "facts": []}
        return await super().mutation(path, args)


@noticed_by("only_the_owner_commits_facts")
class TakesFactsOfAnyAttempt(Wrong):
    async def mutation(self, path, args):
        if path == "facts:commit":
            args = {name: value for name, value in args.items() if name != "attempt"}
        return await super().mutation(path, args)


@noticed_by("what_was_not_read_is_queued")
class TakesAFailureForDone(Wrong):
    """A window that failed is done, with 0 facts."""

    async def mutation(self, path, args):
        if path == "facts:commit":
            args = {name: value for name, value in args.items() if name not in ("error", "tries", "dead")}
        return await super().mutation(path, args)


@noticed_by("facts_are_read_from_the_beginning")
class LearnsLaterThatItIsRead(Wrong):
    """Only the first commit of facts says that a stream is read for them, and it may never come."""

    async def mutation(self, path, args):
        if path == "streams:begin":
            args = {name: value for name, value in args.items() if name != "readFacts"}
        return await super().mutation(path, args)


@noticed_by("facts_go_with_what_they_were_read_from")
class KeepsFactsOfNothing(Wrong):
    async def mutation(self, path, args):
        if path == "memories:deleteMemory":
            args = {**args, "cascadeDeleteFacts": False}
        return await super().mutation(path, args)


@noticed_by("a_stream_has_so_many_facts")
class CutsManyFacts(Wrong):
    async def mutation(self, path, args):
        if path == "facts:commit":
            args = {**args, "facts": args["facts"][:1_000]}
        return await super().mutation(path, args)


@noticed_by("a_stream_has_so_many_facts")
class GivesFactsUpInSilence(Wrong):
    async def mutation(self, path, args):
        result = await super().mutation(path, args)
        if path == "streams:finalize":
            result.pop("givenUp", None)
        return result


# --- what no single promise is about, but several notice --------------------------------------------------------------


@noticed_by("acknowledged_is_stored", "append_adds_what_is_new")
class WritesLater(Wrong):
    """An append is done some time after it was acknowledged."""

    async def mutation(self, path, args):
        if path != "streams:append" or not (found := await self.stream(args)) or found["state"] != "open":
            return await super().mutation(path, args)

        async def later():
            await asyncio.sleep(0.01)
            try:
                await self.do(path, args)
            except StoreError:
                pass

        self.task = asyncio.create_task(later())
        return {"end": args["start"] + len(args["text"])}

    async def close(self):
        if task := getattr(self, "task", None):
            await asyncio.wait([task])
        await super().close()


@noticed_by("an_old_epoch_is_fenced", "a_restart_begins_anew")
class NeverRaisesTheEpoch(Wrong):
    async def mutation(self, path, args):
        try:
            if path in WRITES and (found := await self.stream(args)) and args["epoch"] < found["epoch"]:
                args = {**args, "epoch": found["epoch"]}
            result = await super().mutation(path, args)
        except Fenced:
            return {"end": 0}
        return {**result, "epoch": 1} if path == "streams:begin" else result


# --- facts ------------------------------------------------------------------------------------------------------------


class WrongFacts(Wrong):
    """Changes the arguments of a function of facts (`args_of`), or its result (`result_of`)."""

    def args_of(self, path, args):
        return args

    async def result_of(self, path, args, result):
        return result

    async def query(self, path, args):
        args = self.args_of(path, args) if path.startswith("facts:") else args
        return await self.result_of(path, args, await super().query(path, args))

    async def mutation(self, path, args):
        args = self.args_of(path, args) if path.startswith("facts:") else args
        return await self.result_of(path, args, await super().mutation(path, args))


@noticed_by("said_twice_is_one_fact", "a_strategy_says_what_is_one_fact")
class StoresEachStatement(WrongFacts):
    def args_of(self, path, args):
        return {**args, "deduplication": "none"} if path == "facts:store" else args


@noticed_by("said_twice_is_one_fact")
class MergesWhatIsSimilar(WrongFacts):
    """It does not look at polarity."""

    def args_of(self, path, args):
        return {**args, "polarity": "positive"} if path == "facts:store" else args


@noticed_by("said_twice_is_one_fact")
class CountsAMessageTwice(WrongFacts):
    numbers = itertools.count()

    def args_of(self, path, args):
        if path != "facts:store" or "sourceRef" not in args:
            return args
        return {**args, "sourceRef": {**args["sourceRef"], "messageIds": [f"m{next(self.numbers)}"]}}


@noticed_by("a_fact_with_an_id_is_stored_once")
class MakesItsOwnFactIds(WrongFacts):
    def args_of(self, path, args):
        return {name: value for name, value in args.items() if path != "facts:store" or name != "factId"}


@noticed_by("a_new_value_closes_the_old_one")
class BelievesEverything(WrongFacts):
    def args_of(self, path, args):
        return {**args, "revise": False} if path == "facts:store" else args


@noticed_by("a_new_value_closes_the_old_one")
class LetsThePastEndThePresent(WrongFacts):
    def args_of(self, path, args):
        return {**args, "tense": "present"} if path == "facts:store" else args


@noticed_by("the_order_of_times_decides")
class BelievesWhatComesLast(WrongFacts):
    """The order of arrival decides."""

    times = itertools.count(1000)

    def args_of(self, path, args):
        return {**args, "validFrom": next(self.times)} if path == "facts:store" else args


@noticed_by("a_correction_takes_the_place")
class ForgetsTheUser(WrongFacts):
    """As Cortex 0.11 does."""

    async def result_of(self, path, args, result):
        if path == "facts:update":
            result.pop("userId", None)
        return result


@noticed_by("a_correction_takes_the_place")
class ForksTheChain(WrongFacts):
    """As Cortex 0.11 does."""

    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except FactRetracted as error:
            return await self.do(path, args, factId=error.corrected_by)


@noticed_by("what_is_retracted_is_in_no_list", "known_at_gives_what_was_known")
class ListsWhatIsRetracted(WrongFacts):
    """As Cortex 0.11 does."""

    async def result_of(self, path, args, result):
        if path == "facts:deleteFact":
            self.gone = (*getattr(self, "gone", ()), await self.ask("facts:get", args, factId=args["factId"]))
        if path in ("facts:list", "facts:search"):
            shown = [{**row, "_score": 0.0} if path == "facts:search" else row for row in getattr(self, "gone", ())]
            result = result + shown
        return result


@noticed_by("known_at_gives_what_was_known")
class KnowsOnlyToday(WrongFacts):
    def args_of(self, path, args):
        return {name: value for name, value in args.items() if name != "knownAt"}


@noticed_by("facts_are_filtered")
class TakesAnyPredicate(WrongFacts):
    def args_of(self, path, args):
        left = {"facts:list": "predicate", "facts:count": "memoryId", "facts:search": "metadata"}.get(path)
        return {name: value for name, value in args.items() if name != left}


@noticed_by("facts_are_sorted_and_paged")
class TakesALimitOf0ForNone(WrongFacts):
    def args_of(self, path, args):
        return {name: value for name, value in args.items() if name != "limit" or value}


@noticed_by("pages_of_facts_fit_together")
class LeavesOutAFactBetweenPages(WrongFacts):
    def args_of(self, path, args):
        if path != "facts:page" or not str(args.get("cursor", "")).isdecimal():
            return args
        return {**args, "cursor": str(int(args["cursor"]) + 1)}


@noticed_by("facts_are_found_by_words")
class FindsAllFacts(WrongFacts):
    async def result_of(self, path, args, result):
        if path == "facts:search" and not result:
            return [{**row, "_score": 0.0} for row in await self.ask("facts:list", args)]
        return result


@noticed_by("facts_of_another_space_are_not_there")
class GivesFactsOfAnySpace(WrongFacts):
    spaces = ()

    async def result_of(self, path, args, result):
        self.spaces = (*self.spaces, args["memorySpaceId"])
        if path == "facts:get" and result is None:
            for space in self.spaces:
                result = result or await SqliteBackend.query(self, path, {**args, "memorySpaceId": space})
        return result


@noticed_by("a_history_has_all_versions")
class GivesOnlyWhatWasBefore(WrongFacts):
    async def result_of(self, path, args, result):
        if path == "facts:getHistory":
            ids = [row["factId"] for row in result]
            return result[: ids.index(args["factId"]) + 1] if args["factId"] in ids else result
        return result


@noticed_by("facts_become_one")
class CountsUnknownFacts(WrongFacts):
    """As Cortex 0.11 does."""

    async def result_of(self, path, args, result):
        if path == "facts:consolidate":
            result["mergedCount"] = len(args["factIds"]) - 1
        return result


@noticed_by("facts_are_exported")
class QuotesOnlyTexts(WrongFacts):
    """As Cortex 0.11 does."""

    async def result_of(self, path, args, result):
        if path == "facts:exportFacts" and args["format"] == "csv":
            rows = await self.ask("facts:list", args)
            lines = [f'{row["factId"]},"{row["fact"]}",{row.get("object", "")},{row["tags"]}' for row in rows]
            result["data"] = "\n".join(["factId,fact,object,tags", *lines])
        return result
