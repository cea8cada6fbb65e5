"""Facts that are stored by themselves: each statement is a fact of its own here, since beliefs have tests of their own.

What is looked at is who sees which fact: filters, corrections, retractions, and sources that go.
"""

from __future__ import annotations

from typing import Any

from api.model.machine import SPACES, USERS, Machine, Refused, one_of, page
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from cortex_rx.errors import FactNotFound, FactRetracted, IdempotencyConflict

__all__ = ["Facts"]

IDS = tuple(f"fact-{number}" for number in range(4))
SUBJECTS = ("Ada", "Bob")
TAGS = st.lists(st.sampled_from(["red", "blue"]), unique=True, max_size=2)
SHOWN = ("fact_id", "fact", "subject", "predicate", "object", "confidence", "user_id", "tags", "version", "created_at")


def shown(fact: Any) -> dict[str, Any]:
    """What is compared of a fact."""
    found = {name: fact[name] for name in SHOWN if fact[name] is not None}
    return found | {"tags": sorted(found["tags"]), "sources": [_source(source) for source in fact["sources"]]}


def _source(source: Any) -> dict[str, Any]:
    return {name: source[name] for name in ("conversation_id", "memory_id") if source.get(name) is not None}


class Facts(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.facts: list[dict[str, Any]] = []
        """In the order in which they were made."""

    def fact(self, space: str, fact_id: str) -> dict[str, Any] | None:
        return next((one for one in self.facts if (one["space"], one["fact_id"]) == (space, fact_id)), None)

    def facts_of(self, space: str, **wanted: Any) -> list[dict[str, Any]]:
        """Those that nothing has closed, and that have these values."""
        here = [one for one in self.facts if one["space"] == space and not one["closed"]]
        return [one for one in here if all(one[name] == value for name, value in wanted.items())]

    def sources_of_facts(self, space: str) -> list[dict[str, str]]:
        """What a fact may be read from; other parts add to it."""
        return [{}]

    @rule(
        space=st.sampled_from(SPACES),
        fact_id=st.sampled_from([None, *IDS]),
        subject=st.sampled_from(SUBJECTS),
        what=st.sampled_from(["tea", "jazz"]),
        user=st.sampled_from([None, *USERS]),
        confidence=st.sampled_from([0, 40, 90]),
        tags=TAGS,
        data=st.data(),
    )
    def store_fact(
        self,
        space: str,
        fact_id: str | None,
        subject: str,
        what: str,
        user: str | None,
        confidence: int,
        tags: list[str],
        data: st.DataObject,
    ) -> None:
        source = data.draw(st.sampled_from(self.sources_of_facts(space)))
        said = {"fact": f"{subject} likes {what}.", "subject": subject, "predicate": "likes", "object": what}
        number = fact_id or self.new_id("made")
        there = self.fact(space, number)
        if there is None:
            new = {"space": space, "fact_id": number, **said, "user_id": user, "confidence": confidence, "tags": tags}
            new |= {"version": 1, "created_at": self.now, "closed": False, "sources": [source] if source else []}
            new |= {"said": (*said.values(), user), "line": len(self.facts)}
            expected: object = self.writes(space) or shown(new)
        elif there["said"] == (*said.values(), user):
            expected = self.writes(space) or shown(there)
        else:
            expected = self.writes(space) or Refused(IdempotencyConflict)
        call = self.cortex.facts.store(
            memory_space_id=space,
            fact_type="preference",
            fact_id=number,
            user_id=user,
            confidence=confidence,
            tags=tags,
            source_ref=source or None,
            deduplication="none",
            belief_revision=False,
            **said,
        )
        if self.agree("facts.store", call, expected, shown) is not None and there is None:
            self.facts.append(new)
            self.used.add(space)

    @precondition(lambda self: bool(self.facts))
    @rule(of=one_of(lambda self: self.facts), space=st.sampled_from([*SPACES, None]))
    def delete_fact(self, of: dict[str, Any], space: str | None) -> None:
        space = space or of["space"]
        there = self.fact(space, of["fact_id"])
        given = {"deleted": True, "fact_id": of["fact_id"]}
        expected = self.writes(space) or (given if there else Refused(FactNotFound))
        if self.agree("facts.delete", self.cortex.facts.delete(space, of["fact_id"]), expected) and there:
            there["closed"] = True

    @precondition(lambda self: bool(self.facts))
    @rule(of=one_of(lambda self: self.facts), confidence=st.sampled_from([10, 80]), tags=TAGS)
    def update_fact(self, of: dict[str, Any], confidence: int, tags: list[str]) -> None:
        space = of["space"]
        call = self.cortex.facts.update(space, of["fact_id"], {"confidence": confidence, "tags": tags})
        if refused := self.writes(space) or (Refused(FactRetracted) if of["closed"] else None):
            self.agree("facts.update", call, refused)
            return
        new = of | {"confidence": confidence, "tags": tags, "version": of["version"] + 1, "created_at": self.now}
        given = self.agree("facts.update", call, shown(new | {"fact_id": None}), _without_id)
        assert given is not None and self.fact(space, given.fact_id) is None
        of["closed"] = True
        self.facts.append(new | {"fact_id": given.fact_id, "said": None})

    @rule(
        space=st.sampled_from(SPACES),
        wanted=st.fixed_dictionaries(
            {},
            optional={
                "subject": st.sampled_from(SUBJECTS),
                "user_id": st.sampled_from(USERS),
                "confidence": st.sampled_from([0, 90]),
                "object": st.just("tea"),
            },
        ),
        limit=st.sampled_from([None, 1, 2]),
        offset=st.sampled_from([0, 1]),
    )
    def list_facts(self, space: str, wanted: dict[str, Any], limit: int | None, offset: int) -> None:
        listed = self.facts_of(space, **wanted)
        call = self.cortex.facts.list(memory_space_id=space, **wanted, limit=limit, offset=offset)
        self.agree("facts.list", call, list(map(shown, page(listed, limit, offset))), _each)
        self.agree("facts.count", self.cortex.facts.count(memory_space_id=space, **wanted), len(listed), int)

        about = {**wanted, "subject": "Ada"}
        found = list(map(shown, self.facts_of(space, **about)))
        call = self.cortex.facts.query_by_subject(memory_space_id=space, **about)
        self.agree("facts.query_by_subject", call, found, _each)
        call = self.cortex.facts.query_by_relationship(memory_space_id=space, **about, predicate="likes")
        self.agree("facts.query_by_relationship", call, found, _each)

    @precondition(lambda self: bool(self.facts))
    @rule(of=one_of(lambda self: self.facts), space=st.sampled_from(SPACES))
    def get_fact(self, of: dict[str, Any], space: str) -> None:
        there = self.fact(space, of["fact_id"])
        call = self.cortex.facts.get(space, of["fact_id"])
        self.agree("facts.get", call, there and shown(there), lambda given: given and shown(given))
        line = [one for one in self.facts if there and (one["space"], one["line"]) == (space, there["line"])]
        call = self.cortex.facts.get_history(space, of["fact_id"])
        self.agree("facts.get_history", call, list(map(shown, line)), _each)

    @rule(space=st.sampled_from(SPACES), what=st.sampled_from(["tea", "jazz"]))
    def search_facts(self, space: str, what: str) -> None:
        """Found are those that have the word, in whichever order, and no others."""
        found = sorted(one["fact_id"] for one in self.facts_of(space, object=what))
        call = self.cortex.facts.search(space, what)
        self.agree("facts.search", call, found, lambda given: sorted(one.fact_id for one in given))

    @precondition(lambda self: len(self.facts) > 1)
    @rule(kept=one_of(lambda self: self.facts), other=one_of(lambda self: self.facts), data=st.data())
    def consolidate_facts(self, kept: dict[str, Any], other: dict[str, Any], data: st.DataObject) -> None:
        space, ids = kept["space"], [kept["fact_id"], other["fact_id"]]
        expected: object = self.writes(space) or (Refused(FactNotFound) if kept["closed"] else None)
        there = self.fact(space, other["fact_id"])
        merges = there is not None and there is not kept and not there["closed"]
        merges = merges and there["user_id"] == kept["user_id"]
        call = self.cortex.facts.consolidate(space, ids, kept["fact_id"])
        expected = expected or {"consolidated": True, "kept_fact_id": kept["fact_id"], "merged_count": int(merges)}
        if self.agree("facts.consolidate", call, expected) is not None and merges:
            kept["sources"] += [source for source in there["sources"] if source not in kept["sources"]]
            kept["confidence"] = round((kept["confidence"] + there["confidence"]) / 2)
            kept["tags"] = sorted({*kept["tags"], *there["tags"]})
            there["closed"] = True
            for one in self.facts:
                if (one["space"], one["line"]) == (space, there["line"]):
                    one["line"] = kept["line"]

    def check(self) -> None:
        super().check()
        for space in SPACES:
            here = self.facts_of(space)
            self.exported("facts", self.cortex.facts, here, "fact_id", space)
            paged = self.listed_by("facts.iterate", self.cortex.facts.iterate(memory_space_id=space, page_size=1))
            assert _each(paged) == list(map(shown, here))
            call = self.cortex.facts.list(memory_space_id=space)
            self.agree("facts.list", call, list(map(shown, self.facts_of(space))), _each)


def _each(facts: Any) -> list[dict[str, Any]]:
    return [shown(fact) for fact in facts]


def _without_id(fact: Any) -> dict[str, Any]:
    found = shown(fact)
    del found["fact_id"]
    return found
