"""The report of the conformance suite, as a person reads it."""

from __future__ import annotations

import pytest
from helpers.wrong_backends import WRONG

from cortex_rx import SqliteBackend
from cortex_rx.testing import BrokenPromise, check_backend, wall

pytestmark = pytest.mark.slow(reason="each promise alone is checked in every run")


def test_a_store_in_memory_keeps_the_contract_and_the_report_says_what_that_does_not_show(snapshot):
    report = check_backend(lambda: SqliteBackend(":memory:", clock=wall), shared=False, virtual=True)
    assert [promise.name for promise, _ in report.skipped] == ["acknowledged_is_stored"]
    assert str(report) == snapshot


def test_the_report_of_a_wrong_backend(tmp_path, snapshot):
    kind, _ = WRONG["AcknowledgesBeforeItCommits"]
    with pytest.raises(BrokenPromise) as broken:
        check_backend(lambda: kind(tmp_path / "memory.db", clock=wall), virtual=True)
    assert str(broken.value) == snapshot
