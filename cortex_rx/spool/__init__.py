"""The local spool: calls that a store could not take are kept in a local file and delivered later.

`spool`: `Spool`, which programs and operators use. `delivery`: how an entry gets into the store once, however often it
is tried. `letters`: `DeadLetters`, calls that are not tried again automatically. `file`: the SQLite file that holds
them.
"""

from cortex_rx.spool.letters import DeadLetter, DeadLetters
from cortex_rx.spool.spool import Drained, DrainReport, Spool

__all__ = ["DeadLetter", "DeadLetters", "DrainReport", "Drained", "Spool"]
