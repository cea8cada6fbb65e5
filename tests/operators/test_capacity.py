"""How far the source runs ahead of a slow reader: at most the capacity and one, for every chain."""

from __future__ import annotations

import asyncio

import pytest

from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.events import Delta
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.pipeline.remembering import remember_stream

HANDLE = 32
"""The capacity of the handle."""


@pytest.mark.parametrize("capacity", [1, 2, 5, 32, 100])
@pytest.mark.parametrize("latency", [0.0, 0.2])
def test_the_default_chain(lab, capacity, latency):
    lab.store.slow("append", latency)
    ahead = []

    async def main():
        source = lab.source(*[item for number in range(400) for item in (0.001, f"{number} ")])
        read = 0
        async with stream(source.pipe(default_chain(lab.store)), capacity=capacity) as events:
            async for event in events:
                if isinstance(event, Delta):
                    read += 1
                    await asyncio.sleep(0.3 if read % 50 < 5 else 0)  # it stops, and catches up
                    ahead.append(lab.model.given - read)
        return read, await lab.contents()

    read, memories = lab.run(main)
    assert read == 400
    assert max(ahead) <= capacity + 1
    assert max(ahead) >= capacity - 2, "and it does read ahead"
    assert memories[1] == ("agent", "".join(f"{number} " for number in range(400)))


@pytest.mark.parametrize("show", ["at once", "durable"])
def test_with_every_step(lab, show):
    """Timeout, limit and a durable store between: a stage holds no more than its own mailbox."""
    ahead = []

    async def main():
        chain = default_chain(lab.store, {"stream_timeout": 30_000, "max_response_length": 50_000})
        chain = chain.replace("persist_partial", cx.persist_partial(lab.store, show=show))
        source = lab.source(*[item for number in range(400) for item in (0.001, f"{number} ")])
        read = 0
        async with stream(source.pipe(chain), capacity=4) as events:
            async for event in events:
                if isinstance(event, Delta):
                    read += 1
                    await asyncio.sleep(1.0 if read < 5 else 0)
                    ahead.append(lab.model.given - read)
        return read

    assert lab.run(main) == 400
    assert max(ahead) <= 4 + 1 + (0 if show == "at once" else 33)


@pytest.mark.parametrize("readers", [1, 3])
def test_the_handle(lab, readers):
    """The slowest of its readers sets the pace."""
    ahead = []

    async def main():
        model = lab.Model(*[item for number in range(400) for item in (0.001, f"{number} ")])
        answer = remember_stream(
            model, backend=lab.store, memory_space_id="space", conversation_id="c-1", user_message="?", agent_id="a"
        )

        async def read(pause):
            count, text = 0, ""
            async for piece in answer:
                text += piece
                count += 1
                await asyncio.sleep(pause if count % 50 < 3 else 0)
                if pause == 0.5:
                    ahead.append(model.given - count)
            return text

        texts = await asyncio.gather(*(read(pause) for pause in (0.5, 0.1, 0.0)[:readers]))
        return texts, (await answer).full_response

    texts, response = lab.run(main)
    assert set(texts) == {response}
    assert HANDLE - 2 <= max(ahead) <= HANDLE + 1
