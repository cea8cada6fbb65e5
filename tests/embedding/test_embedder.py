"""`Embedder`: which functions it takes, how they are called, and what they may return."""

from __future__ import annotations

import array
import asyncio
import decimal
import functools
import math
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.embedding import Embedder
from cortex_rx.embedding.embedder import as_embedder
from cortex_rx.engine.scheduler import AbnormalEnd, ForeignCancellation
from cortex_rx.errors import InvalidArgument
from cortex_rx.testing import run_virtual

TEXTS = ["one", "three", " ", "seventeen", "", "a"]
EXPECTED = [[3.0, 0.5], [5.0, 0.5], None, [9.0, 0.5], None, [1.0, 0.5]]


def sync_one(text):
    return [len(text), 0.5]


async def async_one(text):
    await asyncio.sleep(0.1)
    return [len(text), 0.5]


class Callable:
    async def __call__(self, text):
        return await async_one(text)


def many(texts):
    assert all(text.strip() for text in texts), "blank texts are not asked for"
    return [(len(text), 0.5) for text in texts]


async def async_many(texts):
    await asyncio.sleep(0.1)
    return many(texts)


FUNCTIONS = {
    "sync": (sync_one, {}),
    "async": (async_one, {}),
    "a sync one that returns an awaitable": (lambda text: async_one(text), {}),
    "an object with an async call": (Callable(), {}),
    "partial": (functools.partial(lambda half, text: [len(text), half], 0.5), {}),
    "a list": (many, {"batch_size": 4}),
    "a list, async": (async_many, {"batch_size": 4}),
    "lists of one": (many, {"batch_size": 1}),
    "lists of two": (async_many, {"batch_size": 2}),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_any_function_gives_the_same_vectors(kind):
    function, rest = FUNCTIONS[kind]
    embedder = Embedder(function, **rest)
    assert run_virtual(embedder.embed(TEXTS)) == EXPECTED
    assert run_virtual(embedder.embed([])) == []
    assert run_virtual(embedder.embed([" ", "\n"])) == [None, None]
    assert run_virtual(embedder.embed_query("three")) == [5.0, 0.5]
    assert run_virtual(embedder.embed_query(" ")) is None


@given(st.lists(st.text(max_size=3), max_size=40), st.integers(1, 9))
def test_lists_are_of_that_length_at_most_and_each_text_is_asked_for_once(texts, size):
    asked = []

    def embed(batch):
        asked.append(batch)
        return [[len(text)] for text in batch]

    found = run_virtual(Embedder(embed, batch_size=size).embed(texts))
    said = [text for text in texts if text.strip()]
    assert found == [[float(len(text))] if text.strip() else None for text in texts]
    assert [text for batch in asked for text in batch] == said
    assert len(asked) == -(-len(said) // size)


def test_four_calls_at_a_time():
    now, most = [0], [0]

    async def embed(text):
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(1)
        now[0] -= 1
        return [1.0]

    async def main():
        await Embedder(embed).embed(["text"] * 10)
        return asyncio.get_running_loop().time()

    assert (run_virtual(main()), most) == (3.0, [4])


def test_the_first_error_ends_all_calls_and_is_raised_as_it_is():
    running = []

    async def embed(text):
        running.append(text)
        try:
            await asyncio.sleep(1 if text == "bad" else 2)
            if text == "bad":
                raise LookupError("no such model")
            return [1.0]
        finally:
            running.remove(text)

    async def main():
        with pytest.raises(LookupError, match="no such model"):
            await Embedder(embed).embed(["good", "bad", *["later"] * 9])
        return asyncio.get_running_loop().time()

    assert (run_virtual(main()), running) == (1.0, [])


# --- what it may return -----------------------------------------------------------------------------------------------


class Array:
    """As NumPy's arrays and tensors do it."""

    def __init__(self, items):
        self.items = items

    def tolist(self):
        return self.items


class Scalar:
    def __init__(self, number):
        self.number = number

    def __float__(self):
        return self.number


@pytest.mark.parametrize(
    "value",
    [
        [1, 0.5],
        (1.0, 0.5),
        array.array("d", [1.0, 0.5]),
        array.array("f", [1.0, 0.5]),
        memoryview(array.array("d", [1.0, 0.5])),
        iter([1.0, 0.5]),
        Array([1.0, 0.5]),
        [Scalar(1.0), Scalar(0.5)],
        [decimal.Decimal(1), decimal.Decimal("0.5")],
    ],
    ids=lambda value: type(value).__name__,
)
def test_vectors_of_many_kinds(value):
    assert run_virtual(Embedder(lambda text: value, dimension=2).embed(["text"])) == [[1.0, 0.5]]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8"])
def test_arrays_of_numpy(kind):
    numpy = pytest.importorskip("numpy")
    one, rows = numpy.array([1, 2], kind), numpy.array([[1, 2], [3, 4]], kind)
    assert run_virtual(Embedder(lambda text: one).embed(["text"])) == [[1.0, 2.0]]
    assert run_virtual(Embedder(lambda texts: rows, batch_size=9).embed(["a", "b"])) == [[1.0, 2.0], [3.0, 4.0]]
    assert run_virtual(Embedder(lambda texts: list(rows), batch_size=9).embed(["a", "b"])) == [[1.0, 2.0], [3.0, 4.0]]
    assert run_virtual(Embedder(lambda text: list(one)).embed(["text"])) == [[1.0, 2.0]]
    for wrong in (numpy.float64(1), numpy.array(1.0), rows, numpy.array(["1"]), numpy.array([numpy.nan])):
        with pytest.raises(InvalidArgument, match="generate_embedding"):
            run_virtual(Embedder(lambda text: wrong).embed(["text"]))


SECRET = "the private text"
WRONG_VECTORS = [
    SECRET,
    "123",
    b"\x01\x02",
    bytearray(b"\x01\x02"),
    {0: 1.0},
    {1.0, 2.0},
    0.5,
    True,
    object(),
    [],
    [SECRET],
    ["1.5"],
    [None],
    [True],
    [1.0, math.nan],
    [math.inf],
    [10**400],
    [1j],
    [[1.0, 2.0]],
    Array(1.0),
    Array("12"),
]


@pytest.mark.parametrize("wrong", WRONG_VECTORS, ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_vector_is_refused_and_not_shown(wrong):
    for embedder in (Embedder(lambda text: wrong), Embedder(lambda texts: [wrong], batch_size=3)):
        with pytest.raises(InvalidArgument, match="generate_embedding: got .*; accepted: ") as caught:
            run_virtual(embedder.embed(["text"]))
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (SECRET, "got 'str'; accepted: one vector for each text"),
        (None, "got None; accepted: one vector for each text"),
        (0.5, "got 0.5; accepted: one vector for each text"),
        ([[1.0]], "got '1 vectors for 2 texts'; accepted: one vector for each text"),
        ([[1.0]] * 3, "got '3 vectors for 2 texts'; accepted: one vector for each text"),
        ([], "got '0 vectors for 2 texts'; accepted: one vector for each text"),
        ([1.0, 2.0], "got 1.0; accepted: a vector"),
        ([[1.0], [1.0, 2.0]], "got 'vectors of 1 and of 2 numbers'; accepted: one dimension"),
    ],
    ids=repr,
)
def test_what_is_no_list_of_vectors_is_refused_and_not_shown(wrong, said):
    with pytest.raises(InvalidArgument) as caught:
        run_virtual(Embedder(lambda texts: wrong, batch_size=3).embed(["a", "b"]))
    assert said in str(caught.value)


def test_another_dimension_is_refused():
    with pytest.raises(InvalidArgument, match="got 'a vector of 2 numbers'; accepted: 3, the embedder's dimension"):
        run_virtual(Embedder(lambda text: [1.0, 2.0], dimension=3).embed(["text"]))
    with pytest.raises(InvalidArgument, match="one dimension"):
        run_virtual(Embedder(lambda text: [1.0] * len(text)).embed(["a", "bb"]))


def test_none_is_no_vector():
    assert run_virtual(Embedder(lambda text: None).embed(["text", "more"])) == [None, None]
    assert run_virtual(Embedder(lambda texts: [None, [1.0]], batch_size=2).embed(["a", "b"])) == [None, [1.0]]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (LookupError("x"), LookupError),
        (StopIteration(), AbnormalEnd),
        (SystemExit(3), AbnormalEnd),
        (KeyboardInterrupt(), AbnormalEnd),
        (asyncio.CancelledError(), AbnormalEnd),
    ],
    ids=repr,
)
async def test_what_a_function_on_a_thread_raises_ends_no_loop(error, raised):
    def fails(text):
        raise error

    with pytest.raises(raised):
        await asyncio.wait_for(Embedder(fails).embed(["text"]), 10)


def test_an_async_one_that_calls_itself_off_has_failed():
    async def embed(text):
        raise asyncio.CancelledError

    for texts in (["one"], ["one", "two"]):
        with pytest.raises(ForeignCancellation):
            run_virtual(Embedder(embed).embed(texts))
    with pytest.raises(ForeignCancellation):
        run_virtual(Embedder(embed).embed_query("one"))


@pytest.mark.parametrize("method", ["embed_query", "embed_text"])
def test_an_async_one_that_cancels_its_task_has_failed(method):
    async def embed(text):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    with pytest.raises(ForeignCancellation):
        run_virtual(getattr(Embedder(embed), method)("one"))


# --- how long it may take ---------------------------------------------------------------------------------------------


def test_a_query_is_waited_for_no_longer_than_said_and_its_call_is_cancelled():
    ended = []

    async def embed(text):
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(text)

    async def main(limit):
        with pytest.raises(TimeoutError):
            await Embedder(embed, **limit).embed_query("Where?")
        return asyncio.get_running_loop().time()

    assert run_virtual(main({})) == 2.0
    assert run_virtual(main({"query_timeout": timedelta(milliseconds=50)})) == 0.05
    assert ended == ["Where?"] * 2


def test_one_that_ignores_its_cancellation_is_left_after_a_second(caplog):
    async def embed(text):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(60)
            raise LookupError(SECRET) from None

    async def main():
        with pytest.raises(TimeoutError):
            await Embedder(embed).embed_query("Where?")
        at = asyncio.get_running_loop().time()
        await asyncio.sleep(100)
        return at

    assert run_virtual(main()) == 3.0
    assert caplog.text == "", "nobody hears its error, and its words are not logged"


def test_a_cancelled_search_leaves_no_call_behind():
    running = []

    async def embed(text):
        running.append(text)
        try:
            await asyncio.sleep(3600)
        finally:
            running.remove(text)

    async def main():
        searching = asyncio.create_task(Embedder(embed).embed_query("Where?"))
        await asyncio.sleep(0.5)
        assert running == ["Where?"]
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
        assert running == []

    run_virtual(main())


async def test_functions_that_never_return_keep_no_more_than_sixteen_threads():
    go, began, lock = threading.Event(), [0], threading.Lock()

    def hangs(text):
        with lock:
            began[0] += 1
        go.wait(30)
        return [1.0]

    quick = timedelta(milliseconds=20)
    calls = [Embedder(hangs, query_timeout=quick).embed_query("text") for _ in range(40)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimeoutError}
    assert began[0] <= 16
    go.set()
    assert await Embedder(sync_one).embed(["text"]) == [[4.0, 0.5]], "and then others run again"
    assert began[0] <= 16, "calls that had not begun were taken back"


async def test_a_loop_goes_on_while_a_function_blocks():
    go = threading.Event()

    def blocks(text):
        assert go.wait(10), "the loop never came here"
        return [1.0]

    asyncio.get_running_loop().call_soon(go.set)
    assert await Embedder(blocks).embed(["text"]) == [[1.0]]


# --- what it is made of -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"function": "len"}, "function"),
        ({"function": Embedder(len)}, "function"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"dimension": 0}, "dimension"),
        ({"dimension": True}, "dimension"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"query_timeout": 2}, "query_timeout"),
        ({"query_timeout": timedelta()}, "query_timeout"),
    ],
    ids=repr,
)
def test_wrong_arguments_are_refused(given, field):
    with pytest.raises(InvalidArgument) as caught:
        Embedder(**{"function": len} | given)
    assert caught.value.field == field


def test_a_function_and_a_name_make_an_embedder():
    embedder = Embedder(len, model="lengths")
    assert as_embedder(None) is None
    assert as_embedder(len) == Embedder(len)
    assert as_embedder(len, "lengths") == embedder
    assert as_embedder(embedder) is embedder and as_embedder(embedder, "lengths") is embedder
    assert as_embedder(Embedder(len, batch_size=3), "lengths") == Embedder(len, "lengths", batch_size=3)
    for function, model, field in (
        (None, "lengths", "embedding_model"),
        (embedder, "other", "embedding_model"),
        (len, " ", "embedding_model"),
        ("len", None, "generate_embedding"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            as_embedder(function, model)
        assert caught.value.field == field
