"""The contract of an observable at every border between our operators, stock ones and code of users.

Nothing comes after an end, nothing after a disposal, and what an observer raises is the caller's, no error of the
stream.
"""

import asyncio
from itertools import product

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops

from cortex_rx.engine import End, FlowScheduler, Mailbox, beside, passing, run, stage, stream
from cortex_rx.engine.frames import after_failure, from_async_iterable, per_subscription, resume, upstream_flow

acted = []  # the errors that `resume` and `after_failure` were asked about


@pytest.fixture(autouse=True)
def nothing_acted():
    acted.clear()


def as_it_is(emit, flow, end):
    return emit, None


async def reads(inbox):
    async for _ in inbox:
        pass
    return
    yield


async def reads_little(inbox):
    async for _ in inbox:
        inbox.close()
    return
    yield


async def one_by_one(items):
    async for item in items:
        yield item


def no_reopening(error, retry):
    acted.append(error)


async def no_recovery(error, emit):
    acted.append(error)
    return error


FORMS = {
    "passing": lambda: passing(as_it_is),
    "passing, once": lambda: passing(as_it_is, emits_once=True),
    "beside": lambda: beside(reads),
    "beside, gated": lambda: beside(reads, capacity=2, weigh=lambda _: 1, wants=frozenset({int, str})),
    "beside, closed": lambda: beside(reads_little, capacity=1),
    "stage": lambda: stage(one_by_one),
    "resume": lambda: resume(no_reopening),
    "after_failure": lambda: after_failure(no_recovery),
    "upstream_flow": lambda: upstream_flow(lambda flow: flow.child()),
    "per_subscription": lambda: per_subscription(lambda flow: passing(as_it_is, emits_once=True)),
    "stock": lambda: ops.map(lambda item: item),
}
form = pytest.mark.parametrize("form", FORMS)
OTHERS = ["passing, once", "beside", "stage", "resume", "after_failure", "stock"]


class Seen:
    """Notes what reaches code of users: as a hand-written operator, a stock one or a form, which pass it on."""

    def __init__(self):
        self.calls = []

    def note(self, kind, value=None):
        self.calls.append(kind if value is None else (kind, value))

    @property
    def items(self):
        return [call[1] for call in self.calls if call[0] == "next"]

    def by_hand(self, source):
        def subscribe(observer, scheduler=None):
            def on_next(item):
                self.note("next", item)
                observer.on_next(item)

            def on_error(error):
                self.note("error", str(error))
                observer.on_error(error)

            def on_completed():
                self.note("completed")
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    def stock(self, source):
        return source.pipe(
            ops.do_action(
                lambda item: self.note("next", item),
                lambda error: self.note("error", str(error)),
                lambda: self.note("completed"),
            )
        )

    def formed(self, source):
        def make(emit, flow, end):
            def on_next(item):
                self.note("next", item)
                emit(item)

            def at_end(error):
                self.note("completed") if error is None else self.note("error", str(error))
                return error

            return on_next, at_end

        return passing(make)(source)

    def once(self, source):
        def make(emit, flow, end):
            def on_next(item):
                self.note("next", item)
                emit(item)

            return on_next, None

        return passing(make, emits_once=True)(source)


SPIES = ["by_hand", "stock", "formed", "once"]


async def numbers(point=None):
    for number in range(100):  # it never waits: nothing but a disposal stops it
        yield number


def pulled():
    return from_async_iterable(numbers)


async def collected(source):
    """The items, and the error if it failed."""
    items = []
    try:
        async with stream(source) as out:
            async for item in out:
                items.append(item)
    except ConnectionError as error:
        return items, str(error)
    return items, None


def late_source(last):
    """Written by hand: it goes on after its end."""

    def subscribe(observer, scheduler=None):
        def go(*_):
            observer.on_next(1)
            observer.on_next(2)
            observer.on_error(ConnectionError("cut")) if last else observer.on_completed()
            observer.on_next("late")
            observer.on_error(ConnectionError("late"))
            observer.on_completed()

        return scheduler.schedule(go)

    return Observable(subscribe)


def late_by_hand(source):
    """An operator written by hand that goes on after its end."""

    def subscribe(observer, scheduler=None):
        def on_next(item):
            observer.on_next(item)
            if item == 2:
                observer.on_completed()
                observer.on_next("late")

        return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    return Observable(subscribe)


def late_passing(emit, flow, end):
    def on_next(item):
        emit(item)
        if item == 2:
            end(None)
            emit("late")
            end(ConnectionError("late"))

    return on_next, None


def twice(emit, flow, end):
    """Emits each item twice, whether or not somebody listens still."""

    def on_next(item):
        emit(item)
        emit(item)

    return on_next, None


@form
@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_passes_after_the_end_of_a_source_by_hand(form, fails):
    for other, how in product(OTHERS, SPIES):
        above, below = Seen(), Seen()
        source = late_source(fails).pipe(getattr(above, how), FORMS[form](), FORMS[other](), getattr(below, how))
        error = "cut" if fails else None
        assert await collected(source) == ([1, 2], error), (other, how)
        for seen in (above, below):
            assert seen.items == [1, 2], (other, how)
            assert len(seen.calls) == (2 if how == "once" else 3), (other, how)


@form
@pytest.mark.parametrize("late", [late_by_hand, passing(late_passing)], ids=["by hand", "passing"])
async def test_nothing_passes_after_the_end_of_an_operator_of_users(form, late):
    for other, how in product(OTHERS, SPIES):
        below, lowest = Seen(), Seen()
        source = pulled().pipe(FORMS[other](), late, getattr(below, how), FORMS[form](), getattr(lowest, how))
        assert await collected(source) == ([0, 1, 2], None), (other, how)
        assert below.items == lowest.items == [0, 1, 2], (other, how)


@form
async def test_nothing_passes_after_a_disposal_within_on_next(form):
    for other, how in product(OTHERS, SPIES):
        between, below = Seen(), Seen()
        spies = getattr(between, how), getattr(below, how)
        source = pulled().pipe(passing(twice), FORMS[other](), spies[0], FORMS[form](), spies[1], ops.take(3))
        assert await collected(source) == ([0, 0, 1], None), (other, how)
        assert below.items == [0, 0, 1], (other, how)
        if form != "stage":  # which is below what it lets wait
            assert between.items == [0, 0, 1], (other, how)


@form
async def test_a_source_that_never_waits_stops_at_a_disposal(form):
    for how in SPIES:
        above, below = Seen(), Seen()
        source = pulled().pipe(getattr(above, how), FORMS[form](), getattr(below, how), ops.take(3))
        assert await collected(source) == ([0, 1, 2], None), how
        assert below.items == [0, 1, 2], how
        if form != "stage":
            assert above.items == [0, 1, 2], how


@form
@pytest.mark.parametrize("last", [1, 2, 3])
async def test_an_observer_by_hand_that_disposes_within_on_next_gets_no_more(form, last):
    class Leaves(abc.ObserverBase):
        def __init__(self):
            self.calls = []

        def on_next(self, value):
            self.calls.append(value)
            if len(self.calls) == last:
                subscription.dispose()

        def on_error(self, error):
            self.calls.append(error)

        def on_completed(self):
            self.calls.append("completed")

    for other in OTHERS:
        observer = Leaves()
        async with FlowScheduler() as flow:
            source = pulled().pipe(FORMS[other](), passing(twice), FORMS[form]())
            subscription = source.subscribe(observer, scheduler=flow)
            for _ in range(20):
                await asyncio.sleep(0)
            assert observer.calls == [0, 0, 1][:last], other


async def test_what_a_source_gives_that_swallows_its_cancellation_is_held_back():
    async def stubborn(point):
        yield 0
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            for number in range(1, 40):
                yield number

    seen = Seen()
    source = from_async_iterable(stubborn).pipe(seen.once, beside(reads), passing(as_it_is, emits_once=True))
    async with stream(source) as out:
        assert await anext(out) == 0
    assert seen.items == [0]


@form
async def test_nothing_passes_after_a_worker_has_failed(form):
    async def fails(inbox):
        async for batch in inbox:
            raise ConnectionError(f"{batch[0]}")
        yield

    async def waits(point):
        for number in range(40):
            yield number
            await asyncio.sleep(0)

    seen = Seen()
    items, error = await collected(from_async_iterable(waits).pipe(FORMS[form](), beside(fails), seen.by_hand))
    assert error == "0" and seen.calls[-1] == ("error", "0")
    assert seen.items == items and len(items) < 40


async def test_what_a_recovery_emits_after_a_disposal_is_held_back():
    async def replaces(error, emit):
        emit("first")
        emit("second")
        emit("third")

    seen = Seen()
    source = rx.throw(ConnectionError("cut")).pipe(after_failure(replaces), FORMS["beside"](), seen.once, ops.take(1))
    assert await collected(source) == (["first"], None)
    assert seen.items == ["first"]


class Bug(Exception):
    pass


def raises(where):
    """An operator of users with a bug."""

    def operator(source):
        def subscribe(observer, scheduler=None):
            def bug(*_):
                raise Bug(where)

            on_next, on_error, on_completed = observer.on_next, observer.on_error, observer.on_completed
            if where == "next":
                on_next = bug
            elif where == "error":
                on_error = bug
            else:
                on_completed = bug
            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


@form
@pytest.mark.parametrize("where", ["next", "error", "completed"])
async def test_what_an_observer_raises_is_the_callers(form, where):
    async def model(point):
        yield 0
        yield 1
        if where == "error":
            raise ConnectionError("cut")

    for other in OTHERS:
        source = from_async_iterable(model).pipe(FORMS[other](), FORMS[form](), raises(where), FORMS[other]())
        with pytest.raises(Bug, match=where):
            await run(source)
        assert not any(isinstance(error, Bug) for error in acted)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, other


@form
async def test_what_a_passing_operator_raises_is_the_callers(form):
    def make(emit, flow, end):
        def on_next(item):
            emit(item)
            raise Bug("next")

        return on_next, None

    for once in (False, True):
        with pytest.raises(Bug, match="next"):
            await run(pulled().pipe(FORMS[form](), passing(make, emits_once=once), FORMS[form]()))
    assert acted == []


async def test_an_operator_that_cannot_start_is_an_error_of_the_stream():
    def make(emit, flow, end):
        raise ConnectionError("no start")

    for forms in ([], [FORMS["beside"]()], [FORMS["stage"](), FORMS["passing"]()]):
        assert await collected(pulled().pipe(passing(make), *forms)) == ([], "no start")


async def test_a_mailbox_may_be_subscribed_by_hand():
    async with FlowScheduler() as flow:
        mailbox = Mailbox(flow)
        pulled().pipe(FORMS["beside"](), ops.take(2)).subscribe(mailbox, scheduler=flow)
        assert [item async for item in mailbox] == [0, 1]


async def numbers_until(number, closed):
    for at in range(number):
        yield at
    await closed.wait()
    for at in range(number, 2 * number):
        yield at


async def test_an_operator_that_has_closed_its_inbox_is_not_called_for_what_follows():
    weighed, closed, ended = [], asyncio.Event(), []

    async def reads_one(inbox):
        async for _ in inbox:
            inbox.close()
            closed.set()
            break
        yield "closed"
        async for _ in inbox:
            ended.append("an item")
        ended.append(inbox.end)

    def weigh(item):
        weighed.append(item)
        return 1.0

    source = from_async_iterable(lambda point: numbers_until(200, closed))
    seen = await run(source.pipe(beside(reads_one, weigh=weigh, capacity=1), ops.to_list()))
    assert [item for item in seen if item != "closed"] == list(range(400))
    assert seen.count("closed") == 1
    assert ended == [End.COMPLETED]
    assert len(weighed) <= 32  # `pull` asks once in 16 items to whom it hands on
