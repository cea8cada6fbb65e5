"""Chains: operators as values, their order, their drawings, and to which step an error belongs."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass

import pytest
import reactivex as rx
from reactivex import operators as ops

from cortex_rx.chain import Chain, Step, chain, declare, operator, step
from cortex_rx.engine import run
from cortex_rx.errors import ChainOrderError, InvalidArgument, UnknownStep
from cortex_rx.events import Begun, Custom, Delta, Ended, Measured, Opened, PartialStored, StreamEvent
from cortex_rx.testing import run_virtual


@dataclass(slots=True)
class Rated(StreamEvent):
    stars: int


def passes():
    return ops.map(lambda event: event)


@operator(needs=[Opened], emits=[Begun])
def starts(store: object = None):
    return passes()


@operator(needs=[Begun], reads=[Delta], emits=[PartialStored], captures_text=True)
def keeps(store: object, pace: float = 0.5, *, show: str = "at once"):
    return passes()


@operator(reads=[Delta], rewrites=True)
def hides(*words: str):
    return ops.map(lambda event: Delta("*", event.index, event.offset, 0, 0) if isinstance(event, Delta) else event)


@operator(reads=[PartialStored], emits=[Measured])
def measures():
    return passes()


@operator(emits=[Rated])
def rates(stars: int = 5):
    return lambda source: source.pipe(ops.concat(rx.of(Rated(stars))))


@operator(needs=[Rated])
def needs_rating():
    return passes()


SOURCE = (Opened, Delta, Ended, Custom)


def source(*events, kinds=SOURCE):
    return declare(rx.of(*events), kinds)


def delta(text="x", index=0):
    return Delta(text, index, 0, 0, 0.0)


# --- values
# ------------------------------------------------------------------------------------------------------------


def test_steps_are_equal_when_name_operator_and_arguments_are():
    assert keeps("db") == keeps("db", 0.5) == keeps(store="db", show="at once")
    assert keeps("db") != keeps("other")
    assert keeps("db") != keeps("db", 1.0)
    assert keeps("db") != keeps("db").named("again")
    assert keeps("db").named("again") == keeps("db").named("again")
    assert hides("a", "b") == hides("a", "b") != hides("a")
    op = passes()
    assert step("x", op) == step("x", op) != step("x", passes())
    with pytest.raises(FrozenInstanceError):
        keeps("db").name = "other"


def test_a_step_says_what_it_is():
    one = keeps("db", show="durable")
    assert (one.name, one.kind) == ("keeps", "keeps")
    assert one.args == (("store", "db"), ("pace", 0.5), ("show", "durable"))
    assert (one.needs, one.reads, one.emits) == ({Begun}, {Delta}, {PartialStored})
    assert (one.captures_text, one.rewrites, hides().rewrites) == (True, False, True)
    assert one.given == {"store", "show"}
    assert keeps.__name__ == "keeps"


def test_arguments_that_do_not_fit_are_refused_at_once():
    with pytest.raises(TypeError):
        keeps()
    with pytest.raises(TypeError):
        keeps("db", fast=True)


def test_named_wants_a_name():
    for wrong in ("", None, 1):
        with pytest.raises(InvalidArgument, match="name"):
            keeps("db").named(wrong)
        with pytest.raises(InvalidArgument, match="name"):
            step(wrong, passes())


def test_a_step_wants_an_operator():
    with pytest.raises(InvalidArgument, match="op: got 'int'; accepted: a function"):
        step("three", 3)


def test_chains_are_equal_when_their_steps_are():
    assert chain(starts(), keeps("db")) == chain(chain(starts()), keeps("db")) == chain(chain(starts(), keeps("db")))
    assert chain(starts(), keeps("db")) != chain(keeps("db"), starts())
    assert chain(starts()) != starts()
    assert chain() == chain() != chain(starts())
    one, other = chain(keeps([1, 2])), chain(keeps([1, 2]))
    assert one == other and hash(one) == hash(other), "arguments may be unhashable"


def test_a_chain_is_a_sequence_of_steps():
    whole = chain(starts(), keeps("db"), measures())
    assert whole.names == ("starts", "keeps", "measures")
    assert len(whole) == 3
    assert list(whole) == [starts(), keeps("db"), measures()]
    assert "keeps" in whole and "other" not in whole and 1 not in whole
    assert whole["keeps"] == whole[1] == whole[-2] == keeps("db")
    assert whole[1:] == chain(keeps("db"), measures())
    assert isinstance(whole[:0], Chain) and len(whole[:0]) == 0
    with pytest.raises(IndexError):
        whole[3]


def test_a_chain_is_taken_apart_and_put_together_anew():
    whole = chain(starts(), keeps("db"), measures())
    assert whole.without("measures") == chain(starts(), keeps("db"))
    assert whole.without("measures", "starts") == chain(keeps("db"))
    assert whole.without() == whole
    assert whole.replace("keeps", keeps("other")) == chain(starts(), keeps("other"), measures())
    assert whole.replace("keeps") == whole.without("keeps")
    assert whole.replace("keeps", chain(hides(), keeps("b")), rates()).names == (
        "starts",
        "hides",
        "keeps",
        "rates",
        "measures",
    )
    assert whole.before("keeps", hides("x")).names == ("starts", "hides", "keeps", "measures")
    assert whole.after("keeps", hides("x")).names == ("starts", "keeps", "hides", "measures")
    assert whole.before("starts", rates()).names[0] == "rates"
    assert whole.after("measures", rates(), needs_rating()).names[-2:] == ("rates", "needs_rating")
    assert whole.names == ("starts", "keeps", "measures"), "it is a value: nothing changes it"


@pytest.mark.parametrize(
    "act",
    [
        lambda whole: whole.without("kept"),
        lambda whole: whole.without("keeps", "kept"),
        lambda whole: whole.replace("kept", measures()),
        lambda whole: whole.before("kept", measures()),
        lambda whole: whole.after("kept", measures()),
        lambda whole: whole["kept"],
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_names(act):
    with pytest.raises(UnknownStep, match="^no step 'kept' in this chain; its steps are: starts, keeps$"):
        act(chain(starts(), keeps("db")))
    with pytest.raises(UnknownStep, match="its steps are: none"):
        chain().without("kept")


def test_two_steps_of_one_name_need_another_name():
    with pytest.raises(InvalidArgument, match=r"got 'keeps'; accepted: one step of each name: .*\.named\('keeps_2'\)"):
        chain(starts(), keeps("a"), keeps("b"))
    with pytest.raises(InvalidArgument, match="keeps"):
        chain(keeps("a")).after("keeps", keeps("b"))
    assert chain(keeps("a"), keeps("b").named("keeps_2")).names == ("keeps", "keeps_2")
    assert chain(keeps("a")).replace("keeps", keeps("b")).names == ("keeps",)


@pytest.mark.parametrize("wrong", [passes(), 3, None, "keeps"])
def test_what_is_no_step_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="enters as step"):
        chain(starts(), wrong)


# --- order
# -------------------------------------------------------------------------------------------------------------


def test_an_event_that_comes_too_late():
    whole = chain(keeps("db"), starts())
    with pytest.raises(ChainOrderError, match="^keeps needs Begun, which starts emits: keeps belongs after starts$"):
        source().pipe(whole)
    with pytest.raises(ChainOrderError, match="keeps belongs after starts"):
        rx.empty().pipe(whole)  # true whatever the source emits, unless it emits that event itself
    assert source(kinds=[*SOURCE, Begun]).pipe(whole)


def test_an_event_that_nothing_emits():
    with pytest.raises(
        ChainOrderError, match=r"^keeps needs Begun, which nothing before it emits: put \w+\(\.\.\.\) before it$"
    ):
        source().pipe(chain(hides(), keeps("db")))
    with pytest.raises(ChainOrderError, match=r"needs Rated, .* emits: put rates\(\.\.\.\) before it"):
        source().pipe(needs_rating())
    source().pipe(rates(), needs_rating())
    source().pipe(chain(rates()), chain(needs_rating()))


def test_a_plain_pipe_of_steps_is_checked_too_as_long_as_it_is_known():
    with pytest.raises(ChainOrderError, match="keeps needs Begun"):
        source().pipe(hides(), keeps("db"))
    with pytest.raises(ChainOrderError, match="hides rewrites the text, so it belongs before keeps"):
        source().pipe(starts(), keeps("db"), hides())
    source().pipe(ops.map(lambda event: event), keeps("db"))  # what a stock operator emits is not known
    source().pipe(step("map", passes()), starts(), keeps("db"))
    rx.empty().pipe(keeps("db"))


def test_what_rewrites_text_stands_before_what_takes_it():
    with pytest.raises(ChainOrderError, match="^hides rewrites the text, so it belongs before keeps, which captures"):
        source().pipe(chain(starts(), keeps("db"), hides("x")))
    with pytest.raises(ChainOrderError, match="before second"):
        rx.empty().pipe(chain(starts(), keeps("db").named("second"), hides("x")))
    source().pipe(chain(starts(), hides("x"), keeps("db")))


def test_the_order_is_checked_before_anything_runs():
    opened = []
    lazy = declare(rx.defer(lambda scheduler: opened.append(1) or rx.empty()), SOURCE)
    with pytest.raises(ChainOrderError):
        lazy.pipe(chain(keeps("db")))
    assert opened == []


def test_declaring_twice_is_what_was_said_last():
    again = declare(source(), [Begun])
    assert again.pipe(keeps("db"))


# --- running
# -----------------------------------------------------------------------------------------------------------


def test_a_chain_of_any_length_is_an_operator():
    whole = chain(*(step(f"s{n}", ops.map(lambda event: Custom(event.name, event.data + 1))) for n in range(40)))
    assert run_virtual(run(rx.of(Custom("n", 0)).pipe(whole))) == Custom("n", 40)
    assert run_virtual(run(whole(rx.of(Custom("n", 2))))) == Custom("n", 42)
    assert run_virtual(run(rx.of(Custom("n", 0)).pipe(chain()))) == Custom("n", 0)


def test_a_step_is_an_operator_beside_stock_ones():
    out = run_virtual(run(rx.of(delta("a"), delta("b")).pipe(ops.skip(1), hides("b"), rates(3), ops.to_list())))
    assert out == [Delta("*", 0, 0, 0, 0), Rated(3)]


# --- drawings
# ----------------------------------------------------------------------------------------------------------


def named_callback(event: StreamEvent) -> bool:
    return True


@operator(reads=[Delta, Custom])
def filters(test: Callable[[StreamEvent], bool], note: str = ""):
    return ops.filter(test)


WHOLE = (
    starts(),
    hides("555-0199", 'a "quoted" <word> & [x] {y} | z #1;'),
    keeps("memory.db", pace=0.25).named("keeps it"),
    filters(named_callback, note="ü\nnew line"),
    step("first ten", ops.take(10), emits=[Rated]),
    measures(),
)


def test_a_chain_as_text(snapshot):
    assert str(chain(*WHOLE)) == snapshot
    assert repr(chain(*WHOLE)) == f"chain({', '.join(map(str, WHOLE))})"
    assert (str(chain()), repr(chain())) == ("", "chain()")
    assert str(keeps("db", 0.5)) == "keeps(store='db')"
    assert str(keeps("db").named("again")) == "again: keeps(store='db')"
    assert str(filters(named_callback)) == "filters(test=named_callback)"


def test_a_chain_as_mermaid(snapshot):
    assert chain(*WHOLE).mermaid() == snapshot
    assert chain().mermaid() == snapshot


def test_a_chain_as_html(snapshot):
    assert chain(*WHOLE)._repr_html_() == snapshot


def test_every_step_is_one():
    assert all(isinstance(one, Step) for one in WHOLE)
