"""`cortex.contexts`: what is being worked on, handed from agent to agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast, get_args, overload

from cortex_rx import validation as check
from cortex_rx.api._conversations import conversation_named
from cortex_rx.api._graph import check_sync, sync_keyword
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.api._spaces import chosen_space
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Contexts
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import ids, parse
from cortex_rx.models.context_exports import export_columns
from cortex_rx.models.contexts import (
    AccessScope,
    Context,
    ContextFilter,
    ContextInput,
    ContextList,
    ContextStatus,
    ContextUpdate,
    ContextVersion,
    ContextWithChain,
    CreateContextOptions,
    DeleteContextOptions,
    DeletedContext,
    DeletedContexts,
    ExportedContext,
    UpdateContextOptions,
    UpdatedContexts,
)
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.spelling import to_camel
from cortex_rx.unique import new_id

__all__ = ["ContextsAPI"]

_Contexts: TypeAlias = list[Context]  # inside the class, `list` is a method
_Chains: TypeAlias = list[ContextWithChain]
_Versions: TypeAlias = list[ContextVersion]
_STATUS = check.optional(check.one_of(*get_args(ContextStatus)))
_SCOPE = check.one_of(*get_args(AccessScope))
_FORMAT = check.one_of(*get_args(ExportFormat))
_COUNT = check.whole()


class ContextsAPI:
    """What is being worked on: contexts form trees, are handed on, and keep their versions.

    A context belongs to a memory space. Each call is made by one: by `memory_space_id`, else by that of the client.
    Another space sees a context only while it is granted access, and sees only the parts of a tree that it was granted;
    everything else is answered as if it did not exist.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Inputs and options are models of `cortex_rx.models.contexts`, mappings in
    snake_case or camelCase, or keywords, and may be mixed. Times are epoch milliseconds, or a `datetime` with a time
    zone. A store that cannot be reached is asked again for two seconds where that is safe.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         support = ContextsAPI(backend, memory_space_id="support")
    ...         finance = ContextsAPI(backend, memory_space_id="finance")
    ...         refund = await support.create(purpose="Refund an order")
    ...         seen = [await finance.get(refund.id)]
    ...         await support.grant_access(refund.id, "finance", "full")
    ...         approval = await finance.create(purpose="Approve 500 EUR", parent_id=refund.id)
    ...         seen.append((await finance.get_root(approval.id)).purpose)
    ...         await support.revoke_access(refund.id, "finance")
    ...         seen.append((await finance.get_root(approval.id)).purpose)
    ...         return seen
    >>> asyncio.run(main())
    [None, 'Refund an order', 'Approve 500 EUR']
    """

    def __init__(self, backend: Backend, *, memory_space_id: str | None = None) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        check.optional(check.name)("memory_space_id", memory_space_id)
        self._memory_space_id: str | None = memory_space_id
        self._calls = Contexts(backend)

    def _here(self, memory_space_id: str | None) -> dict[str, Any]:
        return {"memory_space_id": chosen_space(memory_space_id, self._memory_space_id)}

    def _one(self, context_id: str, memory_space_id: str | None) -> dict[str, Any]:
        return {**ids(context_id=context_id), **self._here(memory_space_id)}

    # --- making and changing ------------------------------------------------------------------------------------------

    async def create(
        self,
        params: ContextInput | Mapping[str, Any] | None = None,
        options: CreateContextOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Context:
        """Make a context, and return it. `purpose` is required.

        A `parent_id` makes it a part of that context, which the memory space must own or have been granted as "full":
        otherwise it is `ParentNotFound` or `ContextReadOnly`. A context with a `context_id` is made once; another one
        under this id is an `IdempotencyConflict`.
        """
        beside = parse(CreateContextOptions, options, **sync_keyword(keywords))
        given = parse(ContextInput, params, **keywords).keywords()
        given |= self._here(given.pop("memory_space_id", None))
        await check_sync(self._backend, beside.sync_to_graph)
        row = await repeated(self._calls.create(**{"context_id": f"ctx-{new_id('row')}", **given}))
        return Context.from_row(row)

    async def update(
        self,
        context_id: str,
        updates: ContextUpdate | Mapping[str, Any] | None = None,
        options: UpdateContextOptions | Mapping[str, Any] | None = None,
        *,
        memory_space_id: str | None = None,
        expected_version: int | None = None,
        **keywords: Any,
    ) -> Context:
        """Change `status`, `data`, `description` or `completed_at`, and return the context: its next version.

        `data` is merged: each key replaces its former value. A status that becomes "completed" sets `completed_at`, and
        one that is left removes it, unless `completed_at` is given. What changes nothing makes no version. With
        `expected_version` the context must have this version, otherwise it is a `VersionConflict`.

        Raises `ContextNotFound`, and `ContextReadOnly` if another memory space owns the context and has granted it as
        "read-only".
        """
        check.optional(_COUNT)("expected_version", expected_version)
        beside = parse(UpdateContextOptions, options, **sync_keyword(keywords))
        changes = parse(ContextUpdate, updates, **keywords).keywords()
        one = self._one(context_id, memory_space_id)
        await check_sync(self._backend, beside.sync_to_graph)
        call = self._calls.update(**one, **changes, expected_version=expected_version, operation_id=new_id("operation"))
        row = await repeated(call)
        return Context.from_row(row)

    async def update_many(
        self,
        filters: ContextFilter | Mapping[str, Any],
        updates: ContextUpdate | Mapping[str, Any],
        dry_run: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> UpdatedContexts:
        """Change all contexts of the memory space that fit the filters, as `update` does. One filter, at least, is
        required beside the memory space.

        With `dry_run` only say which they are.
        """
        check.flag("dry_run", dry_run)
        narrowed = self._filters(filters, memory_space_id, required=True)
        changes = parse(ContextUpdate, updates).keywords()
        if not changes:
            raise InvalidArgument("updates", "no change", f"one, at least, of {', '.join(ContextUpdate.model_fields)}")
        given = {to_camel(name): value for name, value in changes.items()}
        row = await self._calls.update_many(**narrowed, updates=cast("Any", given), dry_run=dry_run)
        return UpdatedContexts.from_row(row)

    async def add_participant(
        self, context_id: str, participant_id: str, *, memory_space_id: str | None = None
    ) -> Context:
        """Add a participant, if it is not there. It makes no version."""
        given = {**self._one(context_id, memory_space_id), **ids(participant_id=participant_id)}
        row = await repeated(self._calls.add_participant(**given))
        return Context.from_row(row)

    async def remove_participant(
        self, context_id: str, participant_id: str, *, memory_space_id: str | None = None
    ) -> Context:
        """Remove a participant, if it is there. It makes no version."""
        given = {**self._one(context_id, memory_space_id), **ids(participant_id=participant_id)}
        row = await repeated(self._calls.remove_participant(**given))
        return Context.from_row(row)

    # --- handing on ---------------------------------------------------------------------------------------------------

    async def grant_access(
        self,
        context_id: str,
        target_memory_space_id: str,
        scope: AccessScope = "read-only",
        *,
        memory_space_id: str | None = None,
    ) -> Context:
        """Let another memory space read the context ("read-only"), also change it ("context-only"), or also make
        children of it ("full"). It replaces the scope that this space has had.

        A grant opens this one context, neither its parent nor its children. Only the owner grants: for another space it
        is `ContextNotFound`, or `ContextReadOnly`.
        """
        given = self._granted(context_id, target_memory_space_id, memory_space_id)
        row = await repeated(self._calls.grant_access(**given, scope=_SCOPE("scope", scope)))
        return Context.from_row(row)

    async def revoke_access(
        self, context_id: str, target_memory_space_id: str, *, memory_space_id: str | None = None
    ) -> Context:
        """Take access away from another memory space, if it has any. What it has made below the context becomes a root
        there, which its `find_orphaned` finds."""
        given = self._granted(context_id, target_memory_space_id, memory_space_id)
        row = await repeated(self._calls.revoke_access(**given))
        return Context.from_row(row)

    def _granted(self, context_id: str, target: str, memory_space_id: str | None) -> dict[str, Any]:
        one = self._one(context_id, memory_space_id)
        if check.name("target_memory_space_id", target) == one["memory_space_id"]:
            raise InvalidArgument("target_memory_space_id", "the memory space itself", "another memory space")
        return {**one, "target_memory_space_id": target}

    async def list_granted(self, limit: int = 50, offset: int = 0, *, memory_space_id: str | None = None) -> _Contexts:
        """The contexts of other memory spaces to which this one was granted access, in the order of the grants."""
        page: dict[str, Any] = {"limit": _COUNT("limit", limit), "offset": _COUNT("offset", offset)}
        rows = await self._calls.list_granted(**self._here(memory_space_id), **page)
        return [Context.from_row(row) for row in rows]

    # --- deleting -----------------------------------------------------------------------------------------------------

    async def delete(
        self,
        context_id: str,
        options: DeleteContextOptions | Mapping[str, Any] | None = None,
        *,
        memory_space_id: str | None = None,
        **keywords: Any,
    ) -> DeletedContext:
        """Delete a context, with its versions and grants.

        If it has children in its memory space, it is `HasChildren`, unless `cascade_children` deletes all descendants,
        too, or `orphan_children` makes the children roots. Children in other memory spaces stay, as orphans. Raises
        `ContextNotFound`.
        """
        given = parse(DeleteContextOptions, options, **keywords)
        if given.cascade_children and given.orphan_children:
            raise InvalidArgument("orphan_children", True, "only one of cascade_children and orphan_children")
        one = self._one(context_id, memory_space_id)
        await check_sync(self._backend, given.sync_to_graph)
        row = await self._calls.delete_context(
            **one, cascade_children=given.cascade_children, orphan_children=given.orphan_children
        )
        return DeletedContext.from_row(row)

    async def delete_many(
        self,
        filters: ContextFilter | Mapping[str, Any],
        cascade_children: bool = False,
        dry_run: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> DeletedContexts:
        """Delete all contexts of the memory space that fit the filters; with `dry_run` only say which.

        With `cascade_children` their descendants go, too. Without it, a context stays that has a child which stays. One
        filter, at least, is required beside the memory space.
        """
        flags: dict[str, Any] = {
            "cascade_children": check.flag("cascade_children", cascade_children),
            "dry_run": check.flag("dry_run", dry_run),
        }
        narrowed = self._filters(filters, memory_space_id, required=True)
        return DeletedContexts.from_row(await self._calls.delete_many(**narrowed, **flags))

    # --- reading one --------------------------------------------------------------------------------------------------

    @overload
    async def get(
        self,
        context_id: str,
        include_chain: Literal[False] = False,
        include_conversation: Literal[False] = False,
        *,
        memory_space_id: str | None = None,
    ) -> Context | None: ...

    @overload
    async def get(
        self,
        context_id: str,
        include_chain: bool = False,
        include_conversation: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> Context | ContextWithChain | None: ...

    async def get(
        self,
        context_id: str,
        include_chain: bool = False,
        include_conversation: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> Context | ContextWithChain | None:
        """The context with its previous versions; None if the memory space sees none with this id.

        With `include_chain` it is a `ContextWithChain`, with the contexts around it. With `include_conversation`, too,
        which has the conversation that the context comes from, and the messages that began it. They are there for the
        space that owns the context, as long as the conversation is.
        """
        check.flag("include_chain", include_chain)
        check.flag("include_conversation", include_conversation)
        one = self._one(context_id, memory_space_id)
        row = await self._calls.get(**one, include_chain=include_chain or include_conversation)
        if row is None:
            return None
        if not (include_chain or include_conversation):
            return Context.from_row(row)
        chain = cast("dict[str, Any]", row)
        if include_conversation:
            chain = chain | await self._conversation(one["memory_space_id"], chain["current"])
        return ContextWithChain.from_row(chain)

    async def _conversation(self, space: str, context: Mapping[str, Any]) -> dict[str, Any]:
        reference = context.get("conversationRef")
        if reference is None or context["memorySpaceId"] != space:
            return {}
        found = await conversation_named(self._backend, space, reference["conversationId"])
        if found is None:
            return {}
        messages = reference.get("messageIds", ())
        return {
            "conversation": found,
            "triggerMessages": [message for message in found["messages"] if message["id"] in messages],
        }

    async def get_chain(self, context_id: str, *, memory_space_id: str | None = None) -> ContextWithChain:
        """The context and those around it: its parent, root, ancestors, siblings and children, as far as the memory
        space sees them. Raises `ContextNotFound`."""
        return ContextWithChain.from_row(await self._calls.get_chain(**self._one(context_id, memory_space_id)))

    async def get_root(self, context_id: str, *, memory_space_id: str | None = None) -> Context:
        """The root of the tree that the context is in. Raises `ContextNotFound`."""
        return Context.from_row(await self._calls.get_root(**self._one(context_id, memory_space_id)))

    async def get_children(
        self,
        context_id: str,
        status: ContextStatus | None = None,
        recursive: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> _Contexts:
        """The children of a context, with `recursive` all its descendants, in the order in which they were made."""
        narrowed: dict[str, Any] = {
            "status": _STATUS("status", status),
            "recursive": check.flag("recursive", recursive),
        }
        rows = await self._calls.get_children(**self._one(context_id, memory_space_id), **narrowed)
        return [Context.from_row(row) for row in rows]

    async def get_version(
        self, context_id: str, version: int, *, memory_space_id: str | None = None
    ) -> ContextVersion | None:
        """A version of a context; None if there is none."""
        check.whole(1)("version", version)
        row = await self._calls.get_version(**self._one(context_id, memory_space_id), version=version)
        return None if row is None else ContextVersion.from_row(row)

    async def get_history(self, context_id: str, *, memory_space_id: str | None = None) -> _Versions:
        """All versions of a context, oldest first, the current one too."""
        rows = await self._calls.get_history(**self._one(context_id, memory_space_id))
        return [ContextVersion.from_row(row) for row in rows]

    async def get_at_timestamp(
        self, context_id: str, timestamp: int | datetime, *, memory_space_id: str | None = None
    ) -> ContextVersion | None:
        """The version that was current at that time; None before the context was made."""
        time: int = check.time("timestamp", timestamp)
        row = await self._calls.get_at_timestamp(**self._one(context_id, memory_space_id), timestamp=time)
        return None if row is None else ContextVersion.from_row(row)

    # --- finding ------------------------------------------------------------------------------------------------------

    def _filters(
        self,
        filters: object,
        memory_space_id: str | None,
        *,
        required: bool = False,
        keywords: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The filters as keywords of a typed call, with the memory space: theirs, else `memory_space_id`."""
        narrowed = parse(ContextFilter, filters, **(keywords or {})).keywords()
        space = narrowed.pop("memory_space_id", None)
        if space is not None and memory_space_id is not None:
            raise InvalidArgument("memory_space_id", "twice", "the memory space once: in the filters or as a keyword")
        if required and not narrowed:
            known = ", ".join(name for name in ContextFilter.model_fields if name != "memory_space_id")
            raise InvalidArgument("filters", "no filter", f"one, at least, of {known}")
        return {**narrowed, **self._here(memory_space_id if space is None else space)}

    async def list(
        self,
        memory_space_id: str | None = None,
        status: ContextStatus | None = None,
        limit: int = 50,
        offset: int = 0,
        **filters: Any,
    ) -> ContextList:
        """At most `limit` contexts of the memory space, in the order in which they were made, after skipping `offset`
        of them.

        `filters` are those of a `ContextFilter`, and act before the limit.
        """
        page: dict[str, Any] = {"limit": _COUNT("limit", limit), "offset": _COUNT("offset", offset)}
        narrowed = self._filters({"status": status}, memory_space_id, keywords=filters)
        rows = await self._calls.list(**narrowed, **page)
        return ContextList(contexts=tuple(Context.from_row(row) for row in rows))

    def iterate(
        self,
        filters: ContextFilter | Mapping[str, Any] | None = None,
        *,
        include_chain: bool = False,
        include_conversations: bool = False,
        include_version_history: bool = False,
        memory_space_id: str | None = None,
        page_size: int = 100,
        **keywords: Any,
    ) -> AsyncGenerator[ExportedContext]:
        """All contexts of the memory space that fit the filters, in the order in which they were made, read page by
        page; each with its ancestors, its conversation and its versions, if they are asked for."""
        checked_page_size("page_size", page_size)
        included = _included(include_chain, include_conversations, include_version_history)
        narrowed = self._filters(filters, memory_space_id, keywords=keywords)
        return pages(
            lambda size, cursor: self._calls.page(**narrowed, **included, limit=size, cursor=cursor),
            ExportedContext.from_row,
            page_size,
        )

    async def count(
        self,
        memory_space_id: str | None = None,
        user_id: str | None = None,
        status: ContextStatus | None = None,
        **filters: Any,
    ) -> int:
        """How many contexts of the memory space fit the filters, which are those of a `ContextFilter`."""
        given = {"user_id": user_id, "status": status}
        return await self._calls.count(**self._filters(given, memory_space_id, keywords=filters))

    @overload
    async def search(
        self,
        memory_space_id: str | None = None,
        user_id: str | None = None,
        status: ContextStatus | None = None,
        limit: int = 50,
        include_chain: Literal[False] = False,
        *,
        query: str | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> _Contexts: ...

    @overload
    async def search(
        self,
        memory_space_id: str | None = None,
        user_id: str | None = None,
        status: ContextStatus | None = None,
        limit: int = 50,
        include_chain: bool = False,
        *,
        query: str | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> _Contexts | _Chains: ...

    async def search(
        self,
        memory_space_id: str | None = None,
        user_id: str | None = None,
        status: ContextStatus | None = None,
        limit: int = 50,
        include_chain: bool = False,
        *,
        query: str | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> _Contexts | _Chains:
        """As `list`, of the contexts that have all words of `query` in their purpose or description, in any form of
        theirs. With `include_chain` each is a `ContextWithChain`."""
        check.flag("include_chain", include_chain)
        check.optional(check.any_text)("query", query)
        page: dict[str, Any] = {"limit": _COUNT("limit", limit), "offset": _COUNT("offset", offset)}
        given = {"user_id": user_id, "status": status}
        narrowed = self._filters(given, memory_space_id, keywords=filters)
        rows = await self._calls.search(**narrowed, **page, query=query)
        if include_chain:
            here = {"memory_space_id": narrowed["memory_space_id"]}
            chains = [await self._calls.get(**here, context_id=row["contextId"], include_chain=True) for row in rows]
            return [ContextWithChain.from_row(chain) for chain in chains if chain is not None]
        return [Context.from_row(row) for row in rows]

    async def find_orphaned(self, *, memory_space_id: str | None = None) -> _Contexts:
        """The contexts of the memory space that have a parent which it does not see any more: it was deleted, perhaps
        with its memory space, or access to it was revoked."""
        rows = await self._calls.find_orphaned(**self._here(memory_space_id))
        return [Context.from_row(row) for row in rows]

    async def get_by_conversation(self, conversation_id: str, *, memory_space_id: str | None = None) -> _Contexts:
        """The contexts of the memory space that come from this conversation."""
        given = {**ids(conversation_id=conversation_id), **self._here(memory_space_id)}
        return [Context.from_row(row) for row in await self._calls.get_by_conversation(**given)]

    # --- exports ------------------------------------------------------------------------------------------------------

    async def export(
        self,
        filters: ContextFilter | Mapping[str, Any] | None = None,
        format: ExportFormat = "json",
        include_chain: bool = False,
        include_conversations: bool = False,
        include_version_history: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> ExportResult:
        """The contexts of the memory space that fit the filters, as a JSON array or as CSV; each with its ancestors,
        its conversation and its versions, if they are asked for."""
        _FORMAT("format", format)
        included = _included(include_chain, include_conversations, include_version_history)
        narrowed = self._filters(filters, memory_space_id)
        return ExportResult.from_row(await self._calls.export_contexts(**narrowed, **included, format=format))

    async def stream_export(
        self,
        filters: ContextFilter | Mapping[str, Any] | None = None,
        format: ExportFormat = "json",
        include_chain: bool = False,
        include_conversations: bool = False,
        include_version_history: bool = False,
        *,
        memory_space_id: str | None = None,
    ) -> AsyncGenerator[str]:
        """The text of `export` in pieces, never all of it in memory."""
        _FORMAT("format", format)
        included = _included(include_chain, include_conversations, include_version_history)
        narrowed = self._filters(filters, memory_space_id)
        columns = export_columns(include_chain, include_version_history, include_conversations)
        rows = pages(
            lambda size, cursor: self._calls.page(**narrowed, **included, limit=size, cursor=cursor),
            lambda row: cast("dict[str, Any]", row),
            100,
        )
        async with aclosing(rows):
            async for piece in stream_export(format, columns, rows):
                yield piece


def _included(chain: bool, conversations: bool, versions: bool) -> dict[str, Any]:
    return {
        "include_chain": check.flag("include_chain", chain),
        "include_conversations": check.flag("include_conversations", conversations),
        "include_version_history": check.flag("include_version_history", versions),
    }
