"""`reembed`: a store is moved to another embedding model, whole, in use, and on from wherever it was killed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from cortex_rx import Cortex, Embedder, SqliteBackend
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument, StoreUnavailable
from cortex_rx.reembedding import ReembedProgress, reembed
from cortex_rx.testing import run_virtual, wall

LONG = "".join(f"Sentence {number} is here. " for number in range(8))


def vector(text, model):
    return [float(len(text)), float(model == "new"), 1.0] if model == "new" else [float(len(text)), 0.0]


def embedder(model, asked=None, **more):
    def embed(texts):
        if asked is not None:
            asked.extend(texts)
        return [vector(text, model) for text in texts]

    return Embedder(embed, model=model, batch_size=4, **more)


OLD, NEW = embedder("old"), embedder("new")


async def remember(cortex, question, answer, space="one", **given):
    turn = {"memory_space_id": space, "conversation_id": "c-1", "user_message": question, "agent_id": "helper"}
    return await cortex.memory.remember_stream([answer], {"maxSingleMemorySize": 60}, **turn, **given)


def stored(backend, **more):
    args = {"content": "x", "contentType": "raw", "sourceType": "system", "importance": 50, "tags": [], **more}
    return backend.mutation("memories:store", {"memorySpaceId": "one", **args})


async def fill(cortex):
    """Exchanges of two spaces, one in chunks; a question without an answer; one memory alone, and one without text."""
    await remember(cortex, "Where is it?", LONG)
    await remember(cortex, "And there?", "In Porto.", "two")
    await remember(cortex, "Without?", "None.", "two", generate_embedding=lambda text: None)
    with pytest.raises(Exception, match="no content"):
        await remember(cortex, "Nobody answers?", " ")
    await stored(cortex.backend, content="Alone.", embedding=[6.0, 0.0], embeddingModel="old")
    await stored(cortex.backend, content="", embedding=[9.0, 0.0])


async def rows(backend):
    found = []
    for space in ("one", "two"):
        args = {"memorySpaceId": space, "includeChunks": True, "includePartial": True, "limit": 1000}
        found += await backend.query("memories:list", args)
    return found


async def embeddings(backend):
    return {row["content"]: row.get("embedding") for row in await rows(backend)}


def tables(path):
    with closing(sqlite3.connect(path)) as db:
        models = db.execute("SELECT name, dimension, state FROM embedders").fetchall()
        lengths = db.execute("SELECT length(vector), count(*) FROM vectors GROUP BY 1").fetchall()
        return models, lengths


MOVED = [("new", 3, "current")]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
async def test_all_of_every_space_gets_vectors_of_the_new_model_and_keeps_none_of_the_old(tmp_path, batch_size):
    path, asked, told = tmp_path / "m.db", [], []
    async with Cortex(path, generate_embedding=OLD) as cortex:
        await fill(cortex)
        before = await embeddings(cortex.backend)
        texts = [text for text in before if text]
        done = await reembed(cortex.backend, embedder("new", asked), batch_size=batch_size, on_progress=told.append)
        assert await embeddings(cortex.backend) == {text: vector(text, "new") if text else None for text in before}, (
            "the text that is empty has none"
        )
        contents = {row["memoryId"]: row["content"] for row in await rows(cortex.backend)}
    assert sorted(asked) == sorted(["text", *texts]), "each once, and one to learn the dimension"
    assert (done.model, done.dimension, done.embedded) == ("new", 3, len(texts))
    assert told[-1] == ReembedProgress(len(texts), len(texts)) and told == sorted(told, key=lambda one: one.embedded)
    assert len(contents) == len(before)
    assert tables(path) == (MOVED, [(24, len(texts))])


async def test_a_store_without_vectors_gets_its_first(tmp_path):
    async with Cortex(tmp_path / "m.db") as cortex:
        await remember(cortex, "Where is it?", "In Lisbon.")
        with pytest.raises(InvalidArgument, match="generate_embedding: got None; accepted: an Embedder"):
            await cortex.memory.reembed()
        done = await cortex.memory.reembed(NEW)
        assert (done.embedded, cortex.memory.embedder) == (2, NEW)
        await remember(cortex, "And now?", "In Porto.")
        assert await embeddings(cortex.backend) == {
            text: vector(text, "new") for text in ("Where is it?", "In Lisbon.", "And now?", "In Porto.")
        }
        assert (await cortex.memory.reembed()).embedded == 0, "there is nothing to do"
    assert tables(tmp_path / "m.db")[0] == MOVED


class Killed(BaseException):
    """The process ends."""


class Stopping:
    """A backend whose process is killed before its n-th call, or after it."""

    def __init__(self, inner, at=-1, after=False):
        self.inner, self.at, self.after = inner, at, after
        self.calls: list[tuple[str, Any]] = []

    async def _call(self, function, path, args):
        here = len(self.calls) == self.at
        self.calls.append((path, args))
        if here and not self.after:
            raise Killed
        result = await function(path, args)
        if here:
            raise Killed
        return result

    async def query(self, path, args):
        return await self._call(self.inner.query, path, args)

    async def mutation(self, path, args):
        return await self._call(self.inner.mutation, path, args)

    async def close(self):
        await self.inner.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_call_it_goes_on_and_searches_are_never_blind(tmp_path, after):
    path = tmp_path / "m.db"
    async with Cortex(path, generate_embedding=OLD) as cortex:
        await fill(cortex)
        known = {text for text, one in (await embeddings(cortex.backend)).items() if one and text}
    before = path.read_bytes()
    at = 0
    while True:
        path.write_bytes(before)
        async with SqliteBackend(path) as backend:
            stopping = Stopping(backend, at, after)
            texts: list[str] = []
            try:
                await reembed(stopping, embedder("new", texts, dimension=3), batch_size=3)
                break
            except Killed:
                pass
            seen = {text: len(one) for text, one in (await embeddings(backend)).items() if one and text in known}
            assert set(seen) == known and len(set(seen.values())) == 1, "all have vectors of the same model"
        async with SqliteBackend(path) as backend:
            await reembed(backend, embedder("new", texts, dimension=3), batch_size=3)
            again = await embeddings(backend)
            assert again == {text: vector(text, "new") if text else None for text in again}
            assert len(texts) - len(set(texts)) <= 3, "one page at most is embedded twice"
        assert tables(path) == (MOVED, [(24, len(again) - 1)])
        at += 1
    assert at > 8


async def test_searches_use_the_old_vectors_until_all_have_new_ones(tmp_path):
    async with Cortex(tmp_path / "m.db", generate_embedding=OLD) as cortex:
        await fill(cortex)
        before = await embeddings(cortex.backend)
        seen = []

        async def look(progress):
            seen.append((progress, await embeddings(cortex.backend)))

        await reembed(cortex.backend, NEW, batch_size=3, on_progress=look)
        assert len(seen) > 3
        old = {text: one for text, one in before.items() if one}
        for _, found in seen:
            assert {text: found[text] for text in old} == old


async def test_what_is_written_and_deleted_meanwhile(tmp_path):
    """With the old model, with the new one and without any, and a memory that is deleted while it is embedded."""
    path = tmp_path / "m.db"
    async with Cortex(path, generate_embedding=OLD) as cortex, Cortex(path, generate_embedding=NEW) as other:
        await fill(cortex)
        count = 0

        async def write(progress):
            nonlocal count
            count += 1
            if count < 9:
                await remember(cortex, f"Old {count}?", f"{LONG}{count}")
                await remember(other, f"New {count}?", f"New {count}.")
                await remember(cortex, f"None {count}?", f"None {count}.", generate_embedding=lambda text: None)
                newest = (await cortex.memory.list("one", limit=1))[0]
                await cortex.memory.delete("one", newest.memory_id)

        class Deleting(Stopping):
            async def mutation(self, path, args):
                if path == "memories:embed" and count in (1, 4):
                    gone = next(one for one in args["vectors"])
                    try:
                        await cortex.memory.delete(gone["memorySpaceId"], gone["memoryId"])
                    except InvalidArgument:
                        pass  # a chunk
                return await super().mutation(path, args)

        await reembed(Deleting(cortex.backend), NEW, batch_size=5, on_progress=write)
        found = await embeddings(cortex.backend)
        assert found == {text: vector(text, "new") if text else None for text in found}
        assert count > 9 and "New 8?" in found and "None 8?" in found and "None 8." not in found
        assert tables(path)[0] == MOVED

        result = await remember(cortex, "Too late?", "Yes.")
        assert result.memories[1].embedding is None, "the old model is refused now, not the answer"
        assert [memory.content for memory in await cortex.memory.list("one", limit=2)] == ["Yes.", "Too late?"]
        assert (await reembed(cortex.backend, NEW)).embedded == 2


async def test_a_text_that_changes_while_it_is_embedded_gets_no_vector_of_what_it_was(tmp_path):
    class Changing(Stopping):
        async def mutation(self, path, args):
            if path == "memories:embed" and not changed:
                changed.append(args)
                await asyncio.sleep(0.002)  # its clock has milliseconds
                begun = await self.inner.mutation("streams:begin", begin)
                given = {"epoch": begun["epoch"], "attempt": begun["attempt"], "start": 0, "length": 3, "text": "Yes"}
                key = {"streamId": "st", "memorySpaceId": "one"}
                await self.inner.mutation("streams:finalize", {**key, **given, "userContent": "Summary"})
            return await super().mutation(path, args)

    changed: list[Any] = []
    begin = {"streamId": "st", "memorySpaceId": "one", "conversationId": "c", "userMessage": "Why?", "agentId": "a"}
    begin |= {"importance": 50, "tags": []}
    async with SqliteBackend(tmp_path / "m.db") as backend:
        begun = await backend.mutation("streams:begin", begin)
        args = {"streamId": "st", "memorySpaceId": "one", "epoch": begun["epoch"], "outcome": "empty"}
        await backend.mutation("streams:close", args)
        await stored(backend, content="Other", embedding=[5.0, 0.0], embeddingModel="old")
        await reembed(Changing(backend), NEW)
        assert len(changed) == 1
        assert await embeddings(backend) == {text: vector(text, "new") for text in ("Summary", "Yes", "Other")}


async def test_two_processes_at_once(tmp_path):
    path = tmp_path / "m.db"
    async with Cortex(path, generate_embedding=OLD) as cortex:
        await fill(cortex)
    async with SqliteBackend(path) as one, SqliteBackend(path) as other:
        await asyncio.gather(reembed(one, NEW, batch_size=2), reembed(other, NEW, batch_size=3))
        found = await embeddings(one)
        assert found == {text: vector(text, "new") if text else None for text in found}
    assert tables(path)[0] == MOVED


async def test_a_text_for_which_there_is_none_loses_its_vector_and_is_not_asked_for_again(tmp_path):
    asked = []

    def embed(text):
        asked.append(text)
        return None if "Lisbon" in text else vector(text, "new")

    async with Cortex(tmp_path / "m.db", generate_embedding=OLD) as cortex:
        await remember(cortex, "Where is it?", "In Lisbon.")
        await remember(cortex, "In Lisbon?", "Yes.")
        await cortex.memory.reembed(Embedder(embed, "new", 3))
        found = await embeddings(cortex.backend)
        assert [text for text, one in found.items() if one is None] == ["In Lisbon?", "In Lisbon."]
    assert sorted(asked) == sorted(found)
    assert tables(tmp_path / "m.db") == (MOVED, [(24, 2)])


async def test_a_third_model_and_back_to_the_first(tmp_path):
    path = tmp_path / "m.db"
    async with Cortex(path, generate_embedding=OLD) as cortex:
        await fill(cortex)
        before = await embeddings(cortex.backend)

        async def third(progress):
            await cortex.backend.mutation("memories:reembed", {"model": "third", "dimension": 3})

        with pytest.raises(EmbeddingMismatch, match="third"):
            await reembed(cortex.backend, NEW, batch_size=2, on_progress=third)
        assert await embeddings(cortex.backend) == before
        await reembed(cortex.backend, OLD)
        found = await embeddings(cortex.backend)
        assert found == {text: vector(text, "old") if text else [9.0, 0.0] for text in before}
        assert tables(path)[0] == [("old", 2, "current")], "what was made of the others is gone"


async def test_old_vectors_go_away_in_batches(tmp_path):
    path = tmp_path / "m.db"
    async with SqliteBackend(path) as backend:
        one = {"embedding": [1.0, 0.0], "embeddingModel": "old"}
        await asyncio.gather(*[stored(backend, content=f"Memory {number}", **one) for number in range(450)])
        calls = Stopping(backend)
        await reembed(calls, NEW)
        states = [args for name, args in calls.calls if name == "memories:reembed"]
        assert len(states) == 2 + 2, "the beginning, the move with the first 200, and two more"
    assert tables(path) == (MOVED, [(24, 450)])


async def test_few_texts_are_held_at_a_time(tmp_path):
    async with SqliteBackend(tmp_path / "m.db") as backend:
        for number in range(5):
            await stored(backend, content=f"{number}" * 600_000)
        for number in range(7):
            await stored(backend, content=f"short {number}")
        sizes = []

        def embed(texts):
            sizes.append([len(text) for text in texts])
            return [vector(text, "new") for text in texts]

        await reembed(backend, Embedder(embed, "new", 3, batch_size=1000), batch_size=6)
    assert all(sum(texts) <= 2**20 + 600_000 and len(texts) <= 6 for texts in sizes), sizes
    assert sum(map(len, sizes)) == 12


def test_what_fails_for_now_is_asked_again(tmp_path):
    failures = [ConnectionError("away"), TimeoutError("slow")]

    async def embed(texts):
        if failures:
            raise failures.pop()
        return [vector(text, "new") for text in texts]

    class Away(Stopping):
        async def mutation(self, path, args):
            result = await super().mutation(path, args)
            if len(self.calls) in (2, 5):
                raise StoreUnavailable("the reply is lost")
            return result

    async def main():
        async with SqliteBackend(tmp_path / "m.db", clock=wall) as backend:
            await stored(backend, content="Alone.", embedding=[6.0, 0.0], embeddingModel="old")
            done = await reembed(Away(backend), Embedder(embed, "new", batch_size=9))
            return done.embedded, await embeddings(backend)

    embedded, found = run_virtual(main())
    assert (embedded, found, failures) == (1, {"Alone.": vector("Alone.", "new")}, [])


def test_what_fails_for_good_is_raised_and_what_was_done_is_kept(tmp_path):
    asked = []

    def embed(text):
        asked.append(text)
        if text == "bad":
            raise LookupError("no such model")
        return vector(text, "new")

    async def main():
        async with SqliteBackend(tmp_path / "m.db", clock=wall) as backend:
            for text in ("good", "bad", "other"):
                await stored(backend, content=text, embedding=[1.0, 0.0], embeddingModel="old")
            with pytest.raises(LookupError):
                await reembed(backend, Embedder(embed, "new", 3), batch_size=1)
            assert await embeddings(backend) == dict.fromkeys(("good", "bad", "other"), [1.0, 0.0])
            await reembed(backend, NEW, batch_size=1)
            return await embeddings(backend)

    assert run_virtual(main()) == {text: vector(text, "new") for text in ("good", "bad", "other")}
    assert asked == ["good", "bad"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"generate_embedding": None}, "generate_embedding"),
        ({"generate_embedding": "new"}, "generate_embedding"),
        ({"generate_embedding": len}, "embedding_model"),
        ({"generate_embedding": NEW, "embedding_model": "other"}, "embedding_model"),
        ({"batch_size": 0}, "batch_size"),
        ({"on_progress": 1}, "on_progress"),
        ({"generate_embedding": lambda text: None, "embedding_model": "new"}, "generate_embedding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_wrong_arguments_are_refused(given, field):
    async with SqliteBackend(":memory:") as backend:
        with pytest.raises(InvalidArgument) as caught:
            await reembed(backend, **{"generate_embedding": NEW} | given)
    assert caught.value.field == field
