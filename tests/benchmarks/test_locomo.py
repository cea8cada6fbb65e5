"""What the benchmarks of recall read: a file in the format of LoCoMo, with what its files have of the unexpected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.locomo import Question, Turn, read


def turn(dia_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"speaker": "Ann", "dia_id": dia_id, "text": text, **more}


def asked(question: str, evidence: Any, category: int = 1) -> dict[str, Any]:
    return {"question": question, "answer": 2022, "evidence": evidence, "category": category}


def written(path: Path, *samples: dict[str, Any]) -> Path:
    path.write_text(json.dumps(samples), encoding="utf-8")
    return path


def test_turns_come_in_the_order_of_their_sessions_with_name_and_caption(tmp_path: Path) -> None:
    conversation = {
        "speaker_a": "Ann",
        "session_10": [turn("D10:1", "Last.")],
        "session_10_date_time": "1 May",
        "session_2": [turn("D2:1", "Look!", img_url=["x"], blip_caption="a photo of a dog"), turn("D2:2", "Nice.")],
        "session_3_date_time": "a session that is not there",
        "session_4": [],
        "session_5": None,
    }
    (sample,) = read(written(tmp_path / "a.json", {"sample_id": "conv-1", "conversation": conversation, "qa": []}))
    assert sample.name == "conv-1"
    assert sample.turns == (
        Turn("D2:1", 2, "Ann: Look! a photo of a dog"),
        Turn("D2:2", 2, "Ann: Nice."),
        Turn("D10:1", 10, "Ann: Last."),
    )


def test_evidence_may_be_malformed_or_several_in_one_string(tmp_path: Path) -> None:
    conversation = {"session_1": [turn(f"D1:{number}", "...") for number in range(1, 5)]}
    questions = [
        asked("one", ["D1:1"]),
        asked("several in one string", ["D1:1; D1:2", "D1:3,D1:4"], category=3),
        asked("one that is there, one that is not", ["D1:2", "D9:9"]),
        asked("malformed, and one that is there", ["D", "D:1:3", "", None, ["D1:1"], "(D1:3)"]),
        asked("not in a list", "D1:4"),
        asked("none that is there", ["D9:9"]),
        asked("malformed alone", ["D:1:3", 7]),
        asked("none", []),
        {"question": "not said", "category": 5},
    ]
    (sample,) = read(written(tmp_path / "a.json", {"conversation": conversation, "qa": questions}))
    assert sample.name == "sample-1"
    assert sample.questions == (
        Question("one", frozenset({"D1:1"}), 1),
        Question("several in one string", frozenset({"D1:1", "D1:2", "D1:3", "D1:4"}), 3),
        Question("one that is there, one that is not", frozenset({"D1:2"}), 1),
        Question("malformed, and one that is there", frozenset({"D1:3"}), 1),
        Question("not in a list", frozenset({"D1:4"}), 1),
    )
    assert sample.skipped == 4


def test_an_id_that_is_given_twice_is_that_of_the_first(tmp_path: Path) -> None:
    conversation = {"session_1": [turn("D1:1", "first"), turn("D1:2", "between"), turn("D1:1", "again")]}
    (sample,) = read(written(tmp_path / "a.json", {"conversation": conversation, "qa": []}))
    assert [one.text for one in sample.turns] == ["Ann: first", "Ann: between"]
