"""`Cortex`: a memory backend, the APIs over it, and the streams that run on it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
import weakref
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cortex_rx import validation as check
from cortex_rx.api.absent import ATTRIBUTES
from cortex_rx.api.conversations import ConversationsAPI
from cortex_rx.api.facts import FactsAPI
from cortex_rx.api.memory import MemoryAPI
from cortex_rx.backends import Backend, SqliteBackend
from cortex_rx.backends.base import is_backend
from cortex_rx.embedding.embedder import GenerateEmbedding, as_embedder
from cortex_rx.engine.running import Shared
from cortex_rx.errors import InvalidArgument, StoreClosed, UnsupportedOption
from cortex_rx.facts.extractor import Extractor
from cortex_rx.models.config import CortexConfig
from cortex_rx.models.facts import FactDeduplication, checked_deduplication
from cortex_rx.pipeline.answer import LINGER
from cortex_rx.spool import DeadLetters, DrainReport, Spool

if TYPE_CHECKING:
    from cortex_rx.api.agents import AgentsAPI
    from cortex_rx.api.contexts import ContextsAPI
    from cortex_rx.api.graph import GraphAPI
    from cortex_rx.api.immutable import ImmutableAPI
    from cortex_rx.api.memory_spaces import MemorySpacesAPI
    from cortex_rx.api.mutable import MutableAPI
    from cortex_rx.api.users import UsersAPI
    from cortex_rx.api.vector import VectorAPI
    from cortex_rx.graph.adapter import GraphAdapter
    from cortex_rx.models.graph import GraphConfig

__all__ = ["Cortex"]

logger: logging.Logger = logging.getLogger(__name__)

DEFAULT_PATH = "cortex.db"
DEFAULT_SPOOL = "cortex-spool.db"
STORE, SPOOL = "CORTEX_STORE", "CORTEX_SPOOL"
LINGER_SECONDS, CLOSE_SECONDS = "CORTEX_LINGER", "CORTEX_CLOSE_TIMEOUT"
CLOSE_TIMEOUT = timedelta(seconds=10)  # with the 8 s that a flush may take, well under the 30 s that Kubernetes grants
CLOSING = 0.5  # seconds that the sources of stopped streams may take to be closed


class Cortex:
    """Memory for language models: nine APIs and `memory` above them, over one store.

    `store` is the path of a SQLite file (created with mode 0600 if missing), ":memory:", or a `Backend`, which the
    caller closes; or a `CortexConfig`, as in Cortex, which may also be given as `config`. The default comes from the
    environment (`from_env`), or is `cortex.db` in the current folder. `linger` is how long a stream continues when
    nobody reads or awaits it. `close_timeout` is how long a close waits for running streams. `environ` replaces the
    environment variables.

    `spool` is the file that keeps answers which the store could not take, until `drain_spool`.  It is a path, True for
    a file beside the store, or False for none.  The default is True for a remote store, else False.  Dead letters are
    kept in the file in any case.

    `language` is that of a new file's index, "english" if nothing is said: words are found in all their forms, and
    words that carry nothing do not count. "none" takes words as they stand. The file keeps it; for a file in another
    language the first call raises `LanguageMismatch`. A `Backend` has its own, so then it is an `InvalidArgument`.

    `generate_embedding` embeds what is remembered, unless a call says otherwise: an `Embedder`, or a function from a
    text to its vector; `embedding_model` is the name of its model.

    `extract_facts` reads facts from all that is remembered, unless a call says otherwise: see `Extractor`.
    `fact_deduplication` says which statements are one fact.

    `memory_space_id` is the memory space of calls that do not name one, and whose arguments are those of Cortex:
    `conversations` and `contexts`.

    `graph` is an adapter of a graph server, or a `GraphConfig` with one: each stream brings what it has stored there,
    and `cortex.graph` has the rest.  The caller connects the adapter, and closes it.  With `initialize`, or
    the first stream, the store begins to note what changes; what it has by then is noted, too.

    Nothing is opened before its first use.  Use `async with Cortex(...) as cortex`, or call `close()`.  Otherwise a
    warning in the log tells how many streams were still running at the end of the program.

    A block that ends normally closes as `close()` does: streams that are used run on for `close_timeout` at most.  A
    block that is left by an exception or a cancellation (Ctrl-C is one) waits for none: all its streams are stopped at
    once, and what was shown is stored.

    >>> import asyncio
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         await cortex.memory.remember(
    ...             memory_space_id="support", conversation_id="c-1", user_message="Where is my parcel?",
    ...             agent_response="It is in Lisbon.", user_id="ada", user_name="Ada")
    ...         return [found.content for found in await cortex.memory.search("support", "lisbon", limit=1)]
    >>> asyncio.run(main())
    ['It is in Lisbon.']
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | Backend | CortexConfig | None = None,
        *,
        config: CortexConfig | None = None,
        linger: timedelta | None = None,
        close_timeout: timedelta | None = None,
        spool: str | os.PathLike[str] | Spool | bool | None = None,
        language: str | None = None,
        generate_embedding: GenerateEmbedding | None = None,
        embedding_model: str | None = None,
        extract_facts: Extractor | None = None,
        fact_deduplication: FactDeduplication | None = None,
        memory_space_id: str | None = None,
        graph: GraphAdapter | GraphConfig | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if environ is not None:
            check.instance(Mapping, "a mapping of names to values")("environ", environ)
        given = os.environ if environ is None else environ
        if config is not None:
            check.instance(CortexConfig, "a CortexConfig")("config", config)
            if store is not None:
                raise InvalidArgument("config", "a CortexConfig", "None, if store is given")
            store = config
        named = "store"
        if isinstance(store, CortexConfig):
            if graph is None:
                graph = store.graph
            elif store.graph is not None:
                raise InvalidArgument("graph", "twice", "the graph once: in the CortexConfig or as a keyword")
            store, named = store.convex_url, "convex_url"
        elif store is None:
            store = given.get(STORE) or DEFAULT_PATH
        if linger is None:
            linger = _seconds(LINGER_SECONDS, given[LINGER_SECONDS]) if given.get(LINGER_SECONDS) else LINGER
        check.seconds(zero=True)("linger", linger)
        if close_timeout is None:
            text = given.get(CLOSE_SECONDS)
            close_timeout = _seconds(CLOSE_SECONDS, text) if text else CLOSE_TIMEOUT
        check.seconds(zero=True)("close_timeout", close_timeout)
        self._close_timeout = close_timeout
        self._owned = not is_backend(store)
        self._backend: Backend = _with_its_own(store, language) if is_backend(store) else _open(named, store, language)
        if spool is None:
            spool = given.get(SPOOL) or bool(getattr(self._backend, "remote", False))
            spool = False if spool == "off" else spool
        self._spool = spool if isinstance(spool, Spool) else _spool(store, spool, self._backend)
        self._spooling = spool is not False
        self._graph, self._auto_sync = _with_graph(graph)
        self._syncing: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[Any], Shared[Any, Any]] = {}
        self._closed = False
        kept_in = self._spool if self._spooling else None
        self.memory: MemoryAPI = MemoryAPI(
            self._backend,
            linger=linger,
            started=self._started,
            spool=kept_in,
            embedder=as_embedder(generate_embedding, embedding_model),
            extractor=check.optional(check.callback)("extract_facts", extract_facts),
            deduplication=checked_deduplication("fact_deduplication", fact_deduplication),
            graph=self._graph,
        )
        """The memories: `remember_stream`, `remember`, `search`, `get`, `list`, `count`, `delete`."""
        self.facts: FactsAPI = FactsAPI(
            self._backend,
            embedder=lambda: self.memory.embedder,
            extractor=extract_facts,
            deduplication=fact_deduplication,
        )
        """The facts: `store`, `list`, `search`, `update`, `delete` and others; `drain` reads what is queued."""
        self._memory_space_id = memory_space_id
        self.conversations: ConversationsAPI = ConversationsAPI(self._backend, memory_space_id=memory_space_id)
        """The conversations and their messages."""
        self.dead_letters: DeadLetters = DeadLetters(self._spool, self._backend)
        """The calls that the store refused for good: `list`, `get`, `redrive`, `discard`; `add`, for operators."""
        weakref.finalize(self, _warn, self._running)

    # Made when they are first used, with their models: most programs use a few of them.

    @cached_property
    def vector(self) -> VectorAPI:
        """The memories alone, without facts: what Cortex calls the vector layer."""
        from cortex_rx.api.vector import VectorAPI

        return VectorAPI(self._backend, embedder=lambda: self.memory.embedder)

    @cached_property
    def contexts(self) -> ContextsAPI:
        """What is being worked on, and what was handed on to whom."""
        from cortex_rx.api.contexts import ContextsAPI

        return ContextsAPI(self._backend, memory_space_id=self._memory_space_id)

    @cached_property
    def users(self) -> UsersAPI:
        """The profiles of users, for the whole store."""
        from cortex_rx.api.users import UsersAPI

        return UsersAPI(self._backend)

    @cached_property
    def agents(self) -> AgentsAPI:
        """The registered agents, for the whole store."""
        from cortex_rx.api.agents import AgentsAPI

        return AgentsAPI(self._backend)

    @cached_property
    def memory_spaces(self) -> MemorySpacesAPI:
        """The memory spaces themselves."""
        from cortex_rx.api.memory_spaces import MemorySpacesAPI

        return MemorySpacesAPI(self._backend)

    @cached_property
    def immutable(self) -> ImmutableAPI:
        """What is kept with all its versions, for the whole store."""
        from cortex_rx.api.immutable import ImmutableAPI

        return ImmutableAPI(self._backend)

    @cached_property
    def mutable(self) -> MutableAPI:
        """Values that change, by namespace and key, for the whole store."""
        from cortex_rx.api.mutable import MutableAPI

        return MutableAPI(self._backend)

    @property
    def graph(self) -> GraphAPI:
        """The graph: `initialize` it, `sync` what changes, and ask it.  Only of a client that was given one."""
        if self._graph is None:
            raise AttributeError("graph")  # `__getattr__` says why
        return self._graph_api

    @cached_property
    def _graph_api(self) -> GraphAPI:
        from cortex_rx.api.graph import GraphAPI

        assert self._graph is not None
        return GraphAPI(self._graph, self._backend)

    @property
    def graph_adapter(self) -> GraphAdapter | None:
        """The adapter of the graph server; None if there is none."""
        return self._graph

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **keywords: Any) -> Cortex:
        """A client with settings from the environment; keywords take precedence.

        `CORTEX_STORE`: the path of the SQLite file.  `CORTEX_LINGER` and `CORTEX_CLOSE_TIMEOUT`: seconds for `linger`
        and `close_timeout`.  `CORTEX_SPOOL`: the path of the spool, or "off".

        >>> Cortex.from_env({"CORTEX_STORE": ":memory:"})
        Cortex(SqliteBackend(':memory:'))
        """
        return cls(environ=environ, **keywords)

    @property
    def backend(self) -> Backend:
        """The store, for chains of your own."""
        return self._backend

    @property
    def spool(self) -> Spool | None:
        """The spool for answers that the store could not take, for your own chains; None if there is none."""
        return self._spool if self._spooling else None

    async def drain_spool(self) -> DrainReport:
        """Deliver to the store what it could not take before; see `Spool.drain`.  Without a spool, nothing is
        delivered."""
        return await self._spool.drain(self._backend)

    def _started(self, stream: Shared[Any, Any]) -> None:
        if self._closed:
            raise StoreClosed("the client was closed")
        assert stream.task is not None
        self._running[stream.task] = stream
        stream.task.add_done_callback(lambda done: self._running.pop(done, None))

    async def close(self, timeout: timedelta | None = None) -> None:  # noqa: ASYNC109 - not of one await
        """Let the running streams finish, stop the rest after `timeout`, and close the store.

        `timeout` defaults to the client's `close_timeout`; 0 stops all at once.  Until then a stream runs on while a
        caller reads or awaits it, or if it is detached.  A stream that nobody uses is stopped when its `linger` is
        over.  What a stopped stream has shown is stored: a store that fails is asked again for 6 s, and a call is cut
        off after 8 s.  Its source has 0.5 s to be closed; then the closing is cancelled.

        The streams no longer wait for their readers, which may still read what has come.  Streams on another event loop
        are not touched.  A second call does nothing.  A stream that is started afterwards raises `StoreClosed`.  When
        this call is cancelled, it stops what still runs, closes the store, and only then raises `CancelledError`.
        """
        patience = check.seconds(zero=True)("timeout", self._close_timeout if timeout is None else timeout)
        self._closed = True
        cancelled = await self._end_streams(patience)
        if self._syncing is not None:
            cancelled = await _stop(self._syncing) or cancelled
        if self._owned:
            await self._backend.close()
        if cancelled:
            raise cancelled

    async def _end_streams(self, patience: float) -> asyncio.CancelledError | None:
        """End the streams of this loop; return the cancellation that came meanwhile, which must not cut off a flush."""
        cancelled: asyncio.CancelledError | None = None
        loop = asyncio.get_running_loop()
        streams = {task: stream for task, stream in self._running.items() if task.get_loop() is loop}
        if streams and patience:
            for stream in streams.values():
                stream.release()
            try:
                await asyncio.wait(streams, timeout=patience)
            except asyncio.CancelledError as error:
                cancelled = error
        if left := {task for task in streams if not task.done()}:
            for task in left:
                streams[task].stop("closed")
            logger.warning("%d streams were stopped when the client was closed; their text is kept", len(left))
        leaving = [loop.call_later(CLOSING, streams[task].flow.leave_sources) for task in left]
        while left := {task for task in left if not task.done()}:
            try:
                await asyncio.wait(left)
            except asyncio.CancelledError as error:
                cancelled = error
        for timer in leaving:
            timer.cancel()
        return cancelled

    async def __aenter__(self) -> Cortex:
        if self._auto_sync and self._syncing is None:
            self._syncing = asyncio.create_task(self._graph_api.sync())
            self._syncing.add_done_callback(_say_why)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(timedelta(0) if kind else None)

    def __repr__(self) -> str:
        return f"Cortex({self._backend!r})"

    if not TYPE_CHECKING:  # a type checker knows which attributes there are

        def __getattr__(self, name):
            why = f": {ATTRIBUTES[name]}" if name in ATTRIBUTES else ""
            raise AttributeError(f"Cortex has no {name}{why}", name=name, obj=self)


def _with_graph(graph: GraphAdapter | GraphConfig | None) -> tuple[GraphAdapter | None, bool]:
    """The adapter, and whether a worker runs beside what is in the block."""
    if graph is None:
        return None, False
    from cortex_rx.models.graph import GraphConfig, checked_adapter

    if isinstance(graph, GraphConfig):
        return graph.adapter, graph.auto_sync
    return checked_adapter("graph", graph), False


async def _stop(worker: asyncio.Task[None]) -> asyncio.CancelledError | None:
    """Stop the worker, and wait until it has given back what it holds; return the cancellation that came meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    worker.cancel()
    while not worker.done():
        try:
            await asyncio.wait({worker})
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _say_why(worker: asyncio.Task[None]) -> None:
    if not worker.cancelled() and (error := worker.exception()):
        logger.error("the graph is no longer kept up to date: %s", type(error).__name__)


def _with_its_own(store: Backend, language: str | None) -> Backend:
    if language is not None:
        raise InvalidArgument("language", language, "nothing with a Backend, which has its own")
    return store


def _open(named: str, store: object, language: str | None) -> Backend:
    if not isinstance(store, str | os.PathLike):
        raise InvalidArgument(named, type(store).__name__, "a path, ':memory:', a Backend or a CortexConfig")
    path = check.file_path(named, store)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        raise UnsupportedOption(named, "a URL", "the path of a SQLite file; the Convex backend does not exist yet")
    return SqliteBackend(path if path == ":memory:" else Path(path), language=language)


def _spool(store: object, given: object, backend: Backend) -> Spool:
    """The spool at the given path, or beside the store's file, or, without such a file, in the current folder.

    It has the clock of the store, if that is in this process."""
    clock = backend.clock if isinstance(backend, SqliteBackend) else time.time
    if not isinstance(given, bool):
        if not isinstance(given, str | os.PathLike):
            raise InvalidArgument("spool", type(given).__name__, "a path, a Spool, True or False")
        try:
            spool = Spool(given, clock=clock)
        except InvalidArgument as error:
            raise InvalidArgument("spool", error.given, error.accepted) from None
    elif isinstance(store, str | os.PathLike) and (path := os.fsdecode(store)) != ":memory:":
        spool = Spool(Path(path).with_name(f"{Path(path).stem}-spool.db"), clock=clock)
    else:
        spool = Spool(DEFAULT_SPOOL, clock=clock)
    if isinstance(store, str | os.PathLike) and os.path.abspath(os.fsdecode(store)) == spool.path:
        raise InvalidArgument("spool", spool.path, "another file than the store's")
    return spool


def _seconds(name: str, text: str) -> timedelta:
    try:
        return timedelta(milliseconds=check.milliseconds(zero=True)(name, float(text) * 1000))
    except (ValueError, TypeError):
        raise InvalidArgument(name, text, "seconds, 0 or more, to a hundred years") from None


def _warn(running: Mapping[asyncio.Task[Any], object]) -> None:
    """Called at the end of the program, or when the client is garbage-collected."""
    if left := sum(not task.done() for task in running):
        logger.warning("%d streams still ran when the client went away; call close(), or use async with", left)
