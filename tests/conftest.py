"""For all tests: the lanes, no time limit for a case of a property, and the figures of the proofs in `tests/proofs`.

A test that is marked `slow`, with a reason, is left out unless `--all` is given or the test is named by itself.  The
end of a run says how many were left out, and why.  A third of the examples of a property is run then.

The files of the tests are in memory where there is room for them.

A proof runs a slice of its cases, or all of them with `--torture`.  Its counts are printed at the end.  With
`--torture` they are written to `docs/proofs.json`, from which docs/proofs.md is made.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings
from services.fixtures import *  # noqa: F403  # the graph servers
from services.run import Services

T = TypeVar("T")

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs" / "proofs.json"
_counted: dict[str, Counter[str]] = {}
_left_out: Counter[str] = Counter()  # by reason

if settings.get_current_profile_name() == "default":  # the one for CI has none either, and is not random
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


class Proof:
    """Which share of a proof this run does, and where its figures go."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node = request.node
        self.torture: bool = request.config.getoption("--torture")
        self._all = runs_all(request.config)

    def size(self, slice_: T, whole: T, *, quick: T | None = None) -> T:
        """The first number in a usual run, the second with `--torture`; `quick` where slow tests are left out."""
        if self.torture:
            return whole
        return slice_ if quick is None or self._all else quick

    def count(self, name: str, counts: Mapping[str, int]) -> None:
        """Note figures of a proof; those of several tests under one name are added up."""
        self._node.user_properties.append(("proof", [name, dict(counts)]))


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Proof:
    """The `Proof` of this test, which is one of the proofs or a part of one."""
    return Proof(request)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the tests that are marked slow, too")
    parser.addoption("--torture", action="store_true", help="run the proofs in tests/proofs with all their cases")


def runs_all(config: pytest.Config) -> bool:
    """Whether nothing is left out."""
    options = ("--all", "--torture")
    return any(map(config.getoption, options)) or any("::" in each for each in config.args)


SHM = Path("/dev/shm")
ROOM = 2 * 2**30  # bytes; a whole run needs 1 GB if nothing is removed meanwhile


def pytest_configure(config: pytest.Config) -> None:
    # Tests make, sync and remove thousands of small files, which takes time on a disk.
    if SHM.is_dir() and os.access(SHM, os.W_OK) and shutil.disk_usage(SHM).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHM))
    if not runs_all(config):
        settings.register_profile("a third", settings.get_profile(settings.get_current_profile_name()), max_examples=34)
        settings.load_profile("a third")
        # The snapshots of tests that are left out are not unused; `make test-all` fails for one that is.
        config.option.warn_unused_snapshots = True
    config.pluginmanager.register(Services())
    config.addinivalue_line("markers", "slow(reason): left out unless --all is given, or the test is named by itself")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Import no file only to find that it has no doctest: one of the helpers imports the clients of all providers."""
    found = yield
    if file_path.suffix == ".py" and b">>> " not in file_path.read_bytes():
        found = [each for each in found if not isinstance(each, DoctestModule)]
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _has_neo4j(item) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))  # it waits until the server is there, and others have done
    if config.getoption("--torture"):
        for item in items:
            if HERE / "proofs" in item.path.parents:
                item.add_marker(pytest.mark.timeout(7200))
    elif not runs_all(config):
        reasons = {item: str(mark.kwargs["reason"]) for item in items if (mark := item.get_closest_marker("slow"))}
        _left_out.update(reasons.values())
        items[:] = [item for item in items if item not in reasons]
        config.hook.pytest_deselected(items=list(reasons))


def _has_neo4j(item: pytest.Function) -> bool:
    return "neo4j_server" in (*item.fixturenames, *(item.callspec.params.values() if hasattr(item, "callspec") else ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note what a worker has left out; each worker has left out the same."""
    _left_out.clear()
    _left_out.update(getattr(node, "workeroutput", {}).get("left out", {}))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Freeze what was imported and collected, more than a million objects: garbage collection does not visit it
    again.
    """
    from cortex_rx.testing._heap import set_aside

    with set_aside():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Freeze what a test file has imported; freeze all again if a test has thawed the heap, as mypy does."""
    from cortex_rx.testing._heap import set_more_aside

    done = yield
    if nextitem and nextitem.path != item.path:
        set_more_aside()
    return done


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Drop the tracebacks of exceptions that are parameters: they keep the frames of each raise alive, and these whole
    pipelines.
    """
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        for value in item.callspec.params.values():
            if isinstance(value, BaseException):
                value.__traceback__ = value.__context__ = None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "proof":
                of, counts = value
                _counted.setdefault(of, Counter()).update(counts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _left_out:
        terminalreporter.write_line(f"left out: {_left_out.total()} slow tests, which `make test-all` runs:")
        for reason, number in sorted(_left_out.items()):
            terminalreporter.write_line(f"  {number}: {reason}")
    for name, counts in sorted(_counted.items()):
        said = ", ".join(f"{what} {number:,}" for what, number in counts.items())
        terminalreporter.write_line(f"proof: {name}: {said}")
    failed = terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")
    if _counted and config.getoption("--torture") and not failed and not config.getoption("keyword"):  # not of a part
        known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        known.update({name: _ordered(counts) for name, counts in _counted.items()})
        FIGURES.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """First the number of all cases, then what they were."""
    most = [what for what in ("cases", "kills", "stops", "seeds", "examples of 80 steps") if what in counts][:1]
    return {what: counts[what] for what in (*most, *sorted(counts.keys() - set(most)))}
