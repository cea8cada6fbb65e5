"""Searching by vectors: exact, kept up to date by what has changed, and within the memory that it may take."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.backends.sqlite import matrix, text_store, vectors
from cortex_rx.backends.sqlite.matrix import SpaceMatrix
from cortex_rx.backends.sqlite.ranking import ALONE, TALK, Kernel
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument

NEAR = Kernel((0.5, 0.3), 0.4, 2)


async def arm(store: Any, vector: list[float], kernel: Kernel = NEAR, space: str = "s", **args: Any) -> Any:
    """What a vector finds, in a transaction of its own. None if there is nothing to search."""

    def read(db: Any) -> Any:
        tx = store.backend._transaction(db)
        return vectors.arm(tx, text_store.number_of(tx, space), vector, args, kernel, args.pop("model", None))

    return await store.backend._read(read)


async def put(store: Any, name: str, vector: list[float] | None, **more: Any) -> None:
    """Store a memory with this id."""
    args = {"memorySpaceId": "s", "content": name, "contentType": "raw", "sourceType": "system", "importance": 50}
    given = {} if vector is None else {"embedding": vector}
    await store.backend.mutation("memories:store", {**args, "tags": [], "memoryId": name, **given, **more})


async def at_once(writes: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Do many writes in few transactions, in this order."""
    await asyncio.gather(*writes)


def said(conversation: str) -> dict[str, Any]:
    return {"conversationRef": {"conversationId": conversation, "messageIds": []}}


async def names(store: Any, found: Any, count: int = 100) -> list[str]:
    ids = dict(store.sql("SELECT seq, id FROM memories"))
    return [ids[memory] for memory, _ in found.best(count)]


# --- the law: the same as brute force ---------------------------------------------------------------------------------


def cosine(one: list[float], other: list[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return max(sum(a * b for a, b in zip(one, other)) / lengths, 0.0) if lengths else 0.0


def matches(row: dict[str, Any], args: dict[str, Any]) -> bool:
    tags, wanted = set(row["tags"]), set(args.get("tags", []))
    conversation = row.get("conversationRef", {}).get("conversationId")
    return (
        all(row.get(name) == args[name] for name in ("sourceType", "contentType", "participantId") if name in args)
        and ("conversationId" not in args or conversation == args["conversationId"])
        and row["importance"] >= args.get("minImportance", 0)
        and ("tags" not in args or (wanted <= tags if args.get("tagMatch") == "all" else bool(wanted & tags)))
        and all(
            args.get(f"{name}After", -math.inf) <= row[field] < args.get(f"{name}Before", math.inf)
            for name, field in (("created", "createdAt"), ("updated", "updatedAt"), ("source", "sourceTimestamp"))
        )
    )


async def brute(store: Any, query: list[float], kernel: Kernel, args: dict[str, Any]) -> dict[tuple[int, int], float]:
    """The scores of all places that are found, from the rows of the contract."""
    numbers = dict(store.sql("SELECT id, seq FROM memories"))
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for row in await store.list(includeChunks=True, limit=10_000):
        chunk = row.get("chunkMetadata", {"parentMemoryId": row["memoryId"], "chunkIndex": -1})
        if "embedding" in row and "chunkCount" not in row and args.get("userId") in (None, row.get("userId")):
            rows[numbers[chunk["parentMemoryId"]], chunk["chunkIndex"]] = row
    own = {place: cosine(query, row["embedding"]) for place, row in rows.items()}
    peaks: dict[int, float] = {}
    talks: dict[str, list[int]] = {}
    for seq, part in sorted(rows):
        if seq not in peaks:
            talk = rows[seq, part].get("conversationRef", {}).get("conversationId", f"none but {seq}")
            talks.setdefault(talk, []).append(seq)
        peaks[seq] = max(peaks.get(seq, 0.0), own[seq, part])
    found: dict[tuple[int, int], float] = {}
    for (seq, part), row in rows.items():
        (talk,) = (talk for talk in talks.values() if seq in talk)
        at = talk.index(seq)
        near = around = 0.0
        for position, other in enumerate(talk):
            distance = abs(position - at)
            if 0 < distance <= len(kernel.near):
                near = max(near, kernel.near[distance - 1] * peaks[other])
            if distance <= kernel.span:
                around = max(around, peaks[other])
        for other_part in (other_part for other, other_part in rows if other == seq):
            if 0 < abs(other_part - part) <= len(kernel.near):
                near = max(near, kernel.near[abs(other_part - part) - 1] * own[seq, other_part])
        if (own[seq, part] or near) and matches(row, args):
            found[seq, part] = kernel.whole(own[seq, part], near, around)
    return found


WORDS = st.sampled_from(["a", "b"])
VECTORS = st.lists(st.integers(-2, 2).map(float), min_size=3, max_size=3)
STEPS = st.one_of(
    st.fixed_dictionaries(
        {
            "do": st.just("put"),
            "embedding": st.one_of(VECTORS, VECTORS, st.none()),
            "conversation": st.sampled_from(["a", "a", "b", None]),
            "userId": st.sampled_from(["ada", "bob"]),
            "participantId": st.sampled_from(["phone", "web"]),
            "tags": st.lists(WORDS, max_size=2),
            "importance": st.integers(0, 3),
            "sourceType": st.sampled_from(["system", "tool"]),
            "contentType": st.sampled_from(["raw", "fact"]),
            "sourceTimestamp": st.integers(0, 3),
        }
    ),
    st.fixed_dictionaries(
        {"do": st.just("exchange"), "conversation": WORDS, "vectors": st.lists(st.none() | VECTORS, max_size=5)}
    ),
    st.fixed_dictionaries({"do": st.just("delete"), "which": st.integers(0, 99)}),
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "userId": st.sampled_from(["ada", "bob", "nobody"]),
        "participantId": st.sampled_from(["phone", "web", "nobody"]),
        "tags": st.lists(WORDS, max_size=2),
        "tagMatch": st.sampled_from(["any", "all"]),
        "conversationId": WORDS,
        "minImportance": st.integers(0, 3),
        "sourceType": st.sampled_from(["system", "conversation", "a2a"]),
        "contentType": st.sampled_from(["raw", "fact"]),
        "createdAfter": st.integers(1_000, 1_020).map(lambda seconds: 1000 * seconds),
        "updatedBefore": st.integers(1_000, 1_020).map(lambda seconds: 1000 * seconds),
        "sourceAfter": st.integers(0, 3),
        "sourceBefore": st.integers(1, 4),
    },
)


async def take(store: Any, number: int, step: dict[str, Any]) -> None:
    """One change, by one of two backends."""
    if step["do"] == "put":
        more = {name: value for name, value in step.items() if name not in ("do", "conversation", "embedding")}
        where = said(step["conversation"]) if step["conversation"] else {}
        await put(store, f"put-{number}", step["embedding"], **more, **where)
    elif step["do"] == "exchange":
        question, answer, *parts = [*step["vectors"], None, None][: max(len(step["vectors"]), 2)]
        await store.begin(f"st{number}", conversationId=step["conversation"])
        given = {name: value for name, value in (("userEmbedding", question), ("agentEmbedding", answer)) if value}
        cuts = [{"start": at, "end": at + 1, **({"embedding": part} if part else {})} for at, part in enumerate(parts)]
        await store.finalize("x" * max(len(parts), 1), f"st{number}", **given, **({"chunks": cuts} if cuts else {}))
    elif rows := await store.list():
        await store.delete(rows[step["which"] % len(rows)]["memoryId"])


def law(make_store: Any, steps: Any, searches: Any) -> None:
    """Whatever two processes store and delete, each of which searches now and then: with all filters, before the
    best are taken, with and without neighbours."""

    async def main(path: Path) -> None:
        stores = [make_store(path), make_store(path, new_id=iter(f"other-{number}" for number in range(999)).__next__)]
        for number, (which, step) in enumerate(steps):
            for store in stores:
                store.now += 1
            await take(stores[which], number, step)
            if number % 3 == 2:
                await check(stores[number % 2], *searches[number % len(searches)])
        for store in stores:
            for query, args, kernel in searches:
                await check(store, query, args, kernel)
                await check(store, query, {"userId": "ada"}, NEAR)
        for store in stores:
            await store.backend.close()

    async def check(store: Any, query: list[float], args: dict[str, Any], kernel: Kernel) -> None:
        want = await brute(store, query, kernel, args)
        found = await arm(store, query, kernel, **args)
        if found is None:
            assert not want
            return
        ranked = sorted(want.values(), reverse=True)
        for count in (0, 1, 3, 1000):
            best = found.best(count)
            scores = [found.score(*place) for place in best]
            assert scores == sorted(scores, reverse=True)
            assert scores == pytest.approx([want[place] for place in best], abs=1e-5)
            assert scores == pytest.approx(ranked[:count], abs=1e-5)
            places = [(-score, -memory, part) for score, (memory, part) in zip(scores, best)]
            assert places == sorted(places), "of equal ones the newest first, and a chunk before the next one"
        assert set(found.best(1000)) == want.keys()
        assert found.top == pytest.approx(max(ranked, default=0), abs=1e-5)
        for place in found.best(2):
            check_why(found, place, kernel, want)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "memory.db"))


def check_why(found: Any, place: tuple[int, int], kernel: Kernel, want: dict[tuple[int, int], float]) -> None:
    """The parts of a score, and that the neighbour that is named gives its share."""
    why = found.why(*place)
    total = 1 + kernel.first + kernel.around
    around = (want[place] * total - why.own - why.near) / (kernel.around or 1)
    assert max(why.own, why.near) - 1e-4 <= around + (kernel is ALONE) <= 1 + (kernel is ALONE) + 1e-4
    assert (why.neighbour is None) == (why.near == 0)
    if why.neighbour is not None:
        before = (why.neighbour.memory, why.neighbour.part) < place
        assert why.neighbour.distance < 0 if before else why.neighbour.distance > 0
        other = found.why(why.neighbour.memory, why.neighbour.part)
        assert kernel.near[abs(why.neighbour.distance) - 1] * other.own == pytest.approx(why.near, abs=1e-5)


STORED = st.lists(st.tuples(st.booleans(), STEPS), min_size=8, max_size=16)
SEARCHES = st.lists(st.tuples(VECTORS, FILTERS, st.sampled_from([NEAR, TALK, ALONE])), min_size=4, max_size=8)


@settings(max_examples=8)
@given(STORED, SEARCHES)
def test_what_is_found_equals_brute_force(make_store: Any, steps: Any, searches: Any) -> None:
    law(make_store, steps, searches)


@pytest.mark.slow(reason="two hundred examples of a law of which every run has some")
@settings(max_examples=200)
@given(STORED, SEARCHES)
def test_what_is_found_equals_brute_force_in_many_examples(make_store: Any, steps: Any, searches: Any) -> None:
    law(make_store, steps, searches)


# --- kept up to date by what has changed ------------------------------------------------------------------------------


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were read from the file, batch by batch."""
    read: list[int] = []
    add = SpaceMatrix._add

    def counted(self: SpaceMatrix, batch: Any) -> None:
        read.append(len(batch))
        add(self, batch)

    monkeypatch.setattr(SpaceMatrix, "_add", counted)
    return read


async def test_a_search_reads_what_has_changed_and_copies_nothing(
    store: Any, make_store: Any, rows_read: list[int]
) -> None:
    other = make_store(store.path, new_id=iter(f"o{number}" for number in range(99)).__next__)
    await at_once(put(store, f"m{number}", [1.0, float(number)], **said(f"c{number % 3}")) for number in range(70))
    assert await names(store, await arm(store, [1.0, 0.0], ALONE), 1) == ["m0"]
    assert rows_read == [70]
    known = store.backend._matrices.of(1).matrix
    blocks, records = list(known._blocks), known._records
    for number, writer in enumerate([store, other, store, other], 70):
        await put(writer, f"m{number}", [1.0, -1.0 / number], **said("c1"))
        assert await names(store, await arm(store, [1.0, -1.0 / number], ALONE), 1) == [f"m{number}"]
    await arm(store, [1.0, 0.0])
    assert rows_read == [70, 1, 1, 1, 1], "nothing is read twice"
    assert known._blocks == blocks and [block is one for block, one in zip(known._blocks, blocks)] == [True] * 2
    assert known._records is records
    await put(other, "elsewhere", [1.0, 2.0], memorySpaceId="t")
    await put(other, "without", None)
    await arm(store, [1.0, 0.0])
    assert rows_read == [70, 1, 1, 1, 1], "what has no vector, or is in another space, is not read"
    await other.backend.close()


async def test_a_deleted_memory_s_vector_is_gone_from_the_matrix_and_its_row_is_used_again(store: Any) -> None:
    for name in ("a", "b", "c"):
        await put(store, name, [3.0, 4.0] if name == "b" else [0.0, 1.0])
    await arm(store, [3.0, 4.0])
    known = store.backend._matrices.of(1).matrix
    assert [block[1].tolist() for block in known._blocks] == [pytest.approx([0.6, 0.8])]
    await store.delete("b")
    assert await names(store, await arm(store, [1.0, 0.0])) == []
    assert known._blocks[0][:3].tolist() == [[0, 1], [0, 0], [0, 1]]
    await put(store, "d", [1.0, 0.0])
    assert await names(store, await arm(store, [1.0, 0.0])) == ["d"]
    assert known._blocks[0][:3].tolist() == [[0, 1], [1, 0], [0, 1]] and known._count == 3


async def test_a_change_of_what_filters_need_is_seen(store: Any) -> None:
    """The question of a stream that is asked again gets other tags, and keeps its vector."""
    await put(store, "a", [1.0, 0.0])
    assert await names(store, await arm(store, [1.0, 0.0], tags=["new"])) == []
    store.backend._writer.execute("UPDATE memories SET tags = '[\"new\"]', importance = 70 WHERE id = 'a'")
    assert await names(store, await arm(store, [1.0, 0.0], tags=["new"], minImportance=70)) == ["a"]


async def test_another_model_is_read_anew(store: Any) -> None:
    await put(store, "a", [1.0, 0.0], embeddingModel="mini")
    assert (await arm(store, [1.0, 0.0])).top > 0
    writer = store.backend._writer
    writer.execute("INSERT INTO embedders (id, name, dimension, state) VALUES (7, 'maxi', 3, 'next')")
    await put(store, "b", [0.0, 0.0, 1.0], embeddingModel="maxi")
    assert await names(store, await arm(store, [1.0, 0.0])) == ["a"], "the current model is searched"
    writer.execute("UPDATE embedders SET state = 'dropped' WHERE state = 'current'")
    writer.execute("UPDATE embedders SET state = 'current' WHERE id = 7")
    assert await names(store, await arm(store, [0.0, 0.0, 1.0], model="maxi")) == ["b"]


async def test_of_reading_that_failed_nothing_is_kept(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(store, "a", [1.0, 0.0])
    await arm(store, [1.0, 0.0])
    await put(store, "b", [1.0, 0.0])
    with monkeypatch.context() as patch:
        patch.setattr(SpaceMatrix, "_add", lambda self, batch: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await arm(store, [1.0, 0.0])
    assert await names(store, await arm(store, [1.0, 0.0])) == ["b", "a"]


# --- the memory that it takes -----------------------------------------------------------------------------------------


async def test_the_cache_is_bounded_and_the_space_that_was_not_used_longest_goes(
    make_store: Any, tmp_path: Path, rows_read: list[int]
) -> None:
    store = make_store(tmp_path / "memory.db", vector_cache=200_000)
    spaces = ["s", "t", "u"]
    for space in spaces:
        vector = [1.0, *map(float, range(100))]
        await at_once(put(store, f"{space}{number}", vector, memorySpaceId=space) for number in range(80))
    query = [1.0] * 101
    for space in ("s", "t", "s", "t"):
        await arm(store, query, space=space)
    one = store.backend._matrices.bytes // 2
    assert len(rows_read) == 2 and 80 * 4 * 101 < one < 100_000
    for space in ("s", "u", "s", "u", "s"):
        await arm(store, query, space=space)
    assert len(rows_read) == 3 and store.backend._matrices.bytes == 2 * one
    await arm(store, query, space="t")
    assert len(rows_read) == 4, "it had gone"
    await store.backend.close()
    assert store.backend._matrices.bytes == 0


async def test_a_space_that_is_larger_than_the_cache_is_searched_without_being_kept(
    make_store: Any, tmp_path: Path
) -> None:
    stores = [make_store(tmp_path / "memory.db", vector_cache=size) for size in (10_000, 10_000_000)]
    given = [[math.sin(number * index) for index in range(1, 9)] for number in range(300)]
    await at_once(
        put(stores[0], f"m{number}", vector, **said(f"c{number % 7}"), tags=[f"t{number % 2}"])
        for number, vector in enumerate(given)
    )
    query = [1.0, 2.0, 3.0, 4.0, 0.0, -1.0, -2.0, 0.5]
    for kernel in (NEAR, ALONE):
        small, large = [await arm(store, query, kernel, tags=["t1"]) for store in stores]
        assert small.best(50) == large.best(50) != []
        assert [small.score(*place) for place in small.best(50)] == [large.score(*place) for place in large.best(50)]
    assert stores[0].backend._matrices.bytes == 0 < stores[1].backend._matrices.bytes
    for store in stores:
        await store.backend.close()


@pytest.mark.parametrize("size", [-1, 0.5, None, True])
def test_the_size_of_the_cache_is_checked(make_store: Any, tmp_path: Path, size: Any) -> None:
    with pytest.raises(InvalidArgument, match="vector_cache"):
        make_store(tmp_path / "memory.db", vector_cache=size)


# --- spaces, models, numbers ------------------------------------------------------------------------------------------


async def test_nothing_in_another_space_changes_a_score_or_an_order(store: Any) -> None:
    def vector(number: int) -> list[float]:
        return [math.sin(number * index) for index in range(1, 11)]

    await at_once(put(store, f"m{number}", vector(number), **said(f"c{number % 4}")) for number in range(60))

    async def results() -> list[Any]:
        results: list[Any] = []
        for kernel in (NEAR, TALK, ALONE):
            found = await arm(store, vector(77), kernel)
            places = found.best(100)
            results.append([(place, found.score(*place), found.why(*place)) for place in places])
        return results

    before = await results()
    others = range(60)
    await at_once(
        put(store, f"o{number}", vector(77 + number), memorySpaceId="t", **said(f"c{number % 4}")) for number in others
    )
    assert await results() == before
    await arm(store, vector(77), space="t")
    await at_once(store.delete(f"o{number}", memorySpaceId="t") for number in others[::2])
    assert await results() == before, "to the last digit"
    assert all(memory > 60 for memory, _ in (await arm(store, vector(77), space="t")).best(100))


async def test_a_query_of_another_model_is_refused_by_name(store: Any) -> None:
    assert await arm(store, [1.0, 2.0]) is None, "there are no vectors at all"
    await put(store, "a", [1.0, 2.0], embeddingModel="mini")
    assert await arm(store, [1.0, 2.0], space="t") is None
    assert (await arm(store, [1.0, 2.0], model="mini")).top > 0 and (await arm(store, [1.0, 2.0])).top > 0
    for vector, model in (([1.0, 2.0], "maxi"), ([1.0], "mini"), ([1.0], None)):
        with pytest.raises(EmbeddingMismatch, match="the model 'mini' with 2 numbers"):
            await arm(store, vector, model=model)
    store.backend._writer.execute("INSERT INTO embedders (name, dimension, state) VALUES ('maxi', 3, 'next')")
    assert await arm(store, [1.0, 2.0, 3.0], model="maxi") is None, "its vectors are not all there yet"
    with pytest.raises(EmbeddingMismatch):
        await arm(store, [1.0, 2.0, 3.0], model="third")


async def test_numbers_of_any_size_have_a_direction(store: Any) -> None:
    given = {"huge": [1e300, 1e300], "tiny": [3e-320, 3e-320], "zero": [0.0, 0.0], "away": [-1.0, -1.0]}
    for name, vector in given.items():
        await put(store, name, vector)
    found = await arm(store, [5e307, 5e307])
    assert await names(store, found) == ["tiny", "huge"]
    found = await arm(store, [5e307, 5e307], ALONE)
    assert [found.score(*place) for place in found.best(9)] == pytest.approx([1, 1]) and found.top <= 1
    assert await names(store, await arm(store, [0.0, 0.0])) == []


async def test_unit_rows_are_of_length_one_in_any_place() -> None:
    rows = np.array([[math.sin(number * index) for index in range(1, 257)] for number in range(50)])
    together = matrix.unit_rows(rows)
    assert np.allclose((together**2).sum(axis=1)[1:], 1) and not together[0].any()
    assert all((matrix.unit_row(row.tolist()) == unit).all() for row, unit in zip(rows, together))


def test_numpy_is_loaded_where_there_are_vectors_to_search_and_is_named_if_it_is_missing(tmp_path: Path) -> None:
    script = """
    import asyncio, sys
    sys.modules["numpy"] = None  # it cannot be imported
    from cortex_rx import SqliteBackend, errors
    async def main():
        async with SqliteBackend(sys.argv[1]) as backend:
            async def search(**more):
                args = {"memorySpaceId": "s", "query": "zebra", **more}
                return [row["memoryId"] for row in await backend.query("memories:search", args)]
            async def put(name, **more):
                await backend.mutation("memories:store", {"memorySpaceId": "s", "memoryId": name, "content": "zebra",
                    "contentType": "raw", "sourceType": "system", "importance": 50, "tags": [], **more})
            await put("a")
            assert await search(embedding=[1.0]) == ["a"]
            await put("b", embedding=[1.0])
            assert await search() == ["b", "a"]
            try:
                await search(embedding=[1.0])
            except errors.MissingExtra as error:
                print(error)
    asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "memory.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ("a search by embedding needs the extra 'semantic': pip install 'cortex-rx[semantic]'\n")
