"""Backends with one defect each in `conversations:*`, beside those of exchanges, and the promise that must catch it."""

import json

from helpers.wrong_backends import Wrong, noticed_by

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import ConversationExists, InvalidArgument, StillOwned


class WrongConversations(Wrong):
    """Changes the arguments of functions of conversations (`args_of`), or their results (`result_of`)."""

    def args_of(self, path, args):
        return args

    async def result_of(self, path, args, result):
        return result

    async def query(self, path, args):
        args = self.args_of(path, args)
        return await self.result_of(path, args, await super().query(path, args))

    async def mutation(self, path, args):
        args = self.args_of(path, args)
        return await self.result_of(path, args, await super().mutation(path, args))


@noticed_by("a_conversation_is_made_once")
class GivesAnyWithThisId(WrongConversations):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except ConversationExists:
            return await self.ask("conversations:get", args, conversationId=args["conversationId"])


@noticed_by("a_conversation_is_made_once")
class ForgetsMetadata(WrongConversations):
    def args_of(self, path, args):
        if path == "conversations:create":
            args = {name: value for name, value in args.items() if name != "metadata"}
        return args


@noticed_by("participants_have_one_conversation")
class ComparesLists(WrongConversations):
    """As Cortex 0.11 compares spaces: their order and number count."""

    def args_of(self, path, args):
        if path == "conversations:findConversation" and "memorySpaceIds" in args:
            args = {**args, "memorySpaceIds": args["memorySpaceIds"][:1]}
        return args


@noticed_by("participants_have_one_conversation")
class MakesAnotherOne(WrongConversations):
    async def mutation(self, path, args):
        if path == "conversations:getOrCreate" and "conversationId" not in args:
            args = {**args, "conversationId": f"conv-{len(await self.ask('conversations:list', args))}"}
            return await self.do("conversations:create", args)
        return await super().mutation(path, args)


@noticed_by("a_message_is_added_once")
class AddsAMessageTwice(WrongConversations):
    """As Cortex 0.11 does."""

    async def mutation(self, path, args):
        if path == "conversations:addMessage":
            asked = {"conversationId": args["conversationId"], "messageId": args["message"]["id"]}
            if await self.ask("conversations:getMessage", args, **asked):
                args = {**args, "message": {**args["message"], "id": args["message"]["id"] + "-again"}}
        return await super().mutation(path, args)


@noticed_by("conversations_are_paged")
class FiltersAfterTheLimit(WrongConversations):
    """As Cortex 0.11 does with the type."""

    async def query(self, path, args):
        if path != "conversations:list" or "type" not in args:
            return await super().query(path, args)
        found = await super().query(path, {name: value for name, value in args.items() if name != "type"})
        return [row for row in found if row["type"] == args["type"]]


@noticed_by("conversations_are_paged")
class CountsPositions(WrongConversations):
    """Its cursor is the number of records before."""

    async def query(self, path, args):
        if path != "conversations:page":
            return await super().query(path, args)
        start, limit = int(args.get("cursor", 0)), args.get("limit", 100)
        rest = {name: value for name, value in args.items() if name not in ("cursor", "limit")}
        rows = (await super().query(path, {**rest, "limit": 1_000}))["page"]
        more = {"cursor": str(start + limit)} if len(rows) > start + limit else {}
        return {"page": rows[start : start + limit], **more}


@noticed_by("conversations_are_found_by_their_text")
class TakesTheQueryForWords(WrongConversations):
    """It finds only the beginning of a text."""

    def args_of(self, path, args):
        return {**args, "query": args["query"][:3]} if path == "conversations:search" else args


@noticed_by("conversations_are_exported")
class QuotesNothing(WrongConversations):
    """As Cortex 0.11 does."""

    async def result_of(self, path, args, result):
        if path == "conversations:exportConversations" and args["format"] == "csv":
            rows = json.loads((await SqliteBackend.query(self, path, {**args, "format": "json"}))["data"])
            names = ("conversationId", "type", "participants", "messageCount", "createdAt", "updatedAt", "metadata")
            lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
            return {**result, "data": "\n".join([",".join(names), *lines])}
        return result


@noticed_by("a_conversation_is_deleted")
class ForcesADeletion(WrongConversations):
    async def mutation(self, path, args):
        try:
            return await super().mutation(path, args)
        except StillOwned:
            if path == "conversations:deleteConversation":
                for one in await self.ask("streams:list", args, conversationId=args["conversationId"]):
                    where = {"memorySpaceId": args["memorySpaceId"], "streamId": one["streamId"]}
                    if one["state"] == "open":
                        await self.do("streams:renew", where, epoch=1, lease=0)
            return await super().mutation(path, args)


@noticed_by("a_conversation_is_deleted")
class LeavesReferences(WrongConversations):
    """As Cortex 0.11 does."""

    async def query(self, path, args):
        found = await super().query(path, args)
        if path == "memories:list":
            return [{"conversationRef": {"conversationId": "c", "messageIds": []}, **row} for row in found]
        return found


@noticed_by("memories_and_facts_go_with_it_as_asked")
class DeletesOnlyTheConversation(WrongConversations):
    """As Cortex 0.11 does."""

    def args_of(self, path, args):
        return {name: value for name, value in args.items() if name not in ("deleteMemories", "deleteFacts")}


@noticed_by("many_conversations_are_deleted")
class DeletesAll(WrongConversations):
    def args_of(self, path, args):
        if path == "conversations:deleteMany":
            args = {name: value for name, value in args.items() if name not in ("userId", "type")}
        return args


@noticed_by("ids_that_stand_swapped_are_named")
class SaysNothingOfSwappedIds(WrongConversations):
    async def query(self, path, args):
        try:
            return await super().query(path, args)
        except InvalidArgument as error:
            if error.field != "conversationId":
                raise
            return None if path == "conversations:get" else []
