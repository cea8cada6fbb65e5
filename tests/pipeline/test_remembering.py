"""What is made once is not made again for each stream."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any

from benchmarks.store import NullStore
from cortex_rx import remember_stream
from cortex_rx.testing import run_virtual


async def _model() -> AsyncIterator[str]:
    yield "Good day."


async def _remember(**options: Any) -> None:
    await remember_stream(
        _model,
        backend=NullStore(),
        memory_space_id="space",
        conversation_id="c-1",
        user_message="What is it?",
        user_id="ada",
        user_name="Ada",
        **options,
    )


def _calls_of_a_second_stream(**options: Any) -> Counter[tuple[str, str]]:
    """The Python functions that are called to build and run it, by module and name."""
    calls: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_globals.get("__name__", ""), frame.f_code.co_qualname] += 1

    async def main() -> None:
        await _remember(**options)
        sys.setprofile(note)
        try:
            await _remember(**options)
        finally:
            sys.setprofile(None)

    run_virtual(main())
    return calls


def test_a_stream_spells_no_name_and_binds_no_arguments_anew() -> None:
    for options in ({}, {"options": {"partialResponseInterval": 250, "streamTimeout": 5000}}):
        calls = _calls_of_a_second_stream(**options)
        assert calls["cortex_rx.chain", "Chain.__call__"] == 1
        assert {module for module, _ in calls}.isdisjoint({"re", "pydantic.alias_generators", "importlib._bootstrap"})
        assert {name for module, name in calls if module == "inspect"}.isdisjoint({"signature", "Signature.bind"})
        assert calls["cortex_rx.models.base", "_spellings"] == 0
        assert calls["cortex_rx.models.spelling", "to_camel"] == 0


def test_a_short_stream_takes_few_calls_beyond_its_tokens() -> None:
    """Building, subscribing and ending it; the virtual loop and the standard library not counted."""
    calls = _calls_of_a_second_stream()
    ours = sum(
        number
        for (module, _), number in calls.items()
        if module.startswith(("cortex_rx.", "reactivex")) and not module.startswith("cortex_rx.testing")
    )
    assert ours <= 930
    assert calls["asyncio.events", "Handle._run"] <= 30
