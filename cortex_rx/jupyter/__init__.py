"""For notebooks: marble diagrams of a chain at work, the live display of an answer, and a plot of what it took.

    from cortex_rx.jupyter import live, plot, record

    await record(model, chain, virtual=True)     # draws what passed at each step
    await live(answer)                           # shows the text, how much of it is stored, and the metrics
    plot(await answer)                           # draws time to first token, throughput, gaps and writes

The first two also work without a notebook, as text.  A chain shows itself: put its name at the end of a cell.
"""

from cortex_rx.jupyter._live import Live, State, live
from cortex_rx.jupyter._plot import plot
from cortex_rx.jupyter._record import Recording, record

__all__ = ["Live", "Recording", "State", "live", "plot", "record"]
