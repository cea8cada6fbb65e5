"""What is believed, as pure functions of what was said.

* `predicates`: which predicates are known, which are single-valued, and what their inverse is (`predicates.toml`);
* `reading`: polarity, tense and numbers of a sentence;
* `normal`: when two statements say the same; the keys of their slot, their value and their fact;
* `similarity`: which facts may be meant by a new one; it only nominates;
* `timeline`: the fold of the statements of a slot into facts, each with its time and its confidence;
* `decision`: the four actions of belief revision.

Statements are kept, facts are folded from them.  So a rollback, a new attempt and a retraction are one operation:
leave statements out, and fold their slots again (docs/decisions/beliefs.md).
"""

from cortex_rx.beliefs.decision import Action, Decision
from cortex_rx.beliefs.predicates import PREDICATES, Predicate, Predicates

__all__ = ["PREDICATES", "Action", "Decision", "Predicate", "Predicates"]
