"""The conformance suite: SQLite keeps the contract, and a backend with one defect breaks a named promise."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from itertools import count

import pytest
from helpers.empty_store import lay_out
from helpers.lanes import slow_but
from helpers.wrong_backends import WRONG

from cortex_rx import SqliteBackend
from cortex_rx.errors import InvalidArgument
from cortex_rx.testing import BACKEND_PROMISES, BrokenPromise, check_backend, wall

for area in (
    *("memories", "conversations", "contexts", "memory_spaces", "users", "agents", "immutable", "mutable"),
    "graph_sync",
):
    importlib.import_module(f"helpers.wrong_{area}")  # fills WRONG

BY_NAME = {promise.name: promise for promise in BACKEND_PROMISES}
CASES = [(name, promise) for name, (_, promises) in WRONG.items() for promise in promises]


LONG = ("a_stream_has_so_many_facts", "calls_are_accepted_and_refused")


@pytest.mark.parametrize(
    "promise",
    slow_but(
        [promise for promise in BACKEND_PROMISES if promise.name not in LONG],
        BACKEND_PROMISES,
        "many calls, made to a store in memory in every run",
    ),
    ids=str,
)
def test_a_file_keeps_the_contract(promise, tmp_path):
    """On its real threads, in real time: some tenths of a second where a lease runs out."""
    lay_out(tmp_path / "memory.db")
    promise.check(lambda: SqliteBackend(tmp_path / "memory.db"))


@pytest.mark.slow(reason="each promise alone is checked in every run")
def test_one_file_serves_all_promises_and_nothing_is_left_open(tmp_path, no_leaks):
    report = check_backend(lambda: SqliteBackend(tmp_path / "memory.db", clock=wall), virtual=True)
    assert report.checked == BACKEND_PROMISES
    assert report.skipped == report.broken == ()
    sys.stdout.write(f"{len(report.checked)} promises, {len(CASES)} cases of wrong backends\n")


@pytest.mark.slow(reason="each promise alone is checked in every run")
def test_a_store_in_memory_keeps_the_contract_and_the_report_says_what_that_does_not_show(snapshot):
    report = check_backend(lambda: SqliteBackend(":memory:", clock=wall), shared=False, virtual=True)
    assert [promise.name for promise, _ in report.skipped] == ["acknowledged_is_stored"]
    assert str(report) == snapshot


@pytest.mark.parametrize(("name", "promise"), CASES, ids=[f"{name}-{promise}" for name, promise in CASES])
def test_what_is_wrong_is_noticed(name, promise, tmp_path):
    kind, _ = WRONG[name]
    lay_out(tmp_path / "memory.db")
    with pytest.raises(BrokenPromise) as broken:
        BY_NAME[promise].check(lambda: kind(tmp_path / "memory.db", clock=wall), virtual=True)
    assert broken.value.promise == BY_NAME[promise].says
    assert re.search("the contract says|failed: |in a result", broken.value.what)


def test_every_promise_has_somebody_who_breaks_it():
    """A promise that nothing can break would show nothing."""
    assert {promise for _, promise in CASES} == set(BY_NAME)
    assert len(BY_NAME) == len(BACKEND_PROMISES)  # a name of two would hide one of them


@pytest.mark.slow(reason="each promise alone is checked in every run")
def test_the_report_of_a_wrong_backend(tmp_path, snapshot):
    kind, _ = WRONG["AcknowledgesBeforeItCommits"]
    with pytest.raises(BrokenPromise) as broken:
        check_backend(lambda: kind(tmp_path / "memory.db", clock=wall), virtual=True)
    assert str(broken.value) == snapshot


@pytest.mark.slow(reason="each promise alone is checked in every run")
def test_what_is_ignored_is_said(tmp_path):
    numbers = count()

    def make():
        return WRONG["OldestFirst"][0](tmp_path / f"{next(numbers)}.db", clock=wall)

    with pytest.raises(BrokenPromise):
        check_backend(make, shared=False, virtual=True, ignore=["the_newest_comes_first", "a_stream_has_so_many_facts"])
    with pytest.raises(InvalidArgument, match="the_oldest"):
        check_backend(make, ignore=["the_oldest_comes_first"])


def test_a_promise_that_hangs_is_broken(tmp_path):
    class Hangs(SqliteBackend):
        async def mutation(self, path, args):
            await asyncio.sleep(1_000_000)

    with pytest.raises(BrokenPromise, match="TimeoutError"):
        BY_NAME["begin_stores_the_question"].check(lambda: Hangs(":memory:", clock=wall), virtual=True)
