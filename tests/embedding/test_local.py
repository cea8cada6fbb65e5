"""`local_embedder`: offline, quiet, loaded when it is used, and no larger than its texts need."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import subprocess
import sys
import threading

import pytest

from cortex_rx.embedding import local
from cortex_rx.embedding.local import local_embedder
from cortex_rx.errors import MissingExtra

PROGRAM = """
import asyncio, logging, os, socket, sys, threading
import cortex_rx
from cortex_rx.embedding import Embedder, local_embedder

class Blocked(Exception): ...
def blocked(*args, **kwargs): raise Blocked
socket.getaddrinfo = socket.create_connection = socket.socket.connect = socket.socket.connect_ex = blocked

embedder = local_embedder()
assert asyncio.run(Embedder(lambda text: [1.0]).embed(["text"])) == [[1.0]]
assert not {"numpy", "wordllama"} & set(sys.modules), "loaded when it is used, NumPy not for others"
original = logging.basicConfig
async def main():
    vectors = await embedder.embed(["Where is my parcel?"] * 3)
    assert len(vectors[0]) == embedder.dimension == 256 and vectors[0] == vectors[1]
asyncio.run(main())
import wordllama
assert logging.basicConfig is original
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
assert logging.getLogger("of a program").getEffectiveLevel() == logging.WARNING
assert os.listdir(os.environ["HOME"]) == [], "nothing is downloaded, nor looked for, in the home folder"
if (child := os.fork()) == 0:
    asyncio.run(main())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_it_touches_no_network_and_is_quiet(tmp_path):
    environ = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environ, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("missing", ["wordllama", "numpy"])
def test_without_the_extra_it_says_so_by_name(monkeypatch, missing):
    there = importlib.util.find_spec
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == missing else there(name))
    with pytest.raises(MissingExtra, match=r"local_embedder needs the extra 'semantic': pip install 'cortex-rx\[sem"):
        local_embedder()


def cosine(one, other):
    product = sum(x * y for x, y in zip(one, other, strict=True))
    return product / math.sqrt(sum(x * x for x in one) * sum(x * x for x in other))


async def test_the_vectors_are_those_of_the_model_in_any_order_and_company():
    embedder = local_embedder()
    texts = ["Where is my parcel?", "x" * 3_000, "It is in Lisbon. 😀 " * 40, "a", "日本語 " * 500]
    together = await embedder.embed(texts)
    alone = [(await embedder.embed([text]))[0] for text in texts]
    backwards = (await embedder.embed(texts[::-1]))[::-1]
    own = local._load()(texts)
    for one, other, last, model in zip(together, alone, backwards, own, strict=True):
        assert one == pytest.approx(other, abs=1e-6) and one == pytest.approx(last, abs=1e-6)
        assert one == pytest.approx(model.tolist(), abs=1e-6)


async def test_a_long_text_is_the_mean_of_its_pieces_and_few_are_embedded_together(monkeypatch):
    calls, embed = [], local._load()

    def counted(texts):
        calls.append((len(texts), max(map(len, texts))))
        return embed(texts)

    monkeypatch.setattr(local, "_load", lambda: counted)
    words = "The parcel is in Lisbon, and Ada waits for it at home. "
    texts = [words, words * 2_000, "tax", words * 3]
    short, long, other, _ = await local_embedder().embed(texts)
    assert short and long and other
    assert cosine(short, long) > 0.99 > 0.5 > cosine(other, long)
    assert max(count * longest for count, longest in calls) <= 8_192, "padding included"
    assert sum(count for count, _ in calls) == 3 + -(-len(texts[1]) // 8_192)


def test_only_the_thread_that_imports_sets_up_no_logging(monkeypatch):
    """Another thread, and a program that kept the function, set it up as ever."""
    import logging

    done = []
    monkeypatch.setattr(logging, "basicConfig", lambda **given: done.append(given))
    with local._without_logging_set_up():
        kept = logging.basicConfig
        kept(level=1)
        other = threading.Thread(target=kept, kwargs={"level": 2})
        other.start()
        other.join()
    kept(level=3)
    logging.basicConfig(level=4)
    assert done == [{"level": 2}, {"level": 3}, {"level": 4}]


async def test_it_is_loaded_once():
    embedder = local_embedder()
    local._loaded.cache_clear()
    await asyncio.gather(*[embedder.embed(["parcel"]) for _ in range(8)])
    assert local._loaded.cache_info().misses == 1
