"""Conversations and questions in the format of LoCoMo (snap-research/LoCoMo, `data/locomo10.json`).

A file is a list of samples. `conversation.session_N` is a list of turns, each with `dia_id`, `speaker`, `text` and
perhaps `blip_caption`, what is seen on its picture. Each entry of `qa` has a `question`, its `category`, and as
`evidence` the ids of the turns that answer it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Question", "Sample", "Turn", "read"]

_SESSION = re.compile(r"session_(\d+)")
_ID = re.compile(r"D\d+:\d+")


@dataclass(frozen=True)
class Turn:
    """What one person said: `text` begins with the name, and ends with the caption of a picture."""

    id: str
    session: int
    text: str


@dataclass(frozen=True)
class Question:
    """A question, and the ids of the turns that answer it: at least one, all of them there."""

    text: str
    evidence: frozenset[str]
    category: int


@dataclass(frozen=True)
class Sample:
    """One long conversation in sessions.  `skipped`: how many questions have no evidence that is there."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]
    skipped: int


def read(path: Path) -> list[Sample]:
    """The samples of a file.  A session may be missing, or be empty; an id that is given twice is that of the first."""
    return [_sample(number, raw) for number, raw in enumerate(json.loads(path.read_text(encoding="utf-8")), 1)]


def _sample(number: int, raw: Mapping[str, Any]) -> Sample:
    turns: dict[str, Turn] = {}
    for turn in _turns(raw["conversation"]):
        turns.setdefault(turn.id, turn)
    asked = [
        Question(entry["question"], frozenset(_ids(entry.get("evidence"))) & turns.keys(), entry.get("category", 0))
        for entry in raw["qa"]
    ]
    questions = tuple(question for question in asked if question.evidence)
    name = raw.get("sample_id", f"sample-{number}")
    return Sample(name, tuple(turns.values()), questions, len(asked) - len(questions))


def _turns(conversation: Mapping[str, Any]) -> Iterator[Turn]:
    sessions = {int(found[1]): turns for key, turns in conversation.items() if (found := _SESSION.fullmatch(key))}
    for session, turns in sorted(sessions.items()):
        for turn in turns or ():
            said = f"{turn['speaker']}: {turn['text']}"
            caption = turn.get("blip_caption")
            yield Turn(turn["dia_id"], session, f"{said} {caption}" if caption else said)


def _ids(evidence: Any) -> Iterator[str]:
    """The ids in what is given as evidence: a list, in which a string may hold several, or none that can be read."""
    for entry in evidence if isinstance(evidence, list) else [evidence]:
        yield from _ID.findall(entry) if isinstance(entry, str) else ()
