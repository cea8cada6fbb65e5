"""The scenarios of the proofs: `Remembering`, `remember_stream` on SQLite, `Learning`, the same with facts, and
`Writing`, a backend alone.

They are imported with `tests` on the path, and run from the root of the repository:

    PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Remembering --seed 123
    PYTHONPATH=tests python -m cortex_rx.testing.simulate --scenario proofs.stories:Writing --seeds 0:1000
"""

from proofs.stories.exchange import Exchange, Run
from proofs.stories.learning import Learning
from proofs.stories.remembering import Remembering
from proofs.stories.writing import Writing

__all__ = ["Exchange", "Learning", "Remembering", "Run", "Writing"]
