"""In a notebook: marbles of what a chain does, and an answer while it streams.

    from cortex_rx.jupyter import live, record

    await record(model, chain, virtual=True)     # what passed at each step, drawn
    await live(answer)                           # the text, what of it is stored, the figures, in one place

Both work without a notebook too, where they are text.  A chain shows itself: say its name in a cell.
"""

from cortex_rx.jupyter._live import Live, State, live
from cortex_rx.jupyter._record import Recording, record

__all__ = ["Live", "Recording", "State", "live", "record"]
