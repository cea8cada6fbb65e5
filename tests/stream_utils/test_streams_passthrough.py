"""`create_passthrough_stream`: an observer that sees everything once and changes nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from cortex_rx.errors import InvalidArgument
from cortex_rx.stream_utils import create_passthrough_stream
from cortex_rx.testing import run_virtual


class Watcher:
    def __init__(self, kind):
        self.seen, self.kind = [], kind

    def callbacks(self):
        def told(name):
            def plain(value):
                self.seen.append((name, value if isinstance(value, str) else type(value).__name__))
                if self.kind == "fails":
                    raise ZeroDivisionError("a private text")

            async def later(value):
                await asyncio.sleep(1)
                plain(value)

            return later if self.kind == "async" else plain

        return [told(name) for name in ("chunk", "complete", "error")]


@pytest.mark.parametrize("kind", ["plain", "async", "fails"])
def test_an_observer_is_told_and_changes_nothing(kit, kind, caplog):
    watcher = Watcher(kind)
    observed = create_passthrough_stream(*watcher.callbacks())

    async def main():
        async with kit.nothing_left():
            for _ in range(2):  # it may observe any number of streams
                assert [chunk async for chunk in observed(kit.Source("a", "b"))] == ["a", "b"]

    with caplog.at_level(logging.WARNING, "cortex_rx"):
        run_virtual(main())
    assert watcher.seen == [("chunk", "a"), ("chunk", "b"), ("complete", "ab")] * 2
    expected = [
        f"on_{name} of a passthrough stream failed: ZeroDivisionError" for name in ("chunk", "chunk", "complete")
    ]
    assert [record.getMessage() for record in caplog.records] == (expected * 2 if kind == "fails" else [])


def test_an_observer_is_told_before_the_reader(kit):
    async def main():
        seen = []
        observed = create_passthrough_stream(
            lambda chunk: seen.append(f"told {chunk}"), lambda text: seen.append(f"whole {text}")
        )
        async for chunk in observed(kit.Source("a", "b")):
            seen.append(f"read {chunk}")
        seen.append("end")
        return seen

    assert run_virtual(main()) == ["told a", "read a", "told b", "read b", "whole ab", "end"]


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("way", ["fail", "leave", "cancel"])
def test_an_observer_is_told_once_what_ended_the_stream_early(kit, kind, way):
    watcher = Watcher(kind)

    async def main():
        async with kit.nothing_left():
            source = kit.Source("a", ConnectionError("gone") if way == "fail" else 60)
            stream = create_passthrough_stream(*watcher.callbacks())(source)
            if way == "fail":
                assert type(await kit.gather(stream, [])) is ConnectionError
            elif way == "leave":
                await anext(stream)
                await stream.aclose()
            else:
                reader = asyncio.create_task(kit.gather(stream, []))
                await asyncio.sleep(10)
                reader.cancel()
                await asyncio.wait({reader})
            return source.closed

    assert run_virtual(main()) == 1
    ended = {"fail": "ConnectionError", "leave": "GeneratorExit", "cancel": "CancelledError"}[way]
    assert watcher.seen == [("chunk", "a"), ("error", ended)]


def test_an_observer_without_callbacks_holds_nothing(kit):
    async def main():
        stream = create_passthrough_stream()(kit.Source("a", "b"))
        await anext(stream)
        assert stream.ag_frame.f_locals["chunks"] == []
        return [chunk async for chunk in stream]

    assert run_virtual(main()) == ["b"]


@pytest.mark.parametrize("name", ["on_chunk", "on_complete", "on_error"])
def test_a_callback_that_is_no_function_is_refused(name):
    with pytest.raises(InvalidArgument, match=f"{name}: got 'int'; accepted: a function"):
        create_passthrough_stream(**{name: 5})
