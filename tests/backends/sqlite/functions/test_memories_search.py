"""memories:* and conversations:* : search, filters, truncated content, pages, and which arguments are accepted."""

from __future__ import annotations

import random
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store, tokenizer
from cortex_rx.backends.sqlite.language import language_of
from cortex_rx.errors import ConversationNotFound, InvalidArgument, UnknownFunction

SAID = {
    "don't": "I don't know",
    "C++": "We use C++17 here",
    "C#": "C# is another",
    "c": "plain C code",
    "what is it?": "it is what it is",
    "ANGSTROM straße": "Ångström in der STRASSE",
    "привет": "ПРИВЕТ мир",
    "Ελλάς": "ΕΛΛΆΣ είναι",
    "हिन्दी": "यह हिन्दी है",
    "مرحبا": "قال مَرْحَبًا بك",
    "שלום": "הוא אמר שָׁלוֹם",
    "ไทย": "ภาษาไทยง่าย",
    "ລາວ": "ພາສາລາວ",
    "ខ្មែរ": "ភាសាខ្មែរ",
    "မြန်မာ": "ဗမာမြန်မာစာ",
    "京都": "私は京都に住む",
    "猫": "黒い猫がいる",
    "한국": "저는 한국에 살아요",
    "コンピュータ": "新しいコンピュータを買う",
    "ｶﾞｽ": "ガスの元栓",
    "🎉": "party 🎉!",
    "ሰላም": "ሰላም ለዓለም",
    "𞤀𞤣𞤤𞤢𞤥": "the word 𞤀𞤣𞤤𞤢𞤥 in Adlam",
    "ᏣᎳᎩ": "ᏣᎳᎩ is Cherokee",
    "2024年": "それは2024年のこと",
}


async def test_words_of_every_script_are_found(store: Any) -> None:
    for number, text in enumerate(SAID.values()):
        await store.exchange("-", text, f"st{number}")
    for query, text in SAID.items():
        found = await store.search(query, limit=1)
        assert [row["content"] for row in found] == [text], query
    # Words that only look alike are told apart, and characters that are not neighbours are no word.
    assert await store.found("C++") == ["We use C++17 here"]
    assert await store.found("c") == ["plain C code"]
    assert await store.found("カス") == [] and await store.found("都京") == [] and await store.found("dont") == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        '"',
        '"""',
        "*",
        "NEAR(",
        "^",
        "a AND",
        "NOT",
        "col:x",
        "{a b}: c",
        "-",
        "++",
        "\0",
        "(" * 50,
        "a" * 100_000,
        "the " * 10_000,
    ],
)
async def test_any_string_is_a_query(store: Any, query: str) -> None:
    await store.exchange("near and far", "not the answer", "st")
    assert isinstance(await store.search(query, includePartial=True), list)


@pytest.mark.parametrize("query", ["", " ", '"', "*", "...", "\0\n"])
async def test_a_query_without_words_finds_nothing(store: Any, query: str) -> None:
    await store.exchange("near", "answer", "st")
    assert await store.search(query) == []


@settings(max_examples=examples(50), deadline=None)
@given(st.text(max_size=200))
def test_what_is_indexed_is_found_by_its_own_words(text: str) -> None:
    indexed = f" {tokenizer.index_text(text)} "
    assert tokenizer.index_text(text) == " ".join(indexed.split(" ")).strip()
    assert all(character.isalnum() or ord(character) > 127 or character == " " for character in indexed)
    for chunk in text.split():
        for term in tokenizer.query_terms(chunk, language_of("none")):
            assert f" {term.words} " in indexed


async def test_any_string_that_was_stored_can_be_searched_and_forgotten(store: Any) -> None:
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000, 7)]))
    result = await store.exchange("q", everything, "st")
    await store.delete(result["memories"][1]["memoryId"])
    await store.delete(result["memories"][0]["memoryId"])
    # The index is as if nothing had ever been in it; SQLite's own check says so too.
    assert store.sql("SELECT count(*) FROM terms_places") == store.sql("SELECT count(*) FROM documents") == [(0,)]
    store.sql("INSERT INTO terms (terms) VALUES ('integrity-check')")


async def test_deletion_and_compact_leave_no_word_in_the_file(store: Any) -> None:
    for number in range(20):
        await store.exchange("q", f"filler {number} " * 200, f"f{number}")
    await store.begin("st", "hush")
    await store.finalize("xylophonesecret " * 3000)
    await store.begin("pa", "hush")
    await store.append(0, "zirconsecret " * 3000, stream="pa")
    for row in await store.list(includePartial=True):
        if "secret" in row["content"]:
            await store.delete(row["memoryId"])
    await store.backend.compact()
    # The conversation still has the text of the finished answer; the index has no word of it.
    assert store.sql("SELECT count(*) FROM terms_data WHERE instr(block, CAST('xylophonesecret' AS BLOB))") == [(0,)]
    await store.backend.close()
    assert b"zirconsecret" not in store.path.read_bytes()


async def test_words_split_over_appends_are_found_before_and_after_the_end(store: Any) -> None:
    text = ("lorem ipsum dolor sit " * 180 + "quetz alcoatl " * 3 + "quetzalcoatl 東京都 ") * 6 + "don't end"
    await store.begin()
    for at in range(0, len(text), 43):
        await store.append(at, text[at : at + 43])
    for partial in (True, False):
        for query in ("quetzalcoatl", "京都", "don't", "end"):
            assert len(await store.search(query, includePartial=partial)) == partial
    await store.finalize("", start=len(text))
    for query in ("quetzalcoatl", "京都", "don't", "end"):
        assert len(await store.search(query)) == 1


async def test_no_two_neighbouring_characters_are_lost_at_a_cut(store: Any) -> None:
    """30,000 characters without any space: every pair is found, wherever the text was cut."""
    characters = [chr(0x4E00 + number) for number in range(20_000)]
    random.Random(1).shuffle(characters)
    text = "".join(characters)
    await store.begin(question=text)
    for at in range(0, len(text), 1999):
        await store.append(at, text[at : at + 1999])
    await store.finalize("", start=len(text))
    for at in {*range(4090, 20_000 - 4, 4096), *range(4060, 20_000 - 40, 128)}:
        assert len(await store.search(text[at : at + 2])) == 2
        assert len(await store.search(text[at] + text[at + 2])) == 0


async def test_filters_act_before_the_limit(store: Any) -> None:
    for number in range(10):
        await store.exchange(
            "zebra",
            f"zebra {number}",
            f"st{number}",
            userId=f"u{number % 2}",
            tags=[f"t{number % 5}", "all"],
            importance=number * 10,
            conversationId=f"c{number % 3}",
        )
    assert len(await store.search("zebra", limit=4, userId="u1")) == 4
    assert await store.found("zebra", limit=2, minImportance=90) in (["zebra", "zebra 9"], ["zebra 9", "zebra"])
    assert {r["tags"][0] for r in await store.search("zebra", tags=["t4", "t2", "none"], limit=50)} == {"t4", "t2"}
    assert len(await store.search("zebra", tags=["t4", "t2", "none"], limit=50)) == 8
    assert await store.search("zebra", sourceType="a2a") == [] and await store.search("zebra", tags=[]) == []
    assert len(await store.search("zebra")) == 20 and len(await store.search("zebra", limit=3)) == 3
    assert [m["content"] for m in await store.list(limit=3, conversationId="c0")] == ["zebra 9", "zebra", "zebra 6"]
    assert {m["userId"] for m in await store.list(limit=5, userId="u0")} == {"u0"}
    assert await store.list(sourceType="a2a") == [] and await store.list(limit=0) == []
    assert (await store.count(), await store.count(userId="u1"), await store.count(sourceType="conversation")) == (
        20,
        10,
        20,
    )


async def test_list_and_search_give_the_head_and_get_gives_all(store: Any) -> None:
    text = "é😀 word " * 20_000
    result = await store.exchange("q" * 70_000, text, "st")
    for row in (*(await store.list()), *(await store.search("word")), *result["memories"]):
        whole = await store.get(row["memoryId"])
        assert row["content"] == whole["content"][:HEAD_LENGTH]
        assert row["contentLength"] == len(whole["content"]) > HEAD_LENGTH
    assert (await store.get("mem-001"))["content"] == text


async def test_texts_are_kept_in_pieces_of_a_bounded_size(store: Any) -> None:
    text = "word " * 40_000
    await store.begin(question=text)
    await store.append(0, text)
    for at in range(0, 4_500, 3):
        await store.append(len(text) + at, "abc")
    pieces = store.sql("SELECT max(length(body)), count(*) FROM pieces WHERE text = 2")
    assert pieces[0][0] <= text_store.BLOCK
    assert (
        pieces[0][1] < 204_500 / (text_store.BLOCK / 2) + text_store.BLOCK / 3
    )  # small ones are joined but for the last block's


async def test_history_pages(store: Any) -> None:
    for number in range(3):
        await store.exchange(f"q{number}", f"a{number}", f"st{number}")

    async def page(**more: Any) -> tuple[list[str], int, bool]:
        got = await store.backend.query(
            "conversations:getHistory", {"memorySpaceId": "s", "conversationId": "c", **more}
        )
        return [m["content"] for m in got["messages"]], got["total"], got["hasMore"]

    assert await page() == (["q0", "a0", "q1", "a1", "q2", "a2"], 6, False)
    assert await page(limit=2) == (["q0", "a0"], 6, True)
    assert await page(limit=2, offset=3) == (["a1", "q2"], 6, True)
    assert await page(limit=4, offset=4) == (["q2", "a2"], 6, False)
    assert await page(sortOrder="desc", limit=3) == (["a2", "q2", "a1"], 6, True)
    assert await page(sortOrder="desc", limit=3, offset=5) == (["q0"], 6, False)
    assert await page(offset=99) == ([], 6, False)
    with pytest.raises(ConversationNotFound):
        await page(conversationId="other")


async def test_conversations_are_listed_newest_first_without_messages(store: Any) -> None:
    await store.exchange("q", "a", "one", conversationId="c1")
    await store.exchange("q", "a", "two", conversationId="c2", userId="bob")
    await store.begin("three", conversationId="c3")  # not finished: no message yet
    listed = await store.backend.query("conversations:list", {"memorySpaceId": "s", "includePending": True})
    assert [(r["conversationId"], r["messageCount"]) for r in listed] == [("c3", 0), ("c2", 2), ("c1", 2)]
    assert await store.backend.query("conversations:count", {"memorySpaceId": "s", "includePending": True}) == 3
    assert await store.backend.query("conversations:count", {"memorySpaceId": "s"}) == 2
    await store.exchange("q", "a", "four", conversationId="c1", agentId="helper")
    rows = await store.backend.query("conversations:list", {"memorySpaceId": "s"})
    assert [(r["conversationId"], r["messageCount"]) for r in rows] == [("c2", 2), ("c1", 4)]
    assert all(row.keys().isdisjoint({"messages", "pending"}) for row in rows)
    assert rows[1]["participants"] == {"userId": "ada", "agentId": "helper"}
    args = {"memorySpaceId": "s", "userId": "bob"}
    assert [r["conversationId"] for r in await store.backend.query("conversations:list", args)] == ["c2"]
    assert await store.backend.query("conversations:count", args) == 1
    assert await store.backend.query("conversations:count", {"memorySpaceId": "s", "type": "agent-agent"}) == 0


APPEND = {"streamId": "st", "memorySpaceId": "s", "epoch": 1, "attempt": 0, "start": 0, "text": "x"}
FINALIZE = {**APPEND, "length": 1}
BEGIN = {
    "streamId": "st2",
    "memorySpaceId": "s",
    "conversationId": "c",
    "userMessage": "q",
    "importance": 1,
    "tags": [],
}


@pytest.mark.parametrize(
    ("path", "args", "field"),
    [
        ("streams:begin", {**BEGIN, "metadata": {"a": [1, {"b": float("nan")}]}}, "metadata.a[1].b"),
        ("streams:begin", {**BEGIN, "metadata": {"a": float("inf")}}, "metadata.a"),
        ("streams:begin", {**BEGIN, "metadata": {"a": 2**63}}, "metadata.a"),
        ("streams:begin", {**BEGIN, "metadata": {1: "a"}}, "metadata"),
        ("streams:begin", {**BEGIN, "metadata": {"a": {1, 2}}}, "metadata.a"),
        ("streams:begin", {**BEGIN, "metadata": {"a": "\ud800"}}, "metadata.a"),
        ("streams:begin", {**BEGIN, "metadata": []}, "metadata"),
        ("streams:begin", {**BEGIN, "userMessage": "\udc00"}, "userMessage"),
        ("streams:begin", {**BEGIN, "userMessage": None}, "userMessage"),
        ("streams:begin", {**BEGIN, "userId": None}, "userId"),
        ("streams:begin", {**BEGIN, "importance": 101}, "importance"),
        ("streams:begin", {**BEGIN, "importance": True}, "importance"),
        ("streams:begin", {**BEGIN, "tags": "abc"}, "tags"),
        ("streams:begin", {**BEGIN, "tags": ["a", 1]}, "tags[1]"),
        ("streams:begin", {**BEGIN, "colour": "red"}, "colour"),
        ("streams:begin", {**BEGIN, "streamId": ""}, "streamId"),
        ("streams:begin", {k: v for k, v in BEGIN.items() if k != "conversationId"}, "conversationId"),
        ("streams:append", {**APPEND, "start": -1}, "start"),
        ("streams:append", {**APPEND, "start": 0.5}, "start"),
        ("streams:append", {**APPEND, "epoch": "1"}, "epoch"),
        ("streams:append", {**APPEND, "text": b"x"}, "text"),
        ("streams:finalize", {**FINALIZE, "userEmbedding": []}, "userEmbedding"),
        ("streams:finalize", {**FINALIZE, "agentEmbedding": [1.0, float("nan")]}, "agentEmbedding[1]"),
        ("streams:finalize", {**FINALIZE, "agentEmbedding": "no"}, "agentEmbedding"),
        ("streams:finalize", {**FINALIZE, "usage": 5}, "usage"),
        ("streams:close", {"streamId": "st", "memorySpaceId": "s", "epoch": 1, "outcome": "bored"}, "outcome"),
        ("memories:list", {"memorySpaceId": "s", "limit": True}, "limit"),
        ("memories:list", {"memorySpaceId": "s", "includePartial": 1}, "includePartial"),
        ("memories:list", {}, "memorySpaceId"),
        ("memories:list", [], "args"),
        ("memories:search", {"memorySpaceId": "s", "query": 5}, "query"),
        ("conversations:get", {"conversationId": "c"}, "memorySpaceId"),
        ("conversations:getHistory", {"memorySpaceId": "s", "conversationId": "c", "sortOrder": "up"}, "sortOrder"),
    ],
)  # fmt: skip
async def test_a_wrong_argument_is_named_and_nothing_is_stored(store: Any, path: str, args: Any, field: str) -> None:
    await store.begin()
    before = store.sql("SELECT * FROM streams") + store.sql("SELECT * FROM texts")
    call = store.backend.mutation if path.startswith("streams") else store.backend.query
    with pytest.raises(InvalidArgument) as error:
        await call(path, args)
    assert error.value.field == field
    assert store.sql("SELECT * FROM streams") + store.sql("SELECT * FROM texts") == before


async def test_metadata_nested_too_deeply_is_refused(store: Any) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InvalidArgument):
        await store.begin(metadata=deep)


async def test_arguments_are_copied(store: Any) -> None:
    metadata, tags = {"a": [1]}, ["t"]
    begin = store.begin(metadata=metadata, tags=tags)
    begun = await begin
    metadata["a"].append(2)
    tags.append("u")
    row = await store.get(begun["memoryId"], includePartial=True)
    assert (row["metadata"], row["tags"]) == ({"a": [1]}, ["t"])


async def test_whole_numbers_may_come_as_floats(store: Any) -> None:
    await store.begin()
    assert await store.append(0, "ab", epoch=1.0, attempt=0.0) == 2
    assert len(await store.list(limit=5.0, includePartial=True)) == 1


async def test_an_unknown_function_is_named_with_those_there_are(store: Any) -> None:
    with pytest.raises(UnknownFunction, match="no query 'streams:begin'; there are: streams:get"):
        await store.backend.query("streams:begin", {})
    with pytest.raises(
        UnknownFunction, match="no mutation 'memories:keep'; there are: memories:store, memories:deleteMemory"
    ):
        await store.backend.mutation("memories:keep", {})
