"""`last`: the last event, or the last of a kind; nothing of the text is kept."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from reactivex import operators as ops
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from cortex_rx import operators as cx
from cortex_rx.engine import run
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.events import Delta, Ended, Measured, Opened, PartialStored, Problem, Remembered, StreamEvent
from cortex_rx.pipeline.default_chain import default_chain


@pytest.mark.parametrize("kind", [Opened, Delta, Ended, PartialStored, Remembered, Measured, StreamEvent])
def test_the_last_of_a_kind(lab, kind):
    async def main():
        outcome = lab.Outcome()
        source = lab.source("a", 0.7, "b", 0.7, "c")
        played = await lab.play(source, default_chain(lab.store), into=outcome, traced=False)
        assert played.error is None
        again = lab.source("a", 0.7, "b", 0.7, "c", stream="stream-2")
        return outcome, await run(again.pipe(default_chain(lab.store), cx.last(kind)))

    outcome, event = lab.run(main)
    assert type(event) is type(outcome.of(kind)[-1])
    assert isinstance(event, kind)
    if kind is Delta:
        assert event.text == "c"
    if kind is StreamEvent:
        assert type(event) is Measured, "the very last"


def test_remembered_is_what_is_stored(lab):
    async def main():
        remembered = await run(lab.source("It ", "is.").pipe(default_chain(lab.store), cx.last(Remembered)))
        return remembered, await lab.contents()

    remembered, memories = lab.run(main)
    assert [memory.content for memory in remembered.memories] == [content for _, content in memories]
    assert [memory.content for memory in remembered.memories] == ["What is it?", "It is."]


def test_it_comes_at_the_end(lab, snapshot):
    async def main():
        source = lab.source("a", 0.5, "b").pipe(lab.trace.tap("source"), default_chain(lab.store))
        await run(source.pipe(cx.last(Remembered), lab.trace.tap("out")))

    lab.run(main, thorough=True)
    assert lab.drawn() == snapshot


def test_none_of_the_kind_is_an_error(lab):
    async def main():
        with pytest.raises(SequenceContainsNoElementsError):
            await run(lab.source("a").pipe(cx.last(Problem)))

    lab.run(main)


def test_the_error_of_the_stream_passes(lab):
    gone = ConnectionError("gone")

    async def main():
        with pytest.raises(ConnectionError) as caught:
            await run(lab.source("a", gone).pipe(cx.last()))
        return caught.value

    assert lab.run(main) is gone


class _Text(str):
    """A text that one can watch."""


@pytest.mark.parametrize(("keeps", "sink"), [(False, cx.last()), (True, ops.to_list())], ids=["last", "a list"])
def test_no_text_is_kept(lab, keeps, sink):
    """How many of 400 texts are still held when the last has passed; a list of all events shows that the test can
    tell.
    """
    texts, held = [], []

    async def main():
        async def model():
            for number in range(400):
                await asyncio.sleep(0.05)
                text = _Text(f"{number} ".ljust(3000))
                texts.append(weakref.ref(text))
                yield Delta(text, number, 3000 * number, 0, 0.0)
                del text
            gc.collect()
            held.append(sum(reference() is not None for reference in texts))
            yield Ended("stop", 1_200_000, 400)

        async def whole(_=None):
            yield lab.opened
            async for event in model():
                yield event

        await run(from_async_iterable(whole).pipe(default_chain(lab.store.inner), sink))

    lab.run(main)
    if keeps:
        assert held == [400]
    else:
        assert held[0] < 30, "those of the last interval, which are not written yet"
