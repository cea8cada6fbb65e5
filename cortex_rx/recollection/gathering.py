"""`recall`: what a model should know of a memory space before it answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import ids, parse
from cortex_rx.models.recall_options import RecallOptions
from cortex_rx.models.recalled import ContextItem, LeftOut, RecalledFact, RecallResult, Why
from cortex_rx.models.records import MemoryEntry
from cortex_rx.recollection.budget import Budget
from cortex_rx.recollection.candidates import Candidate, Candidates
from cortex_rx.recollection.facts import find_facts
from cortex_rx.recollection.finding import find

__all__ = ["recall"]

NEWEST_TURNS = 6


async def recall(
    backend: Backend,
    memory_space_id: str,
    query: str,
    options: RecallOptions | Mapping[str, Any] | None = None,
    *,
    embedder: Embedder | None = None,
    **keywords: Any,
) -> RecallResult:
    """Recall what a memory space has for a query: what a search finds, the turns around it, facts, and newest turns.

    The options are keywords, or a `RecallOptions`, or a mapping of its fields. A memory is there once, whatever the
    reasons, and so is a text: a chunk and its answer do not repeat each other, and of equal texts one stays.

    All are ranked together by shares from 0 to 1. What is found has its score, divided by the best one; a turn around
    it half of that for each turn of distance; the newest turn of the conversation 0.9, and each turn before it 0.9 of
    that; a fact has its score, divided by that of the best fact. A memory has the best of its shares. The best are
    taken as long as the budget lasts. Of a text that does not fit, the part is taken that has most of the query's
    words, cut at words. While others wait, none takes more than half of the budget.

    Facts are those that hold now, or held `as_of` a time; what is superseded since comes after what still holds. A
    fact that only memories of `exclude` say is left out. `facts=False` recalls none, and a function finds others,
    with scores of its own.

    The query is embedded once, by the `generate_embedding` of the options, else by the `embedder`. If that fails, or is
    slow, the search goes by words, and the log says so.

    Raises `InvalidArgument` for an option that does not fit, a `StoreError` if the store fails, and `CallbackError` if
    `facts` or `count_tokens` fails.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend, remember
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         await remember(backend=backend, memory_space_id="s", conversation_id="c-1", user_id="ada",
    ...             user_name="Ada", user_message="Where was I born?", agent_response="In Lisbon, you said.")
    ...         return await recall(backend, "s", "Lisbon", max_characters=500)
    >>> recalled = asyncio.run(main())
    >>> [(item.text, item.role) for item in recalled.context]
    [('Where was I born?', 'user'), ('In Lisbon, you said.', 'agent')]
    >>> [(one.memory.content, one.reasons[0].kind) for one in recalled.memories]
    [('In Lisbon, you said.', 'found'), ('Where was I born?', 'found')]
    """
    checked_backend("backend", backend)
    check.optional(check.instance(Embedder, "an Embedder"))("embedder", embedder)
    space = ids(memory_space_id=memory_space_id)
    check.any_text("query", query)
    chosen = parse(RecallOptions, options, **keywords)
    if chosen.newest is not None and chosen.conversation_id is None:
        raise InvalidArgument("newest", chosen.newest, "None, unless conversation_id is given")
    candidates = await _gathered(backend, space, query, chosen, embedder)
    facts = await find_facts(backend, memory_space_id, query, chosen)
    # Long texts take long to rank and to cut, and no token waits for them.
    return await asyncio.to_thread(_result, query, chosen, candidates, facts)


async def _gathered(
    backend: Backend, space: dict[str, Any], query: str, options: RecallOptions, embedder: Embedder | None
) -> Candidates:
    """All memories that may be recalled."""
    memories = Memories(backend)
    candidates = Candidates(options.exclude)
    everywhere = {**space, "user_id": options.user_id, "include_partial": options.include_partial or None}
    best = await find(backend, space, query, options, options.for_search(), embedder, frozenset(options.exclude))
    candidates.found([MemoryEntry.from_row(row) for row in best])
    if options.turns and (found := candidates.ids()):
        for near in await memories.around(**everywhere, memory_ids=found, turns=options.turns):
            before, after = ([MemoryEntry.from_row(row) for row in rows] for rows in (near["before"], near["after"]))
            candidates.around(near["memoryId"], before, after)
    newest = NEWEST_TURNS if options.newest is None else options.newest
    if options.conversation_id is not None and newest:
        limit = newest + len(options.exclude)
        rows = await memories.list(**everywhere, conversation_id=options.conversation_id, limit=limit)
        turns = [MemoryEntry.from_row(row) for row in rows if row["memoryId"] not in options.exclude]
        candidates.newest(turns[:newest])
    return candidates


def _result(query: str, options: RecallOptions, candidates: Candidates, facts: list[RecalledFact]) -> RecallResult:
    """Rank them together, take what fits, and put it in order."""
    unit, most = options.budget
    budget = Budget(query, most, unit, options.count_tokens)
    memories, left = candidates.ranked()
    said: dict[str, RecalledFact] = {}
    for fact in facts:
        first = said.setdefault(fact.text.strip(), fact)
        if first is not fact and fact.text.strip():  # one sentence may say several facts
            left.append(_left_out(fact, "same text", first.fact_id))
    # Of equal scores the fact comes first: it says the same in fewer words.
    ranked: list[Candidate | RecalledFact] = [*(fact for text, fact in said.items() if text), *memories]
    ranked.sort(key=lambda one: -one.score)
    fitting = budget.choose([_item(one) for one in ranked])
    left += [_left_out(one, "budget") for one, item in zip(ranked, fitting, strict=True) if item is None]
    chosen = [(one, item) for one, item in zip(ranked, fitting, strict=True) if item is not None]
    while True:
        context, contained = _in_order(chosen, candidates)
        if not chosen or not budget.over(context):
            break
        left.append(_left_out(chosen.pop()[0], "budget"))
    return RecallResult(
        query=query,
        memories=tuple(one.recalled() for one in memories),
        facts=tuple(facts),
        context=tuple(context),
        left_out=tuple(sorted([*left, *contained], key=lambda one: -one.score)),
        unit="characters" if unit == "characters" else "tokens",
        budget=most,
        used=budget.used(context),
    )


def _item(one: Candidate | RecalledFact) -> ContextItem:
    if isinstance(one, Candidate):
        return one.item()
    return ContextItem(
        kind="fact",
        id=one.fact_id,
        name=None if _is_named(one) else one.subject,
        section="facts",
        text=one.text,
        length=len(one.text),
        since=one.since,
        until=one.until,
    )


def _is_named(fact: RecalledFact) -> bool:
    """Whether its text says whom it is about."""
    whom = re.escape(fact.subject or "")
    return re.search(rf"(?<!\w){whom}(?!\w)", fact.text, re.IGNORECASE) is not None


def _left_out(one: Candidate | RecalledFact, why: Why, of: str | None = None) -> LeftOut:
    id = one.memory.memory_id if isinstance(one, Candidate) else one.fact_id
    return LeftOut(id=id, score=one.score, why=why, of=of)


def _in_order(
    chosen: list[tuple[Candidate | RecalledFact, ContextItem]], candidates: Candidates
) -> tuple[list[ContextItem], list[LeftOut]]:
    """The chosen items as a model gets them, and those whose text another one contains."""
    facts = [item for one, item in chosen if isinstance(one, RecalledFact)]
    context = sorted(facts, key=lambda item: item.until is not None)  # what still holds comes first
    said = {one.memory.memory_id: (one, item) for one, item in chosen if isinstance(one, Candidate)}
    contained: list[LeftOut] = []
    shown: dict[str, tuple[int, str]] = {}  # up to where the text of an answer is shown, and in which item
    for one, item in sorted(said.values(), key=lambda pair: (pair[0].start + pair[1].start, -len(pair[1].text))):
        end, where = shown.get(one.answer, (0, ""))
        start = one.start + item.start
        known = min(max(end - start, 0), len(item.text))
        if known < len(item.text):
            shown[one.answer] = start + len(item.text), item.id
            said[item.id] = one, item.model_copy(update={"text": item.text[known:], "start": item.start + known})
        else:
            contained.append(_left_out(one, "contained", where))
            del said[item.id]
    before: str | None = None
    for one in candidates.in_order(one for one, _ in said.values()):
        id = one.memory.memory_id
        continues = before is not None and candidates.adjacent(before, id)
        context.append(said[id][1].model_copy(update={"continues": continues}))
        before = id
    return context, contained
