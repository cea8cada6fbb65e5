"""The extractor that needs no model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, cast, get_args

from cortex_rx.errors import InvalidArgument
from cortex_rx.facts.pattern.kinds import KINDS
from cortex_rx.facts.pattern.reading import MADE, Reader, Stated
from cortex_rx.facts.pattern.rule import Rule
from cortex_rx.facts.pattern.rules import RULES
from cortex_rx.facts.pattern.segments import gives_text
from cortex_rx.facts.pattern.sentences import sentences
from cortex_rx.models.facts import ExtractedFact, FactType

__all__ = ["PatternExtractor"]

_SURROGATE = re.compile("[\ud800-\udfff]")


class PatternExtractor:
    """Reads facts by rules, offline and without a model: `remember_stream(..., extract_facts=PatternExtractor())`.

    The rules are about preferences, identity, relations, places and dates.  What the user says of himself ("I", "my"),
    and what the assistant says of the user ("you", "your"), has the subject "user"; others go by their name or role,
    "user's sister".  A text is read once, in time that grows with its length, and the same text gives the same facts.

    It is made to be right rather than complete.  It cannot see:

    * languages other than English, and sentences that its rules do not know: they give nothing;
    * what a pronoun means that stands for somebody in another sentence; such a sentence gives nothing;
    * irony, fiction and figures of speech, unless they look unlike the rules;
    * questions, conditions, wishes, guesses, quotations, code, what somebody else said or thinks, what is left open
      ("Leeds or York"), and what follows an order to work on a text ("translate this: ..."): it leaves them out on
      purpose;
    * times: a fact has no `valid_from`, so it holds since it was said.  What is past or to come has that `tense`.

    `rules` are those to read by, if not all of `RULES`.  Raises `InvalidArgument` for something that is no rule.

    >>> extract = PatternExtractor()
    >>> for fact in extract("I'm a nurse and I don't eat meat. My sister lives in Leeds.", ""):
    ...     print(fact.subject, fact.predicate, fact.object, fact.polarity, fact.confidence)
    user works_as nurse positive 88
    user eats meat negative 85
    user's sister lives_in Leeds positive 92
    >>> [(fact.fact, fact.object) for fact in extract("", "Noted: your sister lives in Leeds. Do you like it there?")]
    [('your sister lives in Leeds', 'Leeds')]
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        for at, rule in enumerate(rules):
            if not isinstance(rule, Rule):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidArgument(f"rules[{at}]", type(rule).__name__, "a Rule")
            if rule.fact_type not in get_args(FactType):
                raise InvalidArgument(f"rules[{at}].fact_type", rule.fact_type, " or ".join(get_args(FactType)))
            for kind in sorted(rule.kinds - KINDS.keys() - MADE):
                raise InvalidArgument(f"rules[{at}].kind", repr(kind), " or ".join(sorted(KINDS)))
        self._reader = Reader(rules)
        self._shown = "" if rules is RULES else f"{len(rules)} rules"

    def __repr__(self) -> str:
        return f"PatternExtractor({self._shown})"

    def __call__(self, user_message: str, text: str) -> Iterator[ExtractedFact]:
        """The facts of the user's message if `text` is empty, else those of `text`, a part of the answer."""
        who = "you" if text else "i"
        said = _SURROGATE.sub("\ufffd", text or user_message)
        seen: set[Stated] = set()
        for sentence in sentences(said):
            for stated in self._reader.read(sentence, said, who):
                if stated not in seen:
                    seen.add(stated)
                    yield _fact(stated)
            if gives_text(sentence):
                return


def _fact(stated: Stated) -> ExtractedFact:
    return ExtractedFact(
        fact=stated.text,
        fact_type=cast("FactType", stated.fact_type),
        confidence=stated.confidence,
        subject=stated.subject,
        predicate=stated.predicate,
        object=stated.object,
        qualifier=stated.qualifier or None,
        polarity="negative" if stated.negative else "positive",
        tense=cast('Literal["past", "present", "future"]', stated.tense or "present"),
    )
