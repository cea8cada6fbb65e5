"""Laws of the fold, whatever was said, known, and carried as the id of a fact."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.beliefs.timeline import Belief, Statement, confidence, fold

times = st.integers(0, 9)


@st.composite
def statements(draw: st.DrawFn, kind: str = "tg", most: int = 8) -> list[Statement]:
    """Statements of one slot.  What they carry as the id of a fact may be any other's own, also one that is gone."""
    slot = draw(st.sampled_from(kind)) + "-slot"
    names = st.sampled_from([None, *(f"f{at}" for at in range(most + 2))])
    made = []
    for seq in range(draw(st.integers(1, most))):
        value = draw(st.sampled_from("ab")) * 16 + draw(st.sampled_from("++!")) + draw(st.sampled_from(["", "2"]))
        begin = draw(times)
        made.append(
            Statement(
                seq=seq,
                own=f"f{seq}",
                fact=draw(names),
                slot=slot,
                value=value,
                merge=value + draw(st.sampled_from(["", "", "x"])),
                valid_from=begin if slot[0] == "t" else draw(st.sampled_from([None, begin])),
                valid_until=draw(st.none() | times),
                said=draw(times),
                known=draw(times),
                until=draw(st.none() | st.none() | times),
                confidence=draw(st.integers(0, 100)),
                messages=tuple(draw(st.lists(st.sampled_from("mno"), max_size=2, unique=True))),
                rewrites=draw(st.integers(0, 9)) == 0,
            )  # fmt: skip
        )
    return made


@settings(max_examples=40)
@given(statements(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(said: list[Statement], random: object) -> None:
    shuffled = list(said)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(said)


@settings(max_examples=40)
@given(statements(), times)
def test_what_was_known_is_the_fold_of_what_was_known(said: list[Statement], time: int) -> None:
    then = [
        dataclasses.replace(each, until=None)
        for each in said
        if each.known <= time and (each.until is None or time < each.until)
    ]
    assert [shape(each) for each in fold(said, time)] == [shape(each) for each in fold(then)]


def shape(belief: Belief) -> tuple[object, ...]:
    numbers = [each.seq for each in belief.statements]
    return belief.fact_id, numbers, belief.valid_from, belief.valid_until, belief.superseded_by, belief.supersedes


@settings(max_examples=40)
@given(statements())
def test_each_statement_supports_one_fact_and_each_fact_has_an_id_of_its_own(said: list[Statement]) -> None:
    beliefs = fold(said)
    folded = sorted(one.seq for each in beliefs for one in each.statements)
    assert folded == [each.seq for each in said if each.until is None]
    assert len({each.fact_id for each in beliefs}) == len(beliefs)
    for each in beliefs:
        assert each.fact_id in {name for one in each.statements for name in (one.fact, one.own)}
        assert len({(one.value, one.merge) for one in each.statements}) == 1


@settings(max_examples=40)
@given(statements())
def test_who_supersedes_whom_is_mutual(said: list[Statement]) -> None:
    by_id = {each.fact_id: each for each in fold(said)}
    for each in by_id.values():
        if each.supersedes is not None:
            assert by_id[each.supersedes].superseded_by == each.fact_id
        if each.superseded_by is not None:
            assert by_id[each.superseded_by].supersedes is not None


@settings(max_examples=40)
@given(statements("t"), times)
def test_at_each_time_one_value_at_most_is_so_and_none_is_and_is_not(said: list[Statement], time: int) -> None:
    held = [each.statements[0].value for each in fold(said) if each.holds_at(time)]
    so = {value for value in held if value[16] == "+"}
    assert len(so) <= 1
    assert not {value[:16] for value in so} & {value[:16] for value in held if value[16] == "!"}


@settings(max_examples=40)
@given(statements("t"))
def test_no_fact_ends_before_it_begins_or_outlives_its_last_statement(said: list[Statement]) -> None:
    for each in fold(said):
        assert each.valid_from == min(one.valid_from for one in each.statements if one.valid_from is not None)
        assert each.valid_until is None or each.valid_from <= each.valid_until
        last = max(each.statements, key=lambda one: (one.valid_from, one.seq))
        if last.valid_until is not None:
            assert each.valid_until is not None
            assert each.valid_until <= max(last.valid_until, last.valid_from or 0)


@settings(max_examples=40)
@given(statements())
def test_a_fold_of_ids_that_it_gave_gives_them_again(said: list[Statement]) -> None:
    ids = {one.seq: each.fact_id for each in fold(said) for one in each.statements}
    carried = [dataclasses.replace(each, fact=ids.get(each.seq, each.fact)) for each in said]
    assert [each.fact_id for each in fold(carried)] == [each.fact_id for each in fold(said)]


@settings(max_examples=40)
@given(statements(most=4))
def test_the_order_of_messages_does_not_matter_to_how_sure_a_fact_is(said: list[Statement]) -> None:
    plain = [dataclasses.replace(each, rewrites=False) for each in said]
    assert len({confidence(each) for each in itertools.permutations(plain)}) == 1


@settings(max_examples=40)
@given(statements(most=4), st.integers(0, 100))
def test_only_another_message_makes_a_fact_surer(said: Sequence[Statement], sure: int) -> None:
    before = confidence(said)
    assert 0 <= before <= 100
    again = dataclasses.replace(said[-1], confidence=min(sure, said[-1].confidence), rewrites=False)
    assert confidence([*said, again]) == before
    another = dataclasses.replace(again, messages=("another",))
    assert confidence([*said, another]) >= round(before)
