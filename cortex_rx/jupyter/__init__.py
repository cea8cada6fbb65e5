"""For notebooks: marble diagrams of a chain at work, and the live display of an answer.

    from cortex_rx.jupyter import live, record

    await record(model, chain, virtual=True)     # draws what passed at each step
    await live(answer)                           # shows the text, how much of it is stored, and the metrics

Both also work without a notebook, as text.  A chain shows itself: put its name at the end of a cell.
"""

from cortex_rx.jupyter._live import Live, State, live
from cortex_rx.jupyter._record import Recording, record

__all__ = ["Live", "Recording", "State", "live", "record"]
