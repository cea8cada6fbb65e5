"""`text`: the text of each delta, at once."""

from __future__ import annotations

import pytest

from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.events import Custom
from cortex_rx.pipeline.default_chain import default_chain


def test_each_at_its_instant(lab, snapshot):
    lab.store.slow("append", 0.2)
    lab.store.slow("finalize", 1.0)

    async def main():
        source = lab.source("It ", 0.5, "is ", 0.5, "this.")
        pipeline = source.pipe(lab.trace.tap("source"), default_chain(lab.store), cx.text(), lab.trace.tap("out"))
        async with stream(pipeline) as texts:
            return [text async for text in texts], await lab.contents()

    texts, memories = lab.run(main, thorough=True)
    assert texts == ["It ", "is ", "this."]
    assert lab.trace.times("out")[:3] == [0.0, 0.5, 1.0]
    assert memories[1] == ("agent", "It is this."), "it completes when all is stored"
    assert lab.drawn() == snapshot


def test_nothing_else_passes(lab):
    async def main():
        a, b = lab.deltas("a", "b")
        source = lab.events(lab.opened, a, Custom("reasoning", "hm"), b, lab.ended("ab", deltas=2))
        async with stream(source.pipe(cx.text())) as texts:
            return [text async for text in texts]

    assert lab.run(main) == ["a", "b"]


def test_an_error_comes_behind_the_text(lab):
    async def main():
        read = []
        with pytest.raises(ConnectionError, match="gone"):
            async with stream(lab.source("a", 0.1, "b", ConnectionError("gone")).pipe(cx.text())) as texts:
                async for text in texts:
                    read.append(text)
        return read

    assert lab.run(main) == ["a", "b"]


def test_leaving_it_keeps_what_was_read(lab):
    async def main():
        source = lab.source(*[item for number in range(100) for item in (0.05, f"{number} ")])
        read = ""
        async with stream(source.pipe(default_chain(lab.store), cx.text())) as texts:
            async for text in texts:
                read += text
                if len(read) > 40:
                    break
        return read, await lab.partial()

    read, partial = lab.run(main)
    assert partial.startswith(read)
    assert lab.model.closed == 1
