"""`extract_facts`: facts are read beside the stream, each character once; no token waits, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import threading
from datetime import timedelta

import pytest
from helpers.lanes import slow_but

from cortex_rx import Embedder, from_stream
from cortex_rx import operators as cx
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.sqlite.functions import fact_commits
from cortex_rx.errors import InvalidArgument, ResumableStreamError, StoreUnavailable
from cortex_rx.events import Delta, Ended, FactsExtracted, Problem, Remembered
from cortex_rx.operators._support import fact_pieces

MS = timedelta(milliseconds=1)
SENTENCES = [f"You like thing {n} and say so in a sentence of some length, as people do. " for n in range(24)]
TEXT = "".join(SENTENCES)
ALL = [f"thing {n}" for n in range(24)]
LIKES = re.compile(r"thing (\d+)")


class Reads:
    """An extractor: one fact for each "thing <n>"; it notes what it was given."""

    def __init__(self, seconds=0.0, does=None):
        self.seconds, self.does, self.given = seconds, does, []

    async def __call__(self, user_message, text):
        self.given.append((user_message, text))
        await asyncio.sleep(self.seconds)
        if self.does:
            self.does(user_message, text)
        return [likes(n) for n in LIKES.findall(user_message + text)]


def likes(n):
    return {
        "fact": f"Ada likes thing {n}.", "factType": "preference", "confidence": 80, "subject": "I",
        "predicate": "likes", "object": f"thing {n}",
    }  # fmt: skip


def chain(store, extractor, *after, **how):
    facts = cx.extract_facts(extractor, store, **how)
    return cx.chain(cx.begin(store), cx.persist_partial(store, 100 * MS), facts, *after, cx.finalize(store))


def script(sentences=SENTENCES, pause=0.1):
    return [item for sentence in sentences for item in (pause, sentence[:30], sentence[30:])]


def play(lab, extractor, *items, after=(), then=None, **how):
    async def main():
        outcome = await lab.play(
            lab.source(*(items or script())), chain(lab.store, extractor, *after, **how), traced=False
        )
        return outcome, await then() if then else None

    return lab.run(main)


def visible(lab):
    """What the facts of the file are about, in the order in which they were made."""
    with contextlib.closing(sqlite3.connect(lab.path)) as db:
        rows = db.execute("SELECT object FROM facts WHERE closed IS NULL ORDER BY seq").fetchall()
    return [thing for (thing,) in rows]


def stored(lab):
    """The same, and what is queued."""

    async def ask():
        return visible(lab), await lab.store.inner.query("facts:queued", {})

    return ask


def ranges(lab):
    """The windows of the answer that were stored, in order, with those of `finalize`."""
    windows = [call.args for call in lab.store.of("facts:commit") if call.args["side"] == "answer"]
    for call in lab.store.of("finalize"):
        windows += [window for window in call.args.get("extractions", ()) if window["side"] == "answer"]
    return [(window["from"], window["to"]) for window in windows]


# --- beside the stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_no_token_waits_for_an_extractor(lab, seconds):
    outcome, (facts, queue) = play(lab, Reads(seconds), then=stored(lab))
    assert outcome.error is None and outcome.text == TEXT
    assert outcome.times(Delta) == lab.model.gave, "to the instant"
    assert (facts == ALL and not queue) if not seconds else queue, "what was not read in 10 s is queued"


def test_each_character_is_read_once_beside_the_overlap_and_the_question_by_itself(lab):
    reads = Reads()
    outcome, (facts, queue) = play(lab, reads, then=stored(lab))
    assert reads.given[0] == ("What is it?", "")
    assert all(question == "" for question, _ in reads.given[1:])
    assert sum(len(text) for _, text in reads.given) <= 1.15 * len(TEXT)
    found = ranges(lab)
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])] and found[-1][1] == len(TEXT)
    assert facts == ALL and queue == []
    assert [fact.object for fact in outcome.one(Remembered).facts] == ALL
    assert {fact.subject for fact in outcome.one(Remembered).facts} == {"ada"}
    assert [one.action for one in outcome.one(Remembered).fact_revisions] == ["ADD"] * 24


def test_the_first_facts_come_before_the_end_and_only_the_tail_after_it(lab):
    outcome, _ = play(lab, Reads(0.05))
    ended = outcome.times(Ended)[0]
    assert outcome.times(FactsExtracted)[0] < ended - 1.0
    late = [event for at, event in outcome.seen if isinstance(event, FactsExtracted) and at > ended]
    assert sum(event.stop - event.start for event in late) < 1_100, "two windows at most"
    assert [event.stored for event in outcome.of(FactsExtracted)] == sorted(
        (event.stored for event in outcome.of(FactsExtracted)), reverse=True
    )


def test_every_fact_says_where_it_was_read(lab):
    outcome, _ = play(lab, Reads())
    for fact in outcome.one(Remembered).facts:
        source = fact.source_ref
        assert source.conversation_id == "c-1" and len(source.message_ids) == 1 and source.memory_id
        assert fact.object in TEXT[source.start : source.end]


def test_what_is_stored_of_the_answer_is_durable_and_in_no_list_yet(lab):
    seen = []

    def watch(event):
        if isinstance(event, FactsExtracted) and event.stored:
            seen.append((event.stop, lab.in_the_file("streams:get", streamId="stream-1")["length"]))
            assert visible(lab) == []

    async def main():
        await lab.play(lab.source(*script()), chain(lab.store, Reads()), watch=watch, traced=False)

    lab.run(main)
    assert seen and all(stop <= length for stop, length in seen)


def test_more_extractions_at_a_time_are_stored_in_order(lab):
    most = running = 0

    async def extractor(user_message, text):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.9 if "thing 0 " in text else 0.3)
        running -= 1
        return [likes(n) for n in LIKES.findall(text)]

    _, (facts, queue) = play(lab, extractor, *script(pause=0.02), then=stored(lab), concurrency=3)
    assert most == 3
    assert facts == ALL and queue == []


def test_without_progressive_it_is_read_when_it_has_ended(lab):
    reads = Reads()
    outcome, (facts, _) = play(lab, reads, then=stored(lab), progressive=False)
    assert facts == ALL
    assert min(outcome.times(FactsExtracted)) >= outcome.times(Ended)[0]


async def test_a_function_that_is_not_async_holds_nothing_up(lab):
    """In real time, for in virtual time all threads are the loop's. It waits for tokens that come while it waits."""
    loop, begun, all_shown, waited = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []

    def extractor(user_message, text):
        loop.call_soon_threadsafe(begun.set)
        waited.append(all_shown.wait(10))
        return [likes(n) for n in LIKES.findall(text)]

    async def model():
        await begun.wait()
        for sentence in SENTENCES:
            yield sentence

    def watch(event):
        if isinstance(event, Delta) and event.text == SENTENCES[-1]:
            all_shown.set()

    async with SqliteBackend(lab.path) as store:
        source = from_stream(model, turn=lab.turn)
        outcome = await lab.play(source, chain(store, extractor), watch=watch, traced=False)
    assert (outcome.error, outcome.codes) == (None, [])
    assert set(waited) == {True} and visible(lab) == ALL


# --- what fails -------------------------------------------------------------------------------------------------------


def test_an_extractor_that_hangs_costs_ten_seconds_after_the_end_and_the_rest_is_queued(lab):
    outcome, (facts, queue) = play(lab, Reads(10_000), then=stored(lab), timeout=timedelta(hours=1))
    assert outcome.error is None and outcome.of(Remembered)
    assert outcome.ended_at - outcome.times(Ended)[0] == pytest.approx(10, abs=0.1)
    assert outcome.codes == ["EXTRACTOR_SLOW"] and facts == []
    sides = [(row["side"], row["from"], row["to"], row["error"]) for row in queue]
    assert sides[0] == ("question", 0, 11, "EXTRACTOR_SLOW")
    assert [start for _, start, _, _ in sides[1:]] == [0, *(stop for _, _, stop, _ in sides[1:-1])]
    assert sides[-1][2] == len(TEXT)


def test_an_extractor_that_takes_too_long_for_one_window_goes_on_with_the_next(lab):
    async def extractor(user_message, text):
        await asyncio.sleep(1000 if "thing 7 " in text else 0.01)
        return [likes(n) for n in LIKES.findall(text)]

    outcome, (facts, queue) = play(lab, extractor, then=stored(lab), timeout=timedelta(seconds=1))
    assert outcome.codes == ["TimeoutError"]
    (row,) = queue
    lost = LIKES.findall(TEXT[row["from"] : row["to"]])
    assert "7" in lost and facts == [each for each in ALL if each.split()[1] not in lost]


async def hangs(*_):
    await asyncio.sleep(10_000)


@pytest.mark.parametrize(
    "how", [{"revise": hangs}, {"deduplication": "semantic", "embedder": hangs}], ids=["decider", "embedder"]
)
def test_what_can_be_left_out_costs_no_fact_when_it_hangs(lab, how, caplog):
    async def main():
        known = lab.source("You like thing 99.", stream="stream-0")  # so that what comes is in doubt
        await lab.play(known, chain(lab.store, Reads()), traced=False)
        outcome = await lab.play(lab.source(*script()), chain(lab.store, Reads(), **how), traced=False)
        return outcome, await stored(lab)()

    outcome, (facts, queue) = lab.run(main)
    assert outcome.times(Delta) == lab.model.gave
    assert outcome.ended_at - outcome.times(Ended)[0] == pytest.approx(10, abs=0.1)
    assert outcome.codes == [] and queue == []
    assert facts == ["thing 99", *ALL]
    assert "facts are stored as they are: the embedder or the decider did not end in time" in caplog.text


@pytest.mark.parametrize("nonsense", [None, 7, ["x"], [{"fact": ""}], [likes(5) | {"confidence": float("nan")}]])
def test_an_extractor_that_fails_costs_a_problem_and_a_queued_window(lab, nonsense, caplog):
    async def extractor(user_message, text):
        if "thing 7 " in text:
            if nonsense is None:
                raise ValueError("a private text")
            return nonsense if isinstance(nonsense, int) else [*nonsense, likes(7)]
        return [likes(n) for n in LIKES.findall(text)]

    outcome, (facts, queue) = play(lab, extractor, then=stored(lab))
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.recoverable) == ("fact-extraction", True)
    assert problem.code == ("ValueError" if nonsense is None else "INVALID_INPUT")
    assert "private" not in caplog.text + problem.message
    (row,) = queue
    assert row["error"] == problem.code and row["tries"] == 1
    assert "thing 7 " in TEXT[row["from"] : row["to"]]
    assert ("thing 7" in facts) == isinstance(nonsense, list), "complete facts are kept"
    assert {"thing 0", "thing 23"} <= set(facts)


def test_a_store_that_fails_for_now_loses_nothing_and_holds_nothing_up(lab):
    lab.store.down("facts:commit", since=0.5, until=1.7)
    outcome, (facts, queue) = play(lab, Reads(), then=stored(lab))
    assert outcome.times(Delta) == lab.model.gave
    assert facts == ALL and queue == []
    assert outcome.codes == ["STORE_UNAVAILABLE"]


def test_a_store_that_takes_no_commits_gets_all_with_the_exchange(lab):
    lab.store.down("facts:commit")
    outcome, (facts, queue) = play(lab, Reads(), then=stored(lab))
    assert facts == ALL and queue == [] and outcome.of(Remembered)


def test_an_answer_of_a_commit_that_is_lost_stores_nothing_twice(lab):
    lab.store.fail("facts:commit", *[StoreUnavailable("lost")] * 3, reply_lost=True)
    _, (facts, queue) = play(lab, Reads(), then=stored(lab))
    assert facts == ALL and queue == []


@pytest.mark.parametrize("name", ["facts:commit", "finalize"])
def test_a_store_that_refuses_the_facts_stores_the_exchange_and_they_are_queued(lab, name):
    async def refuse(call):
        windows = [call.args] if name == "facts:commit" else call.args.get("extractions", ())
        if any(window["facts"] for window in windows):
            raise InvalidArgument("facts", "a value", "another value")

    lab.store.rule(name, refuse)
    outcome, (facts, queue) = play(lab, Reads(), then=stored(lab))
    assert outcome.error is None and outcome.of(Remembered)
    assert "INVALID_INPUT" in outcome.codes
    lost = [n for row in queue if row["side"] == "answer" for n in LIKES.findall(TEXT[row["from"] : row["to"]])]
    assert lost and facts == [each for each in ALL if each.split()[1] not in lost]


def test_more_facts_than_a_stream_may_have_are_a_problem_and_a_dead_letter(lab, monkeypatch):
    monkeypatch.setattr(fact_commits, "MOST", 20)

    async def dead():
        return visible(lab), await lab.store.inner.query("facts:queued", {"dead": True})

    outcome, (facts, letters) = play(lab, Reads(), then=dead, progressive=False)
    assert outcome.error is None and [fact.object for fact in outcome.one(Remembered).facts] == facts == ALL[:20]
    (problem,) = outcome.of(Problem)
    assert (problem.phase, problem.code, problem.recoverable) == ("fact-extraction", "TOO_MANY_FACTS", True)
    assert {letter["error"] for letter in letters} == {"TOO_MANY_FACTS"}
    left = "".join(TEXT[letter["from"] : letter["to"]] for letter in letters)
    assert set(ALL[20:]) <= {f"thing {n}" for n in LIKES.findall(left)}


def test_facts_have_embeddings_of_their_own_model(lab):
    memories, facts = Embedder(lambda text: [1.0, 2.0], "memories"), Embedder(lambda text: [1.0], "facts")

    async def main():
        steps = cx.chain(
            cx.begin(lab.store),
            cx.extract_facts(Reads(), lab.store, deduplication="semantic", embedder=facts),
            cx.finalize(lab.store, generate_embedding=memories),
        )
        outcome = await lab.play(lab.source(*script()), steps, traced=False)
        return outcome, await lab.memories()

    outcome, rows = lab.run(main)
    assert outcome.codes == [] and visible(lab) == ALL
    assert [row["embedding"] for row in rows] == [[1.0, 2.0]] * 2
    with contextlib.closing(sqlite3.connect(lab.path)) as db:
        assert db.execute("SELECT model, count(*) FROM statement_vectors GROUP BY model").fetchall() == [("facts", 24)]


def test_what_comes_much_faster_than_it_is_read_is_queued_and_not_held(lab, monkeypatch):
    monkeypatch.setattr(fact_pieces, "MOST", 1_500)
    outcome, (facts, queue) = play(lab, Reads(0.5), *script(pause=0.01), then=stored(lab))
    assert outcome.codes == ["EXTRACTOR_BEHIND"]
    (row,) = queue
    lost = LIKES.findall(TEXT[row["from"] : row["to"]])
    assert row["error"] == "EXTRACTOR_BEHIND" and facts == [each for each in ALL if each.split()[1] not in lost]


# --- how a stream ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", slow_but([0.35, 1.5, 2.55], [0.35, 0.95, 1.5, 2.35, 2.55, 4.0], "another time"))
def test_a_stream_that_is_cancelled_leaves_no_task_and_waits_for_no_extractor(lab, at):
    async def main():
        loop = asyncio.get_running_loop()
        task = loop.create_task(lab.play(lab.source(*script()), chain(lab.store, Reads(30.0)), traced=False))
        await asyncio.sleep(at)
        task.cancel()
        began = loop.time()
        await asyncio.wait({task})
        return loop.time() - began

    assert lab.run(main) <= 0.2


@pytest.mark.parametrize("strategy", ["store-partial", "rollback", "best-effort"])
def test_a_stream_that_fails_does_what_is_said_with_its_facts(lab, strategy):
    async def counts():
        stream = await lab.stream()
        async with asyncio.timeout(1):
            return stream, await stored(lab)()

    items = [*script(SENTENCES[:18]), ConnectionError("x")]
    outcome, (stream, (facts, queue)) = play(lab, Reads(), *items, after=[cx.recover(strategy, lab.store)], then=counts)
    if strategy == "rollback":
        assert stream is None and facts == queue == []
    elif strategy == "store-partial":
        assert isinstance(outcome.error, ResumableStreamError) and facts == [], "they are provisional"
    else:
        assert outcome.of(Remembered)
        left = [n for row in queue for n in LIKES.findall(TEXT[row["from"] : row["to"]])]
        assert facts == [each for each in ALL[:18] if each.split()[1] not in left] and len(facts) >= 12


def test_an_answer_without_text_keeps_the_facts_of_the_question(lab):
    turn = type(lab.turn)("space", "c-1", "I like thing 99.", user_id="ada", user_name="Ada")

    async def main():
        await lab.play(lab.source(0.1, turn=turn), chain(lab.store, Reads()), traced=False)
        return await stored(lab)()

    assert lab.run(main) == (["thing 99"], [])


def test_an_exchange_that_was_stored_before_is_not_read_again(lab):
    turn = type(lab.turn)("space", "c-1", "What?", user_id="ada", user_name="Ada", idempotency_key="k")
    first, second = Reads(), Reads()

    async def main():
        for reads in (first, second):
            outcome = await lab.play(lab.source(*script(), turn=turn), chain(lab.store, reads), traced=False)
        return outcome, await stored(lab)()

    outcome, (facts, queue) = lab.run(main)
    assert outcome.one(Remembered).stored_before and [fact.object for fact in outcome.one(Remembered).facts] == ALL
    assert facts == ALL and queue == [] and second.given == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"threshold": 0}, "threshold"), ({"concurrency": 0}, "concurrency"), ({"wait": 5}, "wait"),
        ({"timeout": timedelta(0)}, "timeout"), ({"deduplication": "some"}, "deduplication"),
        ({"revise": 1}, "revise"), ({"predicates": {}}, "predicates"), ({"embedder": 7}, "embedder"),
        ({"embedder": str}, "embedder"),
        ({"progressive": 1}, "progressive"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(lab, given, field):
    with pytest.raises(InvalidArgument) as caught:
        cx.extract_facts(Reads(), lab.store, **given)
    assert caught.value.field == field
    with pytest.raises(InvalidArgument) as caught:
        cx.extract_facts("read", lab.store)
    assert caught.value.field == "extractor"
