"""Cases of SIGSTOP: a process stands still at a chosen place, past its lease. Another takes its stream over; then the
first continues.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs.kills.killed import HOWS, LEASE, Aim, Life, Store, noted
from proofs.kills.processes import Running, Starter
from proofs.kills.store import Reader, Stored, look

_PLACES = [
    ("streams:append", "before"),
    ("streams:finalize", "before"),
    ("shown", "at"),
    ("streams:append", "after"),
    ("streams:takeOver", "after"),
    ("streams:append", "inside"),
    ("streams:begin", "after"),
    ("streams:finalize", "commit"),
    ("streams:renew", "before"),
    ("streams:append", "commit"),
    ("streams:finalize", "after"),
    ("streams:begin", "before"),
    ("source read", "at"),
    ("streams:finalize", "inside"),
    ("streams:takeOver", "before"),
    ("streams:begin", "inside"),
    ("close file", "commit"),
    ("streams:takeOver", "commit"),
    ("streams:renew", "after"),
    ("open file", "inside"),
]


@dataclass(frozen=True)
class Stop:
    """Where the first process is stopped, and how the other one continues."""

    number: int
    how: str
    aim: Aim
    way: str
    force: bool
    patient: bool  # who holds the file is not let go before the other one has given up

    @property
    def lives(self) -> tuple[Life, Life]:
        return Life(way="token", force=True, aim=self.aim), Life(way=self.way, force=self.force)


def stop_of(number: int) -> Stop:
    """The case of this number: always the same."""
    rng = random.Random(f"stop {number}")
    effect, when = _PLACES[number % len(_PLACES)]
    nth = rng.randint(2, 5) if when == "at" else rng.choice((1, 2)) if effect == "streams:append" else 1
    step = 45 if effect == "open file" else rng.randint(2, 6)  # there it makes the tables
    way, force = rng.choice((("token", True), ("token", False), ("token", False), ("key", False)))
    if effect == "streams:begin" and when != "after":
        way = "key"  # nobody has a token
    patient = when == "inside" and number // len(_PLACES) == 1
    return Stop(number, rng.choice(HOWS), Aim(effect, when, nth, step, rng.uniform(0, 0.001)), way, force, patient)


KNOWN = (
    # Between its take-over and its reading of what is stored another one goes on.
    Stop(2002, "prefilled", Aim("streams:takeOver", "after"), "token", force=True, patient=False),
)
"""Cases that have found something."""


def run_stop(starter: Starter, folder: Path, template: Path, case: Stop) -> Counter[str]:
    """Where the process was stopped, and the outcome. Raises if the process that came back changed what it may not."""
    effect = case.aim.effect
    store = Store(folder, template, case, fresh=effect == "open file")
    with noted("run_stop(..., stop_of({}))", case, store.history):
        if effect == "streams:takeOver":
            with starter.start(store.order(Life(aim=Aim("shown", "at", 3)))) as dead:
                assert dead.until("here")
                dead.kill()
            store.check(store.heard(dead))
        life, other = case.lives
        order = store.order(life)
        before = store.found
        with starter.start(order) as one:
            here = one.until("here")
            if here is None:  # on a slow machine there are fewer writes
                one.end()
                store.ended(order, one)
                store.close()
                return Counter(["not stopped"])
            time.sleep(case.aim.delay)
            one.stop()
            past = time.monotonic() + LEASE / 1000
            one.said_so_far()
            store.check(store.heard(one))
            at_stop, reader = store.found, len(store.readers) - 1
            one.go()  # for when it is continued
            order_of_other = store.order(other)
            with starter.start(order_of_other) as two:
                if not _finds_it_busy(two):
                    two.end()
                    store.ended(order_of_other, two)
                    came_of_it = _comes_back(store, order, _done(case.aim.effect, before, at_stop), one, past)
                elif case.patient:
                    came_of_it = _gives_up(store, order, order_of_other, one, two, past)
                else:
                    came_of_it = _one_wins(store, one, two, past)
        store.readers[reader] = Reader(one.said)
        store.close()
    return Counter([effect, here["when"], *came_of_it])


def _finds_it_busy(two: Running) -> bool:
    """Whether the stopped process holds the file; or it came to its end."""
    while message := two.hear():
        if message["what"] == "outcome":
            break
        if message.get("error") == "StoreBusy":
            return True
    return False


def _done(effect: str, before: Stored, at_stop: Stored) -> bool:
    """Whether the write, at which it was stopped and which decides what it is to hear, was done."""
    if effect in ("streams:begin", "streams:takeOver", "open file"):
        return at_stop.epoch > before.epoch
    return at_stop.state == "finished"


def _continue(one: Running, past: float) -> None:
    """Not before its lease has run out."""
    time.sleep(max(0.0, past - time.monotonic()))
    one.go_on()
    one.end()


def _comes_back(store: Store, order: dict[str, Any], done: bool, one: Running, past: float) -> list[str]:
    """Another one has finished the stream: nothing that this one still does changes that, and its reader is told."""
    effect, won = order["aim"]["effect"], store.found
    assert won.state == "finished"
    _continue(one, past)
    store.history += one.said
    told: str | None = "Fenced"
    if effect in ("streams:begin", "open file") and not done:  # it begins a stream that is finished
        own = "".join(text for _, text in order["words"])
        told = None if own == won.text else "IdempotencyConflict"
    elif (effect == "streams:takeOver") is not done and effect not in ("streams:begin", "open file"):
        told = None  # it is given what is stored, or had stored it itself
    assert one.outcome["error"] == told, one.outcome
    assert look(store.path) == (won, store.other)
    return [f"told {told}" if told else "told what is stored"]


def _gives_up(
    store: Store, order: dict[str, Any], order_of_other: dict[str, Any], one: Running, two: Running, past: float
) -> list[str]:
    """The other process cannot have the file for so long that it gives up; the stopped one continues to the end."""
    two.end()
    assert two.outcome["error"] == ("NotStored" if order_of_other["way"] == "key" else "StoreBusy"), two.outcome
    store.history += two.said
    assert look(store.path) == (store.found, store.other)
    _continue(one, past)
    store.history += one.said
    assert one.outcome["error"] is None, one.outcome
    now, other = look(store.path)
    assert other == store.other
    assert now.text == one.outcome["text"] == "".join(text for _, text in order["words"])
    return ["held the file", "the other gave up"]


def _one_wins(store: Store, one: Running, two: Running, past: float) -> list[str]:
    """The file is let go of while the other one still tries: now both want the stream, and one of them has it in the
    end.
    """
    _continue(one, past)
    two.end()
    store.history += one.said + two.said
    store.readers.append(Reader(two.said))
    now, other = look(store.path)
    assert other == store.other
    errors = one.outcome["error"], two.outcome["error"]
    assert errors in ((None, None), (None, "IdempotencyConflict"), ("Fenced", None)), errors
    assert all(each.outcome["text"] == now.text for each in (one, two) if each.outcome["error"] is None)
    return ["held the file", "told Fenced" if errors[0] else "finished before the other"]
