"""Adapt the pace of the steps downstream to the stream."""

from __future__ import annotations

from datetime import timedelta

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Adapted, Delta, Opened, ProcessingStrategy, Resumed, StreamEvent, StreamKind
from cortex_rx.folds.arrivals import Arrivals

__all__ = ["adapt"]

_WINDOW = timedelta(seconds=5)
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(minutes=1)
_PAUSE = 0.1  # seconds: a burst that pauses so long is over


@operator(needs=[Opened], reads=[Delta, Resumed], emits=[Adapted])
def adapt(window: timedelta = _WINDOW, stretch: float = 2.0) -> Operator:
    """Say how the text arrives: fast, slow, in bursts, or steadily. Steps downstream change their pace on it.

    ```text
    adapt(window=10 * frame)
    source  O-aaaaaaa---aaaaaaaaaaaaaaab---b---b------b---b---(E|)
    out     O-aaaaaa(aA)aaaaaaaaaaaaaaab---b---(bA)---b---b---(E|)

    chain(adapt(window=10 * frame), persist_partial(store, 4 * frame))
    source  OBaaa----a---aaa------a---aaaaaaa----------a---aaaaaab-------------b---b--------b-------b------(E|)
    store   []--([aa)]-----([aaaa)]---------([aaaaaaaa)]---------([aaaaaaaa)]-----[([bb])]--([bb)]--([b)]------
    out     OBaaa----(aP)aa(aA)---(aP)aaaaaaa----------(aP)aaaaaab----------P--b---(bA)--P--b----P--b---P--(E|)

    O = Opened, B = Begun, E = Ended, A = Adapted, P = PartialStored, [ ] = a write, frame = one character
    ```

    Emits `Adapted` when the kind changes, after the delta that shows it. Before the first one a stream counts as
    steady, so each step works as without `adapt`.

    | kind | the text arrives | `persist_partial` | `extract_facts` | `sync_graph`, progressive |
    |---|---|---|---|---|
    | fast | at least 10 times a second, evenly | interval x `stretch` | threshold x 2 | interval x `stretch` |
    | slow | at most 3 times a second | interval x 1/5 | threshold x 1/2 | interval x 1/5 |
    | bursty | in bursts, with silence in half of the time | after 0.1 s of silence; 0.9 x interval after the oldest \
text that is not stored | as set | as set |
    | steady | in any other way | as set | as set | as set |

    A kind is left at another threshold than it is entered, and it is kept for one `window` at least: see `Arrivals`.
    Deltas within 20 ms are one arrival. The kind is judged when a delta passes, from half a window after the first one
    on. While nothing comes, it does not change.

    When a process dies, at most the text of the interval in force and of the write in flight is lost. On a fast stream
    that is `interval * stretch`, else the interval that was set. With `stretch=1` it is never more than that.

    Reads `Delta`, and `Resumed`: the wait for a source that is opened again does not count. It stands before the steps
    that it steers, and works without any of them. `persist_partial(show="durable")` stores before it shows, and has no
    pace. Holds the times of 64 arrivals, or those of the window: 250 in 5 s. `window` is 1 to 60 s.

    Commonly used for: fewer writes while a fast model answers, and fresher partial answers of a slow one.

    >>> print(adapt(stretch=1))
    adapt(stretch=1)
    >>> adapt(stretch=0.5)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: stretch: got 0.5; accepted: a factor, 1 to 100

    See also: `persist_partial`, `extract_facts`, `sync_graph`, `measure`.
    """
    seconds = check.seconds()("window", window)
    if not _SHORTEST <= window <= _LONGEST:
        raise InvalidArgument("window", window, "a timedelta of 1 to 60 s")
    check.number("stretch", stretch)
    if not 1 <= stretch <= 100:
        raise InvalidArgument("stretch", stretch, "a factor, 1 to 100")
    strategies: dict[StreamKind, ProcessingStrategy] = {
        "fast": ProcessingStrategy(interval=stretch, threshold=2.0),
        "slow": ProcessingStrategy(interval=0.2, threshold=0.5),
        "bursty": ProcessingStrategy(interval=0.9, pause=_PAUSE),
        "steady": ProcessingStrategy(),
    }

    def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        arrivals = Arrivals(seconds)
        time, note = flow.time, arrivals.note
        opened = time()

        def on_next(event: StreamEvent) -> None:
            nonlocal opened
            emit(event)
            if type(event) is Delta:
                if (now := time()) >= arrivals.next and note(now):
                    emit(Adapted(arrivals.kind, strategies[arrivals.kind], now - opened))
            elif type(event) is Opened:
                opened = time()
            elif type(event) is Resumed:
                arrivals.restart()

        return on_next, None

    return passing(make)
