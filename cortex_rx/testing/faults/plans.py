"""Plans of faults: which effect goes wrong, and how. Plans are values that can be printed and parsed.

>>> plan = Plan.parse("3 crash-after, 5 delay 2.5")
>>> plan.faults[0]
Fault(at=3, kind='crash-after', seconds=0.0)
>>> print(plan)
3 crash-after, 5 delay 2.5
>>> Plan.parse(str(plan)) == plan
True
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, TypeAlias, cast, get_args

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument

__all__ = ["FAULT_KINDS", "Fault", "FaultKind", "Plan", "each_fault", "pairs_of_faults"]

FaultKind: TypeAlias = Literal["fail", "fail-after", "crash", "crash-after", "stall", "delay"]
"""How an effect goes wrong: it fails before or after it happens; the process crashes before it, or after it but before
the acknowledgement; the process stalls and then performs it; or only this effect is delayed."""

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
"""All kinds of faults."""

SECONDS: dict[FaultKind, float] = {"stall": 15.0, "delay": 0.5}  # a stall outlives a lease, which is 10 s


@dataclass(frozen=True, slots=True)
class Fault:
    """The effect number `at`, from 1, goes wrong in this way; `seconds` is the length of a stall or a delay."""

    at: int
    kind: FaultKind
    seconds: float = field(default=-1.0)

    def __post_init__(self) -> None:
        check.whole(1)("at", self.at)
        check.one_of(*FAULT_KINDS)("kind", self.kind)
        check.number("seconds", self.seconds)
        usual = SECONDS.get(self.kind, 0.0)
        if self.seconds == -1.0:
            object.__setattr__(self, "seconds", usual)
        if not (math.isfinite(self.seconds) and self.seconds >= 0) or (not usual and self.seconds):
            raise InvalidArgument("seconds", self.seconds, "of a stall or a delay, 0 or more; of the others none")

    def __str__(self) -> str:
        return f"{self.at} {self.kind}" + (f" {self.seconds:g}" if self.kind in SECONDS else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one run, at most one for each effect. `Plan.parse` reads `str(plan)`."""

    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        faults = check.each(check.instance(Fault, "a Fault"), "a tuple of faults")("faults", self.faults)
        faults = tuple(sorted(faults, key=lambda fault: fault.at))
        if len({fault.at for fault in faults}) < len(faults):
            raise InvalidArgument("faults", str(self), "at most one fault for an effect")
        object.__setattr__(self, "faults", faults)

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Parse a printed plan: faults separated by commas, each `number kind` or `number kind seconds`."""
        check.instance(str, "a plan as text")("text", text)
        return cls(tuple(_fault(part) for part in text.split(",") if part.strip()))

    @classmethod
    def of(cls, plan: Plan | str) -> Plan:
        """The plan itself, or parsed from text."""
        check.instance((Plan, str), "a Plan, or one as text")("plan", plan)
        return plan if isinstance(plan, Plan) else cls.parse(plan)

    def after(self, effects: int) -> Plan:
        """The rest of the plan after `effects` effects, for the process that continues.

        >>> print(Plan.parse("2 crash, 5 fail").after(2))
        3 fail
        """
        check.whole()("effects", effects)
        left = (Fault(fault.at - effects, fault.kind, fault.seconds) for fault in self.faults if fault.at > effects)
        return Plan(tuple(left))

    def __str__(self) -> str:
        return ", ".join(map(str, self.faults))


def _fault(text: str) -> Fault:
    match text.split():
        case [at, kind] if at.isdecimal():
            return Fault(int(at), cast("FaultKind", kind))
        case [at, kind, seconds] if at.isdecimal():
            try:
                return Fault(int(at), cast("FaultKind", kind), float(seconds))
            except ValueError as error:
                if isinstance(error, InvalidArgument):
                    raise
    raise InvalidArgument("plan", text.strip(), "faults such as '3 crash-after' or '5 delay 2.5'")


def _kinds(kinds: object) -> tuple[FaultKind, ...]:
    chosen = check.each(check.one_of(*FAULT_KINDS), "kinds of faults")("kinds", kinds)
    if not chosen:
        raise InvalidArgument("kinds", (), "one kind of fault or more")
    return cast("tuple[FaultKind, ...]", chosen)


def each_fault(effects: int, kinds: Iterable[FaultKind] = FAULT_KINDS) -> Iterator[Plan]:
    """A plan for every way in which one of `effects` effects can go wrong.

    >>> [str(plan) for plan in each_fault(2, ["crash", "stall"])]
    ['1 crash', '1 stall 15', '2 crash', '2 stall 15']
    """
    check.whole(1)("effects", effects)
    for at, kind in product(range(1, effects + 1), _kinds(kinds)):
        yield Plan((Fault(at, kind),))


def pairs_of_faults(effects: int, count: int, seed: int, kinds: Sequence[FaultKind] = FAULT_KINDS) -> Iterator[Plan]:
    """`count` random plans of two faults each among `effects` effects; the same for the same seed.

    >>> [str(plan) for plan in pairs_of_faults(9, 2, seed=7, kinds=["fail", "crash"])]
    ['3 crash, 6 fail', '2 crash, 9 fail']
    """
    check.whole(2, 2**31)("effects", effects)
    check.whole(1)("count", count)
    check.whole()("seed", seed)
    kinds = _kinds(kinds)
    draw = random.Random(seed)
    for _ in range(count):
        yield Plan(tuple(Fault(at, draw.choice(kinds)) for at in sorted(draw.sample(range(1, effects + 1), 2))))
