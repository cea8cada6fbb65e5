"""The facts that are recalled: those of the store, or those that a function of the caller finds."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import cast

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Facts
from cortex_rx.errors import CallbackError, InvalidArgument
from cortex_rx.models.facts import FactRecord
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import RecalledFact

__all__ = ["find_facts"]

_MOST = 2**53  # what a limit may be


async def find_facts(backend: Backend, space: str, query: str, options: RecallOptions) -> list[RecalledFact]:
    """The facts that concern the query, best first."""
    if options.facts is False:
        return []
    if options.facts is True:
        return await _stored_facts(Facts(backend), space, query, options)
    try:
        given = options.facts(space, query, user_id=options.user_id, limit=options.limit)
        found = list(cast("Iterable[object]", await given if inspect.isawaitable(given) else given))
    except Exception as error:
        raise CallbackError("facts", error) from error
    once: dict[str, RecalledFact] = {}
    for fact in found:
        if not isinstance(fact, RecalledFact):
            raise InvalidArgument("facts", f"a result with a {type(fact).__name__}", "RecalledFacts")
        if not 0 <= fact.score <= 1:  # NaN is refused, too: it has no place in an order
            raise InvalidArgument("facts", f"a score of {fact.score:g}", "scores of 0 to 1")
        once.setdefault(fact.fact_id, fact)
    return sorted(once.values(), key=lambda fact: -fact.score)


async def _stored_facts(facts: Facts, space: str, query: str, options: RecallOptions) -> list[RecalledFact]:
    """The facts of the store, without those that only memories of `exclude` say. The best one has the score 1."""
    exclude = frozenset(options.exclude)
    asked, limit = options.limit + len(exclude), options.limit
    while True:
        rows = await facts.search(
            memory_space_id=space, query=query, user_id=options.user_id, as_of=options.as_of, limit=min(asked, _MOST)
        )
        found = [FactRecord.from_row(row) for row in rows]
        kept = [
            RecalledFact.of(one, max(one.score or 0.0, 0.0))
            for one in found
            if not one.sources or {ref.memory_id for ref in one.sources} - exclude
        ]
        if len(kept) >= limit or len(rows) < asked:
            best = max((fact.score for fact in kept), default=0.0) or 1.0
            return [fact.model_copy(update={"score": fact.score / best}) for fact in kept[:limit]]
        asked *= 4  # one memory may say many facts
