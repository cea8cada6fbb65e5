"""facts of a stream: read while the text is written, visible when it ends, and gone with what they were read from."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import Fenced, Gap, InvalidArgument, StreamNotFound
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()

_TEXT = "Ada lives in Rome. She likes tea."
_MOST = 1_000


def _fact(text: str, *triple: str, **more: Any) -> Row:
    given = dict(zip(("subject", "predicate", "object"), triple, strict=False))
    return {"fact": text, "factType": "identity", "confidence": 80, **given, **more}


_ROME = _fact("Ada lives in Rome.", "Ada", "lives_in", "Rome")
_PARIS = _fact("Ada lives in Paris.", "Ada", "lives_in", "Paris")
_TEA = _fact("Ada likes tea.", "Ada", "likes", "tea")


def _window(start: int, stop: int, *facts: Row, side: str = "answer", **more: Any) -> Row:
    return {"side": side, "from": start, "to": stop, "facts": list(facts), **more}


async def _commit(b: Bench, start: int, stop: int, *facts: Row, **more: Any) -> Row:
    args = {"streamId": "st", "epoch": 1, **_window(start, stop, *facts), **more}
    done: Row = await b.do("facts:commit", **args)
    return done


async def _queue(b: Bench, **more: Any) -> list[tuple[str, int, int]]:
    return [(row["side"], row["from"], row["to"]) for row in await b.ask("facts:queued", **more)]


async def _held(b: Bench) -> dict[str, Row]:
    """The facts that hold, by their texts, as far as two probes may mean them."""
    found = [row for fact in (_ROME, _TEA) for row in await b.ask("facts:similar", userId="ada", **fact)]
    return {row["fact"]: row for row in found}


@PROMISES.add("facts:commit", "streams:finalize", "facts:similar")
async def facts_are_visible_when_the_stream_ends(b: Bench) -> None:
    """What is read from a stream is in no list before the stream ends. Then its facts name the message and the memory
    that they were read from, and say what they did; the same again gives the same."""
    begun = await b.begin()
    await b.append(0, _TEXT)
    await _commit(b, 0, 4, _PARIS, side="question")
    await _commit(b, 0, 18, _ROME)
    b.same(await _held(b), {}, "the facts before the end")
    stored = await b.finalize("", start=len(_TEXT), extractions=[_window(18, len(_TEXT), _TEA)])
    rome, tea = (next(row for row in stored["facts"] if row["fact"] == fact["fact"]) for fact in (_ROME, _TEA))
    source = {"conversationId": "c", "messageIds": begun["messageIds"][1:], "memoryId": begun["memoryId"]}
    b.same(tea["sources"], [{**source, "start": 18, "end": len(_TEXT)}], "the source of a fact")
    b.same([one["action"] for one in stored["revisions"]], ["ADD", "SUPERSEDE", "ADD"], "what the facts did")
    paris = stored["revisions"][1]["about"]
    b.same((rome["supersedes"], rome["userId"]), (paris, "ada"), "what it superseded, and its owner")
    b.same(set(await _held(b)), {_ROME["fact"], _TEA["fact"]}, "the facts that hold")
    again = await b.finalize("", start=len(_TEXT), extractions=[_window(18, len(_TEXT), _TEA)])
    b.same(again, {**stored, "stored": "before"}, "the same again")
    b.same(await b.ask("facts:similar", memorySpaceId=b.other, userId="ada", **_ROME), [], "in another space")
    b.same(await b.ask("facts:similar", **_ROME), [], "without the user")


@PROMISES.add("facts:commit")
async def a_window_is_committed_once(b: Bench) -> None:
    """A window that is sent again changes nothing and gives the same; a statement is stored once for a side. One that
    does not follow, or reaches beyond what is stored, is a Gap."""
    await b.begin()
    await b.append(0, _TEXT)
    b.same((await _commit(b, 0, 0))["progress"], {"question": 0, "answer": 0}, "the progress at first")
    first = await _commit(b, 0, 18, _ROME)
    b.same(await _commit(b, 0, 18, _ROME), first, "the same again")
    second = await _commit(b, 18, 33, _TEA, _ROME)
    b.same(second["facts"][1]["factId"], first["facts"][0]["factId"], "a fact that was read before")
    for start, stop, end in ((34, 35, 33), (18, 34, 33)):
        refused = await b.refused(Gap, _commit(b, start, stop), f"from {start} to {stop} of {end}")
        b.same(refused.end, end, "the end that a Gap names")
    b.same(len((await b.finalize("", start=33))["facts"]), 2, "the number of facts")


@PROMISES.add("facts:commit")
async def only_the_owner_commits_facts(b: Bench) -> None:
    """Facts under another epoch, or of a former attempt, are Fenced. A new attempt has none of the former ones."""
    await b.begin()
    await b.append(0, _TEXT)
    await _commit(b, 0, 18, _ROME)
    await b.append(0, _TEXT, attempt=1)
    await b.refused(Fenced, _commit(b, 18, 33, _TEA, attempt=0), "of a former attempt")
    await b.refused(Fenced, _commit(b, 0, 33, _TEA, epoch=2), "under another epoch")
    await b.refused(StreamNotFound, _commit(b, 0, 0, memorySpaceId=b.other), "in another space")
    b.same((await _commit(b, 0, 0))["progress"]["answer"], 0, "the progress of a new attempt")
    stored = await b.finalize("", start=33, attempt=1)
    b.same(stored["facts"], [], "the facts of the former attempt")


@PROMISES.add("streams:begin", "streams:finish", "facts:queued")
async def facts_are_read_from_the_beginning(b: Bench) -> None:
    """A stream that is begun with `readFacts` is read for facts, also if its writer dies at once: when somebody else
    ends it, all of it is queued. Another stream is not."""
    await b.begin(readFacts=True)
    await b.begin("other")
    for stream in ("st", "other"):
        await b.append(0, _TEXT, stream)
        await b.do("streams:finish", streamId=stream)
    rows = await b.ask("facts:queued")
    found = [(row["streamId"], row["side"], row["from"], row["to"]) for row in rows]
    b.same(found, [("st", "question", 0, 4), ("st", "answer", 0, len(_TEXT))], "what is queued")


@PROMISES.add("facts:commit", "facts:queued")
async def what_was_not_read_is_queued(b: Bench) -> None:
    """A window that failed, and what was not read when the stream ends, is queued, and is read later: its facts are
    visible at once, and it leaves the queue. A dead one is in the queue for those who ask for it."""
    await b.begin()
    await b.append(0, _TEXT)
    await _commit(b, 0, 18, _ROME, error="FAILED")
    b.same(await _queue(b), [], "the queue before the end")
    await b.finalize("", start=33)
    b.same(set(await _held(b)), {_ROME["fact"]}, "what was complete")
    b.same(sorted(await _queue(b)), [("answer", 0, 18), ("answer", 18, 33), ("question", 0, 4)], "the queue")
    b.same(await _queue(b, memorySpaceId=b.other), [], "the queue of another space")
    done = await _commit(b, 0, 18, _ROME, _PARIS)
    b.same([one["action"] for one in done["facts"]], ["ADD", "SUPERSEDE"], "what was read later")
    b.same(await _commit(b, 0, 18, _ROME, _PARIS), done, "the same again")
    await _commit(b, 0, 4, side="question", error="FAILED", tries=9, dead=True)
    b.same(await _queue(b), [("answer", 18, 33)], "the queue afterwards")
    b.same(await _queue(b, dead=True), [("question", 0, 4)], "the dead ones")
    b.same((await _commit(b, 4, 18, _TEA))["facts"], [], "what is not in the queue")
    await _commit(b, 18, 33, _TEA)
    await _commit(b, 0, 4, side="question")
    b.same([*await _queue(b), *await _queue(b, dead=True)], [], "the queue at the end")
    b.same(set(await _held(b)), {_PARIS["fact"], _TEA["fact"]}, "the facts at the end")


@PROMISES.add("facts:commit", "streams:rollback", "streams:close", "memories:deleteMemory")
async def facts_go_with_what_they_were_read_from(b: Bench) -> None:
    """A rollback, the completion of an incomplete answer and the deletion of a memory take the facts that were read
    from them, as if they had never been said. A closed stream keeps those of its question."""
    await b.begin("st2")
    await b.finalize(_TEXT, "st2", extractions=[_window(0, 33, _PARIS)])
    await b.begin()
    await b.append(0, _TEXT)
    await _commit(b, 0, 4, _ROME, side="question")
    await _commit(b, 0, 33, _TEA)
    await b.end("interrupted")
    b.same(set(await _held(b)), {_ROME["fact"]}, "the facts of a closed stream")
    await b.do("streams:rollback", streamId="st", epoch=1)
    b.same(set(await _held(b)), {_PARIS["fact"]}, "the facts after a rollback")
    await b.begin()
    await b.append(0, _TEXT, epoch=2)
    await _commit(b, 0, 18, _ROME, epoch=2)
    await b.do("streams:finish", streamId="st")
    b.same(set(await _held(b)), {_ROME["fact"]}, "the facts of an incomplete answer")
    begun = await b.begin(completes=True)
    b.same(set(await _held(b)), {_PARIS["fact"]}, "the facts when it is to be completed")
    whole = [_window(0, 18, _ROME), _window(18, 33, _TEA)]
    await b.finalize(_TEXT, epoch=begun["epoch"], attempt=begun["attempt"], extractions=whole)
    b.same(set(await _held(b)), {_ROME["fact"], _TEA["fact"]}, "the facts of the whole answer")
    await b.do("memories:deleteMemory", memoryId=begun["memoryId"])
    b.same(set(await _held(b)), {_PARIS["fact"]}, "the facts after its memory was deleted")


@PROMISES.add("facts:commit", "streams:finalize")
async def a_stream_has_so_many_facts(b: Bench) -> None:
    """A stream has at most 1,000 statements; more is refused by name. At its end they cost the window, and never the
    exchange."""
    many = [_fact(f"Ada likes {number}.", "Ada", "likes", str(number)) for number in range(_MOST + 1)]
    await b.begin()
    await b.append(0, _TEXT)
    refused = await b.refused(InvalidArgument, _commit(b, 0, 18, *many), "1,001 facts")
    b.same(refused.field, "facts", "what is refused")
    b.same((await _commit(b, 0, 0))["progress"]["answer"], 0, "the progress")
    stored = await b.finalize("", start=33, extractions=[_window(0, 18, *many), _window(18, 33)])
    b.same(len(stored["facts"]), _MOST, "the number of facts")
    given_up = [{"side": "answer", "from": 0, "to": 18, "error": "TOO_MANY_FACTS"}]
    b.same(stored.get("givenUp"), given_up, "the windows that were given up")
    b.same(await _queue(b, dead=True), [("answer", 0, 18)], "the dead windows")
