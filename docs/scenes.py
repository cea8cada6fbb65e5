"""The scenes that are drawn in the docstring of each operator. They are run in virtual time, so no diagram can lie.

A new operator needs a scene here.  `make docs` runs it, draws it with `cortex_rx.testing.Trace`, and writes the drawing
into the docstring and the reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from opentelemetry.trace import NoOpTracer

from cortex_rx import SqliteBackend, Turn, events, from_stream, stream
from cortex_rx import operators as cx
from cortex_rx.errors import CortexError
from cortex_rx.graph.schema import FENCE, KEY, LABELS
from cortex_rx.models.results import EnhancedRememberStreamResult
from cortex_rx.sources.model_stream import ResumePoint, replayable
from cortex_rx.testing import Trace, run_virtual

FRAME = 0.1  # seconds that one character stands for
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


@dataclass(frozen=True)
class Scene:
    """One run: the expression that is drawn, the model's text, and the steps before the operator."""

    run: str
    """The operator as Python; it may name `store`, `frame` (a timedelta), all operators, and what stands in this
    file.
    """
    model: tuple[str | int, ...]
    """Texts come at once, a number is a pause in frames, "#" is a connection that breaks."""
    before: str = ""
    """Steps between the source and the operator, as Python."""
    slow: int = 1
    """How many frames a call of the store takes."""
    again: tuple[str | int, ...] = ()
    """What the model gives when it is asked again."""


async def slowly(event: object) -> None:
    """A hook that takes five frames."""
    await asyncio.sleep(5 * FRAME)


async def letters(user_message: str, text: str) -> list[dict[str, Any]]:
    """An extractor that takes two frames for the letters of a text."""
    await asyncio.sleep(2 * FRAME)
    return [
        {"fact": f"{letter} was said", "factType": "custom", "confidence": 90} for letter in text if letter.isalpha()
    ]


async def case(text: str) -> list[float]:
    """An embedder that takes three frames, for which capital letters are one topic and small ones another."""
    await asyncio.sleep(3 * FRAME)
    return [1.0, 0.0] if text.isupper() else [0.0, 1.0]


class Held:
    """A rewriter that holds each letter back until the next one has come, and capitalises it."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        shown, self.held = self.held, text
        return shown.upper()

    def finish(self) -> str:
        return self.held.upper()


SPOKEN = (2, "a", 2, "b", 2, "c", 2)
WORDS = (2, "abc", 2, "def", 2, "gh", 1)
tracer = NoOpTracer()
STORED = "begin(store), persist_partial(store, 3 * frame)"

CHANGES = (2, *["a", 1] * 22, *["b", 4] * 5)  # ten times a second, then at most three times

SCENES: dict[str, tuple[Scene, ...]] = {
    "adapt": (
        Scene("adapt(window=10 * frame)", CHANGES),
        Scene("chain(adapt(window=10 * frame), persist_partial(store, 4 * frame))", CHANGES, "begin(store)"),
    ),
    "begin": (Scene("begin(store)", (1, "a", 3, "b", 2, "c", 1), slow=4),),
    "chunk": (
        Scene('chunk("paragraph", size=1)', (2, "a", 2, "b\n\n", 2, "c", 2, "d\n\n", 2, "f", 2)),
        Scene(
            'chunk("semantic", embedder=case)', (*(part for letter in "ABCDEuvwxyz" for part in (1, f"{letter}! ")), 4)
        ),
    ),
    "extract_facts": (Scene("extract_facts(letters, store, threshold=2)", (2, "a! ", 5, "b! ", 12, "c! ", 6), STORED),),
    "finalize": (Scene("finalize(store)", (4, "a", 2, "b", 2, "c", 2), "begin(store)", slow=3),),
    "last": (Scene("last()", SPOKEN),),
    "limit": (Scene("limit(4)", WORDS), Scene('limit(4, then="end")', WORDS)),
    "measure": (Scene("measure()", SPOKEN), Scene("measure(every=3 * frame)", SPOKEN)),
    "observe": (Scene("observe(on_chunk=slowly, on_complete=slowly)", SPOKEN),),
    "persist_partial": (
        Scene("persist_partial(store, 3 * frame)", (2, "a", 2, "b", 1, "c", 2, "d", 2), "begin(store)"),
        Scene('persist_partial(store, show="durable")', (2, "a", 2, "b", 1, "c", 2, "d", 2), "begin(store)", 2),
    ),
    "result": (Scene("result()", SPOKEN, f"{STORED}, finalize(store)"),),
    "recover": tuple(
        Scene(f'recover("{strategy}", store)', (2, "a", 2, "b", 2, "#"), STORED, 2)
        for strategy in ("store-partial", "rollback", "best-effort")
    ),
    "resume": (Scene("resume(delay=0 * frame)", (2, "a", 2, "b", 1, "#"), again=(1, "a", 1, "b", 1, "c", 2)),),
    "rewrite": (Scene("rewrite(Held)", SPOKEN),),
    "sync_graph": tuple(
        Scene(run, (2, "a", 2, "b", 3, "c", 2, "d", 2), f"{STORED}, finalize(store)")
        for run in ("sync_graph(graph, store)", "sync_graph(graph, store, progressive=True)")
    ),
    "text": (Scene("text()", SPOKEN, f"{STORED}, finalize(store)"),),
    "timeout": (
        Scene("timeout(idle=5 * frame)", (2, "a", 2, "b", 50, "c")),
        Scene('timeout(idle=5 * frame, then="end")', (2, "a", 2, "b", 50, "c")),
    ),
    "trace": (Scene("trace(tracer)", (2, "a", 2, "b", 2, "c", 2), "begin(store), finalize(store)", slow=3),),
}

LETTERS: dict[type, str] = {
    events.Opened: "O",
    events.Waiting: "L",
    events.Begun: "B",
    events.Recalled: "G",
    events.Replayed: "Y",
    events.SourceReplayed: "Z",
    events.Ended: "E",
    events.Chunked: "C",
    events.Adapted: "A",
    events.PartialStored: "P",
    events.FactsExtracted: "F",
    events.GraphSynced: "H",
    events.Resumed: "S",
    events.Rewound: "W",
    events.Interrupted: "I",
    events.RolledBack: "K",
    events.Problem: "X",
    events.Remembered: "R",
    events.Measured: "M",
    events.Custom: "U",
    EnhancedRememberStreamResult: "V",
}
_BEGINS, _DONE = "1", "2"  # on the lane of the store; drawn as brackets, which the renderer does not take for letters


class Store(SqliteBackend):
    """A real store; each write takes some frames and is recorded."""

    def __init__(self, trace: Trace, frames: int) -> None:
        super().__init__(":memory:", clock=lambda: asyncio.get_running_loop().time())
        self.trace, self.frames = trace, frames

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if path.startswith("graphSync:"):  # they are about the outbox
            return await super().mutation(path, args)
        self.trace.note("store", _BEGINS)
        for letter in filter(str.isalnum, args.get("text", "")):
            self.trace.note("store", letter)
        await asyncio.sleep(self.frames * FRAME)
        result = await super().mutation(path, args)
        self.trace.note("store", _DONE)
        return result


class Graph:
    """A graph server that takes all; each write takes two frames and is recorded."""

    dialect = SimpleNamespace(name="Neo4j")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    async def alter(self, statement: str) -> list[dict[str, Any]]:
        """All constraints that there should be."""
        one = {"type": "UNIQUENESS", "properties": [KEY], "state": "ONLINE"}
        return [{**one, "labelsOrTypes": [label]} for label in (*LABELS, FENCE)]

    async def query(self, cypher: str, params: Mapping[str, Any] | None = None) -> Any:
        raise AssertionError("nothing is missing")

    async def write(self, statements: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[dict[str, Any]]]:
        self.trace.note("graph", _BEGINS)
        await asyncio.sleep(2 * FRAME)
        self.trace.note("graph", _DONE)
        return [[{"written": len(values.get("rows", ()))}] for _, values in statements]


def play(scene: Scene) -> tuple[Any, Trace]:
    """The value of the expression, and what happened when it ran."""
    trace = Trace(FRAME)
    made: list[Any] = []

    async def model(point: ResumePoint) -> AsyncGenerator[str, None]:
        for item in scene.again if point.retry else scene.model:
            if isinstance(item, int):
                await asyncio.sleep(item * FRAME)
            elif item == "#":
                raise ConnectionError
            else:
                yield item

    async def main() -> None:
        async with Store(trace, scene.slow) as store:
            names = globals() | vars(cx) | {"store": store, "frame": timedelta(seconds=FRAME)}
            names["graph"] = Graph(trace)
            before, drawn = eval(f"chain({scene.before}), {scene.run}", names)
            made.append(drawn)
            source = from_stream(replayable(model), turn=TURN, make_id=lambda: "stream-1").pipe(
                before, trace.tap("source")
            )
            trace.lane("store")
            try:
                async with stream(source.pipe(drawn, trace.tap("out"))) as items:
                    async for _ in items:
                        pass
            except (CortexError, ConnectionError):
                pass  # it is on the lane

    run_virtual(main())
    if not trace.lanes["store"]:
        del trace.lanes["store"]
    return made[0], trace


def marbles(scenes: tuple[Scene, ...]) -> str:
    """The drawings of the scenes, one below the other, and the meaning of the letters."""
    drawings: list[str] = []
    legend: dict[str, str] = {}
    for scene in scenes:
        _, trace = play(scene)
        drawn = Trace(FRAME)
        for lane, marks in trace.lanes.items():
            drawn.lane(lane)
            for mark in marks:
                for letter in _letters(mark.kind, mark.value, lane, legend):
                    drawn.lane(lane).append(replace(mark, value=letter))
        lines = drawn.text(times=False, legend=False).splitlines()
        brackets = str.maketrans(_BEGINS + _DONE, "[]")
        lines = [line.translate(brackets) if line.startswith(("store", "graph")) else line for line in lines]
        drawings.append("\n".join([scene.run, *lines]))
    order = [*LETTERS.values(), "#", "!", "[ ]", "frame"]
    if any("frame" in scene.run for scene in scenes):
        legend["frame"] = "one character"
    named = ", ".join(f"{letter} = {legend[letter]}" for letter in sorted(legend, key=order.index))
    return "\n\n".join(drawings) + f"\n\n{named}"


def _letters(kind: str, value: object, lane: str, legend: dict[str, str]) -> str:
    """The letters of a mark: those of the text of a delta, one for any other event."""
    if kind != "next":
        if kind == "error":
            legend["#"] = type(value).__name__
        if kind == "disposed":
            legend["!"] = "closed"
        return "x"  # any: it is drawn by its kind
    if lane in ("store", "graph"):
        legend["[ ]"] = "a write"
        return str(value)
    text = value.text if isinstance(value, events.Delta) else value
    if isinstance(text, str):
        return "".join(filter(str.isalnum, text))
    letter = LETTERS[type(value)]
    legend[letter] = type(value).__name__
    return letter
