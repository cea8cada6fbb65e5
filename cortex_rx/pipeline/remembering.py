"""`remember_stream` and `remember`: store an answer in memory, while it streams or when it is complete."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from reactivex import Observable

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.chain import Chain, Operator
from cortex_rx.embedding.embedder import Embedder, as_embedder
from cortex_rx.engine.running import Started
from cortex_rx.errors import InvalidArgument
from cortex_rx.facts.extractor import Extractor
from cortex_rx.models.facts import FactDeduplication, checked_deduplication
from cortex_rx.models.options import RememberParams, RememberStreamParams, ResumeStreamParams, StreamingOptions, parse
from cortex_rx.models.results import RememberResult
from cortex_rx.pipeline.answer import LINGER, Answer
from cortex_rx.pipeline.default_chain import default_chain, shared_chain
from cortex_rx.sources.model_stream import Provider, ResumeFrom, from_stream, new_id
from cortex_rx.spool.spool import Spool

if TYPE_CHECKING:
    from cortex_rx.graph.adapter import GraphAdapter

__all__ = ["remember", "remember_stream"]

_Facts: TypeAlias = tuple[Extractor | None, FactDeduplication | None]
_FUNCTIONS = {
    "extract_content": "finalize(extract_content=...)",
    "generate_embedding": "finalize(generate_embedding=...)",
    "extract_facts": "extract_facts(...)",
    "fact_deduplication": "extract_facts(deduplication=...)",
}
"""Parameters that configure the default chain, and what configures a chain of one's own."""
_TOKEN = frozenset({"resume_from", "resumeFrom", "resume_token", "resumeToken"})
"""What a token may be called."""


def remember_stream(
    response_stream: Any,
    options: StreamingOptions | Mapping[str, Any] | None = None,
    *,
    backend: Backend,
    chain: Operator | None = None,
    provider: Provider | None = None,
    linger: timedelta = LINGER,
    make_id: Callable[[], str] = new_id,
    started: Started | None = None,
    spool: Spool | None = None,
    embedder: Embedder | None = None,
    extractor: Extractor | None = None,
    deduplication: FactDeduplication | None = None,
    graph: GraphAdapter | None = None,
    **params: Any,
) -> Answer:
    """Stream an answer into memory: every token is shown at once, and the exchange is remembered.

    The answer's stream is the first argument and the parameters are keywords.  Or, as in Cortex, the first argument is
    a model or dictionary of all parameters (`RememberStreamParams`, with `response_stream`) and the second one of
    options (`StreamingOptions`).  Keys may be camelCase or snake_case.  `from_stream` describes the streams that are
    accepted.

    It runs `default_chain(backend, options)`, or the given `chain` in place of the options.  Nothing runs, and nothing
    is stored, before the `Answer` is used.

    `resume_from` continues a stream that began elsewhere.  It is a token: `answer.resume_token`, or that of a
    `ResumableStreamError` or `AnswerStopped`.  The stream is then a `replayable`, `prefill` or `restart` source.  Of
    the parameters only `memory_space_id` is required; the others, if given, must equal the stored ones.  While the
    former writer may be alive, this waits for it up to 10 s (the event `Waiting` says so), then raises `StillOwned`;
    `take_over=True` takes the stream over at once.  For a finished stream, the answer gives the stored result.

    With a `spool`, the default chain keeps in it what the store cannot take, for `spool.drain(backend)` to deliver
    later.  It embeds with the `embedder`, unless the parameters give a `generate_embedding`, and reads facts with the
    `extractor`, unless they give `extract_facts`.  With a `graph`, it brings the exchange there.

    Raises `InvalidArgument` at once for any value that does not fit.

    >>> import asyncio
    >>> from cortex_rx.backends import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         answer = remember_stream(
    ...             ["It is ", "in Lisbon."], backend=backend, memory_space_id="support", conversation_id="c-1",
    ...             user_message="Where is my parcel?", user_id="ada", user_name="Ada")
    ...         async for text in answer:
    ...             print(text)
    ...         return (await answer).stream_metrics.total_chunks
    >>> asyncio.run(main())
    It is
    in Lisbon.
    2
    """
    try:
        first = response_stream
        if not isinstance(first, (RememberStreamParams, ResumeStreamParams, Mapping)):
            first = {"response_stream": first}
        turn = resume = None
        if isinstance(first, ResumeStreamParams) or _resumes(first) or _resumes(params):
            given: RememberStreamParams | ResumeStreamParams = parse(ResumeStreamParams, first, **params)
            assert isinstance(given, ResumeStreamParams)
            resume = ResumeFrom(
                backend, given.memory_space_id, given.resume_from, given.take_over, expected=given.expected()
            )
        else:
            given = parse(RememberStreamParams, first, **params)
            turn = given.turn()
        facts = _facts(given, extractor, deduplication)
        chosen = _chosen(given, backend, options, chain, spool, embedder, facts, graph)
        if turn is not None and (facts[0] or chain) and _reads_facts(chosen):
            turn = replace(turn, read_facts=True)
        source = from_stream(given.response_stream, turn=turn, provider=provider, make_id=make_id, resume=resume)
        pipeline = chosen(source)
        check.instance(Observable, "an operator: a function from an observable to an observable")("chain", pipeline)
    except BaseException:
        if inspect.iscoroutine(response_stream):
            response_stream.close()  # it was refused and will not be awaited, so suppress Python's warning
        raise
    return Answer(pipeline, linger=linger, started=started, backend=backend, spool=spool, chain=chosen)


def _reads_facts(chain: Operator) -> bool:
    """Whether the store is told at once that facts are read: what this process does not read is queued then."""
    return isinstance(chain, Chain) and "extract_facts" in chain


def _resumes(params: object) -> bool:
    """Whether the parameters hold a token."""
    return isinstance(params, Mapping) and any(params[name] is not None for name in _TOKEN & params.keys())


def _chosen(
    given: RememberStreamParams | ResumeStreamParams,
    backend: Backend,
    options: StreamingOptions | Mapping[str, Any] | None,
    chain: Operator | None,
    spool: Spool | None,
    embedder: Embedder | None,
    facts: _Facts,
    graph: GraphAdapter | None,
) -> Operator:
    """The given chain, or the default one."""
    own = _embedder(given, embedder)
    if chain is None and options is None and not given.model_fields_set & _FUNCTIONS.keys():
        return shared_chain(backend, spool, own, *facts, graph)
    if chain is None:
        return default_chain(
            backend,
            options,
            extract_content=given.extract_content,
            generate_embedding=own,
            extract_facts=facts[0],
            fact_deduplication=facts[1],
            spool=spool,
            graph=graph,
        )
    if options is not None:
        raise InvalidArgument("options", "options and chain", "one of them: options are for the default chain")
    for name, said in _FUNCTIONS.items():
        if getattr(given, name) is not None:
            raise InvalidArgument(name, f"{name} and chain", f"one of them: in a chain, say {said}")
    check.function("chain", chain)
    return chain


def _embedder(
    given: RememberStreamParams | ResumeStreamParams | RememberParams, default: Embedder | None
) -> Embedder | None:
    """The embedder that the parameters say, else the default one."""
    if default is not None:
        check.instance(Embedder, "an Embedder")("embedder", default)
    if given.generate_embedding is None and given.embedding_model is None:
        return default
    return as_embedder(given.generate_embedding, given.embedding_model)


def _facts(
    given: RememberStreamParams | ResumeStreamParams | RememberParams,
    extractor: Extractor | None,
    deduplication: FactDeduplication | None,
) -> _Facts:
    """The extractor and the deduplication that the parameters say, else the default ones."""
    if extractor is not None:
        check.callback("extractor", extractor)
    if deduplication is not None:
        checked_deduplication("deduplication", deduplication)
    extractor = given.extract_facts or extractor
    # The default is that of an extractor; what the parameters say is refused without one.
    return extractor, given.fact_deduplication or (deduplication if extractor else None)


async def remember(
    params: RememberParams | Mapping[str, Any] | None = None,
    *,
    backend: Backend,
    make_id: Callable[[], str] = new_id,
    started: Started | None = None,
    spool: Spool | None = None,
    embedder: Embedder | None = None,
    extractor: Extractor | None = None,
    deduplication: FactDeduplication | None = None,
    graph: GraphAdapter | None = None,
    **keywords: Any,
) -> RememberResult:
    """Remember an exchange whose answer is complete: the same chain as `remember_stream`, with one piece of text.

    The parameters are keywords, or a model or dictionary (`RememberParams`, with `agent_response`).  Once begun, it
    runs to the end even if the caller is cancelled.  Raises `InvalidArgument` before anything is stored, and the errors
    of `await answer`.

    >>> import asyncio
    >>> from cortex_rx.backends import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         done = await remember(
    ...             backend=backend, memory_space_id="support", conversation_id="c-1", user_id="ada", user_name="Ada",
    ...             user_message="Where is my parcel?", agent_response="It is in Lisbon.")
    ...         return [memory.content for memory in done.memories]
    >>> asyncio.run(main())
    ['Where is my parcel?', 'It is in Lisbon.']
    """
    given = parse(RememberParams, params, **keywords)

    async def whole() -> AsyncGenerator[str, None]:
        yield given.agent_response

    facts = _facts(given, extractor, deduplication)
    chain = default_chain(
        backend,
        {"store_partial_response": False},
        extract_content=given.extract_content,
        generate_embedding=_embedder(given, embedder),
        extract_facts=facts[0],
        fact_deduplication=facts[1],
        spool=spool,
        graph=graph,
    ).without("measure")
    turn = replace(given.turn(), read_facts=_reads_facts(chain))
    answer = Answer(chain(from_stream(whole, turn=turn, make_id=make_id)), started=started, backend=backend)
    answer.detach()
    return (await answer).plain()
