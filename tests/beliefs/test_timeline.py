"""What is believed about a slot, case by case, and what became of each statement."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx.beliefs.normal import Keys, Strategy, apart, keys, signature
from cortex_rx.beliefs.timeline import Belief, Revision, Statement, fold, revision


class Said:
    """Makes statements about Ada, with numbers and ids in their order."""

    def __init__(self, predicate: str = "lives_in", strategy: Strategy = "structural") -> None:
        self.predicate, self.strategy = predicate, strategy
        self.all: list[Statement] = []

    def __call__(self, object: str, at: int | None, *, like: Keys | None = None, **more: Any) -> Statement:
        own = f"f{len(self.all) + 1}"
        words = {each: more.pop(each) for each in ("polarity", "tense") if each in more}
        said = signature(f"Ada {object}", "Ada", self.predicate, object, **words)
        key = like or keys(said, self.strategy, own=own)
        known = more.pop("known", len(self.all))
        statement = Statement(
            seq=len(self.all), own=own, fact=more.pop("fact", own), slot=key.slot, value=key.value, merge=key.merge,
            valid_from=at, valid_until=more.pop("until", None), said=more.pop("said", at or 0), known=known,
            until=more.pop("wrong", None), messages=(f"m{len(self.all)}",), **more,
        )  # fmt: skip
        self.all.append(statement)
        return statement


def shape(beliefs: list[Belief]) -> list[tuple[Any, ...]]:
    return [
        (each.fact_id, [one.own for one in each.statements], each.valid_from, each.valid_until, each.superseded_by)
        for each in beliefs
    ]


def test_a_new_value_ends_the_old_one_and_the_old_one_is_kept() -> None:
    said = Said()
    said("Rome", 10), said("Paris", 20)
    assert shape(fold(said.all)) == [("f1", ["f1"], 10, 20, "f2"), ("f2", ["f2"], 20, None, None)]
    assert [each.supersedes for each in fold(said.all)] == [None, "f1"]
    assert revision(fold(said.all)[1], said.all[1]) == Revision("SUPERSEDE", "f2", "f1")


def test_the_same_again_is_another_source() -> None:
    said = Said()
    said("Rome", 10, confidence=80), said("Rome", 20, confidence=80, fact=None)
    (belief,) = fold(said.all)
    assert shape([belief]) == [("f1", ["f1", "f2"], 10, None, None)]
    assert belief.confidence == 96
    assert revision(belief, said.all[1]) == Revision("NONE", "f1", None)


def test_what_is_learnt_late_takes_its_place_in_time() -> None:
    said = Said()
    said("Rome", 10), said("Paris", 20), said("Oslo", 15)
    assert shape(fold(said.all)) == [
        ("f1", ["f1"], 10, 15, "f3"), ("f3", ["f3"], 15, 20, "f2"), ("f2", ["f2"], 20, None, None),
    ]  # fmt: skip


def test_a_return_is_another_fact() -> None:
    said = Said()
    said("Rome", 10), said("Paris", 20), said("Rome", 30)
    assert [(each.fact_id, each.valid_from, each.valid_until) for each in fold(said.all)] == [
        ("f1", 10, 20), ("f2", 20, 30), ("f3", 30, None),
    ]  # fmt: skip


def test_a_value_that_had_ended_is_another_fact_when_it_is_said_again() -> None:
    said = Said()
    said("Rome", 10, until=20), said("Rome", 30)
    assert shape(fold(said.all)) == [("f1", ["f1"], 10, 20, None), ("f2", ["f2"], 30, None, None)]


def test_a_denial_ends_only_the_same_object_and_holds_until_that_is_said_again() -> None:
    said = Said()
    said("Rome", 10), said("Paris", 20, polarity="negative")
    said("Rome", 30, polarity="negative"), said("Paris", 40)
    assert shape(fold(said.all)) == [
        ("f1", ["f1"], 10, 30, "f3"),
        ("f2", ["f2"], 20, 40, "f4"),
        ("f3", ["f3"], 30, None, None),
        ("f4", ["f4"], 40, None, None),
    ]


def test_many_values_do_not_compete_but_polarities_do() -> None:
    said = Said("likes")
    tea, coffee, no_tea = said("tea", 10), said("coffee", 20), said("tea", 30, polarity="negative")
    assert tea.slot == no_tea.slot != coffee.slot
    assert shape(fold([tea, no_tea])) == [("f1", ["f1"], 10, 30, "f3"), ("f3", ["f3"], 30, None, None)]


def test_the_past_and_the_future_have_no_timeline() -> None:
    said = Said()
    now, past, future = said("Rome", 10), said("Oslo", None, tense="past"), said("Bern", None, tense="future")
    assert len({now.slot, past.slot, future.slot}) == 3
    assert shape(fold([past])) == [("f2", ["f2"], None, None, None)]
    assert not fold([past])[0].holds_at(10)


def test_a_decider_may_say_that_a_plan_replaces_another() -> None:
    said = Said("plans_to")
    first = said("fly on Monday", None, tense="future", said=1)
    target = Keys(first.slot, first.value, first.merge)
    own = keys(signature("fly on Tuesday", tense="future"), own="f2")
    second = said("fly on Tuesday", None, said=2, like=Keys(target.slot, own.value, own.merge))
    found = fold([second, first])
    assert shape(found) == [("f1", ["f1"], None, None, "f2"), ("f2", ["f2"], None, None, None)]
    assert revision(found[1], second) == Revision("SUPERSEDE", "f2", "f1")
    assert apart("f3", own).slot not in (own.slot, target.slot)


@pytest.mark.parametrize(("strategy", "facts"), [("none", 3), ("exact", 2), ("structural", 1), ("semantic", 1)])
def test_the_strategy_says_what_is_one_fact(strategy: Strategy, facts: int) -> None:
    def of(text: str, own: str) -> Keys:
        return keys(signature(text, "Ada", "lives_in", "Rome"), strategy, own=own)

    found = [of("Ada lives in Rome.", "f1"), of("Ada is living in Rome", "f2"), of("ada lives in Rome", "f3")]
    assert len({each.merge for each in found}) == facts
    assert len({(each.slot, each.value) for each in found}) == 1


def test_what_is_wrong_was_never_believed_but_known() -> None:
    said = Said()
    said("Rome", 10, known=10), said("Paris", 20, known=20, wrong=30)
    assert shape(fold(said.all)) == [("f1", ["f1"], 10, None, None)]
    assert len(fold(said.all, known_at=19)) == 1
    assert shape(fold(said.all, known_at=20))[0] == ("f1", ["f1"], 10, 20, "f2")
    assert shape(fold(said.all, known_at=30)) == [("f1", ["f1"], 10, None, None)]


def test_a_fact_keeps_its_id_when_its_first_statement_is_forgotten() -> None:
    said = Said()
    said("Rome", 10), said("Rome", 20, fact="f1")
    assert [each.fact_id for each in fold(said.all[1:])] == ["f1"]


def test_two_facts_that_were_one_have_two_ids() -> None:
    said = Said()
    said("Rome", 10), said("Rome", 30, fact="f1"), said("Paris", 20)
    assert [each.fact_id for each in fold(said.all)] == ["f1", "f3", "f2"]
    assert [each.fact_id for each in fold([said.all[1], said.all[2]])] == ["f3", "f1"]


def test_two_facts_that_were_one_have_two_ids_when_its_first_statement_is_forgotten() -> None:
    said = Said()
    said("Rome", 10), said("Rome", 20, fact="f1"), said("Rome", 40, fact="f1"), said("Paris", 30)
    assert [each.fact_id for each in fold(said.all[1:])] == ["f1", "f4", "f3"]


def test_an_id_stays_with_the_statement_whose_own_it_is() -> None:
    """Also where one that joined it has a lower number, since its stream began before and was finalized later."""
    said = Said()
    said("Rome", 10, known=5, fact="f2"), said("Rome", 30, known=5, fact="f2"), said("Paris", 20, known=6)
    assert [each.fact_id for each in fold(said.all)] == ["f1", "f3", "f2"]


def test_who_is_told_last_is_who_joined() -> None:
    said = Said()
    late, first = said("Rome", 10, known=5, fact=None), said("Rome", 20, known=5)
    (belief,) = fold(said.all)
    assert [each.own for each in belief.statements] == ["f2", "f1"]
    assert revision(belief, late) == Revision("NONE", "f2", None)
    assert revision(belief, first).action == "ADD"


def test_a_new_fact_has_the_id_of_who_was_known_first() -> None:
    said = Said()
    said("Rome", 20, fact=None, known=1), said("Rome", 10, fact=None, known=2)
    assert [each.fact_id for each in fold(said.all)] == ["f1"]


def test_one_message_does_not_make_a_fact_surer() -> None:
    said = Said()
    said("Rome", 10, confidence=80)
    again = said("Rome", 11, confidence=90)
    same = [said.all[0], Statement(**{**{f: getattr(again, f) for f in again.__slots__}, "messages": ("m0",)})]
    assert fold(same)[0].confidence == 90
    assert fold(said.all)[0].confidence == 98


def test_who_rewrites_a_fact_says_its_words_and_how_sure_it_is() -> None:
    said = Said()
    said("Rome", 10, confidence=80), said("Rome", 11, confidence=30, rewrites=True, fact="f1")
    (belief,) = fold(said.all)
    assert (belief.words.own, belief.confidence) == ("f2", 30)
    assert revision(belief, said.all[1]) == Revision("UPDATE", "f1", None)


def test_statements_of_two_slots_are_refused() -> None:
    said = Said("likes")
    with pytest.raises(ValueError, match="several slots"):
        fold([said("tea", 1), said("coffee", 2)])
    with pytest.raises(ValueError, match="no time"):
        fold([said("tea", None)])
