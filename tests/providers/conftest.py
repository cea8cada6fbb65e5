"""What the tests of the providers share: one turn, everything that comes of a source, stories, and a server that tells them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from reactivex import operators as ops

from cortex_rx import Turn, from_stream, run
from cortex_rx.events import Custom, Delta, Ended, Opened

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cortex_rx_providers_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Came(SimpleNamespace):
    """The events of a stream, and the error that it ended with, or None."""

    events: list[Any]
    error: Exception | None

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.of(Delta)]

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def named(self, name: str) -> list[Any]:
        return [event.data for event in self.of(Custom) if event.name == name]

    @property
    def names(self) -> set[str]:
        return {event.name for event in self.of(Custom)}

    @property
    def ended(self) -> Ended:
        (ended,) = self.of(Ended)
        assert ended is self.events[-1] and isinstance(self.events[0], Opened)
        return ended


async def read(source: Any, *operators: Any, **keywords: Any) -> Came:
    stream = from_stream(source, **{"turn": TURN, **keywords})
    seen = await run(stream.pipe(*operators, ops.materialize(), ops.to_list()))
    assert seen[-1].kind in "CE"
    return Came(events=[each.value for each in seen[:-1]], error=getattr(seen[-1], "exception", None))


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    return SimpleNamespace(TURN=TURN, read=read)


@pytest.fixture(scope="session")
def stories() -> ModuleType:
    return _load("stories")


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """One for a file: to start and to stop it takes a quarter of a second."""
    with _load("server").Server() as running:
        yield running


@pytest.fixture
def server(running: Any) -> Iterator[Any]:
    running.scripts.clear()
    yield running
    assert running.open == 0  # what was opened is closed
