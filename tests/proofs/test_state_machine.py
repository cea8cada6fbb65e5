"""Programs of steps that Hypothesis draws: begin, say, crash, resume elsewhere, zombie, follow, stop here or by a
request, finish, spool, drain, delete, roll back, commit facts, read what is queued for facts.

Some steps are done at the same moment, while threads are busy: their writes share transactions.  The rules are in
`tests/proofs/machine/programs.py`, what must hold after each step in `judge.py`, what a store must hold in `model.py`.
Each shard has seeds of its own, the same in every run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.machine import programs

SHARDS = range(5)
STEPS = 80
FIGURES = {
    # What is reported: what it is counted as, and how many of it there must be in a hundred examples, at least.
    "examples of 80 steps": ("examples", 100),
    "steps": ("steps", 8000),
    "streams begun": ("begun", 300),
    "taken over by a token": ("taken over", 40),
    "begun again": ("begun again", 8),
    "processes crashed": ("crashed", 100),
    "of these within a write": ("crash-after hit", 2),
    "at once": ("at once", 80),
    "shared transactions": ("shared", 60),
    "of these with a refusal": ("refused in shared", 20),
    "of these cut off": ("of several crash-within", 2),
    "of these failed": ("of several commit-fail", 2),
    "processes stalled": ("stalls", 60),
    "clocks set": ("clocks set", 100),
    "writes of zombies fenced": ("zombies fenced", 15),
    "stray writes": ("stray writes", 100),
    "tokens refused": ("tokens refused", 60),
    "answers remembered": ("ended: remembered", 150),
    "partials kept": ("ended: ResumableStreamError", 10),
    "stopped by a request": ("stopped by a request", 2),
    "answers stopped": ("ended: AnswerStopped", 50),
    "rolled back": ("streams:rollback", 15),
    "partials finished": ("partials finished", 80),
    "spooled": ("spooled", 5),
    "drained": ("delivered", 3),
    "dropped": ("dropped", 0),
    "dead letters": ("dead", 1),
    "facts committed": ("facts:commit", 150),
    "texts not read": ("texts not read", 2),
    "read later": ("windows read later", 4),
    "facts superseded": ("facts that ended", 2),
    "memories stored alone": ("memories:store", 60),
    "refused under their id": ("IdempotencyConflict said", 5),
    "memories deleted": ("memories:deleteMemory", 30),
    "follows": ("followed", 200),
    "follows rewound": ("followers got Rewound", 15),
    "follows to the end": ("followers got Ended", 30),
}


@pytest.mark.parametrize("shard", slow_but([0], SHARDS, "more cases of a proof"))
def test_programs_of_steps(shard: int, proof: Any) -> None:
    number = proof.size(10, 100, quick=5)
    counted: Counter[str] = programs.examples(shard, number, STEPS)
    counted["tokens refused"] = sum(
        counted[f"{kind} said"] for kind in ("TokenUnknown", "TokenExpired", "TokenSuperseded", "WrongMemorySpace")
    )
    figures = {name: counted[key] for name, (key, _) in FIGURES.items()}
    hundred = proof.size(500, 100)  # a few programs need not have their share of everything
    few = {name: figures[name] for name, (_, least) in FIGURES.items() if figures[name] < least * number // hundred}
    assert not few, f"too little of it happened: {few} of {figures}"
    proof.count("state machine", figures)
