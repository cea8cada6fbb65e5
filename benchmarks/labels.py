"""How exactly an extractor reads the labelled sentences of `tests/facts/data`; their README has the conventions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["EVENTS", "SENTENCES", "Counts", "Labelled", "Triple", "judge", "labelled", "triple", "wilson"]

SENTENCES = Path(__file__).parents[1] / "tests" / "facts" / "data" / "sentences.jsonl"

EVENTS = frozenset(
    ("born_on", "born_in", "founded", "founded_on", "created", "created_by", "bought", "visited", "happened_on")
)
"""Predicates of what has happened: their past is their plain sense."""


class Triple(NamedTuple):
    """What is compared, each part folded."""

    subject: str
    predicate: str
    object: str
    qualifier: str = ""
    polarity: str = "positive"
    tense: str = "present"


@dataclass(frozen=True)
class Labelled:
    """A sentence and the facts that it states."""

    text: str
    role: str
    """Who says it: "user" or "agent"."""
    kind: str
    facts: frozenset[Triple]


@dataclass(frozen=True)
class Counts:
    """How many facts were found as labelled, how many were given, and how many are labelled."""

    found: int = 0
    given: int = 0
    labelled: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.found + other.found, self.given + other.given, self.labelled + other.labelled)

    @property
    def precision(self) -> float:
        """1 where nothing was given."""
        return self.found / self.given if self.given else 1.0

    @property
    def recall(self) -> float:
        """1 where nothing is labelled."""
        return self.found / self.labelled if self.labelled else 1.0


def _folded(text: object) -> str:
    words = "" if text is None else " ".join(str(text).replace("’", "'").casefold().split())
    return words.removeprefix("the ").removeprefix("a ").removeprefix("an ")


def triple(fact: Any) -> Triple:
    """The triple of a label or of an extracted fact: a mapping or an object with these names. Who speaks is "user"."""

    def get(name: str) -> str:
        return _folded(fact.get(name) if isinstance(fact, dict) else getattr(fact, name))

    subject, predicate, tense = get("subject"), get("predicate"), get("tense") or "present"
    return Triple(
        "user" if subject in {"", "i", "me"} else subject,
        predicate,
        get("object"),
        get("qualifier"),
        get("polarity") or "positive",
        "present" if predicate in EVENTS and tense == "past" else tense,
    )


def labelled(path: Path = SENTENCES) -> list[Labelled]:
    """The sentences of the file."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [
        Labelled(row["text"], row["role"], row["kind"], frozenset(triple(fact) for fact in row["facts"]))
        for row in rows
    ]


def judge(
    read: Callable[[str, str], Iterable[Any]], sentences: Sequence[Labelled]
) -> list[tuple[Labelled, frozenset[Triple], Counts]]:
    """What `read(user_message, text)` gives of each sentence by itself, and how much of it is as labelled."""
    judged: list[tuple[Labelled, frozenset[Triple], Counts]] = []
    for one in sentences:
        given = frozenset(triple(fact) for fact in (read(one.text, "") if one.role == "user" else read("", one.text)))
        judged.append((one, given, Counts(len(given & one.facts), len(given), len(one.facts))))
    return judged


def wilson(found: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share by Wilson's score, by default for 95 %. (0, 1) for none."""
    if not of:
        return 0.0, 1.0
    share, square = found / of, z * z / of
    middle, reach = share + square / 2, z * sqrt(share * (1 - share) / of + square / (4 * of))
    return max(0.0, (middle - reach) / (1 + square)), min(1.0, (middle + reach) / (1 + square))
