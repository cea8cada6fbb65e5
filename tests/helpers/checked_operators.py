"""A store and operators that the tests of `check_operator` share."""

import re
from dataclasses import replace

from reactivex import Observable

from cortex_rx.engine import beside, passing
from cortex_rx.events import Custom, Delta, Ended


def each(react):
    """A passing operator: `react(event, emit)` for every event."""
    return passing(lambda emit, flow, end: (lambda event: react(event, emit), None))


def raw(subscribe):
    """An operator written against Rx alone."""
    return lambda source: Observable(lambda observer, scheduler=None: subscribe(source, observer, scheduler))


class Store:
    """A store of the test: it keeps lengths, not text."""

    made = []

    def __init__(self):
        self.lengths, self.closed = [], False
        Store.made.append(self)

    async def write(self, text):
        self.lengths.append(len(text))

    async def close(self):
        self.closed = True


def persist(store, interval=0.1, capacity=1 << 20):
    """Writes what passes, beside it, and says so."""

    async def worker(inbox):
        offset = index = 0
        async for batch in inbox:
            text = "".join(event.text for event in batch if isinstance(event, Delta))
            if text:
                await store.write(text)
                offset, index = offset + len(text), index + 1
                yield Custom("stored", [offset, index])

    return beside(worker, interval, lambda event: 240 + len(getattr(event, "text", "")), capacity)


def redact(hold=12):
    """Replaces digits; it holds a few characters back."""

    def make(emit, flow, end):
        held, index, offset, last = "", 0, 0, None

        def release(keep):
            nonlocal held, index, offset
            text, held = held[: len(held) - keep], held[len(held) - keep :]
            if text:
                text = hide(text)
                emit(replace(last, text=text, index=index, offset=offset))
                index, offset = index + 1, offset + len(text)

        def on_next(event):
            nonlocal held, last
            if isinstance(event, Delta):
                held, last = held + event.text, event
                release(min(hold, len(held)))
            elif isinstance(event, Ended):
                release(0)
                emit(replace(event, offset=offset, index=index))
            else:
                emit(event)

        def at_end(error):
            release(0)
            return error

        return on_next, at_end

    return passing(make)


def hide(text):
    return re.sub(r"\d", "*", text)
