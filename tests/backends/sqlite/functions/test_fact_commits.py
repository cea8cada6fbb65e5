"""What is read from the text of a stream: provisional until the stream ends, and gone with what it was read from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cortex_rx.errors import Fenced, Gap, InvalidArgument, StreamNotFound

TEXT = "Ada lives in Rome. She likes tea. She likes coffee."


def fact(text: str, subject: str = "", predicate: str = "", object_: str = "", **more: Any) -> dict[str, Any]:
    triple = {"subject": subject, "predicate": predicate, "object": object_} if subject else {}
    return {"fact": text, "factType": "identity", "confidence": 80, **triple, **more}


ROME = fact("Ada lives in Rome.", "Ada", "lives_in", "Rome")
PARIS = fact("Ada lives in Paris.", "Ada", "lives_in", "Paris")
TEA = fact("Ada likes tea.", "Ada", "likes", "tea")
COFFEE = fact("Ada likes coffee.", "Ada", "likes", "coffee")


async def commit(store: Any, start: int, stop: int, *facts: dict[str, Any], stream: str = "st", **more: Any) -> Any:
    args = {"streamId": stream, "memorySpaceId": "s", "epoch": 1, "side": "answer", "facts": list(facts)}
    return await store.backend.mutation("facts:commit", {**args, "from": start, "to": stop, **more})


async def queued(store: Any, **more: Any) -> list[tuple[str, str, int, int]]:
    rows = await store.backend.query("facts:queued", {"memorySpaceId": "s", **more})
    return [(row["streamId"], row["side"], row["from"], row["to"]) for row in rows]


def visible(store: Any, space: str = "s") -> dict[str, str | None]:
    """The facts in the file, and why they are closed."""
    found = "SELECT body, closed FROM facts JOIN spaces ON spaces.id = space WHERE name = ? ORDER BY seq"
    return dict(store.sql(found, space))


def window(start: int, stop: int, *facts: dict[str, Any], side: str = "answer", **more: Any) -> dict[str, Any]:
    return {"side": side, "from": start, "to": stop, "facts": list(facts), **more}


async def test_facts_are_provisional_until_the_stream_ends(store: Any) -> None:
    await store.begin()
    assert (await commit(store, 0, 0))["progress"] == {"question": 0, "answer": 0}
    await commit(store, 0, 4, TEA, side="question")
    await store.append(0, TEXT)
    first = await commit(store, 0, 18, ROME)
    assert first == {
        "end": 18,
        "facts": [{"index": 0, "factId": first["facts"][0]["factId"]}],
        "progress": {"question": 4, "answer": 18},
    }
    assert visible(store) == {}
    store.now = 2_000.0
    result = await store.finalize(TEXT[33:], start=33, extractions=[window(18, 51, TEA, COFFEE)])
    assert visible(store) == {ROME["fact"]: None, TEA["fact"]: None, COFFEE["fact"]: None}
    facts = {row["fact"]: row for row in result["facts"]}
    question, answer = result["conversation"]["messageIds"]
    assert facts[TEA["fact"]]["sources"] == [
        {"conversationId": "c", "messageIds": [question], "memoryId": "mem-004", "start": 0, "end": 4},
        {"conversationId": "c", "messageIds": [answer], "memoryId": "mem-001", "start": 18, "end": 51},
    ]
    assert (facts[ROME["fact"]]["validFrom"], facts[ROME["fact"]]["knownFrom"]) == (2_000_000, 2_000_000)
    assert facts[TEA["fact"]]["validFrom"] == 1_000_000  # when the question was asked
    assert [(one["action"], one.get("about")) for one in result["revisions"]] == [
        ("ADD", None),
        ("ADD", None),
        ("NONE", None),
        ("ADD", None),
    ]
    assert await queued(store) == []
    again = await store.finalize(TEXT[33:], start=33, extractions=[window(18, 51, TEA, COFFEE)])
    assert again == {**result, "stored": "before"}


async def test_a_window_that_is_sent_again_is_the_same(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    windows = [(0, 18, ROME), (18, 33, TEA), (33, 51, COFFEE)]
    first = [await commit(store, *one) for one in windows]
    assert [await commit(store, *one) for one in windows] == [
        {**one, "end": 51, "progress": {"question": 0, "answer": 51}} for one in first
    ]
    assert await commit(store, 33, 51, COFFEE) == first[-1]
    # A model may see a fact again in the text that windows have in common, or give others the second time.
    other = await commit(store, 33, 51, TEA, PARIS)
    assert [one["index"] for one in other["facts"]] == [0] and len(store.sql("SELECT * FROM statements")) == 3


async def test_an_id_that_is_taken_is_not_the_id_of_another_fact(store: Any) -> None:
    """It does not cost the exchange."""
    stored = {"memorySpaceId": "s", **TEA, "sourceType": "manual", "tags": [], "factId": "taken"}
    await store.backend.mutation("facts:store", stored)
    await store.begin()
    await store.append(0, TEXT)
    taken = {"factId": "taken"}
    first = await commit(store, 0, 18, ROME | taken, COFFEE | {"factId": "twice"}, PARIS | {"factId": "twice"})
    ids = [one["factId"] for one in first["facts"]]
    assert ids[1] == "twice" and len({*ids, "taken"}) == 4
    assert await commit(store, 0, 18, ROME | taken, COFFEE | {"factId": "twice"}, PARIS | {"factId": "twice"}) == first
    again = fact("Ada owns a cat.", "Ada", "owns", "cat", factId="taken")
    result = await store.finalize(TEXT, extractions=[window(18, 51, again)])
    assert "taken" not in {row["factId"] for row in result["facts"]} and len(result["facts"]) == 4
    assert again["fact"] in visible(store)


async def test_windows_with_other_boundaries_leave_the_queue(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    for start, stop in ((0, 20), (10, 30)):
        await commit(store, start, stop, error="TIMEOUT")
    await commit(store, 0, 10)
    await store.finalize(TEXT, extractions=[window(30, 51)])
    assert await queued(store) == [("st", "answer", 10, 30), ("st", "question", 0, 4)]


async def test_what_does_not_follow_or_is_not_stored_is_a_gap(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    for start, stop, end in ((18, 33, 0), (0, 52, 51), (0, 18, None), (19, 33, 18)):
        if end is None:
            await commit(store, start, stop, ROME)
            continue
        with pytest.raises(Gap) as refused:
            await commit(store, start, stop, TEA)
        assert refused.value.end == end
    with pytest.raises(InvalidArgument, match="to"):
        await commit(store, 18, 17)
    with pytest.raises(Gap):
        await commit(store, 0, 5, side="question")
    assert len(store.sql("SELECT * FROM statements")) == 1


async def test_a_former_writer_and_a_former_attempt_are_fenced(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 18, ROME)
    await store.begin()
    with pytest.raises(Fenced):
        await commit(store, 18, 33, TEA)
    with pytest.raises(Fenced):
        await commit(store, 0, 0, attempt=0, epoch=2)
    with pytest.raises(Gap):
        await commit(store, 0, 18, attempt=2, epoch=2)
    with pytest.raises(StreamNotFound):
        await commit(store, 0, 0, stream="other")
    assert store.sql("SELECT * FROM statements") == []


async def test_a_new_attempt_drops_what_was_read_from_the_old_one(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 4, TEA, side="question")
    await commit(store, 0, 18, ROME)
    await commit(store, 18, 33, error="TIMEOUT")
    await store.append(0, "Ada lives in Paris.", attempt=1)
    progress = (await commit(store, 0, 0))["progress"]
    assert progress == {"question": 4, "answer": 0}
    await commit(store, 0, 19, PARIS, attempt=1)
    await store.finalize("", start=19, attempt=1)
    assert visible(store) == {TEA["fact"]: None, PARIS["fact"]: None} and await queued(store) == []


async def test_a_window_in_the_queue_has_the_attempt_of_its_text(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 18, error="TIMEOUT")
    await store.append(0, "Ada lives in Paris.", attempt=2)
    await store.finalize("", start=19, attempt=2, extractions=[window(0, 5, error="TIMEOUT")])
    rows = await store.backend.query("facts:queued", {"memorySpaceId": "s"})
    places = [(row["side"], row["attempt"], row["from"], row["to"]) for row in rows]
    assert places == [("answer", 2, 0, 5), ("question", 0, 0, 4), ("answer", 2, 5, 19)]


async def test_another_writer_that_takes_over_goes_on_where_the_reading_was(store: Any) -> None:
    await store.begin(token="0" * 64)
    await store.append(0, TEXT[:33])
    await commit(store, 0, 18, ROME)
    taken = await store.take("0" * 64, "claim")
    assert (await commit(store, 0, 0, epoch=taken["epoch"]))["progress"] == {"question": 0, "answer": 18}
    await commit(store, 18, 33, TEA, epoch=2)
    await store.finalize(TEXT[33:], start=33, epoch=2)
    assert visible(store) == {ROME["fact"]: None, TEA["fact"]: None}
    assert await queued(store) == [("st", "question", 0, 4), ("st", "answer", 33, 51)]


async def test_what_was_not_read_is_queued_and_read_later(store: Any) -> None:
    await store.begin()
    await commit(store, 0, 4, side="question")
    await store.append(0, TEXT)
    await commit(store, 0, 18, ROME, error="EXTRACTION_FAILED")  # what was complete is kept
    store.now = 2_000.0
    await store.finalize("", start=51)
    assert await queued(store) == [("st", "answer", 0, 18), ("st", "answer", 18, 51)]
    store.now = 3_000.0
    done = await commit(store, 0, 18, ROME, PARIS)
    rome, paris = (one["factId"] for one in done["facts"])
    assert [(one["action"], one.get("about")) for one in done["facts"]] == [("ADD", None), ("SUPERSEDE", rome)]
    assert await commit(store, 0, 18, ROME, PARIS) == done
    assert visible(store) == {ROME["fact"]: "changed", PARIS["fact"]: None}
    known = "SELECT valid_from, known_from FROM facts WHERE id = ?"
    assert store.sql(known, paris) == [(2_000_000, 3_000_000)]  # said with the message, known now
    # The beginning of a window may be committed, and fail, alone.
    await commit(store, 18, 33, TEA, error="TIMEOUT", tries=2)
    assert await queued(store) == [("st", "answer", 33, 51), ("st", "answer", 18, 33)]
    await commit(store, 18, 33, error="TIMEOUT", tries=3, dead=True)
    assert await queued(store) == [("st", "answer", 33, 51)]
    (dead,) = await store.backend.query("facts:queued", {"memorySpaceId": "s", "dead": True})
    assert (dead["tries"], dead["error"], dead["state"]) == (3, "TIMEOUT", "dead")
    await commit(store, 33, 51, COFFEE)
    await commit(store, 18, 33, TEA)
    assert await queued(store) == await queued(store, dead=True) == []
    assert set(visible(store)) == {one["fact"] for one in (ROME, PARIS, TEA, COFFEE)}


async def test_a_statement_stands_where_it_is_said_first_whichever_window_was_read_first(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 33, error="TIMEOUT")
    await commit(store, 33, 51, TEA, COFFEE)  # with some text of the window before, for context
    await store.finalize("", start=51, length=51)
    await commit(store, 0, 33, ROME, TEA)
    rows = await store.backend.query("facts:list", {"memorySpaceId": "s"})
    stands = {row["fact"]: [(one["start"], one["end"]) for one in row["sources"]] for row in rows}
    assert stands == {ROME["fact"]: [(0, 33)], TEA["fact"]: [(0, 33)], COFFEE["fact"]: [(33, 51)]}


async def test_an_empty_window_takes_nothing_from_the_queue(store: Any) -> None:
    """Who resumes a stream that had ended asks so how far it was read."""
    await store.begin()
    await commit(store, 0, 0, side="question")
    await store.finalize(TEXT)
    waiting = await queued(store)
    assert [(side, start) for _, side, start, _ in waiting] == [("question", 0), ("answer", 0)]
    for side in ("question", "answer"):
        for more in ({}, {"error": "TIMEOUT"}):
            await commit(store, 0, 0, side=side, **more)
    assert await queued(store) == waiting


async def test_only_what_is_queued_is_taken_from_a_stream_that_has_ended(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 51, ROME)
    await store.finalize("", start=51)
    assert (await commit(store, 0, 51, TEA))["facts"] == []
    assert visible(store) == {ROME["fact"]: None}
    await store.exchange("what?", "that", "plain")
    assert (await commit(store, 0, 0, stream="plain"))["progress"] == {"question": 0, "answer": 0}
    assert await queued(store) == [("st", "question", 0, 4)]  # nobody asked for facts of the other one


async def test_windows_are_queued_by_memory_space(store: Any) -> None:
    for space in ("s", "t"):
        await store.begin(memorySpaceId=space)
        await commit(store, 0, 0, memorySpaceId=space)
        await store.finalize(TEXT, memorySpaceId=space, extractions=[window(0, 51, error="TIMEOUT")])
    assert len(await queued(store)) == 2
    rows = await store.backend.query("facts:queued", {})
    assert [row["memorySpaceId"] for row in rows] == ["s", "s", "t", "t"]
    assert await store.backend.query("facts:queued", {"limit": 1}) == rows[:1]
    assert [row["userId"] for row in rows] == ["ada"] * 4


async def test_a_gap_before_the_end_does_not_cost_the_exchange(store: Any) -> None:
    """A commit may have been lost with the store; the text is not lost."""
    await store.begin()
    result = await store.finalize(TEXT, extractions=[window(18, 33, TEA), window(33, 51, COFFEE)])
    assert [row["fact"] for row in result["facts"]] == [TEA["fact"], COFFEE["fact"]]
    assert await queued(store) == [("st", "answer", 0, 18), ("st", "question", 0, 4)]


async def test_a_closed_stream_shows_the_facts_of_its_question_and_begins_anew(store: Any) -> None:
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 4, PARIS, side="question")
    await commit(store, 0, 18, ROME)
    closed = await store.call("close", epoch=1, outcome="interrupted")
    assert [row["fact"] for row in closed["facts"]] == [PARIS["fact"]] and visible(store) == {PARIS["fact"]: None}
    assert await queued(store) == []
    assert (await store.begin())["epoch"] == 2
    assert (await commit(store, 0, 0, epoch=2))["progress"] == {"question": 4, "answer": 0}
    store.now = 2_000.0
    result = await store.finalize(TEXT, epoch=2, attempt=1, extractions=[window(0, 51, ROME)])
    assert [one["action"] for one in result["revisions"]] == ["ADD", "SUPERSEDE"]
    assert visible(store) == {PARIS["fact"]: "changed", ROME["fact"]: None}


async def test_the_facts_of_an_incomplete_answer_go_when_it_is_completed(store: Any) -> None:
    await store.exchange("where?", "Ada lives in Paris.", "before")
    await store.begin()
    await commit(store, 0, 4, TEA, side="question")
    await store.append(0, TEXT)
    await commit(store, 0, 18, ROME)
    finished = await store.call("finish")
    assert {row["fact"] for row in finished["facts"]} == {TEA["fact"], ROME["fact"]}
    assert await queued(store) == [("st", "answer", 18, 51)]
    again = await store.begin(completes=True)
    assert visible(store) == {TEA["fact"]: None} and await queued(store) == []
    result = await store.finalize(
        "No.", epoch=again["epoch"], attempt=again["attempt"], extractions=[window(0, 3, PARIS)]
    )
    assert visible(store) == {TEA["fact"]: None, PARIS["fact"]: None}
    assert len(result["facts"]) == 2


async def test_a_rollback_leaves_nothing_and_what_was_superseded_holds_again(store: Any) -> None:
    await store.begin("before")
    await store.finalize("Ada lives in Paris.", "before", extractions=[window(0, 19, PARIS)])
    before = store.tables()
    await store.begin()
    await commit(store, 0, 4, ROME, side="question")
    await store.append(0, TEXT)
    await commit(store, 0, 18, TEA)
    await store.call("close", epoch=1, outcome="error")
    assert visible(store) == {PARIS["fact"]: "changed", ROME["fact"]: None}
    await store.call("rollback", epoch=1)
    after = store.tables()
    for table in ("statements", "statement_messages", "fact_bands", "extractions", "extraction_queue", "fact_places"):
        assert after[table] == before[table], table
    assert visible(store) == {PARIS["fact"]: None}


async def test_a_deleted_memory_takes_what_was_read_from_it_alone(store: Any) -> None:
    for stream, facts in (("one", [ROME, TEA]), ("two", [TEA, PARIS])):
        await store.begin(stream)
        await store.finalize("Ada likes tea.", stream, extractions=[window(0, 10, *facts), window(10, 14, error="X")])
    assert visible(store) == {ROME["fact"]: "changed", TEA["fact"]: None, PARIS["fact"]: None}
    two = store.sql("SELECT memory, answer_message FROM streams WHERE id = 'two'")[0]
    one = store.sql("SELECT memory FROM streams WHERE id = 'one'")[0][0]
    await store.delete(two[0])
    assert visible(store) == {ROME["fact"]: None, TEA["fact"]: None}
    assert store.sql("SELECT count(*) FROM statement_messages WHERE message = ?", two[1]) == [(0,)]
    assert [row[0] for row in await queued(store)] == ["one", "one"]
    await store.delete(one)
    for table in ("statements", "statement_messages", "facts", "fact_bands", "fact_documents", "fact_places"):
        assert store.sql(f"SELECT * FROM {table}") == [], table
    assert await queued(store) == []


async def test_an_open_stream_that_is_deleted_takes_its_provisional_facts(store: Any) -> None:
    begun = await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 18, ROME)
    await store.delete(begun["memoryId"])
    assert store.sql("SELECT * FROM statements") == store.sql("SELECT * FROM extractions") == []


@pytest.mark.slow(reason="a thousand facts")
async def test_a_stream_has_at_most_a_thousand_statements(store: Any) -> None:
    many = [fact(f"Ada likes {number}.", "Ada", "likes", str(number)) for number in range(1_001)]
    await store.begin()
    await store.append(0, TEXT)
    await commit(store, 0, 18, *many[:600])
    with pytest.raises(InvalidArgument, match="1,000"):
        await commit(store, 18, 33, *many[600:])
    assert (await commit(store, 0, 0))["progress"]["answer"] == 18
    result = await store.finalize("", start=51, extractions=[window(18, 33, *many[:700]), window(33, 51, *many[700:])])
    assert len(result["facts"]) == 1_000
    assert await queued(store, dead=True) == [("st", "answer", 33, 51)]
    assert result["givenUp"] == [{"side": "answer", "from": 33, "to": 51, "error": "TOO_MANY_FACTS"}]


async def test_what_is_stored_together_is_refused_alone(store: Any) -> None:
    """Writes that share a transaction: one that is refused leaves the others, and nothing of itself."""
    await store.begin()
    await store.append(0, TEXT)
    first = commit(store, 0, 18, ROME)
    results = await asyncio.gather(
        first, commit(store, 33, 51, COFFEE), commit(store, 18, 33, TEA), return_exceptions=True
    )
    assert [type(one) for one in results] == [dict, Gap, dict]
    assert len(store.sql("SELECT * FROM statements")) == 2


async def test_an_exchange_without_facts_writes_nothing_about_them(store: Any) -> None:
    await store.exchange("why?", TEXT, "st")
    await store.begin("other")
    await store.append(0, "a", "other")
    await store.append(0, "b", "other", attempt=1)
    await store.call("rollback", "other", epoch=1)
    result = await store.finalize(TEXT)
    assert "facts" not in result and "revisions" not in result
    for table in ("statements", "facts", "extractions", "extraction_queue"):
        assert store.sql(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_similar_facts_are_nominated_whichever_way_they_are_alike(store: Any) -> None:
    await store.begin()
    near = fact("Rome is home.", "Ada", "calls", "home", embedding=[1.0, 0.1], embeddingModel="m")
    far = fact("Cats purr.", "Ada", "hears", "cats", embedding=[0.0, 1.0], embeddingModel="m")
    given = [ROME, TEA, near, far, fact("Bob lives in Rome.", "Bob", "lives_in", "Rome"), fact("Adas like teas.")]
    await store.finalize(TEXT, extractions=[window(0, 51, *given)])
    await store.exchange("and?", "no", "other", userId="bob")

    async def similar(new: dict[str, Any], **more: Any) -> dict[str, tuple[bool, bool]]:
        rows = await store.backend.query("facts:similar", {"memorySpaceId": "s", "userId": "ada", **new, **more})
        return {row["fact"]: (row["same"], row["ends"]) for row in rows}

    found = await similar(PARIS)
    assert next(iter(found.items())) == (ROME["fact"], (False, True)) and far["fact"] not in found
    assert (await similar(ROME))[ROME["fact"]] == (True, False)
    assert (await similar(fact("Ada does not live in Rome.", "Ada", "lives_in", "Rome")))[ROME["fact"]] == (False, True)
    assert "Adas like teas." in await similar(TEA)  # by its text
    assert near["fact"] not in await similar(fact("x", "Ada", "likes", "y"))
    meant = {"embedding": [1.0, 0.0], "embeddingModel": "m"}
    assert near["fact"] in await similar(fact("x", "Ada", "likes", "y"), deduplication="semantic", **meant)
    assert near["fact"] not in await similar(fact("x", "Ada", "likes", "y"), **meant)
    assert near["fact"] in await similar(fact("home"))  # by a word
    assert await similar(ROME, userId="bob") == await similar(ROME, memorySpaceId="t") == {}
    assert len(await similar(ROME, limit=1)) == 1
