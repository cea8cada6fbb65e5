"""Who decides what becomes of a new fact where its words do not say it.

The store compares facts by subject, predicate, object, polarity, tense and numbers. A decider is asked about a new fact
that no known fact equals, if there are some that it may be about. It says what becomes of it, and may have no opinion.
Whatever it does costs only its own word: then the store decides, as it does without a decider.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.beliefs.decision import Action, Decision
from cortex_rx.embedding.calling import call_function, within
from cortex_rx.embedding.threads import Threads
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import parse
from cortex_rx.models.facts import ExtractedFact, FactRecord

__all__ = ["DECISION_TIMEOUT", "MOST_CANDIDATES", "Decider", "decide", "with_decisions"]

log: logging.Logger = logging.getLogger("cortex_rx")

Decider: TypeAlias = Callable[[ExtractedFact, list[FactRecord]], Decision | Awaitable[Decision | None] | None]
"""A function from a new fact and the known ones that it may be about, the most similar first, to its `Decision`, sync
or async; None: the store decides."""

DECISION_TIMEOUT = 10.0
"""Seconds that the decisions about the facts of one text may take together."""
MOST_CANDIDATES = 10
"""The most known facts that a decider is shown for a new one."""

_AT_ONCE = 4  # questions to a decider, for the facts of one text
_WHAT = "decider"
_FIELDS = {"action", "factId", "fact_id"}
_NOT_COMPARED = {"factId", "tags", "decision"}
_threads = Threads(16, "cortex_rx-decider")  # of the process, so that deciders that never return leave no more behind


async def with_decisions(
    decider: Decider,
    backend: Backend,
    rows: Sequence[Mapping[str, Any]],
    scope: Mapping[str, Any],
    seconds: float = DECISION_TIMEOUT,
) -> list[dict[str, Any]]:
    """Facts of `facts:commit` with the decider's word about those that are in doubt.

    `scope` has the other arguments of `facts:similar`: the memory space, the user, how facts are compared. It raises
    nothing: where the store or the decider fails, or takes longer than `seconds` for all of them, a fact is as it was,
    and the log says so.
    """
    decided = [dict(row) for row in rows]
    todo = iter(decided)

    async def work() -> None:
        for row in todo:
            try:
                found = await _candidates(backend, row, scope)
                decision = await within(None, decide(decider, _as_fact(row), found), _WHAT) if found else None
            except Exception as error:
                _say(error)
            else:
                if decision is not None:
                    target = {} if decision.fact_id is None else {"factId": decision.fact_id}
                    row["decision"] = {"action": decision.action, **target}

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in decided[:_AT_ONCE]:
                group.create_task(work())

    try:
        await within(seconds, all_of_them(), _WHAT)
    except Exception as error:
        _say(error)
    return decided


async def decide(decider: Decider, fact: ExtractedFact, known: list[FactRecord]) -> Decision | None:
    """The decider's word. Raises what it raises, and `InvalidArgument` for what is no decision about these facts.

    >>> fact = ExtractedFact(fact="Ada likes green tea.", fact_type="preference", confidence=90)
    >>> asyncio.run(decide(lambda fact, known: {"action": "ADD"}, fact, []))
    Decision(action='ADD', fact_id=None)
    >>> asyncio.run(decide(lambda fact, known: Decision("NONE", "fact-1"), fact, []))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: fact_id: got 'str'; accepted: the id of a fact that the decider was shown
    """
    said = await call_function(_WHAT, _threads, decider, fact, known)
    if isinstance(said, Mapping):
        said = _as_decision(said)
    if said is None:
        return None
    if not isinstance(said, Decision):
        raise InvalidArgument(_WHAT, type(said).__name__, "a Decision, a mapping of its fields, or None")
    if said.fact_id is not None and all(one.fact_id != said.fact_id for one in known):
        raise InvalidArgument("fact_id", type(said.fact_id).__name__, "the id of a fact that the decider was shown")
    return said


def _as_decision(word: Mapping[Any, Any]) -> Decision:
    if not word.keys() <= _FIELDS or {"factId", "fact_id"} <= word.keys():
        raise InvalidArgument(_WHAT, "other fields", "action and fact_id")
    try:
        return Decision(cast("Action", word.get("action")), word.get("factId", word.get("fact_id")))
    except InvalidArgument as error:  # what was given may be text
        raise InvalidArgument(error.field, check.shown(error.given), error.accepted) from None


async def _candidates(backend: Backend, row: Mapping[str, Any], scope: Mapping[str, Any]) -> list[FactRecord]:
    """The known facts that a new one may be about; none if one of them says the same."""
    given = {name: value for name, value in row.items() if name not in _NOT_COMPARED}
    found = await Call(backend.query, "facts:similar", {**scope, **given, "limit": MOST_CANDIDATES})
    if any(one["same"] for one in found):
        return []
    return [FactRecord.from_row(_as_record(one)) for one in found]


def _as_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `facts:similar` as a fact, with its similarity as the score."""
    fact = {name: value for name, value in row.items() if name not in ("same", "ends", "similarity")}
    return {**fact, "score": row["similarity"]}


def _as_fact(row: Mapping[str, Any]) -> ExtractedFact:
    return parse(ExtractedFact, {name: value for name, value in row.items() if name not in ("factId", "decision")})


def _say(error: Exception) -> None:
    log.warning("a fact is stored without the word of the decider: %s", type(error).__name__)
