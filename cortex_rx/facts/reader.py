"""From a piece of text to the facts that a store takes: extracted, about the right subject, embedded, decided."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, get_args

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.beliefs import PREDICATES, Predicates
from cortex_rx.embedding.calling import within
from cortex_rx.embedding.embedder import TEXT_TIMEOUT, Embedder, GenerateEmbedding, as_embedder, checked_function
from cortex_rx.errors import InvalidArgument, code_of
from cortex_rx.facts.deciding import Decider, with_decisions
from cortex_rx.facts.extractor import Extractor, extract
from cortex_rx.models.facts import ExtractedFact, FactDeduplication
from cortex_rx.unique import new_id

__all__ = ["EXTRACTION_TIMEOUT", "FactReader", "Reading", "fact_reader"]

log: logging.Logger = logging.getLogger("cortex_rx")

EXTRACTION_TIMEOUT: timedelta = timedelta(seconds=30)
"""How long an extractor may take for one piece of text."""

_THE_USER = frozenset({"user", "the user", "i", "me", "myself"})


class Reading(NamedTuple):
    """The facts of a piece, in the form of `facts:commit`, and the error, if the piece must be read again."""

    rows: tuple[dict[str, Any], ...] = ()
    error: Exception | None = None
    code: str | None = None

    @classmethod
    def failed(cls, error: Exception) -> Reading:
        """Nothing was read, because of this."""
        return cls((), error, code_of(error))


@dataclass(frozen=True, slots=True)
class FactReader:
    """Who reads facts, and how they are stored."""

    backend: Backend
    extractor: Extractor
    timeout: float
    """Seconds that the extractor may take for one piece."""
    deduplication: FactDeduplication = "structural"
    revise: bool = True
    embedder: Embedder | None = None
    predicates: Predicates | None = None
    decider: Decider | None = None
    """Who decides what becomes of facts in doubt."""

    @property
    def policy(self) -> dict[str, Any]:
        """The arguments of `facts:commit` that say how statements become facts."""
        return {"deduplication": self.deduplication, "revise": self.revise}

    async def read(self, user_id: str | None, user_message: str, text: str) -> Reading:
        """Read the question (`text` is empty) or a piece of the answer. It raises nothing."""
        found = await extract(self.extractor, user_message, text, seconds=self.timeout)
        return Reading(tuple(self._row(fact, user_id or "user") for fact in found.facts), found.error, found.code)

    async def complete(self, memory_space_id: str, user_id: str | None, reading: Reading) -> Reading:
        """Add what facts can be stored without: embeddings, and then the decider's word. It raises nothing; what fails
        or takes too long is not added. The embeddings are added to the given facts themselves."""
        if self.embedder is not None:
            await self._embed(self.embedder, reading.rows)
        if self.decider is None:
            return reading
        owner = {} if user_id is None else {"userId": user_id}
        scope = {"memorySpaceId": memory_space_id, **owner, **self.policy}
        decided = await with_decisions(self.decider, self.backend, reading.rows, scope)
        return reading._replace(rows=tuple(decided))

    def _row(self, fact: ExtractedFact, user: str) -> dict[str, Any]:
        row = {"factId": f"fact-{new_id('fact')}", **fact.row()}
        if fact.subject is None or fact.subject.strip().casefold() in _THE_USER:
            row["subject"] = user
        if fact.predicate is not None:
            known = self.predicates or PREDICATES
            name, qualifier = known.resolved(fact.predicate, fact.qualifier)
            row |= {"predicate": name} | ({} if qualifier is None else {"qualifier": qualifier})
            if self.predicates is not None and fact.cardinality is None and name in known:
                row["cardinality"] = "one" if known.single(name) else "many"
        return row

    async def _embed(self, embedder: Embedder, rows: Sequence[dict[str, Any]]) -> None:
        """Add the embeddings of facts that have none. If that fails, they are stored without."""
        bare = [row for row in rows if "embedding" not in row]
        try:
            vectors = await within(TEXT_TIMEOUT, embedder.embed([row["fact"] for row in bare]), "embedder")
        except Exception as error:
            log.warning("facts are stored without embeddings: %s", type(error).__name__)
            return
        named: Mapping[str, Any] = {} if embedder.model is None else {"embeddingModel": embedder.model}
        for row, vector in zip(bare, vectors, strict=True):
            if vector is not None:
                row |= {"embedding": vector, **named}


def fact_reader(
    extractor: Extractor,
    backend: Backend,
    timeout: timedelta = EXTRACTION_TIMEOUT,
    deduplication: FactDeduplication = "structural",
    revise: bool | Decider = True,
    embedder: GenerateEmbedding | None = None,
    predicates: Predicates | None = None,
) -> FactReader:
    """The reader that these say; each is checked."""
    check.callback("extractor", extractor)
    check.flag_or_callback("revise", revise)
    check.optional(check.instance(Predicates, "Predicates"))("predicates", predicates)
    check.one_of(*get_args(FactDeduplication))("deduplication", deduplication)
    if embedder is not None and deduplication != "semantic":
        raise InvalidArgument("embedder", "an embedder", 'None, unless deduplication is "semantic"')
    return FactReader(
        checked_backend("backend", backend),
        extractor,
        check.seconds()("timeout", timeout),
        deduplication,
        bool(revise),
        as_embedder(check.optional(checked_function)("embedder", embedder)),
        predicates,
        revise if callable(revise) else None,
    )
