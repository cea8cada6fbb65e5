"""`adapt` on twelve streams: fewer writes of fast ones, fresher partial answers of slow ones, both of bursty ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import median

import pytest

from cortex_rx import operators as cx
from cortex_rx.events import Adapted, Delta, PartialStored

WRITE = 0.02  # seconds
INTERVAL = 0.5


def even(rate, seconds):
    return [1 / rate] * round(rate * seconds)


def jitter(rate, seconds):
    draw = random.Random(1)
    return [draw.expovariate(rate) for _ in range(round(rate * seconds))]


def bursts(size, gap, silence, times):
    return ([silence] + [gap] * (size - 1)) * times


SHAPES = {
    "50 tokens a second": even(50, 30),
    "20 a second, with jitter": jitter(20, 30),
    "packets of five, 12 a second": [1 / 12, 0, 0, 0, 0] * 360,
    "6 a second": even(6, 30),
    "6 a second, with jitter": jitter(6, 30),
    "one a second": even(1, 30),
    "5 in two seconds": even(2.5, 30),
    "pairs, one a second": [0.9, 0.1] * 30,
    "20 in 0.3 s, then 2 s of silence": bursts(20, 0.015, 2, 13),
    "20 in a second, then 3 s of silence": bursts(20, 0.05, 3, 12),
    "50 a second, then 2": even(50, 15) + even(2, 15),
    "50 a second, with a tool call of 8 s": even(50, 11) + [8.0] + even(50, 11),
}


@dataclass
class Run:
    kinds: list[str]
    writes: int
    ages: list[float]


@pytest.fixture
def runs(make_lab):
    """Each stream without and with `adapt`."""

    def play(gaps, adapts):
        lab = make_lab()
        lab.store.slow("append", WRITE)
        steps = [cx.begin(lab.store), *([cx.adapt()] if adapts else []), cx.persist_partial(lab.store)]
        script = [item for gap in gaps for item in (gap, "word ")]

        async def main():
            return await lab.play(lab.source(*script), cx.chain(*steps), traced=False)

        outcome = lab.run(main)
        stored = [(at, event.offset) for at, event in outcome.seen if isinstance(event, PartialStored)]
        ages, place = [], 0
        for at, event in outcome.seen:
            if isinstance(event, Delta):
                while stored[place][1] < event.offset + len(event.text):
                    place += 1
                ages.append(stored[place][0] - at)
        assert len(ages) == len(gaps)
        return Run([event.kind for event in outcome.of(Adapted)], len(lab.store.of("append")), ages)

    return {name: (play(gaps, False), play(gaps, True)) for name, gaps in SHAPES.items()}


def ms(seconds):
    return f"{round(seconds * 1000):,}"


def test_twelve_streams(runs, snapshot):
    lines = [
        "| stream | found | writes | median age, ms | longest age, ms |",
        "|---|---|---|---|---|",
    ]
    for name, (without, adapted) in runs.items():
        cells = [
            name,
            ", then ".join(adapted.kinds) or "steady",
            f"{without.writes} → {adapted.writes}",
            f"{ms(median(without.ages))} → {ms(median(adapted.ages))}",
            f"{ms(max(without.ages))} → {ms(max(adapted.ages))}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    assert "\n".join(lines) == snapshot

    for name, (without, adapted) in runs.items():
        limit = INTERVAL * (2 if "fast" in adapted.kinds else 1)
        assert max(adapted.ages) <= limit + 2 * WRITE + 1e-6, name
        match adapted.kinds:
            case ["fast"]:
                assert adapted.writes < 0.7 * without.writes, name
            case ["slow"]:
                assert max(adapted.ages) <= max(without.ages) and sum(adapted.ages) <= sum(without.ages), name
            case ["bursty"]:
                assert adapted.writes < without.writes, name
                shorter = median(without.ages) - median(adapted.ages)
                assert shorter > 0.05 if "0.3 s" in name else shorter > -1e-6, "not of bursts longer than the interval"
            case []:
                assert adapted == without, "as without it"
