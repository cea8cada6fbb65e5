"""`recalling`: a source that recalls for the turn's question before it asks the model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.deadline import within
from cortex_rx.engine.scheduler import cancelled_by_us, failure_of
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Opened, Problem, Recalled
from cortex_rx.models.base import parse
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import RecallResult
from cortex_rx.recollection import recall
from cortex_rx.sources.fallback import Fallback
from cortex_rx.sources.reopening import Reopenable

__all__ = ["Recalling", "recalling"]

log: logging.Logger = logging.getLogger("cortex_rx")

GRACE = 0.1  # seconds after which a recall that ignores its cancellation is given up


@dataclass(frozen=True, slots=True)
class Recalling:
    """A source that gets what was recalled; see `recalling`."""

    backend: Backend
    source: Reopenable | Fallback | Callable[[RecallResult], Any]
    options: Mapping[str, Any]
    seconds: float

    async def recall(self, opened: Opened, flow: FlowScheduler, base: float) -> tuple[RecallResult, Recalled | Problem]:
        """What was recalled for the question, and the event that says so. After a failure it is nothing."""
        began = flow.time()
        try:
            result = await within(self._recall(opened), self.seconds, GRACE)
            return result, Recalled(result, flow.time() - base)
        except asyncio.CancelledError as cancelled:
            if cancelled_by_us():
                raise
            error = failure_of(cancelled, "the recall")
        except Exception as failed:
            error = failed
        problem = Problem.of("initialization", error, recoverable=False)
        if flow.time() - began >= self.seconds:  # whatever became of its cancellation
            problem.code = "RECALL_TIMEOUT"
            problem.message = f"the recall took longer than {self.seconds:g} s; the model was asked without it"
        log.warning("nothing was recalled: %s (stream %s)", problem.code, opened.stream_id)
        return self.nothing(opened), problem

    async def _recall(self, opened: Opened) -> RecallResult:
        turn = opened.turn
        # An earlier run may have stored this very exchange, or its question.
        known = await Streams(self.backend).get(memory_space_id=turn.memory_space_id, stream_id=opened.stream_id)
        own = known["memoryIds"] if known else []
        exclude = (*self.options.get("exclude", ()), *own)
        about = {**self.options, "conversation_id": turn.conversation_id, "exclude": exclude}
        return await recall(self.backend, turn.memory_space_id, turn.user_message, about)

    def nothing(self, opened: Opened) -> RecallResult:
        """The result of a recall that failed."""
        unit, most = RecallOptions(**self.options).budget
        return RecallResult(
            query=opened.turn.user_message,
            memories=(),
            facts=(),
            context=(),
            left_out=(),
            unit="characters" if unit == "characters" else "tokens",
            budget=most,
            used=0,
        )


def recalling(
    backend: Backend,
    factory: Reopenable | Fallback | Callable[[RecallResult], Any],
    options: RecallOptions | Mapping[str, Any] | None = None,
    *,
    embedder: Embedder | None = None,
    time_limit: timedelta = timedelta(seconds=1),
    **keywords: Any,
) -> Recalling:
    """A source that recalls for the turn's question, and asks the model with what was found.

    `factory(recalled)` gets the `RecallResult` and opens the stream: anything that `from_stream` opens. For a chain
    with `resume`, and for a stream that another process began, give a `replayable`, `prefill` or `restart` source, or a
    `fallback` of such: their `factory(point)` has it as `point.recalled`. However often the source is reopened in this
    process, it is what was recalled first; a process that takes the stream over recalls anew.

    The options are those of `recall`, as keywords, a `RecallOptions` or a mapping; the conversation is that of the
    turn. An embedder, also one in the options, gets half of the `time_limit` for the question. The memories of
    the exchange itself are never recalled, also if an earlier run has stored them.

    `Recalled` follows `Opened` (in a stream that was taken over, what was stored of it), and comes with the first event
    of the model: the model is asked as soon as the recall has ended, and waits for nothing else. A recall that fails,
    or takes longer than `time_limit`, is a `Problem` in place of `Recalled`; the model is asked then with a result in
    which there is nothing. The time of a recall is none of the source: no `timeout` counts it.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend, Turn, from_stream, operators as cx, recalling, remember, run
    >>> def open_llm(recalled):
    ...     return [f"{len(recalled.context)} texts: ", recalled.context[-1].text]
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as store:
    ...         await remember(backend=store, memory_space_id="s", conversation_id="c-1", user_id="ada",
    ...             user_name="Ada", user_message="I was born in Lisbon.", agent_response="Noted.")
    ...         turn = Turn("s", "c-2", "Where was I born?", user_id="ada", user_name="Ada")
    ...         return await run(from_stream(recalling(store, open_llm), turn=turn).pipe(cx.text()))
    >>> asyncio.run(main())
    'Noted.'
    """
    checked_backend("backend", backend)
    if not isinstance(factory, Reopenable | Fallback):
        if isinstance(factory, Recalling):
            raise InvalidArgument("factory", "a recalling in a recalling", "a function, or a source that is reopened")
        check.callback("factory", factory)
    chosen = parse(RecallOptions, options, **keywords)
    if chosen.conversation_id is not None:
        raise InvalidArgument("conversation_id", chosen.conversation_id, "None: it is the conversation of the turn")
    check.optional(check.instance(Embedder, "an Embedder"))("embedder", embedder)
    seconds = check.seconds()("time_limit", time_limit)
    kept = {name: getattr(chosen, name) for name in chosen.model_fields_set}
    if embeds := chosen.embedder(embedder):  # a slow one shall cost the vectors, not the recall
        soon = min(embeds.query_timeout, time_limit / 2)
        kept |= {"generate_embedding": replace(embeds, query_timeout=soon), "embedding_model": None}
    return Recalling(backend, factory, kept, seconds)
