"""`python -m benchmarks.steps`: what each optional step of a chain costs a token, beside the chain without it.

The steps are interleaved round by round.  See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.report import machine, write_figures
from cortex_rx import operators as cx
from cortex_rx.chain import Chain, Step
from cortex_rx.engine import run
from cortex_rx.models.turn import Turn
from cortex_rx.sources import from_stream

__all__ = ["STEPS", "costs"]

TURN = Turn("space", "c-1", "What is a tortoise?", agent_id="model")
SENTENCE = ("It ", "is ", "slow", ", ", "and ", "it ", "gets ", "there", ". ")
NOTHING = "nothing"


async def _vector(text: str) -> list[float]:
    return [float(len(text)), 1.0]


def _traced() -> Step:
    return cx.trace(TracerProvider().get_tracer("steps"), MeterProvider().get_meter("steps"))


STEPS: Mapping[str, Callable[[], Sequence[Step]]] = {
    NOTHING: lambda: (),
    "limit": lambda: (cx.limit(10**9),),
    "adapt": lambda: (cx.adapt(),),
    "measure": lambda: (cx.measure(),),
    'chunk("sentence")': lambda: (cx.chunk("sentence"),),
    'chunk("semantic")': lambda: (cx.chunk("semantic", embedder=_vector),),
    "trace, without a meter": lambda: (cx.trace(TracerProvider().get_tracer("steps")),),
    "trace": lambda: (_traced(),),
}
"""The steps of a chain, by a name.  The vectors cost nothing, and what is traced goes nowhere."""


async def _once(name: str, tokens: int) -> float:
    async def model() -> AsyncIterator[str]:
        for at in range(tokens):
            await asyncio.sleep(0)
            yield SENTENCE[at % len(SENTENCE)]

    chain = Chain(STEPS[name]())
    gc.collect()
    before = time.process_time()
    await run(from_stream(model, turn=TURN).pipe(chain, cx.last()))
    return (time.process_time() - before) / tokens * 1e6


def costs(tokens: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU a token with each step, round by round, threads included. The first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in STEPS}
    names = list(STEPS)
    for at in range(-1, rounds):
        for name in names[at % len(names) :] + names[: at % len(names)]:
            took = asyncio.run(_once(name, tokens))
            if at >= 0:
                found[name].append(took)
    return found


def report(found: Mapping[str, Sequence[float]]) -> str:
    """The table: what a token costs, and what the step adds."""
    lines = [f"{'step':26}{'us a token':>12}{'more':>8}"]
    for name, times in found.items():
        more = median(one - without for one, without in zip(times, found[NOTHING], strict=True))
        lines.append(f"{name:26}{median(times):12.2f}{more:8.2f}")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("build/steps.json"))
    given = parser.parse_args()
    figures: dict[str, Any] = machine()
    found = costs(given.tokens, given.rounds)
    print(report(found))
    write_figures(given.json, {"machine": figures, "steps": found}, ())


if __name__ == "__main__":
    _main()
