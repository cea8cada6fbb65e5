"""Cases of `kill -9`: the processes of a stream are killed at chosen places, until one runs to the end."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs.kills.processes import Running, Starter
from proofs.kills.store import PARAMS, SPACE, STREAM, Ledger, Reader, Stored, furnish, look

HOWS = ("replayed", "another text", "restarted", "prefilled")
LEASE = 150  # ms, instead of 10 s

# Of a hundred cases, how many are aimed at what, in turn at each of its places.
_SHARES = {
    "streams:append": 26,
    "streams:takeOver": 14,
    "streams:begin": 14,
    "streams:finalize": 12,
    "streams:renew": 2,
    "streams:close": 3,
    "streams:rollback": 3,
    "streams:issueToken": 3,
    "streams:finish": 4,
    "open file": 6,
    "close file": 3,
    "shown": 4,
    "source read": 3,
    "source open": 2,
    "source close": 1,
}
_WHENS = ("inside", "before", "commit", "after")
_STATEMENTS = {
    "streams:begin": 13,
    "streams:append": 12,
    "streams:finalize": 36,
    "streams:takeOver": 12,
    "streams:renew": 3,
    "streams:close": 27,
    "streams:rollback": 35,
    "streams:issueToken": 4,
    "streams:finish": 40,
    "open file": 12,
    "close file": 2,
}
"""About how many a transaction has: where an aim lies beyond the last one, it is after it."""
_LATER = ("streams:takeOver", "streams:issueToken", "streams:finish")  # only of a stream that was begun before
_FIRST = ("streams:rollback", "streams:close")  # only of one that was not
_SEEN = ("streams:append", "streams:begin", "streams:finalize", "streams:takeOver")  # whether it was done, shows
_DO = {"streams:rollback": "undoes", "streams:close": "wordless", "streams:finish": "finish"}
_WAY = {"streams:takeOver": "token", "streams:issueToken": "issued", "streams:begin": "key"}


def _in_turn() -> list[str]:
    """A hundred effects, each as evenly spread as it can be: so any few of them are much like all."""
    places = [((at + 0.5) / share, effect) for effect, share in _SHARES.items() for at in range(share)]
    return [effect for _, effect in sorted(places)]


_TURNS = _in_turn()


@dataclass(frozen=True)
class Aim:
    """Where a process is to be killed: see `program.Child`.  `delay`, in seconds, is how long after it has come
    there.
    """

    effect: str
    when: str
    nth: int = 1
    step: int = 0
    delay: float = 0.0

    def order(self) -> dict[str, Any]:
        return {"effect": self.effect, "when": self.when, "nth": self.nth, "step": self.step}


@dataclass(frozen=True)
class Life:
    """One process: what it does, how it continues what is there, and where it is killed, if it gets there."""

    do: str = "answer"  # or "breaks", "stops", "undoes", "wordless", "finish"
    way: str = "key"  # or "token", "issued"
    force: bool = False
    aim: Aim | None = None


@dataclass(frozen=True)
class Case:
    """The processes of one stream, each killed but the last; `how` says how their source continues what is there."""

    number: int
    how: str
    fresh: bool  # there is no file before the first process
    lives: tuple[Life, ...]


def aim(rng: random.Random, effect: str, when: str | None = None, *, statements: int | None = None) -> Aim:
    """At some place of this effect."""
    if effect.startswith(("source", "shown")):
        return Aim(effect, "at", rng.randint(1, {"shown": 7, "source read": 8}.get(effect, 1)))
    when = when or rng.choice(_WHENS)
    nth = rng.choice((1, 1, 2, 2, 3)) if effect == "streams:append" else 1
    delay = rng.choice((0.0, rng.uniform(0, 0.001))) if when == "commit" else rng.choice((0.0, 0.02))
    return Aim(effect, when, nth, rng.randint(1, statements or _STATEMENTS[effect]), delay)


def case_of(number: int) -> Case:
    """The case of this number: always the same."""
    rng = random.Random(number)
    effect = _TURNS[number % len(_TURNS)]
    # How often this effect came before: so that its places come in turn.
    turn = (number // len(_TURNS)) * _SHARES[effect] + _TURNS[: number % len(_TURNS)].count(effect)
    # Every other time that its opening is aimed at, the file is not there yet; otherwise a killed process left it.
    fresh, opened_again = (effect == "open file" and turn % 2 == odd for odd in (0, 1))
    when = _WHENS[(turn // 2 if effect == "open file" else turn) % len(_WHENS)]
    main = Life(
        _DO.get(effect, "answer"),
        _WAY.get(effect) or rng.choice(("token", "token", "key", "issued")),
        rng.random() < 0.5,
        aim(rng, effect, when, statements=56 if fresh else None),
    )
    lives = [main]
    if effect in _LATER or opened_again or (effect not in _FIRST and not fresh and rng.random() < 0.35):
        early = rng.choice(("streams:append", "streams:append", "shown", "source read", "streams:renew"))
        first = Life(aim=aim(rng, early))
        if effect != "open file" and rng.random() < 0.2:
            first = Life(rng.choice(("breaks", "stops")))  # it is not killed
        lives = [first, main]
    elif main.do == "answer":
        does = "breaks" if effect == "streams:append" and rng.random() < 0.3 else "answer"
        lives = [Life(does, aim=main.aim)]
    if rng.random() < 0.4:
        again = rng.choice(("streams:takeOver", "streams:append", "streams:finalize", "streams:renew", "shown"))
        lives.append(Life("answer", rng.choice(("token", "issued")), rng.random() < 0.5, aim(rng, again)))
    return Case(number, rng.choice(HOWS), fresh, tuple(lives))


def at_statement(effect: str, step: int) -> Case:
    """A process is killed at this statement of its transaction; the next one continues."""
    aimed = Life(_DO.get(effect, "answer"), _WAY.get(effect, "key"), True, Aim(effect, "inside", step=step))
    lives = (Life(aim=Aim("shown", "at", 3)), aimed) if effect in _LATER else (aimed,)
    return Case(1000, HOWS[step % len(HOWS)], effect == "open file", lives)


_LOST = (Life(aim=Aim("streams:append", "after")), Life(way="token", aim=Aim("streams:append", "before", delay=0.03)))
KNOWN = (
    # The text begins anew and is shown, and nothing of that is stored; then it begins anew once more, under the same
    # number.
    Case(2000, "restarted", False, _LOST),
    Case(2001, "another text", False, (*_LOST, Life(way="key"))),
)
"""Cases that have found something."""


def words_of(case: Case, life: int, do: str) -> list[list[Any]]:
    """What a process is to say, each its own, but for a source that can be replayed; with the pauses before, in ms."""
    rng = random.Random(f"{case.number} {life}")
    of = 0 if case.how == "replayed" else life
    pauses = [60, 30, 30, 30, 2, 1, 1, 1]
    rng.shuffle(pauses)
    long = case.number % len(pauses)  # one is longer than a page of the file
    texts = [
        f"{'Answer ' if at == 0 else ''}{of}.{at}é{'=' * (12_000 if at == long else 3)} " for at in range(len(pauses))
    ]
    if do == "wordless":
        return []
    words: list[list[Any]] = [[pause, text] for pause, text in zip(pauses, texts, strict=True)]
    return [*words[:5], [1, None]] if do == "breaks" else words


_ENDS = {
    "answer": None,
    "breaks": "ResumableStreamError",
    "stops": "AnswerStopped",
    "undoes": "AnswerStopped",
    "wordless": "EmptyAnswer",
    "finish": None,
}


def expected(order: dict[str, Any], found: Stored) -> str | None:
    """What comes of a process that is not killed, by what it finds: the name of an error, or None."""
    state, do = found.state, order["do"]
    if do == "finish":
        return None if state in ("open", "finished", "empty") else "StreamNotFound"
    if order["way"] == "key":
        if state == "finished" and "".join(text for _, text in order["words"]) != found.text:
            return "IdempotencyConflict"
        return _ENDS[do]
    at_once = {"none": "TokenUnknown", "rolledBack": "StreamNotFound", "empty": "EmptyAnswer", "finished": None}
    return at_once[state] if state in at_once else _ENDS[do]


def composed(case: Case, answer: str, whole: bool) -> None:
    """An answer is the text of one process, from its beginning; or, where the model continues what is there, of
    several.
    """
    labels = [(int(life), int(at)) for life, at in re.findall(r"(\d+)\.(\d+)é", answer)]
    texts = [words_of(case, life, "answer")[at][1] for life, at in labels]
    assert answer == "".join(texts), "each word is whole"
    ends = [at for at, label in enumerate(labels) if at + 1 == len(labels) or labels[at + 1][0] != label[0]]
    begin = 0
    for end in ends:
        assert [at for _, at in labels[begin : end + 1]] == list(range(end + 1 - begin)), "from the beginning, in order"
        begin = end + 1
    lives = [labels[end][0] for end in ends]
    assert lives == sorted(set(lives))
    assert len(lives) == 1 or case.how == "prefilled", "nothing is mixed"
    assert labels[-1][1] == 7 or not whole, "to the end"


@contextmanager
def noted(what: str, case: Any, history: list[Any]) -> Iterator[None]:
    """An error says which case it was, and what the processes had said."""
    try:
        yield
    except BaseException as error:
        tail = "\n".join(str(one)[:200] for one in history[-50:])
        error.add_note(f"again: {what.format(case.number)}: {case}\n{tail}")
        raise


class Store:
    """The file of one case: its processes, what it acknowledged to them, and what their readers saw."""

    def __init__(self, folder: Path, template: Path, case: Any, *, fresh: bool) -> None:
        self.path, self.case = folder / f"{case.number}.db", case
        if not fresh:
            shutil.copyfile(template, self.path)
        self.ledger, self.readers, self.token = Ledger(), list[Reader](), None
        self.found, self.other = look(self.path) if self.path.exists() else (Stored(), [[], [], None])
        self.history: list[Any] = []
        self.lives = 0

    def order(self, life: Life) -> dict[str, Any]:
        """What the next process is to do, in the way that is open to it."""
        way = life.way
        if way == "token" and self.token is None:  # it died before anybody had seen one
            way = "issued"
        if way == "issued" and self.found.state != "open":
            way = "token" if self.token else "key"
        order = {
            "path": str(self.path),
            "space": SPACE,
            "stream": STREAM,
            "params": PARAMS,
            "do": life.do,
            "way": way,
            "token": self.token if way == "token" else None,
            "force": life.force,
            "how": self.case.how,
            "words": words_of(self.case, self.lives, life.do),
            "stop_after": 4 if life.do in ("stops", "undoes") else None,
            "lease": LEASE,
            "busy": 0.05,
            "aim": life.aim.order() if life.aim else None,
        }
        self.lives += 1
        self.history.append({**order, "words": ..., "token": bool(order["token"])})
        return order

    def heard(self, one: Running) -> dict[str, dict[str, Any]]:
        """Take down what a process has said; the writes that were under way when it ended."""
        self.history += one.said
        flying = self.ledger.take(one.said)
        reader = Reader(one.said)
        self.readers.append(reader)
        self.token = reader.token or self.token
        return flying

    def check(self, flying: dict[str, dict[str, Any]]) -> bool:
        """Look at what is stored: it is what was acknowledged, and the other space has what it had.

        Whether there is more, of a write that was under way.
        """
        self.found, other = look(self.path)
        assert other == self.other
        return self.ledger.check(self.found, flying)

    def ended(self, order: dict[str, Any], one: Running) -> None:
        """A process has come to its end by itself: what came of it is what had to."""
        found = self.found
        flying = self.heard(one)
        assert flying == {}
        outcome = one.outcome
        assert outcome["error"] == expected(order, found), outcome.get("trace")
        self.check({})
        now = self.found
        shown = self.readers[-1].texts
        if outcome["error"] is None and order["do"] == "answer":
            assert outcome["text"] == now.text == shown[max(shown)]
        elif order["do"] in ("breaks", "stops") and now.state == "open":
            assert now.text.startswith(shown[max(shown)]), "it is durable to the last character that was shown"
        if found.state == "finished":
            assert now.text == found.text and now.epoch == found.epoch
            assert order["way"] == "key" or not any(message["what"] == "asked" for message in one.said)

    def close(self) -> None:
        """At the end of a case: one exchange, whole; every reader has seen nothing else; no file is left but the
        one.
        """
        places = {place for reader in self.readers for place in reader.places()}
        stored, _ = look(self.path, sorted(places))
        assert stored.state == "finished" and stored.found == 1
        for reader in self.readers:
            reader.check(stored)
        composed(self.case, stored.text, whole=not stored.incomplete)
        assert [file.name for file in self.path.parent.glob(f"{self.path.name}*")] == [self.path.name]
        self.path.unlink()


def furnished(folder: Path) -> Path:
    """A file for cases to begin with."""
    path = folder / "template.db"
    asyncio.run(furnish(path))
    return path


def run_case(starter: Starter, folder: Path, template: Path, case: Case) -> Counter[str]:
    """Where the processes of this case were killed; an error if anything was lost, twice, mixed or left."""
    hits: Counter[str] = Counter()
    store = Store(folder, template, case, fresh=case.fresh)
    with noted("run_case(..., case_of({}))", case, store.history):
        lives = list(case.lives)
        ended = False  # by itself: then no file is left but the one
        while lives or not ended or store.found.state != "finished":
            last = Life(way="key" if store.found.state in ("empty", "rolledBack") else "token")
            life = lives.pop(0) if lives else last
            assert store.lives < 8, "it comes to an end"
            order = store.order(life)
            with starter.start(order) as one:
                here = one.until("here")
                ended = here is None
                if here is None:
                    one.end()
                    store.ended(order, one)
                    continue
                assert life.aim
                time.sleep(life.aim.delay)
                one.kill()
            flying = store.heard(one)
            done = store.check(flying)
            hits.update((life.aim.effect, here["when"]))
            if here["when"] == "commit" and life.aim.effect in _SEEN:
                heard = life.aim.effect not in flying
                hits["commit heard of" if heard else "commit done" if done else "commit not done"] += 1
        store.close()
    return hits
