"""Random histories of facts in the real store: statements, corrections, retractions, streams that are finalized late,
rolled back, or completed anew, windows that are read days after, and sources that are erased.  After each, what the
store lists as of a time, as known at a time, is what the model says.

All histories are in one store, each in a memory space of its own.  So they also show that none sees another's facts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import pytest
from helpers.belief_model import Said, believed

from cortex_rx.backends import SqliteBackend

PREDICATES = ("lives_in", "works_at", "likes")
OBJECTS = ("Rome", "Paris", "Oslo")
STRATEGIES = ("none", "exact", "structural", "semantic")
TIMES = 24
"""Few seconds, so that statements meet."""


class Store:
    """The store, and a clock of the test's own, in seconds."""

    def __init__(self) -> None:
        ids = count(1)
        self.now = 0
        self.backend = SqliteBackend(":memory:", clock=lambda: float(self.now), new_id=lambda: f"{next(ids):06}")


@dataclass
class Sentence:
    """What is to be said: a FACT_INPUT, and what the model needs to know of it."""

    predicate: str
    object: str
    number: str
    positive: bool
    tense: str
    words: str
    begin: int | None
    end: int | None

    @property
    def text(self) -> str:
        return " ".join(filter(None, ("Ada", self.predicate, self.object, self.number, self.words))) + "."

    @property
    def signature(self) -> tuple[object, ...]:
        return self.predicate, self.object, self.number, self.positive, self.tense

    def input(self) -> dict[str, Any]:
        given = {
            "fact": self.text, "factType": "knowledge", "confidence": 80, "subject": "Ada", "predicate": self.predicate,
            "object": self.object, "polarity": "positive" if self.positive else "negative", "tense": self.tense,
            "validFrom": self.begin, "validUntil": self.end,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class Stream:
    """A stream whose answer says several things, each in a window of its own."""

    name: str
    memory: str
    epoch: int
    attempt: int
    sentences: list[Sentence]
    read: int = 0
    """How many windows are committed."""
    said: int | None = None
    """When it was finalized."""
    mine: list[int] = field(default_factory=list)
    """The statements in the model, once they are visible."""
    seqs: list[int] = field(default_factory=list)
    """The place of each in the order in which the store was given them."""
    incomplete: bool = False

    @property
    def text(self) -> str:
        return " ".join(each.text for each in self.sentences)

    def window(self, at: int) -> tuple[int, int]:
        start = sum(len(each.text) + 1 for each in self.sentences[:at])
        return start, min(start + len(self.sentences[at].text) + 1, len(self.text))


class History:
    """One memory space: what happens in it, and the same in the model."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.random, self.space = store, Random(seed), f"space-{seed}"
        self.strategy: str = self.random.choice(STRATEGIES)
        self.seq = count(1)
        self.model: dict[int, Said] = {}
        self.source: dict[int, tuple[str, int]] = {}  # of a statement: its message or memory, and its place there
        self.running: list[Stream] = []
        self.ended: list[Stream] = []
        self.names = count(1)
        self.done: Counter[str] = Counter()

    @property
    def now(self) -> int:
        return self.store.now * 1_000

    async def call(self, function: str, **args: Any) -> Any:
        return await self.store.backend.mutation(function, {"memorySpaceId": self.space, **args})

    async def ask(self, function: str, **args: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.store.backend.query(function, {"memorySpaceId": self.space, **args})
        return found

    async def run(self, steps: int) -> None:
        self.store.now = 0
        rare = (self.retract, self.roll_back, self.erase, self.correct, self.again)
        often = (self.say, self.begin, self.read, self.finalize, self.read_late, self.complete_anew)
        for _ in range(steps):
            self.store.now += self.random.choice((0, 1, 1, 2))
            what = self.random.choice((*rare, *often, *often))
            if await what() is not False:
                self.done[what.__name__] += 1

    # --- single facts ---

    async def say(self) -> None:
        await self._store(self._anything())

    async def again(self) -> bool:
        """Something is said again by another message, in the same words or others."""
        if not self.model:
            return False
        known = self.random.choice(list(self.model.values()))
        begin, end = self._times(known.tense)
        words = self.random.choice(("", "indeed"))
        await self._store(
            Sentence(known.predicate, known.object, known.number, known.positive, known.tense, words, begin, end)
        )
        return True

    async def _store(self, said: Sentence) -> None:
        seq = next(self.seq)
        message = f"m{seq}"
        await self.call(
            "facts:store", **said.input(), tags=[], sourceType="conversation", deduplication=self.strategy,
            sourceRef={"messageIds": [message], "start": 0, "end": 9},
        )  # fmt: skip
        self._add(seq, said, (message, 0), said=self.now)

    async def correct(self) -> bool:
        """A fact was wrong: another object stands in its place, with the same sources."""
        fact = await self._any_fact()
        if fact is None:
            return False
        old = self._statements(fact)
        first = old[0]
        object_ = self.random.choice([each for each in OBJECTS if each != first.object])
        number = first.number
        text = " ".join(filter(None, ("Ada", first.predicate, object_, number, "then"))) + "."
        await self.call("facts:update", factId=fact["factId"], object=object_, fact=text)
        for each in old:
            self.model[each.seq] = each._replace(wrong=self.now)
            seq = next(self.seq)
            self.model[seq] = each._replace(
                seq=seq, object=object_, known=self.now, number=number, positive=first.positive, tense=first.tense,
                predicate=first.predicate, apart=self._apart("structural", seq, ""),
            )  # fmt: skip
            self.source[seq] = self.source[each.seq]
        return True

    async def retract(self) -> bool:
        fact = await self._any_fact()
        if fact is None:
            return False
        await self.call("facts:deleteFact", factId=fact["factId"])
        for each in self._statements(fact):
            self.model[each.seq] = each._replace(wrong=self.now)
        return True

    # --- streams ---

    async def begin(self) -> None:
        """A stream begins, and its text is stored; what it says is not read yet."""
        name = f"{self.space}-{next(self.names)}"
        sentences: dict[tuple[object, ...], Sentence] = {}
        for _ in range(self.random.choice((1, 2, 3))):
            sentence = self._anything()
            sentences.setdefault(sentence.signature, sentence)
        await self._begun(name, list(sentences.values()))

    async def _begun(self, name: str, sentences: list[Sentence], **more: Any) -> None:
        begun = await self.call(
            "streams:begin", streamId=name, conversationId="c", userMessage="why?", importance=1, tags=[], **more
        )
        stream = Stream(name, begun["memoryId"], begun["epoch"], begun["attempt"], sentences)
        await self._write("streams:append", stream)
        await self._commit(stream, 0, 0, [])
        self.running.append(stream)

    async def _write(self, function: str, stream: Stream, **more: Any) -> None:
        await self.call(
            function,
            streamId=stream.name,
            epoch=stream.epoch,
            attempt=stream.attempt,
            start=0,
            text=stream.text,
            **more,
        )

    async def _commit(self, stream: Stream, start: int, stop: int, facts: list[dict[str, Any]]) -> None:
        await self.call(
            "facts:commit", streamId=stream.name, epoch=stream.epoch, attempt=stream.attempt, side="answer",
            facts=facts, deduplication=self.strategy, **{"from": start, "to": stop},
        )  # fmt: skip

    async def read(self) -> bool:
        """The next window of a stream is read: provisional, so nothing is seen of it."""
        open_ = [each for each in self.running if each.read < len(each.sentences)]
        if not open_:
            return False
        stream = self.random.choice(open_)
        await self._read(stream)
        return True

    async def _read(self, stream: Stream) -> None:
        await self._commit(stream, *stream.window(stream.read), [stream.sentences[stream.read].input()])
        stream.seqs.append(next(self.seq))
        stream.read += 1

    async def finalize(self) -> bool:
        """A stream ends: what was read is known now, and the rest is in the queue."""
        if not self.running:
            return False
        stream = self.running.pop(self.random.randrange(len(self.running)))
        stream.incomplete = self.random.random() < 0.5
        reason = "incomplete" if stream.incomplete else "stop"
        await self._write("streams:finalize", stream, length=len(stream.text), reason=reason)
        stream.said = self.now
        for at in range(stream.read):
            self._show(stream, at)
        self.ended.append(stream)
        return True

    def _show(self, stream: Stream, at: int) -> None:
        assert stream.said is not None
        self._add(stream.seqs[at], stream.sentences[at], (stream.memory, stream.window(at)[0]), said=stream.said)
        stream.mine.append(stream.seqs[at])

    async def read_late(self) -> bool:
        """A window of the queue is read: it is known now, and true since the message was written."""
        queued = [each for each in self.ended if each.read < len(each.sentences)]
        if not queued:
            return False
        stream = self.random.choice(queued)
        await self._read(stream)
        self._show(stream, stream.read - 1)
        return True

    async def roll_back(self) -> bool:
        if not self.running:
            return False
        stream = self.running.pop(self.random.randrange(len(self.running)))
        await self.call("streams:rollback", streamId=stream.name, epoch=stream.epoch)
        return True

    async def complete_anew(self) -> bool:
        """An incomplete answer is completed: what it said was never said."""
        incomplete = [each for each in self.ended if each.incomplete]
        if not incomplete:
            return False
        stream = self.random.choice(incomplete)
        self.ended.remove(stream)
        for seq in stream.mine:
            self.model.pop(seq, None)
        await self._begun(stream.name, [self._anything()], completes=True)
        return True

    async def erase(self) -> bool:
        """The answer of a stream is forgotten, with what was derived from it, corrections included."""
        if not self.ended or self.random.random() < 0.5:
            return False
        stream = self.ended.pop(self.random.randrange(len(self.ended)))
        await self.call("memories:forget", memoryId=stream.memory, erase=True)
        for seq in [seq for seq, (memory, _) in self.source.items() if memory == stream.memory]:
            self.model.pop(seq, None)
        return True

    # --- how ---

    def _anything(self) -> Sentence:
        choose = self.random.choice
        tense = choose(("present",) * 6 + ("past", "future"))
        return Sentence(
            choose(PREDICATES), choose(OBJECTS), choose(("", "", "", "2")), choose((True, True, False)), tense,
            choose(("", "indeed")), *self._times(tense),
        )  # fmt: skip

    def _times(self, tense: str) -> tuple[int | None, int | None]:
        """Mostly none: since it was said."""
        if self.random.random() < 0.6:
            return None, None
        end = self.random.randrange(TIMES) * 1_000 if self.random.random() < 0.3 else None
        return self.random.randrange(TIMES) * 1_000, end

    def _add(self, seq: int, sentence: Sentence, source: tuple[str, int], *, said: int) -> None:
        begin = said if sentence.begin is None and sentence.tense == "present" else sentence.begin
        self.model[seq] = Said(
            seq, sentence.predicate, sentence.object, sentence.number, sentence.positive, sentence.tense, begin,
            sentence.end, said, self.now, None, sentence.predicate != "likes",
            self._apart(self.strategy, seq, sentence.words),
        )  # fmt: skip
        self.source[seq] = source

    @staticmethod
    def _apart(strategy: str, seq: int, words: str) -> str:
        return {"none": f"#{seq}", "exact": f"words {words}"}.get(strategy, "")

    async def _any_fact(self) -> dict[str, Any] | None:
        facts = await self.ask("facts:list", includeSuperseded=True)
        facts = [each for each in facts if each.get("closed") != "wrong"]
        return self.random.choice(facts) if facts else None

    def _statements(self, fact: dict[str, Any]) -> list[Said]:
        """The statements of the model that a fact of the store has as sources, as they became known."""
        places = {_place(each) for each in fact["sources"]}
        found = [
            each
            for each in self.model.values()
            if self.source[each.seq] in places and each.wrong is None and _shown(fact) == _said(each)
        ]
        assert len(found) == len(places)
        return sorted(found, key=lambda each: (each.known, each.seq))

    # --- what is asked ---

    async def check(self) -> None:
        """Of the present the store keeps what is believed; of what was known before it folds it anew."""
        past = self.random.sample(range(self.store.now + 1), min(2, self.store.now + 1))
        for known_at in (None, *past):
            known = {} if known_at is None else {"knownAt": known_at * 1_000}
            for time in self.random.sample(range(TIMES), 4):
                rows = await self.ask("facts:list", asOf=time * 1_000, **known)
                found = Counter((_shown(each), frozenset(map(_place, each["sources"]))) for each in rows)
                facts = believed(self.model.values(), time * 1_000, known.get("knownAt", self.now))
                expected = Counter((each[:-1], frozenset(self.source[seq] for seq in each.sources)) for each in facts)
                assert found == expected, f"{self.space} as of {time}, as known at {known_at}"


def _place(source: dict[str, Any]) -> tuple[str, int]:
    return source.get("memoryId") or source["messageIds"][0], source["start"]


def _shown(fact: dict[str, Any]) -> tuple[str, str, str, bool, str]:
    number = "2" if " 2" in fact["fact"] else ""
    return fact["predicate"], fact["object"], number, fact["polarity"] == "positive", fact["tense"]


def _said(said: Said) -> tuple[str, str, str, bool, str]:
    return said.predicate, said.object, said.number, said.positive, said.tense


THINGS = set(
    "say again begin read finalize read_late correct retract roll_back complete_anew erase".split()
)  # what may happen


async def check_all(seeds: range) -> None:
    store = Store()
    done: Counter[str] = Counter()
    try:
        for seed in seeds:
            history = History(store, seed)
            await history.run(20)
            await history.check()
            done += history.done
    finally:
        await store.backend.close()
    assert set(done) == THINGS, "each thing has happened"


async def test_20_histories_in_the_store() -> None:
    await check_all(range(20))


@pytest.mark.slow(reason="800 more histories of facts in the store")
@pytest.mark.parametrize("lot", range(8))
async def test_800_histories_in_the_store(lot: int) -> None:
    await check_all(range(20 + 100 * lot, 20 + 100 * (lot + 1)))
