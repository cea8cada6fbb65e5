"""`local_embedder`: a small model in this process, from the package `wordllama`. It needs no network."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import MissingExtra

__all__ = ["local_embedder"]

_MODEL, _DIMENSION = "l2_supercat", 256
_BATCH = 64
_ROOM = 8_192  # characters in one go, padding included: about 2,000 tokens, each 1 kB while its text is embedded
_loading = threading.Lock()


def local_embedder() -> Embedder:
    """An embedder that works offline, in about 0.1 ms a text: static word vectors of 256 numbers, for English.

    It needs the extra `semantic` (`pip install 'cortex-rx[semantic]'`; else `MissingExtra`). The model is in the
    package: nothing is downloaded. It is loaded once in a process, on a thread, when it is first used. That takes about
    half a second, in which Python stands still for up to 0.2 s. A server that streams can embed a word at its start.

    A text is the mean of its words, in any length. A text of more than 8,192 characters is embedded in pieces; its
    vector is their mean.

    >>> import asyncio
    >>> embedder = local_embedder()
    >>> embedder.model, embedder.dimension
    ('wordllama-l2_supercat-256', 256)
    >>> dog, puppy, tax = asyncio.run(embedder.embed(["My dog is asleep", "The puppy sleeps", "The tax on income"]))
    >>> def alike(one, other):
    ...     return sum(x * y for x, y in zip(one, other))
    >>> alike(dog, puppy) > alike(dog, tax)
    True
    """
    if find_spec("wordllama") is None or find_spec("numpy") is None:
        raise MissingExtra("local_embedder", "semantic")
    return Embedder(_embed, f"wordllama-{_MODEL}-{_DIMENSION}", _DIMENSION, _BATCH)


def _embed(texts: list[str]) -> list[list[float]]:
    """The mean of the words of each text."""
    embed = _load()
    starts = ((at, start) for at, text in enumerate(texts) for start in range(0, len(text), _ROOM))
    pieces = [(at, texts[at][start : start + _ROOM]) for at, start in starts]
    sums: dict[int, Any] = {}
    for batch in _batches(pieces):
        for (at, piece), vector in zip(batch, embed([piece for _, piece in batch]), strict=True):
            weighted = vector.astype("float64") * len(piece)
            sums[at] = sums[at] + weighted if at in sums else weighted
    return [(sums[at] / len(text)).tolist() for at, text in enumerate(texts)]


def _batches(pieces: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Pieces that are embedded together: the model pads each to the length of the longest."""
    batch: list[tuple[int, str]] = []
    for piece in sorted(pieces, key=lambda piece: len(piece[1])):
        if batch and (len(batch) + 1) * len(piece[1]) > _ROOM:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _load() -> Callable[[list[str]], Any]:
    with _loading:  # two threads would load it twice
        return _loaded()


@cache
def _loaded() -> Callable[[list[str]], Any]:
    with _without_logging_set_up():
        try:
            import wordllama  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtra("local_embedder", "semantic") from error
    # The package's own folder has the weights and the tokenizer.  By default both are looked for in the home folder,
    # and downloaded.
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(_MODEL, cache_dir=folder, dim=_DIMENSION, disable_download=True)
    embed: Callable[[list[str]], Any] = model.embed
    return embed


@contextmanager
def _without_logging_set_up() -> Iterator[None]:
    """While this thread imports a package, `logging.basicConfig` does nothing for it.

    wordllama calls it when it is imported. Then every message of the program's level INFO would appear on stderr.
    """
    original, here = logging.basicConfig, threading.get_ident()
    importing = True

    def unless_importing(**given: Any) -> None:
        if not (importing and threading.get_ident() == here):
            original(**given)

    logging.basicConfig = unless_importing
    try:
        yield
    finally:
        importing = False
        if logging.basicConfig is unless_importing:
            logging.basicConfig = original
