"""The two scenarios of the proofs: `Remembering`, `remember_stream` on SQLite, and `Writing`, a backend alone.

They are imported with `tests` on the path, and run from the root of the repository:

    PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Remembering --seed 123
    PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Writing --seeds 0:1000
"""

from proofs.stories.exchange import Exchange, Run
from proofs.stories.remembering import Remembering
from proofs.stories.writing import Writing

__all__ = ["Exchange", "Remembering", "Run", "Writing"]
