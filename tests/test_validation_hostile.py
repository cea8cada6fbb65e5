"""Every bad argument of a public function is refused by name, before anything is stored.

The calls are made from the signatures: each parameter of each public function and method gets every hostile value that
its annotation does not accept, the others a good one.  What a parameter accepts beyond that, or refuses although its
annotation says otherwise, stands in `ACCEPTED`; a public name that takes nothing from a caller in `COMES_BACK`.  A new
function is tested without a word here, or fails because a parameter of it has no good value.
"""

from __future__ import annotations

import asyncio
import collections.abc
import functools
import gc
import inspect
import os
import re
import sqlite3
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from helpers.memory_graph import MemoryGraph
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from pydantic import BaseModel

import cortex_rx
from cortex_rx import (
    Cortex,
    Embedder,
    Spool,
    SqliteBackend,
    Turn,
    events,
    from_stream,
    jupyter,
    operators,
    stream_utils,
    testing,
)
from cortex_rx.api import ConversationsAPI, FactsAPI, MemoryAPI
from cortex_rx.api.agents import AgentsAPI
from cortex_rx.api.contexts import ContextsAPI
from cortex_rx.api.immutable import ImmutableAPI
from cortex_rx.api.memory_spaces import MemorySpacesAPI
from cortex_rx.api.mutable import MutableAPI
from cortex_rx.api.users import UsersAPI
from cortex_rx.api.vector import VectorAPI
from cortex_rx.errors import InvalidArgument
from cortex_rx.graph import GraphAdapter
from cortex_rx.models import agents, contexts, facts, hooks, immutable, memory_spaces, users
from cortex_rx.models.graph import GraphConfig
from cortex_rx.models.options import Options
from cortex_rx.sources import providers
from cortex_rx.spool import DeadLetters

UNUSED = "an Answer was never used"
pytestmark = pytest.mark.filterwarnings(f"ignore:{UNUSED}")  # answers are made to be refused, or to be given

MODULES = (
    cortex_rx,
    operators,
    stream_utils,
    testing,
    jupyter,
    hooks,
    facts,
    agents,
    immutable,
    users,
    contexts,
    memory_spaces,
)
TURN = {"memory_space_id": "space", "conversation_id": "c-1", "user_message": "Hi!", "agent_id": "helper"}


class Odd:
    """Equal to nothing, true of nothing: comparing it or asking for its truth fails."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise AssertionError("asked for its truth")

    def __repr__(self) -> str:
        raise AssertionError("shown")


async def _later(*_: object) -> None:
    """A function whose result is there later."""


def _deep(wrap: Callable[[Any], Any]) -> Any:
    value: Any = None
    for _ in range(100_000):
        value = wrap(value)
    return value


def _doubled(wrap: Callable[[Any], Any]) -> Any:
    """Few containers, each of them twice in the next one: written out they are millions."""
    value: Any = wrap("x")
    for _ in range(22):
        value = wrap(value)
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE
RING: list[Any] = []
RING.append(RING)
HOSTILE: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "sys.maxsize": sys.maxsize,
    "2**63": 2**63,
    "10**5000": 10**5000,
    "1.5": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "largest float": sys.float_info.max,
    "no time": timedelta(),
    "negative time": timedelta(-1),
    "longest time": timedelta.max,
    "empty": "",
    "blank": " ",
    "surrogate": "\ud800",
    "bytes": b"bytes",
    "object": object(),
    "odd": Odd(),
    "class": Odd,
    "async": _later,
    "cycle": CYCLE,
    "ring": RING,
    "deep mapping": _deep(lambda value: {"in": value}),
    "deep list": _deep(lambda value: [value]),
    "shared mapping": _doubled(lambda value: {"one": value, "other": value}),
    "shared list": _doubled(lambda value: [value, value]),
    "key": {3: "intro"},
}
STRINGS, LISTS, MAPPINGS = (
    {"empty", "blank", "surrogate"},
    {"ring", "deep list", "shared list"},
    {"cycle", "deep mapping", "shared mapping", "key"},
)


def fits(annotation: Any) -> set[str]:
    """The hostile values that this annotation accepts."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation in (Any, object, inspect.Parameter.empty) or isinstance(annotation, typing.TypeVar):
        return set(HOSTILE)
    if origin in (Union, types.UnionType):
        return set().union(*map(fits, args))
    if origin is typing.Annotated:
        return fits(args[0])
    if annotation in (None, type(None)):
        return {"None"}
    if annotation is bool:
        return {"True"}
    if annotation is int:
        return {"sys.maxsize"}
    if annotation is float:
        return {"1.5"}
    if isinstance(annotation, type) and issubclass(annotation, os.PathLike):
        return {"blank"}  # a file may be called so
    if origin is not None and isinstance(origin, type) and issubclass(origin, os.PathLike):
        return {"blank"}
    if origin is type:
        return {"class"}
    if origin is collections.abc.Callable:  # one whose result is used at once takes none that is async
        return {"class", "async"} if args[-1] in (Any, object) or "Awaitable" in str(args[-1]) else {"class"}
    return set()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        made = World(tmp_path_factory.mktemp("hostile"), runner)
        yield made
        runner.run(made.cortex.close())
        runner.run(made.backend.close())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNUSED)
        gc.collect()


class World:
    """Real things to give and to call, and what is stored."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.files = [folder / "memory.db", folder / "spool.db"]
        self.backend, self.spool = SqliteBackend(self.files[0]), Spool(self.files[1])
        self.cortex = Cortex(self.backend, spool=self.spool, memory_space_id="space")
        self.letters = DeadLetters(self.spool, self.backend)
        self.folder, self.loop = folder, runner.get_loop()

        async def begin() -> None:
            await self.cortex.memory.remember(**TURN, agent_response="Hello.")
            for space in ("space", "other"):
                args = {"memorySpaceId": space, "memoryId": "m"}
                await self.letters.add(space, "mine", "memories:deleteMemory", args, "failed")

        runner.run(begin())
        self.stored = self.rows()

    def rows(self) -> list[str]:
        """Everything that the two files hold."""
        dumps: list[str] = []
        for file in self.files:
            with closing(sqlite3.connect(file)) as db:
                for (table,) in db.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('terms', 'fact_terms')"
                    " ORDER BY name"
                ).fetchall():
                    dumps += [f"{table} {row}" for row in db.execute(f"SELECT * FROM {table}").fetchall()]
        return dumps

    def good(self, name: str) -> Any:
        """A value that a parameter of this name accepts."""
        return GOOD[name](self)

    def call(self, thing: Any, owner: Any, arguments: Mapping[str, Any]) -> None:
        """Call it, and if it is async, await it, or the first item of it."""
        signature = signature_of(thing)
        if owner is not None:
            thing = getattr(OWNERS[owner.__name__](self), thing.__name__)
        given = {name: arguments[name] for name in signature.parameters if name in arguments}
        rest = {name: value for name, value in arguments.items() if name not in given}  # of `**keywords`
        bound = inspect.BoundArguments(signature, given)  # type: ignore[arg-type]

        async def run() -> None:
            outcome = thing(*bound.args, **bound.kwargs, **rest)
            if inspect.isasyncgen(outcome):
                async with aclosing(outcome):
                    await anext(outcome)
            elif inspect.isawaitable(outcome) and inspect.iscoroutine(outcome):
                await outcome
            elif inspect.isgenerator(outcome):
                next(outcome)

        if thing in PLAIN:
            thing(*bound.args, **bound.kwargs)
        else:
            self.loop.run_until_complete(run())  # `runner.run` sets up a handler of SIGINT each time


@functools.cache
def signature_of(thing: Any) -> inspect.Signature:
    """As a caller sees it, without `self`."""
    signature = inspect.signature(thing)
    return signature.replace(parameters=[one for one in signature.parameters.values() if one.name != "self"])


PLAIN = (testing.run_virtual, testing.check_operator, testing.check_backend)
"""What runs loops of its own."""


def _kept() -> Any:
    async def main() -> None: ...

    return main()


GOOD: Mapping[str, Callable[[World], Any]] = {
    "backend": lambda world: world.backend,
    "graph": lambda world: MemoryGraph(),
    "spool": lambda world: world.spool,
    "path": lambda world: world.folder / "another.db",
    "target": lambda world: world.folder / "backup.db",
    "folder": lambda world: world.folder / "graph",
    "source": lambda world: from_stream(["Hello"], turn=Turn(**TURN)),
    "response_stream": lambda world: ["Hello"],
    "agent_response": lambda world: "Hello",
    "resume_from": lambda world: "resume_x",
    "token": lambda world: "resume_x",
    "tracer": lambda world: NoOpTracer(),
    "turn": lambda world: Turn(**TURN),
    "factory": lambda world: lambda point: ["Hello"],
    "stream": lambda world: _words(),
    **{name: (lambda world, value=value: value) for name, value in TURN.items()},
    "memory_id": lambda world: "m-1",
    "stream_id": lambda world: "s-1",
    "id": lambda world: "letter",
    "query": lambda world: "hello",
    "content": lambda world: "hello",
    "VectorAPI.store.input": lambda world: "hello",
    "operator": lambda world: "mine",
    "args": lambda world: {"memorySpaceId": "space", "memoryId": "m"},
    "cause": lambda world: "failed",
    "strategy": lambda world: "sentence",
    "recover.strategy": lambda world: "store-partial",
    "max_length": lambda world: 100,
    "buffer_size": lambda world: 2,
    "make": lambda world: lambda: None,
    "name": lambda world: "begin",
    "op": lambda world: lambda source: source,
    "steps": lambda world: [],
    "item": lambda world: "x",
    "chunk": lambda world: "x",
    "answer": lambda world: world.cortex.memory.remember_stream(["Hello"], **TURN),
    "lane": lambda world: "-a|",
    "assert_marbles.lane": lambda world: "source",
    "expected": lambda world: "-a|",
    "trace": lambda world: _trace(),
    "at": lambda world: 1,
    "kind": lambda world: "fail",
    "effects": lambda world: 3,
    "count": lambda world: 2,
    "seed": lambda world: 1,
    "main": lambda world: _kept(),
    "text": lambda world: "1 fail",
    "error": lambda world: ConnectionError(),
    "DeadLetters.add.path": lambda world: "memories:deleteMemory",
    "plan": lambda world: "1 fail",
    "function": lambda world: lambda text: [1.0],
    "extractor": lambda world: lambda user_message, text: [],
    "texts": lambda world: ["Hello"],
    "fact": lambda world: "Ada sings.",
    "fact_type": lambda world: "event",
    "confidence": lambda world: 90,
    "fact_id": lambda world: "fact-1",
    "fact_ids": lambda world: ["fact-1"],
    "keep_fact_id": lambda world: "fact-1",
    "subject": lambda world: "Ada",
    "ContextsAPI.delete_many.filters": lambda world: {"status": "blocked"},
    "ContextsAPI.update_many.updates": lambda world: {"status": "active"},
    "ContextsAPI.update_many.filters": lambda world: {"status": "blocked"},
    "target_memory_space_id": lambda world: "other",
    "participant_id": lambda world: "ada",
    "context_id": lambda world: "ctx-1",
    "predicate": lambda world: "sings",
    "value": lambda world: "dark",
    "updater": lambda world: lambda value: value,
    "callback": lambda world: lambda tx: None,
    "agent_id": lambda world: "helper",
    "config": lambda world: {},
    "type": lambda world: "note",
    "data": lambda world: {},
    "version": lambda world: 1,
    "timestamp": lambda world: 1,
    "updates": lambda world: {},
    "user_id": lambda world: "ada",
    "user_ids": lambda world: ["ada"],
    "key": lambda world: "color",
    "namespace": lambda world: "settings",
    "snapshot_at": lambda world: 1,
    "importance": lambda world: 50,
    "MemorySource.type": lambda world: "tool",
    "RegisterMemorySpaceParams.type": lambda world: "team",
    "ContextInput.purpose": lambda world: "Help Ada.",
    "ImmutableRef.type": lambda world: "article",
    "uri": lambda world: "bolt://localhost",
    **dict.fromkeys(
        ("graph", "GraphConfig.adapter"), lambda world: cortex_rx.CypherGraphAdapter({"uri": "bolt://localhost"})
    ),
    "LocalGraph.folder": lambda world: world.folder / "graph",
    "label": lambda world: "Memory",
    **dict.fromkeys(("from_node", "to_node", "start_id", "from_id", "to_id"), lambda world: "4:graph:0"),
    "message_id": lambda world: "m-1",
    "message_ids": lambda world: ["m-1"],
    "ConversationsAPI.find_conversation.type": lambda world: "user-agent",
    "CreateConversationInput.type": lambda world: "user-agent",
    "participants": lambda world: {"userId": "ada"},
    "role": lambda world: "user",
}
"""A value that a parameter of this name accepts, where it must be given."""


def _trace() -> testing.Trace:
    trace = testing.Trace()
    trace.lanes["source"] = []
    return trace


async def _words() -> Any:
    yield "Hello"


# --- what is called ---------------------------------------------------------------------------------------------------

OWNERS: Mapping[str, Callable[[World], Any]] = {
    "Cortex": lambda world: world.cortex,
    "MemoryAPI": lambda world: world.cortex.memory,
    "VectorAPI": lambda world: world.cortex.vector,
    "FactsAPI": lambda world: world.cortex.facts,
    "ContextsAPI": lambda world: ContextsAPI(world.backend, memory_space_id="space"),
    "MutableAPI": lambda world: world.cortex.mutable,
    "AgentsAPI": lambda world: world.cortex.agents,
    "ConversationsAPI": lambda world: world.cortex.conversations,
    "ImmutableAPI": lambda world: world.cortex.immutable,
    "UsersAPI": lambda world: world.cortex.users,
    "MemorySpacesAPI": lambda world: world.cortex.memory_spaces,
    "DeadLetters": lambda world: world.letters,
    "Answer": lambda world: world.good("answer"),
    "SqliteBackend": lambda world: world.backend,
    "Spool": lambda world: world.spool,
    "Chain": lambda world: operators.chain(operators.begin(world.backend)),
    "Step": lambda world: operators.begin(world.backend),
    "AsyncQueue": lambda world: stream_utils.AsyncQueue(),
    "RollingContextWindow": lambda world: stream_utils.RollingContextWindow(),
    "Plan": lambda world: testing.Plan(),
    "Embedder": lambda world: Embedder(lambda text: [1.0]),
}
"""Whose methods are called."""

VARIOUS = ("parts", "names", "sources")
"""Parameters that take any number of values."""

COMES_BACK = {
    # what the package makes and hands out
    *("Delta", "Ended", "Step", "Branch", "Report", "BackendReport", "BackendPromise", "Promise", "Bench"),
    *("Mark", "Recording", "Live", "Accumulated", "Growing", "VirtualLoop"),
    # what is implemented by a caller, not called
    *("Backend", "StreamEvent"),
}
"""Public classes and functions that take nothing from a caller."""
BEYOND = {
    # What operators and backends call of each other with what was checked before; a backend's own arguments:
    # `docs/contract.md`.
    *("SqliteBackend.query", "SqliteBackend.mutation", "Spool.put", "Spool.forget", "Spool.piece", "Spool.run"),
    # Drawing and recording take any object.
    *("Trace.add", "Trace.tap", "Trace.lane", "Trace.svg"),
}


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Its own, and those that an API has from what it shares with another one."""
    kinds = [one for one in reversed(kind.__mro__) if one is kind or one.__module__.startswith("cortex_rx.api")]
    yield from {name: part for one in kinds for name, part in vars(one).items()}.items()


def _public() -> Iterator[tuple[str, Any, Any]]:
    """Every public function, class and method: its name, what it is, and whose method it is."""
    seen: set[int] = set()
    classes = [
        MemoryAPI,
        VectorAPI,
        FactsAPI,
        ContextsAPI,
        ConversationsAPI,
        MutableAPI,
        AgentsAPI,
        ImmutableAPI,
        UsersAPI,
        MemorySpacesAPI,
        DeadLetters,
    ]
    for module in MODULES:
        classes += [getattr(module, name) for name in module.__all__]
    for thing in classes:
        if not (inspect.isfunction(thing) or inspect.isclass(thing)) or id(thing) in seen:
            continue
        seen.add(id(thing))
        record = inspect.isclass(thing) and issubclass(thing, BaseModel) and not issubclass(thing, Options)
        if record or (inspect.isclass(thing) and issubclass(thing, BaseException)):
            continue
        if thing.__name__ not in COMES_BACK:
            yield thing.__name__, thing, None
        if inspect.isclass(thing) and not issubclass(thing, BaseModel) and thing.__name__ in OWNERS:
            for name, method in _methods(thing):
                method = getattr(thing, name) if isinstance(method, classmethod) else method
                if isinstance(method, functools.cached_property):  # an API, whose class is in these lists
                    continue
                if not name.startswith("_") and inspect.isroutine(method) and f"{thing.__name__}.{name}" not in BEYOND:
                    yield f"{thing.__name__}.{name}", method, thing


PUBLIC = {name: (thing, owner) for name, thing, owner in _public()}


def models(annotation: Any) -> list[str]:
    """The models that may be given: what is wrong with a mapping as a whole is said of the model."""
    return [one.__name__ for one in get_args(annotation) if inspect.isclass(one) and issubclass(one, Options)]


def parameters(name: str, thing: Any) -> Iterator[tuple[str, Any, bool]]:
    """The parameters: name, annotation, whether it must be given.  Those of `**keywords` are fields of models, tested
    there.
    """
    if inspect.isclass(thing) and issubclass(thing, Options):
        for field, info in thing.model_fields.items():
            if field not in thing._refused:
                yield field, info.annotation, info.is_required()
        return
    dataclass = inspect.isclass(thing) and is_dataclass(thing)
    where = thing if dataclass or not inspect.isclass(thing) else thing.__init__
    hints = typing.get_type_hints(
        where,
        localns={
            **vars(collections.abc),
            **vars(providers),
            **vars(events),
            "asyncio": asyncio,
            "GraphAdapter": GraphAdapter,
            "GraphConfig": GraphConfig,
            "Figure": object,
            "Tracer": NoOpTracer,
            "Meter": NoOpMeter,
        },
    )
    for one in signature_of(thing).parameters.values():
        if one.kind is not inspect.Parameter.VAR_KEYWORD:
            needed = one.default is inspect.Parameter.empty and one.kind is not inspect.Parameter.VAR_POSITIONAL
            yield one.name, hints.get(one.name, Any), needed


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_wrong_is_said_by_name_and_nothing_is_stored(world: World, name: str) -> None:
    thing, owner = PUBLIC[name]
    wrong = collections.defaultdict[str, list[str]](list)
    asked = list(parameters(name, thing))
    for parameter, annotation, required in asked:
        optional = inspect.isclass(thing) and issubclass(thing, Options) and not required
        accepted = (fits(annotation) | ACCEPTED.get(f"{name}.{parameter}", set())) - REFUSED.get(
            f"{name}.{parameter}", set()
        )
        if optional:
            accepted = accepted | NONE  # None is the default of every option
        for label, value in HOSTILE.items():
            if label in accepted:
                continue
            arguments = {
                one: GOOD.get(f"{name}.{one}", GOOD.get(one, _missing(name, one)))(world)
                for one, _, needed in asked
                if needed and one != parameter
            }
            arguments |= {**EXTRA.get(name, {}), parameter: (value,) if parameter in VARIOUS else value}
            try:
                world.call(thing, owner, arguments)
            except InvalidArgument as error:
                said = str(error)
                said.encode()  # it can be printed
                if re.split(r"[.\[]", error.field)[0] not in (
                    parameter,
                    *models(annotation),
                    *NOTATION.get(f"{name}.{parameter}", ()),
                ):
                    wrong[f"{parameter}: named {error.field[:40]}"].append(label)
            except Exception as error:
                if (
                    isinstance(error, TypeError)
                    and f"{name}.{parameter}" in ENGINE
                    and str(error).startswith(parameter)
                ):
                    continue
                wrong[f"{parameter}: {type(error).__name__}: {str(error)[:80]}"].append(label)
            else:
                wrong[f"{parameter}: accepted"].append(label)
    assert not wrong, "\n".join(f"{what}: {', '.join(labels)}" for what, labels in wrong.items())
    before, world.stored = world.stored, world.rows()
    assert world.stored == before


def _missing(name: str, parameter: str) -> Callable[[World], Any]:
    def missing(world: World) -> Any:
        pytest.fail(f"{name} cannot be called: GOOD says nothing that {parameter} accepts")

    return missing


EXTRA: Mapping[str, Mapping[str, Any]] = {
    "remember": {**TURN, "agent_response": "Hello"},
    "remember_stream": TURN,
    "MemoryAPI.remember": {**TURN, "agent_response": "Hello"},
    "MemoryAPI.remember_stream": {**TURN, "params": ["Hello"]},
    "MemoryAPI.forget": {"memory_id": "m-1"},
    **dict.fromkeys(
        ("MemoryAPI.update_many", "VectorAPI.update_many"), {"filters": {"user_id": "ada"}, "updates": {"tags": []}}
    ),
    "MemoryAPI.reembed": {"generate_embedding": Embedder(lambda text: [1.0], "model")},
    "Turn": TURN,
    "observe": {"on_chunk": print},
    "timeout": {"idle": timedelta(seconds=1)},
    "fallback": {"sources": (["a"], ["b"])},
    "with_stream_timeout": {"timeout_ms": 1000},
    "AgentsAPI.register": {"id": "helper", "name": "Helper"},
    "AgentsAPI.update": {"name": "Helper"},
    "AgentsAPI.unregister_many": {"status": "active"},
    "FactsAPI.drain": {"extract_facts": print},
    "ConversationsAPI.create": {"type": "user-agent", "participants": {"userId": "ada"}},
    "ConversationsAPI.get_or_create": {"type": "user-agent", "participants": {"userId": "ada"}},
    "ConversationsAPI.add_message": {"conversation_id": "c-1", "role": "user", "content": "Hello"},
    "FactsAPI.work": {"extract_facts": print},
    "ImmutableAPI.store": {"type": "note", "id": "one", "data": {}},
}
"""What a call needs beside the parameters that must be given."""
ENGINE = {"run.source", "stream.source", "stream.capacity"}
"""The engine knows nothing of our errors: it raises `TypeError`, which names the parameter too."""

NONE, ZERO, NO_TIME, ANY_TEXT = {"None"}, {"0"}, {"no time"}, {"empty", "blank"}
ZEROS_OF_FACTS = (
    *("confidence", "min_confidence", "created_before", "created_after", "updated_before", "updated_after", "version"),
    *("valid_at", "valid_from", "valid_until", "as_of", "known_at", "limit", "offset", "start", "end"),
)
ACCEPTED: dict[str, set[str]] = {
    # None is the default of an option, and so of the parameter of an API that stands for one.
    "MemoryAPI.interrupted.limit": NONE,
    **{
        f"{api}.{name}": NONE
        for api in ("MemoryAPI", "VectorAPI")
        for name in (
            *("count.include_partial", "count.include_chunks", "list.include_partial", "list.include_chunks"),
            *(f"{one}.include_archived" for one in ("count", "list", "iterate", "export", "stream_export")),
        )
    },
    **{
        f"{api}.{name}": accepted
        for api in ("MemoryAPI", "VectorAPI")
        for name, accepted in (
            ("list.offset", NONE | ZERO),
            ("get_version.version", ZERO),
            ("get_at_timestamp.timestamp", ZERO),
        )
    },
    "VectorAPI.search.query": ANY_TEXT,
    "VectorAPI.store.input": ANY_TEXT,
    "MemoryAPI.streams.limit": NONE,
    "MemoryAPI.get.include_partial": NONE,
    "ConversationsAPI.get_history.limit": NONE,
    "ConversationsAPI.get_history.offset": NONE | ZERO,
    "ConversationsAPI.get_history.sort_order": NONE,
    "ConversationsAPI.list.limit": NONE,
    "ConversationsAPI.list.include_pending": NONE,
    "ConversationsAPI.count.include_pending": NONE,
    # 0 is a number of these, and no time at all a time.
    **{
        f"ImmutableAPI.{name}": ZERO
        for name in (
            *("store.expected_version", "get_at_timestamp.timestamp", "list.limit", "list.offset", "search.limit"),
            *("purge_many.created_before", "purge_versions.keep_latest", "purge_versions.older_than"),
        )
    },
    **{
        f"UsersAPI.{name}": ZERO
        for name in (
            *("update.expected_version", "merge.expected_version", "get_at_timestamp.timestamp"),
            *("search.limit", "search.offset", "list.limit", "list.offset"),
        )
    },
    **{f"UserFilters.{time}_{side}": ZERO for time in ("created", "updated") for side in ("after", "before")},
    "ConversationsAPI.iterate.include_pending": NONE,
    "ConversationsAPI.list.offset": ZERO,
    **{
        f"ConversationsAPI.{method}.{side}": ZERO
        for method in ("search", "export", "stream_export")
        for side in ("date_start", "date_end")
    },
    "MemoryAPI.follow.after": ZERO,
    "MemoryAPI.linger": NO_TIME,
    "MemoryAPI.remember_stream.linger": NO_TIME,
    "Answer.linger": NO_TIME,
    "Cortex.linger": NO_TIME,
    "Cortex.close.timeout": NO_TIME,
    "Cortex.close_timeout": NO_TIME,
    "remember_stream.linger": NO_TIME,
    "persist_partial.interval": NO_TIME,
    "sync_graph.interval": NO_TIME,
    "sync_graph.wait": NO_TIME,
    "extract_facts.wait": NO_TIME,
    "observe.every": NO_TIME,
    "resume.delay": NO_TIME,
    "resume.max_delay": NO_TIME,
    "resume.max_retry_after": NO_TIME,
    "Position.offset": ZERO,
    "Position.attempt": ZERO,
    "Position.epoch": ZERO,
    "SqliteBackend.busy_timeout": ZERO,
    "SqliteBackend.vector_cache": ZERO,
    "StreamingOptions.partial_response_interval": ZERO,
    "StreamingOptions.graph_sync_interval": ZERO,
    "StreamingOptions.max_retries": ZERO,
    "StreamingOptions.retry_delay": ZERO,
    "StreamingOptions.max_retry_after": ZERO,
    "SearchOptions.min_importance": ZERO,
    **{
        f"SearchOptions.{time}_{side}": ZERO
        for time in ("created", "updated", "source")
        for side in ("after", "before")
    },
    "SearchOptions.min_score": ZERO,
    "SearchOptions.alpha": ZERO,
    "SearchOptions.offset": ZERO,
    "RecallOptions.turns": ZERO,
    "RecallOptions.newest": ZERO,
    "RecallOptions.as_of": ZERO,
    "RecallOptions.facts": {"class", "async"},  # a protocol says how it is called
    **{
        f"{model.__name__}.{field}": ZERO
        for model in map(vars(facts).__getitem__, facts.__all__)
        if inspect.isclass(model) and issubclass(model, Options)
        for field in {*ZEROS_OF_FACTS} & {*model.model_fields}
    },
    "StoreMemoryInput.importance": ZERO,
    "RegisterMemorySpaceParams.name": ANY_TEXT,
    "MemorySpaceUpdate.name": ANY_TEXT,
    "MemorySpaceParticipant.joined_at": ZERO,
    "GraphConnectionConfig.username": ANY_TEXT,
    "GraphConnectionConfig.password": ANY_TEXT,
    "GraphConnectionConfig.retry_time": ZERO,
    # What stands in them is checked when it is sent: what a server gives back may be anything.
    **{f"Graph{kind}.properties": MAPPINGS - {"key"} for kind in ("Node", "Edge")},
    **{f"MemorySpacesAPI.{name}": ZERO for name in ("list.limit", "list.offset", "search.limit")},
    **{f"MemorySpacesAPI.{name}.reason": ANY_TEXT for name in ("archive", "delete")},
    "AgentRegistration.description": ANY_TEXT,
    "ContextInput.description": ANY_TEXT,
    "ContextUpdate.description": ANY_TEXT,
    "ContextsAPI.search.query": ANY_TEXT,
    "ContextUpdate.completed_at": ZERO,
    "ContextFilter.completed_before": ZERO,
    "ContextFilter.depth": ZERO,
    "ContextsAPI.get_at_timestamp.timestamp": ZERO,
    "ContextsAPI.update.expected_version": ZERO,
    **{
        f"ContextsAPI.{name}.{page}": ZERO
        for name in ("list", "search", "list_granted")
        for page in ("limit", "offset")
    },
    "MemoryMetadata.importance": ZERO,
    "MemorySource.timestamp": ZERO,
    "ImmutableRef.version": ZERO,
    "MutableRef.snapshot_at": ZERO,
    "RememberParams.importance": ZERO,
    "RememberStreamParams.importance": ZERO,
    "Turn.importance": ZERO,
    "chunk.overlap": ZERO,
    "Plan.after.effects": ZERO,
    "stream.capacity": {"sys.maxsize", "2**63", "10**5000", "largest float", "inf"},  # any bound, or none
    "Fault.seconds": {"0", "-1"},  # -1 stands for what is usual of the kind
    "assert_no_leaks.grace": ZERO,
    "check_operator.holds_first": ZERO,
    "check_operator.holds": ZERO,
    "check_operator.memory": ZERO,
    "pairs_of_faults.seed": ZERO,
    **{
        f"MutableAPI.{name}": ZERO
        for name in ("set.expected_version", "list.limit", "list.offset", "purge_many.updated_before")
    },
    **{f"MutableAPI.{name}.amount": {"0", "-1", "sys.maxsize", "largest float"} for name in ("increment", "decrement")},
    **{f"AgentsAPI.{name}": ZERO for name in ("list.limit", "list.offset", "search.limit", "search.offset")},
    **{f"AgentFilters.registered_{side}": ZERO for side in ("after", "before")},
    # A text that may be empty.
    **{f"MutableAPI.{name}.key_prefix": ANY_TEXT for name in ("list", "iterate", "count", "purge_many")},
    **{f"{model}.description": ANY_TEXT for model in ("AgentRegistration", "AgentUpdate")},
    "AgentFilters.name": ANY_TEXT,
    "Turn.user_message": ANY_TEXT,
    "RememberParams.user_message": ANY_TEXT,
    "RememberParams.agent_response": ANY_TEXT,
    "RememberStreamParams.user_message": ANY_TEXT,
    "MemoryAPI.search.query": ANY_TEXT,
    "FactsAPI.search.query": ANY_TEXT,
    "MemoryAPI.store.content": ANY_TEXT,
    "AddMessageInput.content": ANY_TEXT,
    "StoreMemoryInput.content": ANY_TEXT,
    "Embedder.embed_query.query": ANY_TEXT,
    "Embedder.embed_text.text": ANY_TEXT,
    "MemoryAPI.recall.query": ANY_TEXT,
    "recall.query": ANY_TEXT,
    "DeadLetters.add.cause": ANY_TEXT,
    "RollingContextWindow.add.chunk": ANY_TEXT | {"surrogate"},  # it is kept in memory only
    "marbles.lane": ANY_TEXT,
    "parse_marbles.lane": ANY_TEXT,
    "Plan.parse.text": ANY_TEXT,
    "Plan.of.plan": ANY_TEXT,
    "Process.plan": ANY_TEXT,
    "Faulty.process": ANY_TEXT,
    "assert_marbles.expected": ANY_TEXT,
    # Of an iterable of what comes later the items are looked at when they come.
    "from_stream.source": LISTS,
    "record.source": LISTS,
    # An iterable that has nothing in it.
    "Chain.steps": {"empty"},
    **{f"{name}.{field}": {"empty"} for name in ("operator", "step") for field in ("needs", "reads", "emits")},
    # Only its own names are looked at.
    "Cortex.environ": MAPPINGS,
    "Cortex.from_env.environ": MAPPINGS,
    "parse_marbles.values": MAPPINGS,  # a letter may stand for anything
}
"""What a parameter accepts beyond its annotation."""
ACCEPTED |= {  # `recall` takes what a search takes
    name.replace("SearchOptions", "RecallOptions"): labels
    for name, labels in ACCEPTED.items()
    if name.startswith("SearchOptions.")
}
NOTATION = {
    "MemoryAPI.remember_stream.params": ["response_stream"],
    # Of filters in a mapping, what is no option is a path in the data.
    **{f"UsersAPI.{name}.filters": ["data"] for name in ("search", "iterate", "count", "export", "stream_export")},
    "Faulty.process": ["plan"],
    "Plan.parse.text": ["plan"],
    "assert_marbles.expected": ["lane"],
}
"""What is written in a notation: an error in it names the notation."""
MAX = {"sys.maxsize"}
REFUSED: Mapping[str, set[str]] = {
    "SqliteBackend.busy_timeout": MAX,
    **{
        f"GraphConnectionConfig.{name}": MAX
        for name in ("max_connection_pool_size", "connection_timeout", "query_timeout", "retry_time")
    },
    "TraversalConfig.max_depth": MAX,
    "ShortestPathConfig.max_hops": MAX,
}
"""What a parameter refuses although its annotation accepts it: a bound."""


def test_the_tables_name_only_what_there_is() -> None:
    known = {f"{name}.{parameter}" for name, (thing, _) in PUBLIC.items() for parameter, *_ in parameters(name, thing)}
    assert {*ACCEPTED, *REFUSED, *ENGINE, *NOTATION} <= known
    assert set(EXTRA) <= set(PUBLIC)
    public = {name for module in MODULES for name in module.__all__}
    assert public >= COMES_BACK
