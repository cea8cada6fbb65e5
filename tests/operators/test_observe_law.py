"""The law of `observe`: what the hooks get equals a fold over the events that passed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx import operators as cx
from cortex_rx.engine import passing, run
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.events import (
    Begun,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Resumed,
    StreamEvent,
)
from cortex_rx.models.records import ProgressiveFact
from cortex_rx.models.turn import Turn
from cortex_rx.testing import EPOCH, run_virtual

TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")
EVERY = 0.2371  # never the sum of some of the pauses below: no rounding decides
EXPECTED = 40  # code points


def fact(name: str) -> ProgressiveFact:
    return ProgressiveFact(fact_id=name, extracted_at_chunk=1, confidence=80, fact="a fact")


# --- streams ----------------------------------------------------------------------------------------------------------

PAUSES = [0.0, 0.0, 0.01, 0.1, 0.25, 0.3, 1.0]
TEXT = st.text("abc \nß日🎉", min_size=1, max_size=9)
STEP = st.one_of(
    TEXT,
    TEXT,
    TEXT,
    st.booleans().map(lambda again: Problem("storage", "X", "it failed", again)),
    st.sampled_from(["anew", "resumed anew", "stored"]).map(lambda what: (what,)),
    st.just(Custom("tool_call")),
    st.lists(st.sampled_from("fgh"), min_size=1).map(lambda names: FactsExtracted(tuple(map(fact, names)))),
)


@st.composite
def streams(draw: Any, least: float = 0.0) -> list[Any]:
    """Events, with pauses in seconds between them; at the end perhaps an exception."""
    pause = st.sampled_from([one for one in PAUSES if one >= least])
    script: list[Any] = [0.2, Opened(TURN, "stream-1", EPOCH + 0.2)]
    stores = draw(st.booleans())
    if stores:
        script += [draw(pause), Begun("mem-1", 1)]
    index = offset = attempt = 0
    for step in draw(st.lists(STEP, max_size=25)):
        script.append(draw(pause))
        match step:
            case str():
                text = step if index else chr(0x400 + attempt) + step  # no attempt begins as another does
                script.append(Delta(text, index, offset, attempt, 0.0))
                index, offset = index + 1, offset + len(text)
            case ("stored",):
                script.append(PartialStored(offset, index, attempt, at=1.5))
            case (how,):
                attempt, index, offset = attempt + 1, 0, 0
                if how == "resumed anew":
                    script.append(Resumed(1, attempt, 0, "x"))
            case _:
                script.append(step)
    script.append(draw(pause))
    end = draw(st.sampled_from(["complete", "complete", "cut off", ValueError("a bug"), ConnectionResetError("gone")]))
    if end == "complete":
        script.append(Ended("stop", offset, index))
        if stores:
            script += [draw(pause), Remembered("c-1", ("a", "b"), ())]
    elif isinstance(end, Exception):
        script.append(end)
    return script


def play(script: list[Any], hook: Any) -> tuple[list[tuple[float, StreamEvent]], Any, list[tuple[str, Any]]]:
    """What passed, with its times; how it ended; and what the hooks were told, in order.  `hook(told)` makes each."""
    passed: list[tuple[float, StreamEvent]] = []
    told: list[tuple[str, Any]] = []

    async def source(_: object) -> Any:
        for one in script:
            if isinstance(one, float):
                if one:
                    await asyncio.sleep(one)
            elif isinstance(one, Exception):
                raise one
            else:
                yield one

    def note(emit: Any, flow: Any, end: Any) -> Any:
        def on_next(event: StreamEvent) -> None:
            passed.append((flow.time(), event))
            emit(event)

        return on_next, None

    async def main() -> Exception | None:
        hooks = {name: hook(lambda event, name=name: told.append((name, event))) for name in NAMES}
        observe = cx.observe(
            **hooks, every=timedelta(seconds=EVERY), expected_length=EXPECTED, call_timeout=timedelta(hours=1)
        )
        try:
            await run(from_async_iterable(source).pipe(passing(note), observe))
        except Exception as error:
            return error
        return None

    return passed, run_virtual(main()), told


NAMES = ("on_chunk", "on_progress", "on_error", "on_complete")

# --- the fold, as one would write it without a thought for its cost ---------------------------------------------------


def near(milliseconds: float) -> Any:
    return pytest.approx(milliseconds, rel=0, abs=0.01)


def fold(passed: list[tuple[float, StreamEvent]], error: Exception | None) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    texts: list[str] = []
    firsts: list[float] = []
    opened = passed[0][0]
    begun = stored = ended = remembered = None
    attempt, facts, last_progress = 0, set(), None

    def wall(now: float) -> float:
        return (EPOCH + 0.2 + now - opened) * 1000

    def progress(now: float, phase: str, always: bool = False) -> None:
        nonlocal last_progress
        if not always and last_progress is not None and now < last_progress + EVERY:
            return
        last_progress = now
        estimate, length = None, len("".join(texts))
        if texts and ended is None and now > firsts[0] and length > len(texts[0]) and length <= EXPECTED:
            pace = (length - len(texts[0])) / (now - firsts[0])
            estimate = near(wall(now) + (EXPECTED - length) / pace * 1000)
        about = {"bytes_processed": length, "chunks": len(texts), "elapsed_ms": near((now - opened) * 1000)}
        told.append(("on_progress", about | {"estimated_completion": estimate, "current_phase": phase}))

    def failed(phase: str, code: str, message: str, recoverable: bool) -> None:
        context = {"phase": phase, "chunk_number": len(texts), "bytes_processed": len("".join(texts))}
        context |= {"partial_memory_id": begun, "last_successful_update": stored}
        saved = stored is not None or remembered is not None
        about = {"code": code, "message": message, "recoverable": recoverable, "phase": phase}
        told.append(("on_error", about | {"partial_data_saved": saved, "resume_token": None, "context": context}))

    for now, event in passed:
        match event:
            case Delta(text=text):
                if event.attempt > attempt:
                    attempt, texts, firsts = event.attempt, [], []
                offset = len("".join(texts))
                texts.append(text)
                firsts.append(now)
                whole = "".join(texts)
                about = {"chunk": text, "chunk_number": len(texts), "accumulated": whole, "timestamp": near(wall(now))}
                about |= {"estimated_tokens": (len(whole) + 3) // 4, "offset": offset, "deltas": 1}
                told.append(("on_chunk", about))
                progress(now, "streaming")
            case Resumed():
                attempt, texts, firsts = event.attempt, [], []
            case Begun():
                begun = event.memory_id
            case PartialStored():
                stored = (EPOCH + 0.2 + event.at) * 1000
                progress(now, "storage")
            case FactsExtracted():
                facts |= {one.fact_id for one in event.facts}
                progress(now, "fact-extraction")
            case Problem():
                failed(event.phase, event.code, event.message, event.recoverable)
            case Ended():
                ended = now
                progress(now, "finalization", always=True)
            case Remembered():
                remembered = event
                progress(now, "finalization", always=True)
    if error:
        name = type(error).__name__
        phase = "streaming" if texts else "initialization"
        failed(phase, name, f"{name} was raised", isinstance(error, ConnectionError))
    elif remembered or (ended and not begun):
        about = {"full_response": "".join(texts), "total_chunks": len(texts), "facts_extracted": len(facts)}
        told.append(("on_complete", about | {"duration_ms": near((ended - opened) * 1000)}))
    return told


def sync(tell: Any) -> Any:
    return tell


def without_waiting(tell: Any) -> Any:
    async def hook(event: Any) -> None:
        tell(event)

    return hook


def taking(seconds: float) -> Any:
    def make(tell: Any) -> Any:
        async def hook(event: Any) -> None:
            tell(event)
            await asyncio.sleep(seconds)

        return hook

    return make


def dumped(told: list[tuple[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, event.model_dump()) for name, event in told]


# --- the law ----------------------------------------------------------------------------------------------------------


@given(streams(), st.sampled_from([sync, without_waiting]))
def test_what_the_hooks_are_told_equals_the_fold(script: list[Any], hook: Any) -> None:
    passed, error, told = play(script, hook)
    assert dumped(told) == fold(passed, error)


@given(streams(least=0.01))
def test_so_it_does_for_hooks_that_return_before_anything_else_passes(script: list[Any]) -> None:
    """At most three calls are made for one event, of a millisecond each; the next comes after ten."""
    passed, error, told = play(script, taking(0.001))
    assert dumped(told) == fold(passed, error)


@given(streams(), st.sampled_from([0.0, 0.05, 0.5, 3.0]))
def test_for_slower_hooks_what_is_merged_adds_up(script: list[Any], seconds: float) -> None:
    passed, error, told = play(script, taking(seconds))
    truth, got = fold(passed, error), dumped(told)

    # Errors and the completion: each, with the same numbers.
    for name in ("on_error", "on_complete"):
        assert [about for one, about in got if one == name] == [about for one, about in truth if one == name]

    # Progress: some, in order, and the last.
    progress = [about for name, about in truth if name == "on_progress"]
    mine = [about for name, about in got if name == "on_progress"]
    left = iter(progress)
    assert all(about in left for about in mine)
    assert mine[-1:] == progress[-1:]

    # Text: each chunk is what adjacent ones are together, none is told twice, and of the last text none is left out.
    chunks = [about for name, about in truth if name == "on_chunk"]
    at = 0
    for about in (about for name, about in got if name == "on_chunk"):
        while chunks[at]["offset"] != about["offset"] or not about["accumulated"].startswith(chunks[at]["accumulated"]):
            at += 1  # of a text that began anew since
        parts = chunks[at : at + about["deltas"]]
        together = {**parts[-1], "chunk": "".join(part["chunk"] for part in parts)}
        assert about == together | {"offset": parts[0]["offset"], "deltas": len(parts)}
        at += len(parts)
    assert at == len(chunks)
    if not any(isinstance(event, Delta) and event.attempt for _, event in passed):
        assert sum(about["deltas"] for name, about in got if name == "on_chunk") == len(chunks)

    # The order of things: an error is told after the text that came before it, and before what came after it.
    number = 0
    for name, about in got:
        if name == "on_chunk":
            number = about["chunk_number"]
        elif name == "on_error" and not any(
            isinstance(event, Delta | Resumed) and event.attempt for _, event in passed
        ):
            assert number == about["context"]["chunk_number"]
