"""An answer in chunks: each chunk is a memory that is found by itself; the answer reads back whole and is deleted with
them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.language import language_of
from cortex_rx.backends.sqlite.schema import APPLICATION_ID, MIGRATIONS
from cortex_rx.backends.sqlite.tokenizer import in_space, index_words
from cortex_rx.errors import IdempotencyConflict, InvalidArgument, MemoryNotFound

TEXT = "The zebra runs. It is fast, a\u0301nd e👩\u200d👧! The lion sleeps. It is slow."
CUTS = [(0, 16), (16, 39), (39, 56), (56, 67)]


def ranges(*pairs: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end} for start, end in pairs]


async def store_in_chunks(store: Any, text: str, *pairs: tuple[int, int], stream: str = "st", **more: Any) -> Any:
    """An exchange whose answer is in chunks."""
    space = {"memorySpaceId": more["memorySpaceId"]} if "memorySpaceId" in more else {}
    await store.begin(stream, **more)
    return await store.finalize(text, stream, chunks=ranges(*pairs), **space)


def counts(store: Any) -> list[tuple[int, int]]:
    """Rows and words of the index, of each space, as they are counted; checked against what is there."""
    kept = store.sql("SELECT docs, size FROM spaces ORDER BY id")
    there = store.sql(
        "SELECT count(rows.id), coalesce(sum(rows.size), 0) FROM spaces LEFT JOIN texts ON texts.space = spaces.id"
        " LEFT JOIN documents AS rows ON rows.text = texts.id WHERE spaces.id > 0 GROUP BY spaces.id ORDER BY spaces.id"
    )
    assert kept[1:] == there
    assert kept[0] == (sum(docs for docs, _ in there), sum(size for _, size in there))
    rows = [row for (row,) in store.sql("SELECT DISTINCT doc FROM terms_places ORDER BY doc")]
    assert rows == [row for (row,) in store.sql("SELECT id FROM documents WHERE size ORDER BY id")]
    return there


def terms(store: Any) -> list[str]:
    """The words that are in the index."""
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("CREATE VIRTUAL TABLE temp.rows USING fts5vocab (main, terms, row)")
        return [term for (term,) in db.execute("SELECT term FROM rows")]


async def test_each_chunk_is_a_memory_of_its_own(store: Any) -> None:
    owner = {"userId": "ada", "userName": "Ada", "agentId": "helper", "participantId": "phone"}
    await store.begin(question="why?", importance=80, tags=["x"], metadata={"k": 1}, **owner)
    for at in range(0, 50, 7):
        await store.append(at, TEXT[at : min(at + 7, 50)])
    chunks = [{**one, "embedding": [float(at)]} for at, one in enumerate(ranges(*CUTS))]
    result = await store.finalize(TEXT[50:], start=50, chunks=chunks, agentEmbedding=[9.0], reason="stop")
    answer = await store.get("mem-001")
    assert (answer["content"], answer["contentLength"], answer["embedding"]) == (TEXT, len(TEXT), [9.0])
    assert answer["chunkCount"] == 4 and len(set(answer["chunkIds"])) == 4
    own = ("memoryId", "content", "contentLength", "embedding", "chunkCount", "chunkIds")
    common = {key: value for key, value in answer.items() if key not in own}
    for at, (start, end) in enumerate(CUTS):
        assert await store.get(answer["chunkIds"][at]) == {
            **common,
            "memoryId": answer["chunkIds"][at],
            "content": TEXT[start:end],
            "contentLength": end - start,
            "embedding": [float(at)],
            "chunkMetadata": {
                "parentMemoryId": "mem-001",
                "chunkIndex": at,
                "totalChunks": 4,
                "startOffset": start,
                "endOffset": end,
                "hasOverlap": False,
            },
        }
    assert [(row["memoryId"], row.get("chunkCount")) for row in result["memories"]] == [
        (result["memories"][0]["memoryId"], None),
        ("mem-001", 4),
    ]
    # As another connection sees it.
    assert store.sql("SELECT id, start, stop FROM chunks ORDER BY part") == [
        (memory, *cut) for memory, cut in zip(answer["chunkIds"], CUTS, strict=True)
    ]


async def test_list_and_count_have_the_answer_once_and_chunks_when_asked_for(store: Any) -> None:
    await store_in_chunks(store, TEXT, *CUTS)
    await store.begin("open")
    await store.append(0, "part", "open")
    await store.exchange("q", "later", "two", conversationId="d")
    contents = [row["content"] for row in await store.list()]
    assert contents == ["later", "q", TEXT, "why?"] and await store.count() == 4
    cut = [TEXT[start:end] for start, end in CUTS]
    rows = await store.list(includeChunks=True)
    assert [row["content"] for row in rows] == ["later", "q", TEXT, *cut, "why?"]
    assert all(("chunkMetadata" in row) == (row["content"] in cut) and "chunkIds" not in row for row in rows)
    assert await store.count(includeChunks=True) == 8
    assert await store.count(includeChunks=True, includePartial=True) == 9
    assert await store.count(includeChunks=True, userId="bob") == 0
    assert [row["content"] for row in await store.list(includeChunks=True, limit=4)] == ["later", "q", TEXT, cut[0]]
    assert len(await store.list(includeChunks=True, conversationId="c")) == 6
    assert await store.list(includeChunks=True, sourceType="tool") == []
    assert (await store.conversation())["messages"][1]["content"] == TEXT


async def test_no_text_is_stored_twice(make_store: Any, tmp_path: Path) -> None:
    text = "some words that are the answer, " * 2000
    sizes: list[tuple[int, int]] = []
    for size in (None, 1000):
        store = make_store(tmp_path / f"{size}.db")
        await store.begin(question="")
        for at in range(0, len(text), 3000):
            await store.append(at, text[at : at + 3000])
        cuts = ranges(*((at, min(at + size, len(text))) for at in range(0, len(text), size))) if size else []
        await store.finalize("", start=len(text), chunks=cuts)
        assert store.sql("SELECT group_concat(body, '') FROM (SELECT body FROM pieces ORDER BY text, start)") == [
            (text,)
        ]
        await store.backend.compact()
        await store.backend.close()
        sizes.append((Path(store.path).stat().st_size, len(cuts)))
    (plain, _), (chunked, number) = sizes
    assert chunked < plain + 400 * number, "what a chunk costs in the file: its row and its place in the index"


async def test_a_search_finds_chunks_and_the_answer_not_besides(store: Any) -> None:
    await store_in_chunks(store, TEXT, *CUTS)
    cut = [TEXT[start:end] for start, end in CUTS]
    assert await store.found("zebra") == [cut[0]]
    assert await store.found("lion sleeps zebra") == [cut[2], cut[0]], "the one with more of the words first"
    assert sorted(await store.found("it is")) == sorted([cut[1], cut[3]])
    assert await store.found("and") == [cut[1]]
    assert await store.found("why") == ["why?"]
    (row,) = await store.search("zebra")
    assert row["chunkMetadata"]["chunkIndex"] == 0 and 0 < row["_score"] < 1
    assert row == {**(await store.get(row["memoryId"])), "_score": row["_score"]}


async def test_the_filters_of_a_search_act_on_chunks(store: Any) -> None:
    await store_in_chunks(store, TEXT, *CUTS, importance=40, tags=["x"])
    assert len(await store.search("it", limit=1)) == 1
    assert len(await store.search("it", tags=["x", "y"], minImportance=40, userId="ada")) == 2
    for no in ({"tags": ["y"]}, {"minImportance": 41}, {"userId": "bob"}, {"sourceType": "tool"}):
        assert await store.search("it", **no) == []
    await store.begin("open")
    await store.append(0, "it streams", "open")
    assert len(await store.search("it", includePartial=True)) == 3


async def test_the_rank_of_a_chunk_is_that_of_a_memory_with_its_text(store: Any) -> None:
    said = ["the ant and the bee ", "a bee " * 30, "ant ant 京都 ", "nothing of it ", "ant " * 2000 + "bee "]
    for number, text in enumerate(said):
        await store.exchange("?", text, f"st{number}")
    places = [0]
    for text in said:
        places.append(places[-1] + len(text))
    cuts = list(zip(places, places[1:], strict=False))
    await store_in_chunks(store, "".join(said), *cuts, question="?", memorySpaceId="t")
    for number in range(len(said) - 1):  # as many rows of the index for questions
        await store.begin(f"none{number}", "?", memorySpaceId="t")
        key = {"streamId": f"none{number}", "memorySpaceId": "t", "epoch": 1, "outcome": "empty"}
        await store.backend.mutation("streams:close", key)
    for query in ("bee", "ant bee", "京都", "the ant of it"):
        one, other = await store.search(query), await store.search(query, memorySpaceId="t")
        assert [(row["content"], row["_score"]) for row in one] == [(row["content"], row["_score"]) for row in other]
    first, second = counts(store)
    assert first == second


async def test_what_two_chunks_have_in_common_is_found_in_both_and_once_in_each(store: Any) -> None:
    text = "alpha beta gamma delta"
    await store_in_chunks(store, text, (0, 17), (6, 22))
    for query, found in (("beta", 2), ("alpha", 1), ("delta", 1), ("beta gamma", 2)):
        rows = await store.search(query)
        assert len(rows) == len({row["memoryId"] for row in rows}) == found
    assert [row["chunkMetadata"]["hasOverlap"] for row in (await store.list(includeChunks=True))[1:3]] == [False, True]
    assert (await store.get("mem-001"))["content"] == text


@pytest.mark.parametrize(
    ("before", "after", "query"),
    [
        ("a ripe pine", "apple is here", "pineapple"),
        ("you don", "'t know", "don't"),
        ("write node.", "js code", "node.js"),
        ("in C", "++ it is", "C++"),
        ("我住在东", "京都很好", "东京"),
        ("我住在东", "京都很好", "住在东京都"),
        ("あのコンピュ", "ータは", "コンピュータ"),
        ("สวัส", "ดีครับ", "สวัสดี"),
        ("x" * 20, "y" * 9 + " z", "x" * 20 + "y" * 9),
        ("Ze\u0301b", "ra runs", "zébra"),
    ],
)
async def test_a_word_that_a_border_cuts_is_found_with_what_follows(
    store: Any, before: str, after: str, query: str
) -> None:
    cut = len(before)
    await store_in_chunks(store, before + after, (0, cut), (cut, cut + len(after)))
    assert after in await store.found(query)
    await store.delete("mem-001")
    assert counts(store) == [(1, 1)] and terms(store) == ["1¦why"], "and no word is left behind"


@pytest.mark.parametrize(
    ("before", "after", "query"),
    [
        ("the lion ", "sleeps", "lion"),
        ("the lion\n", "sleeps", "lion"),
        ("见狮子\n", "睡觉", "狮子"),
        ("the lion", ". It sleeps", "lion"),
        ("我住。", "京都", "住"),
        ("(lion", ") sleeps", "lion"),
    ],
)
async def test_a_word_that_no_border_cuts_is_found_once(store: Any, before: str, after: str, query: str) -> None:
    cut = len(before)
    await store_in_chunks(store, before + after, (0, cut), (cut, cut + len(after)))
    assert await store.found(query) == [before]


async def test_a_long_chunk_is_found_wherever_the_word_is(store: Any) -> None:
    text = "".join(f"word{at} " for at in range(3000)) + "中" * 6000 + "京都" + "\0end" + "y" * 9000
    half = text.index("word1500")
    await store_in_chunks(store, text, (0, half), (half, len(text)))
    for at in (0, 700, 1499, 1500, 2200, 2999):
        (row,) = await store.search(f"word{at}")
        assert row["chunkMetadata"]["chunkIndex"] == at // 1500
    assert len(await store.search("京都 end")) == 1
    assert len(store.sql("SELECT 1 FROM documents WHERE part = 0")) > 1
    assert (await store.get(row["memoryId"]))["content"] == text[half:]


async def test_deleting_the_answer_deletes_its_chunks_and_their_words(store: Any) -> None:
    await store.exchange("q", "the zebra stays", "other", conversationId="d")
    before = counts(store)
    result = await store_in_chunks(store, TEXT, *CUTS)
    memory = result["memories"][1]["memoryId"]
    chunks = (await store.get(memory))["chunkIds"]
    assert await store.delete(memory) == {"deleted": True, "memoryId": memory, "factsDeleted": 0, "factIds": []}
    await store.delete(result["memories"][0]["memoryId"])
    assert counts(store) == before and store.sql("SELECT * FROM chunks") == []
    assert await store.found("zebra lion") == ["the zebra stays"]
    assert [await store.get(one) for one in chunks] == [None] * 4
    assert (await store.conversation())["messages"][1]["content"] == TEXT, "the conversation stays"
    with pytest.raises(MemoryNotFound):
        await store.delete(chunks[0])


async def test_a_chunk_is_not_deleted_by_itself(store: Any) -> None:
    await store_in_chunks(store, TEXT, *CUTS)
    chunk = (await store.get("mem-001"))["chunkIds"][1]
    with pytest.raises(InvalidArgument, match=f"memoryId: got '{chunk}'; accepted: mem-001, its answer") as caught:
        await store.delete(chunk)
    assert caught.value.field == "memoryId"
    assert (await store.get(chunk))["content"] == TEXT[16:39]


async def test_no_space_sees_a_chunk_of_another(store: Any) -> None:
    await store_in_chunks(store, TEXT, *CUTS)
    await store_in_chunks(store, TEXT.replace("zebra", "horse"), *CUTS, memorySpaceId="t")
    chunk = (await store.get("mem-001"))["chunkIds"][0]
    assert await store.get(chunk, memorySpaceId="t") is None
    with pytest.raises(MemoryNotFound):
        await store.delete(chunk, memorySpaceId="t")
    assert await store.found("zebra", memorySpaceId="t") == [] and await store.found("horse") == []
    assert await store.count(memorySpaceId="t", includeChunks=True) == 6
    assert len(counts(store)) == 2


async def test_finalising_again_gives_what_is_stored_whatever_the_chunks(store: Any) -> None:
    first = await store_in_chunks(store, TEXT, *CUTS)
    ids = (await store.get("mem-001"))["chunkIds"]
    for chunks in (ranges(*CUTS), ranges((0, len(TEXT))), []):
        again = await store.finalize(TEXT, chunks=chunks)
        assert again == {**first, "stored": "before"}
    assert (await store.get("mem-001"))["chunkIds"] == ids
    with pytest.raises(IdempotencyConflict):
        await store.finalize(TEXT + "!", chunks=ranges((0, len(TEXT) + 1)))


async def test_all_or_nothing_and_the_next_try_succeeds(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.begin()
    await store.append(0, TEXT[:20])
    before = (counts(store), store.sql("SELECT * FROM memories"), store.sql("SELECT * FROM pieces"))

    def fails(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(text_store, "finish_parts", fails)
        with pytest.raises(Exception, match="disk I/O error"):
            await store.finalize(TEXT[20:], start=20, chunks=ranges(*CUTS))
    assert (counts(store), store.sql("SELECT * FROM memories"), store.sql("SELECT * FROM pieces")) == before
    assert store.sql("SELECT * FROM chunks") == [] and await store.count(includeChunks=True) == 0
    await store.finalize(TEXT[20:], start=20, chunks=ranges(*CUTS))
    assert await store.found("zebra") == [TEXT[:16]] and await store.count(includeChunks=True) == 6


@pytest.mark.parametrize(
    ("chunks", "field"),
    [
        ("0-5", "chunks"),
        ([(0, 5)], r"chunks\[0\]"),
        ([{"start": 0}], r"chunks\[0\].end"),
        ([{"start": 0, "end": 11, "size": 3}], r"chunks\[0\].size"),
        ([{"start": 0, "end": -1}], r"chunks\[0\].end"),
        ([{"start": 0, "end": 11, "embedding": []}], r"chunks\[0\].embedding"),
        (ranges((1, 11)), r"chunks\[0\]"),
        (ranges((0, 0)), r"chunks\[0\]"),
        (ranges((0, 5), (6, 11)), r"chunks\[1\]"),
        (ranges((0, 5), (0, 11)), r"chunks\[1\]"),
        (ranges((0, 5), (2, 5)), r"chunks\[1\]"),
        (ranges((0, 5), (5, 10)), "chunks"),
        (ranges((0, 5), (5, 12)), "chunks"),
    ],
)
async def test_chunks_that_are_not_the_answer_are_refused(store: Any, chunks: Any, field: str) -> None:
    await store.begin()
    with pytest.raises(InvalidArgument, match=f"^{field}: "):
        await store.finalize("hello world", chunks=chunks)
    assert (
        await store.count(includePartial=True) == 1
        and (await store.get("mem-001", includePartial=True))["content"] == ""
    )
    await store.finalize("hello world", chunks=[])
    assert "chunkCount" not in await store.get("mem-001")


async def test_after_a_take_over_and_after_no_answer(store: Any) -> None:
    await store.begin()
    await store.append(0, "the first attempt " * 400)
    await store.begin()
    key = {"epoch": 2, "attempt": 1}
    await store.backend.mutation(
        "streams:close", {"streamId": "st", "memorySpaceId": "s", "epoch": 2, "outcome": "empty"}
    )
    await store.begin()
    key = {"epoch": 3, "attempt": 2}
    await store.append(0, TEXT[:30], **key)
    await store.finalize(TEXT[30:], start=30, chunks=ranges(*CUTS), **key)
    assert await store.found("attempt") == [] and await store.found("lion") == [TEXT[39:56]]
    assert [row["content"] for row in await store.list(includeChunks=True)][:2] == [TEXT, TEXT[:16]]
    counts(store)


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
@given(st.data())
def test_any_text_in_any_chunks(make_store: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    alphabet = st.sampled_from(
        ["a", "pine ", "apple", " ", "\n", "京", "都", "カ", "👩", "é", ".", "'", "x" * 50, "word " * 900]
    )
    text = data.draw(st.lists(alphabet, min_size=1, max_size=30).map("".join))
    ends = sorted({*data.draw(st.lists(st.integers(1, len(text)), max_size=8)), len(text)})
    starts = [0]
    for end in ends[:-1]:
        starts.append(data.draw(st.integers(starts[-1] + 1, end)) if end > starts[-1] else end)
    pairs = list(zip(starts, ends, strict=True))
    split = data.draw(st.integers(0, len(text)))

    async def main() -> None:
        store = make_store(tmp_path_factory.mktemp("any") / "memory.db")
        await store.begin()
        await store.append(0, text[:split])
        await store.finalize(text[split:], start=split, chunks=ranges(*pairs))
        answer = await store.get("mem-001")
        chunks = [await store.get(one) for one in answer["chunkIds"]]
        whole, end = "", 0
        for chunk, pair in zip(chunks, pairs, strict=True):
            place = chunk["chunkMetadata"]
            assert (place["startOffset"], place["endOffset"]) == pair
            assert chunk["content"] == text[slice(*pair)] and place["hasOverlap"] == (pair[0] < end)
            whole += chunk["content"][end - pair[0] :]
            end = pair[1]
        assert whole == text == answer["content"]
        words = index_words(text, language_of("english")).stems
        for number in {0, len(words) // 2, len(words) - 1} if words else ():
            if len(words[number]) <= 32:
                # Whatever words the text has, some chunk is found by them, and no row twice.
                rows = store.sql("SELECT part FROM terms JOIN documents ON id = terms.rowid WHERE terms MATCH ?",
                                 f'"{in_space(1, words[number])}"')  # fmt: skip
                assert rows and None not in [part for (part,) in rows]
        counts(store)
        await store.delete("mem-001")
        assert counts(store) == [(1, 1)] and terms(store) == ["1¦why"]
        await store.backend.close()

    asyncio.run(main())


async def test_a_file_from_before_there_were_chunks(make_store: Any, tmp_path: Path) -> None:
    """Made by the first layout's own statements, with one memory in it."""
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in (
            *MIGRATIONS[0],
            f"PRAGMA application_id = {APPLICATION_ID}",
            "PRAGMA user_version = 1",
            "INSERT INTO spaces (id, name, docs, size) VALUES (1, 's', 1, 2)",
            "UPDATE spaces SET docs = 1, size = 2 WHERE id = 0",
            "INSERT INTO texts (id, space, length, indexed, touched) VALUES (1, 1, 13, 13, 5)",
            "INSERT INTO pieces VALUES (1, 0, 'an old zebra!')",
            "INSERT INTO docs (id, text, start, stop, size) VALUES (1, 1, 0, 13, 2)",
            "INSERT INTO words (rowid, body) VALUES (1, '1¦an 1¦old 1¦zebra')",
            "INSERT INTO memories (seq, space, id, text, partial, content_type, source_type, source_timestamp, role,"
            " conversation, importance, tags, created, updated)"
            " VALUES (1, 's', 'mem-old', 1, 0, 'raw', 'conversation', 5, 'agent', 'c', 50, '[]', 5, 5)",
        ):
            db.execute(statement)
        db.commit()
    store = make_store(path)
    (old,) = await store.search("zebra")
    assert (
        old["content"] == "an old zebra!" and "chunkCount" not in old and "chunkIds" not in await store.get("mem-old")
    )
    await store_in_chunks(store, TEXT, *CUTS)
    assert await store.found("old zebra") == ["an old zebra!", TEXT[:16]]
    assert await store.count(includeChunks=True) == 7
    assert store.sql("PRAGMA user_version") == [(len(MIGRATIONS),)] and store.sql("PRAGMA foreign_key_check") == []
    await store.backend.close()


async def test_a_copy_has_the_chunks(store: Any, make_store: Any, tmp_path: Path) -> None:
    await store_in_chunks(store, TEXT, *CUTS)
    await store.backend.backup(tmp_path / "copy.db")
    copy = make_store(tmp_path / "copy.db")
    assert await copy.list(includeChunks=True) == await store.list(includeChunks=True)
    await copy.backend.close()
