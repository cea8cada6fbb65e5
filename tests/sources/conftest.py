"""Shared by the tests of sources: one turn, and everything that a source emits, its error too."""

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
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")


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
    def customs(self) -> list[tuple[str, Any]]:
        return [(event.name, event.data) for event in self.of(Custom)]

    @property
    def problems(self) -> list[Problem]:
        return self.of(Problem)

    @property
    def ended(self) -> Ended:
        (ended,) = self.of(Ended)
        assert ended is self.events[-1] and isinstance(self.events[0], Opened)
        return ended


async def everything(observable: Any) -> Came:
    seen = await run(observable.pipe(ops.materialize(), ops.to_list()))
    assert seen[-1].kind in "CE"
    return Came(events=[each.value for each in seen[:-1]], error=getattr(seen[-1], "exception", None))


async def read(source: Any, *operators: Any, **keywords: Any) -> Came:
    return await everything(from_stream(source, **{"turn": TURN, **keywords}).pipe(*operators))


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    return SimpleNamespace(TURN=TURN, read=read, everything=everything)


@pytest.fixture(scope="session")
def stories() -> ModuleType:
    """The items of the providers' clients for the answers of `providers/stories.py`."""
    name = "cortex_rx_providers_stories"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("providers") / "stories.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SERVER = Path(__file__).parents[2] / "examples" / "demo" / "server.py"


@pytest.fixture(scope="module")  # where `assert_no_leaks` looks, no server may run
def server() -> Iterator[Any]:
    """The demo's server, with an answer that has everything in it."""
    spec = importlib.util.spec_from_file_location("cortex_rx_demo_server", SERVER)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Server("Hello wörld! 記憶は川である。 👩‍🚀 and 𠮷, don't: `C++`;\n\n  and so on. " * 20) as running:
        yield running
