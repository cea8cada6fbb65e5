"""Chains, operators and events of users are typed: mypy reports the errors that it should, and no others."""

import textwrap

import mypy.api
import pytest

SNIPPET = """
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_type

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from cortex_rx.chain import Chain, Operator, Sink, Step, chain, operator, step
from cortex_rx.events import Delta, StreamEvent
from cortex_rx.engine import passing
from cortex_rx.testing import Report, Trace, assert_no_leaks, check_operator, run_virtual


@dataclass(slots=True)
class Rated(StreamEvent):
    stars: int


@operator(reads=[Delta], emits=[Rated])
def rates(stars: int, *, why: str = "") -> Operator:
    def rated(event: StreamEvent) -> StreamEvent:
        return Rated(stars) if isinstance(event, Delta) else event

    return ops.map(rated)


source: Observable[StreamEvent] = rx.empty()
one = rates(5, why="good")
assert_type(one, Step)
both = chain(one, step("ten", ops.take(10)), chain(rates(1).named("again")))
assert_type(both, Chain)
assert_type(both["rates"], Step)
assert_type(both[0], Step)
assert_type(both[1:], Chain)
assert_type(both.without("ten").before("rates", one).after("rates", both), Chain)
assert_type(both(source), Observable[StreamEvent])
assert_type(source.pipe(one, both, ops.take(1)), Observable[StreamEvent])
count: Sink[int] = ops.count()
assert_type(source.pipe(both, count), Observable[int])
assert_type(check_operator(lambda: both), Report)
assert_type(check_operator(lambda store: rates(len(store)), store=lambda: [1]), Report)
assert_type(source.pipe(Trace().tap("x")), Observable[StreamEvent])


async def main() -> int:
    async with assert_no_leaks():
        return 1


assert_type(run_virtual(main()), int)
"""

WRONG = {
    'rates("five")': 'Argument 1 to "rates" has incompatible type "str"; expected "int"',
    "rates()": 'Missing positional argument "stars"',
    "rates(5, because=1)": "Unexpected keyword argument",
    'chain("rates")': 'Argument 1 to "chain" has incompatible type "str"',
    'step("x", ops.count())': 'Argument 2 to "step" has incompatible type',
    "both.without(3)": 'Argument 1 to "without" of "Chain" has incompatible type "int"',
}


@pytest.fixture
def mypy_run(request):
    """mypy, which keeps what it has learned of the libraries for the next run of the tests."""

    def run(*paths):
        cache = request.config.cache.mkdir("mypy")
        config = cache / "skip.ini"
        config.write_text("[mypy]\nstrict = True\n[mypy-pydantic_ai.*]\nfollow_imports = skip\n")  # half of the work
        options = [f"--config-file={config}", "--no-error-summary", f"--cache-dir={cache}"]
        return mypy.api.run([*options, *map(str, paths)])

    return run


def test_users_operators_and_events_are_typed(tmp_path, mypy_run):
    good, wrong = tmp_path / "good.py", tmp_path / "wrong.py"
    good.write_text(SNIPPET)
    wrong.write_text(SNIPPET + "\n" + "\n".join(WRONG) + "\n")
    said, problems, status = mypy_run(good, wrong)  # at once: to begin costs more than to check
    assert problems == "" and "good.py" not in said
    lines = said.splitlines()
    first = SNIPPET.count("\n") + 2
    for at, (code, error) in enumerate(WRONG.items()):
        assert any(f"wrong.py:{first + at}: error: {error}" in line for line in lines), (
            code,
            textwrap.indent(said, "  "),
        )
    assert status == 1
