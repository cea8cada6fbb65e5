"""Facts by rules, offline: what `PatternExtractor` is made of.

* `words`: a text as tokens; what is code or quoted is not read;
* `sentences`: tokens as sentences;
* `segments`: the parts of a sentence that neither ask nor only suppose something;
* `grammar`: the subjects and the verb of a clause: who, when, and whether it is denied;
* `phrases`, `things`, `names`, `measures`, `traits`: what stands for the object of a fact: a thing, a place, a date,
  a trade; `kinds` names them;
* `rule` and `rules/`: which verb with which complement states which fact, each with sentences that it reads and
  sentences that it must not;
* `reading`: a sentence clause by clause, and the rules applied to each.

Nothing is tried twice: a clause is read from left to right, and each value ends at the same place for all rules of its
kind.  So the time grows with the length of the text.
"""

from cortex_rx.facts.pattern.extractor import PatternExtractor
from cortex_rx.facts.pattern.rule import Rule
from cortex_rx.facts.pattern.rules import RULES

__all__ = ["RULES", "PatternExtractor", "Rule"]
