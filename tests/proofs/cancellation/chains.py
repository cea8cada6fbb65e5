"""The streams that the proof of cancellation cancels: the items of their source, and their chains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

from cortex_rx import Spool, StreamEndEvent, default_chain
from cortex_rx import operators as cx
from cortex_rx.chain import Chain

__all__ = ["CHAINS", "LIMIT", "TEXT", "Model", "chain_of"]

WORDS = ["It ", "is ", "a long ", "answer. ", "And it ", "goes on ", "for some ", "time, indeed."]
PAUSES = [0, 0.3, 0.3, 0.3, 3.2, 0.3, 0, 0.3]  # before each; one is long enough for a heartbeat
BREAKS_AT = 3  # words that come before a source that breaks off does
TEXT = "".join(WORDS)
LIMIT = 20

CHAINS: dict[str, bool | None] = {
    "plain": None, "breaks": True, "resume": True, "observe": None, "chunk": None, "timeout": None, "limit": None,
    "rewrite": None, "derived": None, "durable": None, "rollback": True, "best-effort": True, "everything": True,
}  # fmt: skip
"""Which chains there are; True: their source breaks off once."""


class Model:
    """A source that says `WORDS`.  It breaks off once if it `breaks`; its closing takes time if it is `slow` to
    close.
    """

    def __init__(self, breaks: bool = False, slow: bool = False) -> None:
        self.breaks, self.slow = breaks, slow
        self.opened = self.closed = 0
        self.said = ""  # of what was opened last
        self.broke = False
        self.task: asyncio.Task[Any] | None = None  # that reads it

    async def __call__(self, point: object = None) -> AsyncGenerator[str, None]:
        breaks, self.breaks = self.breaks, False
        self.opened += 1
        self.task = asyncio.current_task()
        self.said = ""
        try:
            for number, (word, pause) in enumerate(zip(WORDS, PAUSES, strict=True)):
                await asyncio.sleep(pause)
                if breaks and number == BREAKS_AT:
                    self.broke = True
                    raise ConnectionError("the line broke")
                self.said += word
                yield word
        finally:
            try:
                await asyncio.sleep(2.0 if self.slow else 0)
            finally:
                self.closed += 1


class Redact:
    """A rewriter that holds a word back until the next one comes."""

    held = ""

    def feed(self, text: str) -> str:
        out, self.held = self.held, text.replace("long", "l***")
        return out

    def finish(self) -> str:
        return self.held


async def _hook(*_: object) -> None:
    await asyncio.sleep(0.05)


async def _extract(question: str, answer: str) -> None:
    await asyncio.sleep(0.1)


async def _embed(text: str) -> list[float]:
    await asyncio.sleep(0.2)
    return [float(len(text))]


def chain_of(name: str, store: Any, spool: Spool | None, on_end: Callable[[StreamEndEvent], object]) -> Chain:
    hooks = {"on_chunk": _hook, "on_progress": _hook, "on_error": _hook, "on_complete": _hook, "on_end": on_end}
    options: dict[str, Any] = {
        "resume": {"max_retries": 2, "retry_delay": 400},
        "observe": {"hooks": hooks},
        "chunk": {"max_single_memory_size": 32},
        "timeout": {"stream_timeout": 2000},
        "rollback": {"partial_failure_handling": "rollback"},
        "best-effort": {"partial_failure_handling": "best-effort"},
        "everything": {
            "max_retries": 2, "retry_delay": 400, "stream_timeout": 30_000, "max_response_length": 1000,
            "chunking_strategy": "token", "chunk_size": 4, "hooks": hooks,
        },
    }.get(name, {})  # fmt: skip
    functions: dict[str, Any] = {}
    if name == "derived":
        functions = {"extract_content": _extract, "generate_embedding": _embed}
        options = {"max_single_memory_size": 32, "incremental_embeddings": True}
    chain = default_chain(store, options, spool=spool, **functions)
    if "resume" in chain:  # its pauses are random
        chain = chain.replace("resume", cx.resume(2, timedelta(seconds=0.4), random=lambda: 0.5))
    if name == "limit":
        chain = chain.before("begin", cx.limit(LIMIT, then="end"))
    if name in ("rewrite", "everything"):
        chain = chain.before("begin", cx.rewrite(Redact))
    if name == "durable":
        chain = chain.replace("persist_partial", cx.persist_partial(store, show="durable", spool=spool))
    return chain
