"""The index of a file: its language, and that what is taken out is what was put in."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cortex_rx import Cortex
from cortex_rx.backends import SqliteBackend
from cortex_rx.backends.sqlite import index, tokenizer
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.errors import InvalidArgument, LanguageMismatch, StoreTooNew

ONE = {"contentType": "raw", "sourceType": "system", "importance": 50, "tags": []}


async def keep(backend: Any, content: str) -> str:
    row = await backend.mutation("memories:store", {"memorySpaceId": "s", "content": content, **ONE})
    return str(row["memoryId"])


async def found(backend: Any, query: str) -> list[str]:
    rows = await backend.query("memories:search", {"memorySpaceId": "s", "query": query})
    return sorted(row["content"] for row in rows)


def words_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")
        return [term for (term,) in db.execute("SELECT term FROM terms_places ORDER BY doc, offset")]


@pytest.mark.parametrize("length", [1, 400])
async def test_what_is_taken_out_is_what_was_put_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Also if another Python has other Unicode tables, or another version other stems and stop words."""
    path = tmp_path / "memory.db"
    async with SqliteBackend(path) as backend:
        gone = await keep(backend, "the Ångström memories, 東京 \U0001fae8 " * length)
        await keep(backend, "memories stay")
    fold = tokenizer.fold
    monkeypatch.setattr(tokenizer, "fold", lambda text: fold(text).replace("a", "o").replace("東", "西 "))
    monkeypatch.setattr(Language, "stems", lambda self, words: [word[::-1] for word in words])
    monkeypatch.setattr(Language, "stop_words", frozenset({"stay"}))
    async with SqliteBackend(path) as backend:
        await backend.mutation("memories:deleteMemory", {"memorySpaceId": "s", "memoryId": gone})
    assert words_in(path) == ["1¦memori", "1¦stay", "1¦¦memories", "1¦¦stay"]
    monkeypatch.undo()
    async with SqliteBackend(path) as backend:
        assert await found(backend, "memory") == ["memories stay"] and await found(backend, "angstrom") == []
        await backend.compact()
    assert b"angstrom" not in path.read_bytes()


async def test_a_rank_counts_a_phrase_where_it_is(tmp_path: Path) -> None:
    """Across the border of stems and words as they stand there is no phrase, nor across a word between."""
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        await keep(backend, "node and js, node.js: node js node")
        tx = backend._transaction(backend._writer)  # type: ignore[arg-type]
        assert index.times(tx, index.NEW, 1, "node js") == {1: 2}
        assert index.times(tx, index.NEW, 1, "js node") == {1: 3}
        assert index.times(tx, index.NEW, 1, "node node") == index.times(tx, index.NEW, 2, "node") == {}
        assert index.times(tx, index.NEW, 1, "node") == index.times_of_surface(tx, index.NEW, 1, "node") == {1: 4}


async def test_a_document_is_looked_up_once_while_few_are_kept(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        for content in ("one", "one two", "one two three", "one two three four"):
            await keep(backend, content)
        tx = backend._transaction(backend._writer)  # type: ignore[arg-type]
        asked: list[str] = []
        tx.db.set_trace_callback(asked.append)
        cache = index.DocumentCache(most=3)
        first, second, third, fourth = (((text + 1) << 32, text + 1) for text in range(4))
        assert cache.look_up(tx, index.NEW, [2, 1]) == [second, first] and len(asked) == 1
        assert cache.look_up(tx, index.NEW, [1, 2]) == [first, second] and len(asked) == 1
        assert cache.look_up(tx, index.NEW, [3, 1]) == [third, first] and len(asked) == 2
        assert "[3]" in asked[-1]
        assert cache.look_up(tx, index.NEW, [4, 1, 2, 3]) == [fourth, first, second, third] and len(asked) == 3
        assert cache.look_up(tx, index.NEW, [1]) == [first] and len(asked) == 4  # there were too many


async def test_what_another_backend_stores_and_deletes_is_ranked_as_it_is(tmp_path: Path) -> None:
    """Although this one keeps what it knows of the documents from its searches before."""
    path = tmp_path / "memory.db"
    async with SqliteBackend(path) as backend, SqliteBackend(path) as other:
        gone = await keep(backend, "zebra zebra")
        await keep(backend, "zebra and much else that nobody wants to know")
        assert len(await found(backend, "zebra")) == 2
        await other.mutation("memories:deleteMemory", {"memorySpaceId": "s", "memoryId": gone})
        await keep(other, "zebra, said shortly")
        query = {"memorySpaceId": "s", "query": "zebra"}
        rows = await backend.query("memories:search", query)
        assert [row["content"] for row in rows] == [
            "zebra, said shortly",
            "zebra and much else that nobody wants to know",
        ]
        assert rows == await other.query("memories:search", query)


async def test_a_file_keeps_its_language(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with SqliteBackend(path, language="german") as backend:
        await keep(backend, "Die Häuser der Stadt")
    for language, read_only in ((None, False), ("german", False), (None, True), ("german", True)):
        async with SqliteBackend(path, language=language, read_only=read_only) as backend:
            assert await found(backend, "ein Haus") == ["Die Häuser der Stadt"]
    for read_only in (False, True):
        async with SqliteBackend(path, language="english", read_only=read_only) as backend:
            for _ in range(2):
                with pytest.raises(LanguageMismatch, match=r"memory\.db: .*'german', not 'english'"):
                    await found(backend, "Haus")


async def test_english_is_what_nobody_chose_and_none_takes_words_as_they_stand(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "english.db") as backend:
        await keep(backend, "The memories")
    assert words_in(tmp_path / "english.db") == ["1¦the", "1¦memori", "1¦¦memories"]
    async with Cortex(tmp_path / "none.db", language="none") as cortex:
        await keep(cortex.backend, "The memories")
        assert await found(cortex.backend, "memory") == [] and await found(cortex.backend, "the") == ["The memories"]
    assert words_in(tmp_path / "none.db") == ["1¦the", "1¦memories"]


@pytest.mark.parametrize("language", ["klingon", "English", "", 7])
def test_another_language_is_refused_by_name(tmp_path: Path, language: Any) -> None:
    for make in (SqliteBackend, Cortex):
        with pytest.raises(InvalidArgument, match="language: .*english.*none"):
            make(tmp_path / "memory.db", language=language)
    assert not list(tmp_path.iterdir())


async def test_a_backend_has_its_own_language(tmp_path: Path) -> None:
    async with SqliteBackend(tmp_path / "memory.db") as backend:
        with pytest.raises(InvalidArgument, match="language: .*which has its own"):
            Cortex(backend, language="english")


async def test_a_file_in_a_language_of_a_later_version_is_too_new(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with SqliteBackend(path) as backend:
        await keep(backend, "a b")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE settings SET value = 'klingon' WHERE name = 'language'")
        db.commit()
    async with SqliteBackend(path) as backend:
        with pytest.raises(StoreTooNew, match="'klingon'"):
            await found(backend, "a")


async def test_two_that_make_a_file_at_once_agree_on_its_language(tmp_path: Path) -> None:
    backends = [SqliteBackend(tmp_path / "memory.db", language=name) for name in ("french", "german")]
    results = await asyncio.gather(*(keep(backend, "mots") for backend in backends), return_exceptions=True)
    assert [type(result) for result in results].count(LanguageMismatch) == 1
    for backend in backends:
        await backend.close()
