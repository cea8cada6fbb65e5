"""`Embedder`: a function from texts to vectors, and what the store must know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias

from cortex_rx import validation as check
from cortex_rx.embedding.calling import call_function, within
from cortex_rx.embedding.threads import Threads
from cortex_rx.errors import InvalidArgument

__all__ = ["Embedder", "GenerateEmbedding", "as_embedder", "check_embedding", "checked_function", "one_dimension"]

AT_ONCE = 4
"""Calls of one function at a time, for one exchange or one list of texts."""

TEXT_TIMEOUT = 30.0
"""Seconds that the vector of a text to be stored may take."""

_FIELD = "generate_embedding"
_NUMBERS = "numbers in a vector (a function that takes a list of texts: Embedder(function, batch_size=...))"
_texts = check.each(check.any_text, "a list of texts")
_threads = Threads(16)  # of the process, so that functions that never return leave no more than these behind


@dataclass(frozen=True, slots=True)
class Embedder:
    """A function that embeds texts: sync or async, one text a call or a list of them.

    `function` takes a text and returns its vector. With `batch_size` it takes a list of at most so many texts and
    returns a vector for each. A vector is a list, a tuple or an array (NumPy's or another one) of finite numbers; None
    means that the text gets none. Blank texts are not asked for. A function that is not async runs on a thread, at most
    16 of them in a process; it must be safe to call from several threads.

    `model`: the name of the model. The store keeps it with the vectors and refuses those of another model, which could
    not be compared. `dimension`: the length of its vectors, for a check of what the function returns. `query_timeout`:
    how long a search waits for the vector of its query.

    Wherever a `generate_embedding` is accepted, so is an `Embedder`. A plain function is one without a name, of one
    text a call.

    >>> def lengths(texts):
    ...     return [[float(len(text)), 1.0] for text in texts]
    >>> embedder = Embedder(lengths, model="lengths", dimension=2, batch_size=32)
    >>> asyncio.run(embedder.embed(["Lisbon", " ", "Porto"]))
    [[6.0, 1.0], None, [5.0, 1.0]]
    """

    function: Callable[..., Any]
    model: str | None = None
    dimension: int | None = None
    batch_size: int | None = None
    query_timeout: timedelta = timedelta(seconds=2)

    def __post_init__(self) -> None:
        if isinstance(self.function, Embedder):
            raise InvalidArgument("function", "an Embedder", "a function")
        check.callback("function", self.function)
        check.optional(check.name)("model", self.model)
        check.optional(check.whole(1))("dimension", self.dimension)
        check.optional(check.whole(1))("batch_size", self.batch_size)
        check.seconds()("query_timeout", self.query_timeout)

    async def embed(self, texts: Sequence[str]) -> list[list[float] | None]:
        """The vectors of the texts, in their order; None for a blank text, and where the function returns None.

        At most four calls of the function run at a time. The first error ends them all and is raised: the function's,
        or `InvalidArgument` for what is no vector, has another dimension, or is not one vector for each text.
        """
        texts = _texts("texts", texts)
        found: list[list[float] | None] = [None] * len(texts)
        asked = [at for at, text in enumerate(texts) if text and not text.isspace()]
        size = self.batch_size or 1
        calls = [asked[start : start + size] for start in range(0, len(asked), size)]
        todo = iter(calls)

        async def work() -> None:
            for call in todo:
                for at, vector in zip(call, await self._call([texts[at] for at in call]), strict=True):
                    found[at] = vector

        if len(calls) == 1:
            await work()
        elif calls:
            await _all([work() for _ in calls[:AT_ONCE]])
        one_dimension(found)
        return found

    async def embed_query(self, query: str) -> list[float] | None:
        """The vector of a query. Raises `TimeoutError` if it takes longer than `query_timeout`.

        Then an async function is cancelled. A function on a thread runs on to its end, and its result is dropped.

        >>> async def embed(text):
        ...     return [float(len(text)), 1.0]
        >>> asyncio.run(Embedder(embed).embed_query("Lisbon"))
        [6.0, 1.0]
        """
        return await self._one(check.any_text("query", query), self.query_timeout.total_seconds())

    async def embed_text(self, text: str) -> list[float] | None:
        """The vector of a text that is to be stored. Raises `TimeoutError` after 30 s, as `embed_query` does.

        >>> asyncio.run(Embedder(lambda text: [float(len(text)), 1.0]).embed_text("Lisbon"))
        [6.0, 1.0]
        """
        return await self._one(check.any_text("text", text), TEXT_TIMEOUT)

    async def _one(self, text: str, seconds: float) -> list[float] | None:
        return (await within(seconds, self.embed([text]), _FIELD))[0]

    async def _call(self, texts: list[str]) -> list[list[float] | None]:
        """Call the function once."""
        argument: Any = texts if self.batch_size else texts[0]
        value = await call_function(_FIELD, _threads, self.function, argument)
        if not self.batch_size:
            return [None if value is None else _vector(value, self.dimension)]
        rows = check.items(_FIELD, value, "one vector for each text, in a list or an array")
        if len(rows) != len(texts):
            raise InvalidArgument(_FIELD, f"{len(rows)} vectors for {len(texts)} texts", "one vector for each text")
        return [None if row is None else _vector(row, self.dimension) for row in rows]


Vector: TypeAlias = Iterable[float] | None
GenerateEmbedding: TypeAlias = Embedder | Callable[[str], Vector | Awaitable[Vector]]
"""An `Embedder`, or a function from a text to its vector, sync or async. None: the text gets no vector."""


def checked_function(field: str, value: object) -> GenerateEmbedding:
    """An `Embedder`, or a function, plain or async."""
    return value if isinstance(value, Embedder) else check.callback(field, value)


def as_embedder(function: GenerateEmbedding | None, model: str | None = None) -> Embedder | None:
    """The embedder that a `generate_embedding` and an `embedding_model` mean; None for none.

    >>> as_embedder(len, "lengths").model
    'lengths'
    """
    check.optional(checked_function)(_FIELD, function)
    check.optional(check.name)("embedding_model", model)
    if function is None:
        if model is not None:
            raise InvalidArgument("embedding_model", model, "None, unless generate_embedding is given")
        return None
    if not isinstance(function, Embedder):
        return Embedder(function, model)
    if model is None or model == function.model:
        return function
    if function.model is not None:
        raise InvalidArgument("embedding_model", model, f"None, or {function.model!r}, which the embedder says")
    return replace(function, model=model)


async def _all(works: list[Any]) -> None:
    """Run them side by side; the first error ends them all and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _vector(value: Any, dimension: int | None) -> list[float]:
    """The numbers of a vector, checked."""
    numbers = check.vector(_FIELD, value, _NUMBERS)
    if dimension is not None and len(numbers) != dimension:
        raise InvalidArgument(_FIELD, f"a vector of {len(numbers)} numbers", f"{dimension}, the embedder's dimension")
    return numbers


def one_dimension(vectors: Iterable[Sequence[float] | None], before: int | None = None) -> int | None:
    """The length of the vectors, which is that of those `before`; None if there is none.

    >>> one_dimension([[1.0, 0.0], None], one_dimension([None]))
    2
    >>> one_dimension([[1.0]], before=2)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: generate_embedding: got 'vectors of 1 and of 2 numbers'; accepted: one dimension
    """
    lengths = sorted({len(vector) for vector in vectors if vector} | ({before} if before else set()))
    if len(lengths) > 1:
        raise InvalidArgument(_FIELD, f"vectors of {lengths[0]} and of {lengths[-1]} numbers", "one dimension")
    return lengths[0] if lengths else None


def check_embedding(given: Mapping[str, Any]) -> None:
    """Refuse options that give both a vector and what makes it, or the name of a model and neither.

    >>> check_embedding({"embedding_model": "lengths"})
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: embedding_model: got 'str'; accepted:
    None, unless embedding or generate_embedding is given
    """
    given_by = [name for name in ("embedding", _FIELD) if given.get(name) is not None]
    if given.get("embedding_model") is not None and not given_by:
        accepted = "None, unless embedding or generate_embedding is given"
        raise InvalidArgument("embedding_model", check.shown(given["embedding_model"]), accepted)
    if len(given_by) == 2:
        raise InvalidArgument(_FIELD, "a function, and an embedding", "one of them")
