"""`cortex.facts`: store, find, correct, retract and consolidate facts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast, get_args

from cortex_rx import validation as check
from cortex_rx.api._embedded import store_embedded
from cortex_rx.api._graph import check_sync, sync_keyword
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Facts
from cortex_rx.beliefs import Predicates
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.facts.deciding import Decider
from cortex_rx.facts.draining import TRIES, FactDrainReport, drain, work
from cortex_rx.facts.extractor import Extractor
from cortex_rx.facts.reader import EXTRACTION_TIMEOUT, fact_reader
from cortex_rx.models import fact_exports
from cortex_rx.models.facts import (
    CountFactsFilter,
    DeletedFact,
    DeleteFactOptions,
    FactConsolidation,
    FactDeduplication,
    FactExport,
    FactFormat,
    FactRecord,
    FactType,
    FactUpdate,
    ListFactsFilter,
    QueryByRelationshipFilter,
    QueryBySubjectFilter,
    SearchFactsOptions,
    StoreFactOptions,
    StoreFactParams,
    UpdateFactOptions,
    checked_deduplication,
)
from cortex_rx.models.options import ids, parse
from cortex_rx.unique import new_id

__all__ = ["FactsAPI"]

_Facts: TypeAlias = list[FactRecord]  # inside the class, `list` is a method


class FactsAPI:
    """The facts of a backend. Every method works in one memory space and sees no other.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Parameters, filters and options are models of `cortex_rx.models.facts`, mappings
    in snake_case or camelCase, or keywords, and may be mixed. Times are epoch milliseconds, or a `datetime` with a time
    zone. `embedder` gives what embeds new facts; None for nothing.

    A fact has two clocks. `valid_from` and `valid_until` say when it was true: `as_of` asks for that. `known_from`
    and `known_until` say when the memory space has known it: `known_at` asks for that. What was known is folded
    anew from what was said until then, so `known_at` takes longer the more facts there are about the subject or of
    the user that it is narrowed to.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         facts = FactsAPI(backend)
    ...         home = {"memory_space_id": "s", "subject": "Ada", "predicate": "lives_in", "fact_type": "identity"}
    ...         for place, year in (("Rome", 1_600_000_000_000), ("Lisbon", 1_700_000_000_000)):
    ...             said = {"fact": f"Ada lives in {place}.", "object": place, "valid_from": year}
    ...             await facts.store(home, **said, confidence=90)
    ...         now = await facts.query_by_subject(memory_space_id="s", subject="Ada")
    ...         then = await facts.list(memory_space_id="s", as_of=1_650_000_000_000)
    ...         return [one.object for one in now], [(one.object, one.closed) for one in then]
    >>> asyncio.run(main())
    (['Lisbon'], [('Rome', 'changed')])
    """

    def __init__(
        self,
        backend: Backend,
        *,
        embedder: Callable[[], Embedder | None] | None = None,
        extractor: Extractor | None = None,
        deduplication: FactDeduplication | None = None,
    ) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        check.optional(check.callback)("extractor", extractor)
        checked_deduplication("deduplication", deduplication)
        self._extractor: Extractor | None = extractor
        self._deduplication: FactDeduplication | None = deduplication
        self._facts = Facts(backend)
        self._embedder: Callable[[], Embedder | None] | None = check.optional(check.function)("embedder", embedder)

    async def store(
        self,
        params: StoreFactParams | Mapping[str, Any] | None = None,
        options: StoreFactOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> FactRecord:
        """Store one fact, and return the fact that it supports: itself, or one that says the same and was there.

        `fact`, `fact_type` and `confidence` are required. A new value of a predicate that has one at a time ends the
        fact with the old one, unless `belief_revision` is False. A fact with a `fact_id` is stored once; another one
        under this id is an `IdempotencyConflict`. A store that cannot be reached is asked again for two seconds.

        The text is embedded by its `generate_embedding`, else by the client's. If that fails, the fact is stored
        without a vector, and a warning is logged.
        """
        beside = parse(StoreFactOptions, options, **sync_keyword(keywords))
        given = parse(StoreFactParams, params, **keywords)
        await check_sync(self._backend, beside.sync_to_graph)
        fact = {"fact_id": f"fact-{new_id('row')}", **given.keywords()}
        embedder = given.embedder(None if self._embedder is None else self._embedder())
        row = await store_embedded(self._facts.store, fact, "a fact", given.fact, embedder)
        return FactRecord.from_row(row)

    async def get(self, memory_space_id: str, fact_id: str) -> FactRecord | None:
        """The fact, also one that is closed; None if the memory space has none with this id."""
        row = await self._facts.get(**ids(memory_space_id=memory_space_id, fact_id=fact_id))
        return None if row is None else FactRecord.from_row(row)

    async def list(self, filter: ListFactsFilter | Mapping[str, Any] | None = None, **keywords: Any) -> _Facts:
        """The facts that pass the filter: by default all that nothing has superseded, in the order in which they were
        made.

        `include_superseded` adds those that another fact has superseded. `as_of` gives those that were true at a time,
        `known_at` those that the memory space knew at a time, as it knew them.
        """
        rows = await self._facts.list(**parse(ListFactsFilter, filter, **keywords).keywords())
        return [FactRecord.from_row(row) for row in rows]

    def iterate(
        self,
        filter: CountFactsFilter | Mapping[str, Any] | None = None,
        *,
        page_size: int = 100,
        **keywords: Any,
    ) -> AsyncGenerator[FactRecord]:
        """All facts that pass the filter, in the order in which they were made, read page by page.

        The filter is that of `count`, without `known_at`.
        """
        checked_page_size("page_size", page_size)
        return pages(self._fetch(parse(CountFactsFilter, filter, **keywords)), FactRecord.from_row, page_size)

    def _fetch(self, filter: CountFactsFilter) -> Callable[[int, str | None], Awaitable[Mapping[str, Any]]]:
        if filter.known_at is not None:
            raise UnsupportedOption("known_at", filter.known_at, "None; what was known is listed as a whole")
        given = filter.keywords()
        return lambda size, cursor: self._facts.page(**given, limit=size, cursor=cursor)

    async def count(self, filter: CountFactsFilter | Mapping[str, Any] | None = None, **keywords: Any) -> int:
        """How many facts pass the filter, as in `list`."""
        return await self._facts.count(**parse(CountFactsFilter, filter, **keywords).keywords())

    async def search(
        self,
        memory_space_id: str,
        query: str,
        options: SearchFactsOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> _Facts:
        """The facts that have words of `query`, best first, each with a `score` between 0 and 1; at most 1,024.

        Words are found as by `cortex.memory.search`: in any script, in all their forms. The filters are those of
        `list`.
        """
        check.any_text("query", query)
        given = parse(SearchFactsOptions, options, **keywords).keywords()
        rows = await self._facts.search(**ids(memory_space_id=memory_space_id), query=query, **given)
        return [FactRecord.from_row(row) for row in rows]

    async def query_by_subject(
        self, filter: QueryBySubjectFilter | Mapping[str, Any] | None = None, **keywords: Any
    ) -> _Facts:
        """The facts about a subject; otherwise as `list`."""
        rows = await self._facts.query_by_subject(**parse(QueryBySubjectFilter, filter, **keywords).keywords())
        return [FactRecord.from_row(row) for row in rows]

    async def query_by_relationship(
        self, filter: QueryByRelationshipFilter | Mapping[str, Any] | None = None, **keywords: Any
    ) -> _Facts:
        """The facts about a subject with a predicate; otherwise as `list`. A predicate is found in any spelling:
        "livesIn" is "lives_in"."""
        given = parse(QueryByRelationshipFilter, filter, **keywords).keywords()
        return [FactRecord.from_row(row) for row in await self._facts.query_by_relationship(**given)]

    async def update(
        self,
        memory_space_id: str,
        fact_id: str,
        updates: FactUpdate | Mapping[str, Any] | None = None,
        options: UpdateFactOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> FactRecord:
        """Correct a fact, and return the correction: a fact with a new id, the next version, and the same sources.

        The old fact is closed as wrong, and in no list any more; it was never so. For something that has changed since,
        store a new fact. Raises `FactNotFound`, and `FactRetracted` if the fact was corrected or retracted before.
        """
        fact = ids(memory_space_id=memory_space_id, fact_id=fact_id)
        beside = parse(UpdateFactOptions, options, **sync_keyword(keywords))
        changes = parse(FactUpdate, updates, **keywords).keywords()
        await check_sync(self._backend, beside.sync_to_graph)
        return FactRecord.from_row(await self._facts.update(**fact, **changes))

    async def delete(
        self,
        memory_space_id: str,
        fact_id: str,
        options: DeleteFactOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> DeletedFact:
        """Retract a fact: it was never so. It is in no list any more, and what it had superseded holds again.

        `get`, `get_history` and `known_at` still show it. Raises `FactNotFound`. To remove what was said without a
        trace, forget its message: `cortex.memory.forget`.
        """
        fact = ids(memory_space_id=memory_space_id, fact_id=fact_id)
        await check_sync(self._backend, parse(DeleteFactOptions, options, **keywords).sync_to_graph)
        return DeletedFact.from_row(await self._facts.delete_fact(**fact))

    async def get_history(self, memory_space_id: str, fact_id: str) -> _Facts:
        """The fact, with all that it superseded or corrected and all that superseded or corrected it, oldest first."""
        rows = await self._facts.get_history(**ids(memory_space_id=memory_space_id, fact_id=fact_id))
        return [FactRecord.from_row(row) for row in rows]

    async def export(
        self, memory_space_id: str, format: FactFormat = "json", fact_type: FactType | None = None
    ) -> FactExport:
        """The facts that nothing has superseded, as a text: JSON, JSON-LD, or CSV as RFC 4180 has it."""
        check.one_of(*get_args(FactFormat))("format", format)
        check.optional(check.one_of(*get_args(FactType)))("fact_type", fact_type)
        space = ids(memory_space_id=memory_space_id)
        return FactExport.from_row(await self._facts.export_facts(**space, format=format, fact_type=fact_type))

    async def stream_export(
        self, memory_space_id: str, format: FactFormat = "json", fact_type: FactType | None = None
    ) -> AsyncGenerator[str]:
        """The text of `export` in pieces, a page of facts at a time; not of one moment, but never all in memory."""
        check.one_of(*get_args(FactFormat))("format", format)
        filter = parse(CountFactsFilter, memory_space_id=memory_space_id, fact_type=fact_type)
        yield fact_exports.start(format)
        first = True
        async with aclosing(pages(self._fetch(filter), lambda row: cast("Mapping[str, Any]", row), 100)) as facts:
            async for fact in facts:
                yield fact_exports.piece(format, fact, first)
                first = False
        yield fact_exports.end(format, first)

    async def consolidate(self, memory_space_id: str, fact_ids: Iterable[str], keep_fact_id: str) -> FactConsolidation:
        """Make facts one: the kept fact gets the sources of the others and the mean of all confidences, and the others
        are closed. Facts that are closed, of another user, or not there are passed over.

        Raises `FactNotFound` if the kept fact is not there or closed.
        """
        kept = ids(memory_space_id=memory_space_id, keep_fact_id=keep_fact_id)
        given = check.names("fact_ids", check.items("fact_ids", fact_ids, "a list of ids of facts"))
        if keep_fact_id not in given:
            raise InvalidArgument("keep_fact_id", keep_fact_id, "one of fact_ids")
        return FactConsolidation.from_row(await self._facts.consolidate(**kept, fact_ids=[*given]))

    async def drain(
        self,
        memory_space_id: str | None = None,
        *,
        extract_facts: Extractor | None = None,
        belief_revision: bool | Decider = True,
        fact_deduplication: FactDeduplication | None = None,
        predicates: Predicates | None = None,
        timeout: timedelta = EXTRACTION_TIMEOUT,  # noqa: ASYNC109 - of each call of the extractor
        tries: int = TRIES,
        dead: bool = False,
    ) -> FactDrainReport:
        """Read what is queued for facts: of one memory space, or of all.

        Text is queued if an extractor failed or was too slow for it, or if a process died before it was read. Each
        piece is read once, by `extract_facts`, else by the client's extractor. One that fails stays in the queue. After
        `tries` times, those while its answer streamed among them, it is a dead letter: it is read again only by a drain
        with `dead`. A drain that is killed loses nothing, and two at a time store nothing twice. Raises a `StoreError`
        if the store fails for two seconds, and `InvalidArgument` if there is no extractor.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> def likes(user_message, text):
        ...     if "I like" in user_message:
        ...         yield {"fact": user_message, "fact_type": "preference", "confidence": 90}
        >>> def fails(user_message, text):
        ...     raise ConnectionError
        >>> async def main():
        ...     async with Cortex(":memory:", extract_facts=likes) as cortex:
        ...         await cortex.memory.remember(
        ...             memory_space_id="s", conversation_id="c-1", user_message="I like tea.", agent_response="Noted.",
        ...             user_id="ada", user_name="Ada", extract_facts=fails)
        ...         return await cortex.facts.drain("s")
        >>> asyncio.run(main())
        FactDrainReport(read=2, facts=1, failed=0, dead=0)
        """
        check.optional(check.name)("memory_space_id", memory_space_id)
        check.optional(check.callback)("extract_facts", extract_facts)
        check.flag_or_callback("belief_revision", belief_revision)
        checked_deduplication("fact_deduplication", fact_deduplication)
        check.whole(1)("tries", tries)
        check.flag("dead", dead)
        extractor = extract_facts or self._extractor
        if extractor is None:
            raise InvalidArgument("extract_facts", None, "an extractor, since the client has none")
        deduplication = fact_deduplication or self._deduplication or "structural"
        reader = fact_reader(
            extractor,
            self._backend,
            timeout,
            deduplication,
            belief_revision,
            self._embedder() if self._embedder is not None and deduplication == "semantic" else None,
            predicates,
        )
        return await drain(reader, memory_space_id, dead=dead, tries=tries)

    async def work(
        self,
        memory_space_id: str | None = None,
        *,
        every: timedelta = timedelta(minutes=1),
        extract_facts: Extractor | None = None,
        belief_revision: bool | Decider = True,
        fact_deduplication: FactDeduplication | None = None,
        predicates: Predicates | None = None,
        timeout: timedelta = EXTRACTION_TIMEOUT,  # noqa: ASYNC109 - of each call of the extractor
        tries: int = TRIES,
    ) -> NoReturn:
        """Drain, and again `every` so often, until it is cancelled: a worker, as a task or a process of its own.

        A store that fails is asked again the next time, which the log says.
        """
        check.seconds()("every", every)
        once = partial(
            self.drain,
            memory_space_id,
            extract_facts=extract_facts,
            belief_revision=belief_revision,
            fact_deduplication=fact_deduplication,
            predicates=predicates,
            timeout=timeout,
            tries=tries,
        )
        await work(every, once)
