"""The promises that every operator makes, tested on every operator of ours and on the default chain."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples, slow_but
from helpers.memory_graph import MemoryGraph
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from cortex_rx import Spool
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.events import FactsExtracted, PartialStored, Problem, Resumed
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.testing import Promise, check_operator

MS = timedelta(milliseconds=1)
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("promises")
METER = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("promises")
EXTRA = (PartialStored(5, 2, 0, 0.3), Problem("storage", "X", "x", recoverable=True), Resumed(1, 0, 5, "x"))


def wall() -> float:
    return asyncio.get_running_loop().wall()


async def made(path: Path) -> None:
    async with SqliteBackend(path) as store:
        await store.query("memories:count", {"memorySpaceId": "space"})


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    """Makes fresh stores with a clock and ids that are the same for each, so that two runs can be compared.  Each is a
    copy of an empty one.
    """
    numbers = count()
    empty = tmp_path / "empty.db"
    asyncio.run(made(empty))

    def make() -> SqliteBackend:
        ids = count(1)
        path = shutil.copyfile(empty, tmp_path / f"memory-{next(numbers)}.db")
        return SqliteBackend(path, clock=wall, new_id=lambda: f"{next(ids):03}")

    return make


class Late:
    """A rewriter: the last three code points are held back."""

    held = ""

    def feed(self, text: str) -> str:
        text = self.held + text
        self.held = text[-3:]
        return text[:-3]

    def finish(self) -> str:
        return self.held


async def embedding(text: str) -> list[float]:
    await asyncio.sleep(0.2)
    return [float(len(text))]


async def facts(user_message: str, text: str) -> list[dict[str, Any]]:
    await asyncio.sleep(0.2)
    kind = {"factType": "knowledge", "confidence": 50}
    return [{"fact": f"{word} was said", **kind} for word in (user_message + text).split()[:3]]


NO_STORE = {
    "timeout": lambda: cx.timeout(idle=timedelta(seconds=30), total=timedelta(minutes=5)),
    # Where it is reached it ends the stream, which no operator in `check_operator` may: see test_limit.py.
    "limit, that is not reached": lambda: cx.limit(50_000_000),
    "measure": lambda: cx.measure(),
    "adapt": lambda: cx.adapt(),
    "adapt, in short windows": lambda: cx.adapt(timedelta(seconds=1)),
    "chunk, token": lambda: cx.chunk("token", 60, 10),
    "chunk, token, counted": lambda: cx.chunk("token", 250, 40, count=len),
    "chunk, sentence": lambda: cx.chunk("sentence", 1),
    "chunk, sentence, overlapping": lambda: cx.chunk("sentence", 3, 2),
    "chunk, paragraph": lambda: cx.chunk("paragraph", 1),
    "chunk, fixed": lambda: cx.chunk("fixed", 250, 40),
    "chunk, semantic": lambda: cx.chunk("semantic", 3, 1, embedder=embedding),
    "rewrite": lambda: cx.rewrite(Late),
    # The failures of `check_operator` are not worth a retry: how it reopens is shown in test_resume.py.
    "resume": lambda: cx.resume(retry_if=lambda error: False),
    "chunk, of a length": lambda: cx.chunk("sentence", 3, 1, max_length=60),
    "measure, often": lambda: cx.measure(every=50 * MS),
    "trace": lambda: cx.trace(TRACER, METER),
}


async def slow(_: object) -> None:
    await asyncio.sleep(0.07)


async def hangs(_: object) -> None:
    await asyncio.get_running_loop().create_future()


def fails(_: object) -> None:
    raise ValueError("a hook that fails")


HOOKS = {
    "observe": lambda: cx.observe(str, str, str, str),
    "observe, numbers": lambda: cx.observe(on_progress=str, on_error=str),
    "observe, slow": lambda: cx.observe(slow, slow, slow, slow, every=10 * MS),
    "observe, hanging": lambda: cx.observe(on_progress=hangs, on_error=hangs, every=10 * MS),
    "observe, failing": lambda: cx.observe(fails, fails, fails, fails),
}


@pytest.mark.parametrize(
    "name",
    slow_but(["observe, slow", "observe, hanging"], HOOKS, "another use of an operator that is in every run"),
)
def test_with_hooks(name):
    text = "numbers" not in name and "hanging" not in name  # then it holds the text of the answer
    report = check_operator(HOOKS[name], extra=(*EXTRA, FactsExtracted(())), memory=None if text else 1 << 20)
    kept = {promise for promise, _ in report.checked}
    assert kept >= {
        Promise.AT_ONCE, Promise.ORDER, Promise.COMPLETES, Promise.FAILS, Promise.STOPS, Promise.FRESH, Promise.BARE,
        Promise.SAME,
    }  # fmt: skip
    assert (Promise.BOUNDED in kept) != text


QUICK = ["timeout", "limit, that is not reached", "measure", "adapt", "chunk, paragraph", "rewrite", "resume", "trace"]


@pytest.mark.parametrize(
    "name", slow_but(QUICK, NO_STORE, "4 MB in small chunks with all memory traced; one strategy is, in every run")
)
def test_without_a_store(name):
    extra = (*EXTRA, FactsExtracted(())) if name.startswith(("measure", "trace")) else ()
    report = check_operator(NO_STORE[name], extra=extra, rewrites=name.startswith(("limit", "rewrite")))
    kept = {promise for promise, _ in report.checked}
    assert kept >= {
        Promise.AT_ONCE, Promise.ORDER, Promise.BOUNDED, Promise.COMPLETES, Promise.FAILS, Promise.STOPS, Promise.FRESH,
        Promise.BARE, Promise.SAME,
    }  # fmt: skip
    assert report.skipped == ()


def test_a_rewriter_that_waits():
    class Slow(Late):
        async def feed(self, text: str) -> str:  # type: ignore[override]
            await asyncio.sleep(0.1)
            return Late.feed(self, text)

    report = check_operator(lambda: cx.rewrite(Slow, waits=True), rewrites=str, stage=True, extra=EXTRA, points=40)
    assert [promise for promise, _ in report.skipped] == [Promise.AT_ONCE]


SPOOL = Spool("never-made/spool.db")  # the store is not down here
STORING = {
    "begin": (cx.begin, None, {"holds_first": 2.0}),
    "persist_partial": (lambda store: cx.persist_partial(store, 100 * MS), cx.begin, {}),
    "persist_partial, durable": (lambda store: cx.persist_partial(store, show="durable"), cx.begin, {"stage": True}),
    "persist_partial, with a spool": (
        lambda store: cx.persist_partial(store, 100 * MS, spool=SPOOL),
        cx.begin,
        {},
    ),
    "finalize, with a spool": (lambda store: cx.finalize(store, spool=SPOOL), cx.begin, {"memory": None}),
    "finalize": (cx.finalize, cx.begin, {"memory": None}),
    "finalize, after persist_partial": (
        cx.finalize,
        lambda store: cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS)),
        {},
    ),
    "finalize, with functions": (
        lambda store: cx.finalize(store, lambda q, a: q.upper(), lambda text: [1.0]),
        cx.begin,
        {"memory": None},
    ),
    "finalize, in chunks": (
        lambda store: cx.finalize(store, max_single_memory_size=500),
        lambda store: cx.chain(
            cx.begin(store), cx.chunk("fixed", 500, max_length=500), cx.persist_partial(store, 100 * MS)
        ),
        {},
    ),
    "finalize, in chunks, with embeddings": (
        lambda store: cx.finalize(store, None, embedding, 500, True),
        lambda store: cx.chain(cx.begin(store), cx.chunk("fixed", 500, max_length=500)),
        {"memory": None},
    ),
    "finalize, with the mean of its chunks": (
        lambda store: cx.finalize(store, None, embedding, None, True, embedding_merge_strategy="average"),
        lambda store: cx.chain(cx.begin(store), cx.chunk("fixed", 500)),
        {"memory": None},
    ),
    "extract_facts": (
        lambda store: cx.extract_facts(facts, store, threshold=20),
        lambda store: cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS)),
        {"ignore": ["fact_id"], "memory": None},
    ),
    "extract_facts, of a long text": (
        lambda store: cx.extract_facts(facts, store, threshold=5_000, concurrency=3),
        lambda store: cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS)),
        {"ignore": ["fact_id"]},
    ),
    "sync_graph": (
        lambda store: cx.sync_graph(MemoryGraph(), store, progressive=True, interval=500 * MS),
        lambda store: cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS), cx.finalize(store)),
        {"ignore": ["records"]},  # those of another stream may be among them
    ),
    "sync_graph, at the end": (
        lambda store: cx.sync_graph(MemoryGraph(), store),
        lambda store: cx.chain(cx.begin(store), cx.finalize(store)),
        {"memory": None, "ignore": ["records"]},
    ),
    "recover": (
        lambda store: cx.recover("store-partial", store),
        lambda store: cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS)),
        {"handles_errors": True},
    ),
    "the default chain": (default_chain, None, {"holds_first": 2.0, "handles_errors": True}),
    "the default chain with every option": (
        lambda store: default_chain(
            store,
            {
                "stream_timeout": 30_000,
                "max_response_length": 50_000_000,
                "partial_response_interval": 100,
                "hooks": {"on_progress": str, "on_error": slow},
                "chunking_strategy": "paragraph",
                "chunk_size": 3,
                "max_single_memory_size": 4_000,
                "enable_adaptive_processing": True,
            },
        ),
        None,
        {"holds_first": 2.0, "handles_errors": True, "rewrites": True},
    ),
}


SLOW = [
    "sync_graph, at the end",
    "recover",  # the default chain with every option does that, and the next one
    "the default chain",
    "begin",
    "persist_partial",
    "finalize, with a spool",
    "persist_partial, with a spool",
    "finalize, after persist_partial",
    "finalize, with functions",
    "extract_facts, of a long text",
    "finalize, in chunks",  # so does that chain
    "finalize, in chunks, with embeddings",
    "finalize, with the mean of its chunks",
]


@pytest.mark.parametrize(
    "name",
    slow_but(
        [name for name in STORING if name not in SLOW], STORING, "another use of an operator that is in every run"
    ),
)
def test_with_a_store(stores, name):
    make, upstream, how = STORING[name]
    report = check_operator(make, store=stores, upstream=upstream, points=examples(40), **how)
    kept = {promise for promise, _ in report.checked}
    assert kept >= {
        Promise.ORDER,
        Promise.COMPLETES,
        Promise.FAILS,
        Promise.STOPS,
        Promise.FRESH,
        Promise.BARE,
        Promise.SAME,
    }
    assert (Promise.AT_ONCE in kept) == (not how.get("stage"))
    assert (Promise.BOUNDED in kept) == ("memory" not in how)


def test_every_operator_is_among_them():
    """An operator that is added without a test of its promises is found here."""
    made = {
        name
        for name in cx.__all__
        if name not in ("Chain", "Step", "chain", "operator", "step", "last", "result", "text")
    }
    assert made == {name.split(",")[0] for name in [*NO_STORE, *HOOKS, *STORING] if not name.startswith("the ")}
