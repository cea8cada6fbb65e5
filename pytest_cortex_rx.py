"""The pytest plugin of cortex_rx: fixtures for tests of pipelines and operators.

pytest imports this module at its start wherever `cortex_rx` is installed.  So it stands beside the package and imports
nothing of it before a fixture is used.  Other projects' tests start as fast as before, and a measurement of coverage
that starts after the plugins misses no line.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Generator, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from cortex_rx import SqliteBackend
    from cortex_rx.testing import Trace

T = TypeVar("T")
TRACE: pytest.StashKey[Trace] = pytest.StashKey()


class Virtual(Protocol):
    """The type of the fixture `virtual`."""

    def __call__(self, main: Coroutine[Any, Any, T], /) -> T:
        """Run `main` in virtual time and return what it returns."""
        ...


@pytest.fixture
def virtual(request: pytest.FixtureRequest) -> Virtual:
    """Runs a coroutine in virtual time, on a loop of its own: `virtual(main())` returns what `main` returns.

    It is `cortex_rx.testing.run_virtual`, for plain tests (not `async def`).  With `no_leaks` in the same test, nothing
    may be left on that loop either.
    """
    from cortex_rx.testing import assert_no_leaks, run_virtual

    if "no_leaks" not in request.fixturenames:
        return run_virtual

    async def checked(main: Coroutine[Any, Any, T]) -> T:
        async with assert_no_leaks():
            return await main

    def run(main: Coroutine[Any, Any, T]) -> T:
        try:
            return run_virtual(checked(main))
        finally:
            main.close()  # where it could not run; of one that has run it does nothing

    return run


@pytest.fixture
def trace(request: pytest.FixtureRequest) -> Trace:
    """A recorder, `cortex_rx.testing.Trace`; the report of a failing test shows what it has recorded, as marbles."""
    from cortex_rx.testing import Trace

    recorder = request.node.stash[TRACE] = Trace()
    return recorder


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> None:
    """The body of the test, plain or async, may leave nothing behind: no task, timer, generator, thread, open file or
    socket.

    Else it fails with `cortex_rx.testing.Leaked`, which names what is left.  What other fixtures hold is not looked at.
    It takes some tenths of a second.
    """
    from cortex_rx.testing import assert_no_leaks

    body: Callable[..., Any] = request.node.obj

    @functools.wraps(body)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with assert_no_leaks():
            return body(*args, **kwargs)

    @functools.wraps(body)
    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        async with assert_no_leaks():
            return await body(*args, **kwargs)

    request.node.obj = awaiting if inspect.iscoroutinefunction(body) else plain


@pytest.fixture
def make_backend() -> Iterator[Callable[[], SqliteBackend]]:
    """Makes empty SQLite stores in memory: `make_backend()`, or as it is for `check_operator(..., store=make_backend)`.

    Ids count from `001`, and in virtual time the clock is that of the loop, so that two runs store the same.  In the
    test that uses it the package counts all its ids, claims and tokens (`cortex_rx.testing.counted_ids`), so that a
    snapshot of anything got through `Cortex` stays the same.  What the test has not closed is closed after it.
    """
    from cortex_rx import SqliteBackend
    from cortex_rx.testing import counted_ids, wall

    made: list[SqliteBackend] = []

    def make() -> SqliteBackend:
        ids = count(1)
        backend = SqliteBackend(":memory:", clock=wall, new_id=lambda: f"{next(ids):03}")
        made.append(backend)
        return backend

    async def close() -> None:
        for backend in made:
            await backend.close()

    with counted_ids():
        yield make
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(close())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show in the report of a failing test what its recorder has."""
    report = (yield).get_result()
    recorder = item.stash.get(TRACE, None)
    if recorder and recorder.lanes and report.when == "call" and report.failed:
        report.sections.append(("marbles", str(recorder)))
