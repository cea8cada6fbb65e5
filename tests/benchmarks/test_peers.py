"""The benchmark of other libraries, with few chunks: that each peer shows and stores the text, and that it would be
seen if not.

LangChain and LangGraph are in the extra `bench`, which is no part of `dev`: where they are not installed, they are not
tried.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.peer import Peer, Ready
from benchmarks.peers import measure, peers
from benchmarks.subjects import Model

MODEL = Model(20)


@pytest.mark.parametrize("name", peers())
async def test_every_peer_shows_and_stores_the_text(name: str, tmp_path: Path) -> None:
    run = await measure(peers()[name], MODEL, tmp_path)
    assert run.cpu > 0
    assert run.commits >= 2  # the question, and the answer
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("what", "shows", "stores"), [("showed", False, True), ("stored", True, False)])
async def test_a_peer_that_loses_text_is_seen(what: str, shows: bool, stores: bool, tmp_path: Path) -> None:
    @asynccontextmanager
    async def opened(model: Model, path: Path) -> AsyncIterator[Ready]:
        async def text(whole: bool) -> str:
            return "".join(model.texts if whole else model.texts[:-1])

        yield Ready(lambda: text(shows), lambda: text(stores))

    with pytest.raises(AssertionError, match=f"it {what} another text"):
        await measure(Peer(opened), MODEL, tmp_path)
