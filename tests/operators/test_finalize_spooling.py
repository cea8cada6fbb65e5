"""What the operators put into a spool when the store is down, and what is in the store after a drain."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace

import pytest
from helpers.operator_chains import QUESTION, script
from reactivex import Observer

from cortex_rx import Spool
from cortex_rx import operators as cx
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import (
    EmptyAnswer,
    IdempotencyConflict,
    NotStored,
    StoreReadOnly,
    StoreUnavailable,
    StreamNotFound,
)
from cortex_rx.events import Begun, Delta, Ended
from cortex_rx.models.records import Usage
from cortex_rx.models.source_position import PrefixHash, SourcePosition

WORDS = script(40, 0.05)
TEXT = "".join(WORDS[1::2])
DOWN = {
    "begin": ["begin"],
    "append": ["append", "finalize"],
    "finalize": ["finalize"],
    "all of them": ["begin", "append", "finalize", "renew"],
}
DOWNS = pytest.mark.parametrize("down", DOWN)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool.db")


def embed(text):
    return [float(len(text)), 0.5]


def upper(question, answer):
    return question.upper()


def full(store, spool):
    """Everything that an exchange can have."""
    return cx.chain(
        cx.begin(store),
        cx.chunk("fixed", 100, max_length=100),
        cx.persist_partial(store, spool=spool),
        cx.finalize(store, upper, embed, 100, spool=spool),
    )


def simple(store, spool):
    return cx.chain(cx.begin(store), cx.finalize(store, spool=spool))


def persisting(store, spool):
    return cx.chain(cx.begin(store), cx.persist_partial(store, spool=spool), cx.finalize(store, spool=spool))


def in_the_store(lab):
    """What another process finds, without ids and times."""
    if not lab.path.exists():
        return [], []
    own = {"createdAt", "updatedAt", "memoryId", "chunkIds", "accessCount", "conversationRef", "sourceTimestamp"}
    memories = [
        {key: value for key, value in row.items() if key not in own}
        for row in lab.in_the_file("memories:list", includePartial=True, includeChunks=True)
    ]
    for row in memories:
        row.get("chunkMetadata", {}).pop("parentMemoryId", None)
    conversation = lab.in_the_file("conversations:get", conversationId="c-1")
    messages = [
        {key: value for key, value in message.items() if key not in ("id", "timestamp")}
        for message in (conversation or {"messages": []})["messages"]
    ]
    return memories, messages


def play(lab, source, chain, spool):
    """Run the stream; then the store is back, and the spool is drained into it."""

    async def main():
        outcome = await lab.play(source, chain, traced=False)
        before = in_the_store(lab)
        return outcome, before, await spool.drain(lab.store.inner)

    return lab.run(main)


@DOWNS
@pytest.mark.parametrize("chain", [full, simple, persisting])
def test_in_the_end_all_is_there_as_if_the_store_had_not_been_down(lab, make_lab, spool, down, chain):
    turn = replace(lab.turn, tags=("parcel",), importance=70, metadata={"channel": "mail"})
    never = make_lab()
    ended = Ended("length", 0, 0, Usage(output_tokens=40))

    def source(lab):
        events = [lab.opened.__class__(turn, "stream-1", lab.opened.at)]
        for at, delta in enumerate(lab.deltas(*WORDS[1::2])):
            events += [0.05, replace(delta, index=at)]
        return lab.events(*events, replace(ended, offset=len(TEXT), index=40))

    async def uninterrupted():
        return await never.play(source(never), chain(never.store, None), traced=False)

    assert never.run(uninterrupted).error is None
    for name in DOWN[down]:
        lab.store.down(name)
    outcome, before, report = play(lab, source(lab), chain(lab.store, spool), spool)
    assert outcome.text == TEXT, "the tokens were shown"
    error = outcome.error
    assert isinstance(error, NotStored)
    assert error.spooled is not None
    assert error.spooled.path == spool.path
    assert spool.path in str(error)
    assert error.spooled.id in str(error)
    assert "word" not in str(error)
    assert [one.id for one in report.delivered] == [error.spooled.id]
    assert (report.dropped, report.dead, report.left, report.error) == ((), (), 0, None)
    assert before[1] == []
    assert in_the_store(lab) == in_the_store(never)
    assert len(in_the_store(lab)[1]) == 2


@pytest.mark.parametrize("down", [["begin"], ["append"], ["begin", "append"]], ids=" and ".join)
def test_a_source_that_fails_while_the_store_is_down(lab, spool, down):
    for name in down:
        lab.store.down(name, since=0.0 if name == "begin" else 1.2)
    source = lab.source(*WORDS, ConnectionError("the model went away"))
    outcome, _, report = play(lab, source, persisting(lab.store, spool), spool)
    assert isinstance(outcome.error, NotStored)
    assert isinstance(outcome.error.__cause__, ConnectionError)
    assert [one.id for one in report.delivered] == [outcome.error.spooled.id]
    row = lab.in_the_file("streams:get", streamId="stream-1")
    assert (row["state"], row["length"]) == ("open", len(TEXT))
    assert "leaseUntil" not in row, "free to be resumed"
    assert row["resumeState"] == {"index": 40}
    memory = lab.in_the_file("memories:get", memoryId=row["memoryId"], includePartial=True)
    assert (memory["content"], memory["isPartial"]) == (TEXT, True)
    assert memory["partialMetadata"]["userMessage"] == "What is it?"
    assert in_the_store(lab)[1] == []


@pytest.mark.parametrize("down", [["begin"], ["append"]], ids=" and ".join)
def test_a_stream_that_completes_without_an_end_while_the_store_is_down(lab, spool, down):
    for name in down:
        lab.store.down(name, since=0.0 if name == "begin" else 1.2)
    events = [item for delta in lab.deltas(*WORDS[1::2]) for item in (0.05, delta)]
    outcome, _, report = play(lab, lab.events(lab.opened, *events), persisting(lab.store, spool), spool)
    assert isinstance(outcome.error, NotStored)
    assert [one.id for one in report.delivered] == [outcome.error.spooled.id]
    (row,) = in_the_store(lab)[0]
    assert (row["content"], row["isPartial"]) == (TEXT, True)


def test_the_place_in_the_source_goes_with_the_text(lab, spool):
    """So a process can resume the stream later."""
    lab.store.down("begin")
    trail = PrefixHash()
    trail.add("Hello")
    mark = SourcePosition(5, trail, {"id": 7}, 5)
    (delta,) = lab.deltas("Hello")
    delta.mark = mark
    source = lab.events(lab.opened, 3.0, delta, 1.0, ConnectionError("gone"))
    play(lab, source, persisting(lab.store, spool), spool)
    row = lab.in_the_file("streams:get", streamId="stream-1")
    assert row["resumeState"] == {"index": 1}
    assert row["mark"] == mark.to_json()


def test_a_source_that_fails_without_a_word_leaves_its_question(lab, spool):
    lab.store.down("begin")
    source = lab.source(1.0, ConnectionError("gone"))
    outcome, _, report = play(lab, source, persisting(lab.store, spool), spool)
    assert isinstance(outcome.error, ConnectionError)
    assert len(report.delivered) == 1
    assert lab.in_the_file("streams:get", streamId="stream-1")["userMessage"] == "What is it?"


def test_a_store_that_refuses_in_the_middle_and_a_source_that_fails_later(lab, spool):
    """It is not asked again and again; what came after that is not lost."""
    lab.store.fail("append", None, None, *[StoreReadOnly("read only")] * 100)
    source = lab.source(*WORDS, ConnectionError("gone"))
    outcome, _, _ = play(lab, source, persisting(lab.store, spool), spool)
    assert outcome.error.spooled
    assert len(lab.store.of("append")) < 6
    assert in_the_store(lab)[0][0]["content"] == TEXT


def test_an_empty_answer_that_could_not_be_closed(lab, spool):
    lab.store.down("begin")
    lab.store.down("close")
    outcome, _, report = play(lab, lab.source(0.5, " "), persisting(lab.store, spool), spool)
    assert isinstance(outcome.error, NotStored)
    assert len(report.delivered) == 1
    memories, messages = in_the_store(lab)
    assert [(row["messageRole"], row["content"], row["tags"]) for row in memories] == [(*QUESTION, ["unanswered"])]
    assert messages[0]["metadata"] == {"unanswered": "empty", "finishReason": "stop"}


def test_durable_what_was_not_shown_is_kept_too(lab, spool):
    lab.store.down("append", since=1.0)
    chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store, show="durable", spool=spool))
    outcome, _, report = play(lab, lab.source(*WORDS), chain, spool)
    assert isinstance(outcome.error, NotStored)
    assert len(report.delivered) == 1
    content = in_the_store(lab)[0][0]["content"]
    assert TEXT.startswith(content)
    assert content == outcome.text + outcome.error.text
    assert len(outcome.text) < len(content)


def test_durable_a_store_that_never_begins(lab, spool):
    lab.store.down("begin")
    chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store, show="durable", spool=spool))
    outcome, _, _ = play(lab, lab.source(*WORDS), chain, spool)
    assert outcome.of(Delta) == []
    assert outcome.error.spooled
    assert in_the_store(lab)[0][0]["content"] == TEXT


@pytest.mark.parametrize("what", ["finished", "deleted"])
def test_durable_what_the_store_refuses_for_good_ends_the_stream_as_it_is(lab, spool, what):
    """It is no store that stays away, and nothing waits for that."""

    async def refused(path, args):
        raise {"finished": IdempotencyConflict, "deleted": StreamNotFound}[what]("no")

    chain = cx.chain(cx.begin(lab.store), cx.persist_partial(lab.store, show="durable", spool=spool))

    async def main():
        inner = lab.store.inner.mutation

        async def mutation(path, args):
            return await (refused if path == "streams:append" else inner)(path, args)

        lab.store.inner.mutation = mutation
        return await lab.play(lab.source(*WORDS), chain), await spool.count()

    outcome, waiting = lab.run(main)
    assert type(outcome.error) is {"finished": IdempotencyConflict, "deleted": StreamNotFound}[what]
    assert waiting == 0


# --- stopped ----------------------------------------------------------------------------------------------------------


def stop(lab, source, chain, spool, after):
    flows = []

    async def main():
        async with FlowScheduler() as flow:
            flows.append(flow)
            flow.subscribe(source.pipe(chain), Observer())
            await asyncio.sleep(after)
        took = asyncio.get_running_loop().time() - after
        waiting = await spool.count()
        lab.store.before.clear()
        return took, waiting, await spool.drain(lab.store.inner)

    took, waiting, report = lab.run(main)
    assert took < 9.5
    return flows[0].flush_errors, waiting, report


@pytest.mark.parametrize("down", [["begin"], ["append"], ["begin", "append", "renew"]], ids=" and ".join)
def test_a_stop_while_the_store_is_down(lab, spool, down, caplog):
    for name in down:
        lab.store.down(name, since=0.0 if name == "begin" else 1.2)
    errors, waiting, report = stop(lab, lab.source(*WORDS, 100.0), persisting(lab.store, spool), spool, after=4.0)
    assert waiting == len(report.delivered) == 1
    assert [error.spooled.id for error in errors if isinstance(error, NotStored)] == [report.delivered[0].id]
    (row,) = in_the_store(lab)[0]
    assert (row["content"], row["isPartial"]) == (TEXT, True)
    assert "word" not in caplog.text


@pytest.mark.parametrize("name", ["begin", "append", "finalize"])
def test_a_stop_while_the_store_stalls(lab, spool, name):
    """A flush that is cut off has not stored anything, or has: it is kept."""
    lab.store.stall(name, since=0.0 if name != "append" else 1.2)
    script = WORDS if name == "finalize" else [*WORDS, 100.0]
    _, waiting, report = stop(lab, lab.source(*script), persisting(lab.store, spool), spool, after=4.0)
    assert waiting == len(report.delivered)
    assert waiting >= 1
    memories, messages = in_the_store(lab)
    assert (memories[0]["content"], memories[0]["isPartial"]) == (TEXT, name != "finalize")
    assert len(messages) == (2 if name == "finalize" else 0)


def test_a_stop_after_the_end_of_the_text(lab, spool):
    for name in ("begin", "append", "finalize"):
        lab.store.down(name)
    source = lab.events(lab.opened, *lab.deltas("It is."), 3.0, lab.ended("It is."), 60.0)
    _, _, report = stop(lab, source, persisting(lab.store, spool), spool, after=6.0)
    assert (report.dead, report.left) == ((), 0)
    memories, messages = in_the_store(lab)
    assert [message["content"] for message in messages] == ["What is it?", "It is."]
    assert [row["content"] for row in memories] == ["It is.", "What is it?"]


# --- what is in the file, and when it cannot be -----------------------------------------------------------------------


def test_the_file_is_its_owners_alone_and_holds_no_token(lab, spool, tmp_path, caplog):
    lab.store.down("append")
    lab.store.down("finalize")
    begun = []

    async def main():
        outcome = await lab.play(lab.source(*WORDS), persisting(lab.store, spool), traced=False)
        begun.append(outcome.one(Begun))
        return (tmp_path / "spool.db").read_bytes()

    data = lab.run(main)
    assert stat.S_IMODE((tmp_path / "spool.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("spool*")) == ["spool.db"]
    assert b"word 17 " in data
    assert begun[0].token
    assert begun[0].token.encode() not in data
    hashed = lab.store.of("begin")[0].args["token"]
    assert hashed.encode() not in data
    assert "word" not in caplog.text
    assert "What is it" not in caplog.text


@pytest.mark.parametrize("fault", ["disk full", "no folder", "a folder", "another database"])
def test_when_the_spool_fails_too_the_error_carries_the_text(lab, tmp_path, fault, caplog):
    path = {"no folder": tmp_path / "none" / "spool.db", "a folder": tmp_path, "another database": lab.path}.get(fault)
    spool = Spool(path or tmp_path / "spool.db", max_page_count=8 if fault == "disk full" else None)
    lab.store.down("finalize")
    text = "word " * 20_000

    async def main():
        return await lab.play(lab.source(text), simple(lab.store, spool), traced=False)

    error = lab.run(main).error
    assert isinstance(error, NotStored)
    assert (error.text, error.offset, error.spooled) == (text, 0, None)
    assert isinstance(error.__cause__, StoreUnavailable)
    assert "the spool failed" in str(error)
    assert "the spool failed" in caplog.text
    assert "word" not in str(error) + caplog.text


def test_what_the_store_has_refused_is_not_spooled(lab, spool):
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        for text in ("First.", "Second."):
            outcome = await lab.play(lab.source(text, turn=turn), persisting(lab.store, spool), traced=False)
        return outcome.error, await spool.count()

    error, waiting = lab.run(main)
    assert isinstance(error, IdempotencyConflict)
    assert waiting == 0


def test_what_was_deleted_is_not_spooled_or_stays_deleted(lab, spool):
    lab.store.down("finalize")

    async def main():
        await lab.play(lab.source(*WORDS), persisting(lab.store, spool), traced=False)
        (row,) = await lab.ask("memories:list", includePartial=True)
        await lab.store.inner.mutation("memories:deleteMemory", {"memorySpaceId": "space", "memoryId": row["memoryId"]})
        return await spool.drain(lab.store.inner), await spool.count()

    report, waiting = lab.run(main)
    assert [(one.stream_id, one.code) for one in report.dropped] == [("stream-1", "STREAM_NOT_FOUND")]
    assert (report.delivered, report.dead, waiting) == ((), (), 0)
    assert in_the_store(lab) == ([], [])


def test_one_exchange_asked_twice_with_one_idempotency_key(lab, spool):
    """While the store was down, and again when it was back: the second one is stored, the first one says another
    thing.
    """
    turn = replace(lab.turn, idempotency_key="k")

    async def main():
        lab.store.down("begin", until=100.0)
        first = await lab.play(lab.source("It is a ", "pen.", turn=turn), persisting(lab.store, spool), traced=False)
        same = await lab.play(lab.source("It is a pen.", turn=turn), persisting(lab.store, spool), traced=False)
        other = await lab.play(lab.source("A pencil.", turn=turn), persisting(lab.store, spool), traced=False)
        return [one.error.spooled.id for one in (first, same, other)], await spool.drain(lab.store.inner)

    ids, report = lab.run(main)
    assert [one.id for one in report.delivered] == ids[:2]
    assert [(one.id, one.code) for one in report.dead] == [(ids[2], "IDEMPOTENCY_CONFLICT")]
    assert [message["content"] for message in in_the_store(lab)[1]] == ["What is it?", "It is a pen."]


def test_an_empty_answer_of_a_store_that_is_there_is_not_spooled(lab, spool):
    async def main():
        outcome = await lab.play(lab.source(" "), persisting(lab.store, spool), traced=False)
        return outcome.error, spool.file.exists

    error, exists = lab.run(main)
    assert isinstance(error, EmptyAnswer)
    assert not exists, "the file is made when it is needed"


def test_a_spool_is_a_spool(lab):
    with pytest.raises(ValueError, match="spool"):
        cx.finalize(lab.store, spool="spool.db")  # type: ignore[arg-type]


def test_it_is_an_argument_like_others(lab):
    assert "Spool('s.db')" in str(cx.finalize(lab.store, spool=Spool("s.db")))
