"""The local spool: what a store could not take is kept in a file of this machine, and delivered later.

`spool`: `Spool`, what programs and operators hold.  `delivery`: how an entry gets into the store, however often it is tried.
`letters`: `DeadLetters`, what will not be tried again by itself.  `file`: the SQLite file that they are in.
"""

from cortex_rx.spool.letters import DeadLetter, DeadLetters
from cortex_rx.spool.spool import Drained, DrainReport, Spool

__all__ = ["DeadLetter", "DeadLetters", "DrainReport", "Drained", "Spool"]
