"""When two statements say the same: the normal form of a text, the signature of a statement, and its keys.

A text is never compared as it stands, and never by similarity.  Two statements are one fact if their signatures are
equal: the same subject, predicate, qualifier, object, polarity, tense and numbers.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from cortex_rx.beliefs.predicates import PREDICATES, Predicates
from cortex_rx.beliefs.reading import Polarity, Tense, digits, numbers_of, polarity_of, tense_of

__all__ = ["OBJECT", "STRATEGIES", "Keys", "Signature", "Strategy", "apart", "ends", "keys", "normal", "signature"]

Strategy = Literal["none", "exact", "structural", "semantic"]
"""Which statements of one value are one fact.  none: each is its own.  exact: those with the same normal text.
structural: those with the same signature.  semantic: the same, after a decider was asked about similar ones."""

STRATEGIES: tuple[Strategy, ...] = ("none", "exact", "structural", "semantic")

_ARTICLES = frozenset(("a", "an", "the"))
_BE = frozenset(("am", "is", "are", "was", "were", "be", "been", "being"))
_SIGNS = frozenset("#%&@§°")  # punctuation that tells names and amounts apart: C#, 5 %, R&D
_OTHERS = r"[^\w\s]|_"  # what is no letter, digit or space
_APOSTROPHE = r"['\u2018\u2019\u02bc`\u00b4]"
_JOINS = rf"(?<!{_APOSTROPHE}){_APOSTROPHE}+(?=\w)"  # inside or before a word; a row of them is tried once


def normal(text: str) -> str:
    """The text without what two writers of the same sentence do differently.

    Compatibility forms (NFKC) and case are folded; quotes, punctuation, articles, forms of "be" and extra spaces are
    left out.  Signs that tell names and amounts apart stay: the "+" of C++, the point of 3.14, the minus of -5.  A text
    that has nothing else keeps what would be left out.

    >>> normal('  The cat "Tom" is on the MAT. '), normal("Grade A"), normal("C++, C#; -5 or 3.14")
    ('cat tom on mat', 'grade a', 'c++ c# -5 or 3.14')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = re.sub(_JOINS, "", folded)
    words = re.sub(_OTHERS, lambda found: _kept(folded, found.start(), found[0]), folded).split()
    if not words:
        return " ".join(folded.split())
    last = len(words) - 1
    kept = [word for at, word in enumerate(words) if word not in _BE and (at == last or word not in _ARTICLES)]
    return " ".join(kept or words)


def _kept(text: str, at: int, sign: str) -> str:
    """The sign, which is no letter, digit or space, or a space in its place."""
    if sign in _SIGNS or unicodedata.category(sign)[0] in "SMC":
        return sign
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if sign in ".," and before.isdigit() and after.isdigit():
        return sign
    if sign in "-\u2212" and after.isdigit() and not before.strip():
        return "-"
    return " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a statement says, in normal form.

    Statements without a subject, a predicate or an object have only their text.
    """

    subject: str | None
    predicate: str | None
    qualifier: str | None
    object: str | None
    polarity: Polarity
    tense: Tense
    numbers: tuple[str, ...]
    text: str
    single: bool
    """Whether the predicate is single-valued."""

    @property
    def is_triple(self) -> bool:
        """Whether subject, predicate and object are all there."""
        return self.subject is not None and self.predicate is not None and self.object is not None


def signature(
    fact: str,
    subject: str | None = None,
    predicate: str | None = None,
    object: str | None = None,
    qualifier: str | None = None,
    *,
    polarity: Polarity | None = None,
    tense: Tense | None = None,
    single: bool | None = None,
    predicates: Predicates = PREDICATES,
) -> Signature:
    """The signature of a statement.

    Polarity and tense that are not given are read from the text `fact`, as the numbers always are.  `single` says
    whether the predicate is single-valued; if it is not given, `predicates` does.  Of a many-valued predicate and its
    inverse, one is used for both, with subject and object exchanged.

    >>> signature("Ada doesn't live in Rome.", "Ada", "resides in", "Rome").polarity
    'negative'
    >>> reverse = signature("Bob's boss is Ada", "Bob", "reports to", "Ada")
    >>> reverse.subject, reverse.predicate, reverse.object
    ('bob', 'managed_by', 'ada')
    >>> there = signature("Ada manages Bob", "Ada", "manages", "Bob")
    >>> (there.subject, there.predicate, there.object) == (reverse.subject, reverse.predicate, reverse.object)
    True
    """
    name = None
    if predicate is not None and predicate.strip():
        name, qualifier = predicates.resolved(predicate, qualifier)
    ends = _part(subject), _part(object)
    inverse = predicates[name].inverse if name is not None and name in predicates else None
    if name and inverse and None not in ends and (inverse, ends[::-1]) < (name, ends) and not predicates.single(name):
        name, ends = inverse, ends[::-1]
    return Signature(
        subject=ends[0],
        predicate=name or None,
        qualifier=_part(qualifier),
        object=ends[1],
        polarity=polarity or polarity_of(fact, object),
        tense=tense or tense_of(fact),
        numbers=numbers_of(fact),
        text=normal(fact),
        single=single if single is not None else name is not None and predicates.single(name),
    )


def _part(text: str | None) -> str | None:
    return (normal(digits(text)) or None) if text is not None else None


OBJECT = 16
"""The characters of a value that stand for its object. The next one is its polarity."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a statement, short strings.  They depend on nothing but its signature and the arguments of `keys`."""

    slot: str
    """What is compared over time.  It begins with "t" if its statements have a timeline, else with "g"."""
    value: str
    """What is said in the slot: `OBJECT` characters for the object, "+" or "!" for the polarity, and the numbers."""
    merge: str
    """The statements of one value with one such key are one fact."""


def keys(
    said: Signature, strategy: Strategy = "structural", *, own: str, owner: str | None = None, revise: bool = True
) -> Keys:
    """The keys of a statement with the id `own` whose owner is a user; those of two owners have no slot in common.

    The slot of what holds now is subject, predicate and qualifier if the predicate is single-valued; else the object
    and the numbers belong to it, so that only polarity competes.  The past and the future, and all statements without
    `revise`, have slots of one value: there they can only be said again.

    >>> rome = keys(signature("Ada lives in Rome", "Ada", "lives_in", "Rome"), own="fact-1")
    >>> paris = keys(signature("Ada lives in Paris", "Ada", "lives_in", "Paris"), own="fact-2")
    >>> rome.slot == paris.slot, rome.value == paris.value
    (True, False)
    """
    timeless = said.tense != "present"
    what: list[object]
    if said.is_triple:
        about = _hash("object", said.object)
        what = ["triple", said.subject, said.predicate, said.qualifier]
        if not said.single or timeless:
            what += [said.object, said.numbers]
    else:
        about = _hash("text", said.text)
        what = ["text", said.text]
    value = about + ("+" if said.polarity == "positive" else "!") + (_hash(said.numbers) if said.numbers else "")
    what.append(said.tense)
    if timeless or not revise:
        what.append(value)
    slot = ("g" if timeless else "t") + _hash(owner, what)
    merge = value if strategy in ("structural", "semantic") else _hash(value, said.text if strategy == "exact" else own)
    return Keys(slot, value, merge)


def apart(own: str, like: Keys) -> Keys:
    """The keys of a statement that a decider keeps apart from all others: a slot of its own."""
    return Keys(like.slot[0] + _hash("own", own), like.value, like.merge)


def ends(new: Keys, old: Keys) -> bool:
    """Whether a statement ends what was said before: another object in its slot, or the opposite of the same."""
    if new.slot != old.slot or new.value == old.value:
        return False
    same, turned = new.value[:OBJECT] == old.value[:OBJECT], new.value[OBJECT] != old.value[OBJECT]
    return turned if same else not turned and new.value[OBJECT] == "+"


def _hash(*parts: object) -> str:
    """`OBJECT` characters, of 96 bits."""
    written = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(blake2b(written, digest_size=12).digest()).decode()
