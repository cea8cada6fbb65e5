"""The client's embedder: for all that is remembered, unless a call says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx import Cortex, Embedder
from cortex_rx import operators as cx
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument
from cortex_rx.pipeline.default_chain import shared_chain

TURN = {"memory_space_id": "support", "conversation_id": "c-1", "user_message": "Where?", "agent_id": "helper"}
MINE, OTHER = Embedder(lambda text: [1.0, 2.0], model="mine"), Embedder(lambda text: [3.0, 4.0], model="mine")


async def vectors(cortex: Cortex) -> list[Any]:
    return [memory.embedding for memory in await cortex.memory.list("support")]


async def remember(cortex: Cortex, how: str, **given: Any) -> None:
    if how == "remember":
        await cortex.memory.remember(**TURN, agent_response="In Lisbon.", **given)
    elif how == "with options":
        await cortex.memory.remember_stream(["In Lisbon."], {"maxResponseLength": 100}, **TURN, **given)
    elif how == "as a dictionary":
        await cortex.memory.remember_stream({"responseStream": ["In Lisbon."], **TURN, **given})
    else:
        await cortex.memory.remember_stream(["In Lisbon."], **TURN, **given)


HOW = pytest.mark.parametrize("how", ["remember", "remember_stream", "with options", "as a dictionary"])


@HOW
async def test_it_embeds_what_is_remembered_unless_a_call_says_otherwise(how: str) -> None:
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        assert cortex.memory.embedder is MINE
        await remember(cortex, how)
        assert await vectors(cortex) == [(1.0, 2.0)] * 2
        await remember(cortex, how, generate_embedding=OTHER)
        assert await vectors(cortex) == [(3.0, 4.0)] * 2 + [(1.0, 2.0)] * 2
        await remember(cortex, how, generate_embedding=lambda text: None)
        assert await vectors(cortex) == [None] * 2 + [(3.0, 4.0)] * 2 + [(1.0, 2.0)] * 2


@HOW
async def test_a_client_without_one_embeds_nothing_unless_a_call_says_so(how: str) -> None:
    async with Cortex(":memory:") as cortex:
        assert cortex.memory.embedder is None
        await remember(cortex, how)
        await remember(cortex, how, generate_embedding=lambda text: [5.0], embedding_model="five")
        assert await vectors(cortex) == [(5.0,)] * 2 + [None] * 2


async def test_a_function_and_the_name_of_its_model() -> None:
    async with Cortex(":memory:", generate_embedding=lambda text: [1.0], embedding_model="ones") as cortex:
        assert cortex.memory.embedder is not None and cortex.memory.embedder.model == "ones"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"generate_embedding": "ones"}, "generate_embedding"),
        ({"embedding_model": "ones"}, "embedding_model"),
        ({"generate_embedding": MINE, "embedding_model": "ones"}, "embedding_model"),
        ({"generate_embedding": len, "embedding_model": ""}, "embedding_model"),
    ],
)
async def test_what_does_not_fit_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Cortex(":memory:", **given)
    assert caught.value.field == field
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        for call in (
            lambda: cortex.memory.remember_stream(["x"], **TURN, **given),
            lambda: cortex.memory.remember(agent_response="x", **TURN, **given),
        ):
            with pytest.raises(InvalidArgument) as caught:
                await call()
            assert caught.value.field == field
        assert await cortex.memory.count("support") == 0


async def test_a_chain_says_itself_what_embeds() -> None:
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        for chain, found in (
            (cx.chain(cx.begin(cortex.backend), cx.finalize(cortex.backend)), None),
            (cx.chain(cx.begin(cortex.backend), cx.finalize(cortex.backend, generate_embedding=OTHER)), (3.0, 4.0)),
        ):
            await cortex.memory.remember_stream(["x"], chain=chain, **TURN)
            assert (await vectors(cortex))[0] == found


async def test_streams_of_one_client_share_their_chain_and_embedder() -> None:
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        chain = shared_chain(cortex.backend, None, MINE, None, None)
        assert shared_chain(cortex.backend, None, MINE, None, None) is chain
        assert shared_chain(cortex.backend, None, OTHER, None, None) is not chain
        assert dict(chain["finalize"].args)["generate_embedding"] is MINE


# --- one memory -------------------------------------------------------------------------------------------------------


def fails(text: str) -> list[float]:
    raise LookupError("no such model: the private text")


async def test_a_memory_that_is_stored_alone_is_embedded_too() -> None:
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        store = cortex.memory.store
        assert (await store("support", "By the client.")).embedding == (1.0, 2.0)
        assert (await store("support", "By the call.", generate_embedding=OTHER)).embedding == (3.0, 4.0)
        named = await store("support", "By a function.", generate_embedding=lambda text: [5, 6], embedding_model="mine")
        assert named.embedding == (5.0, 6.0)
        assert (await store("support", "Given.", embedding=[7, 8], embedding_model="mine")).embedding == (7.0, 8.0)
        assert (await store("support", " ")).embedding is None, "there is nothing to embed"
        for given in ({"embedding": [7, 8], "generate_embedding": MINE}, {"generate_embedding": 5}):
            with pytest.raises(InvalidArgument, match="generate_embedding"):
                await store("support", "Both.", **given)
        with pytest.raises(EmbeddingMismatch):
            await store("support", "Given.", embedding=[7, 8], embedding_model="other")
        assert await cortex.memory.count("support") == 5


@pytest.mark.parametrize(
    "embedder", [fails, lambda text: ["x"], Embedder(lambda text: [1.0, 2.0], "other"), lambda text: [1.0]]
)
async def test_an_embedding_that_fails_or_is_refused_costs_no_memory(caplog: Any, embedder: Any) -> None:
    async with Cortex(":memory:", generate_embedding=MINE) as cortex:
        await cortex.memory.store("support", "The first decides on the model.")
        for _ in range(2):
            given = {"memory_id": "mine", "generate_embedding": embedder}
            stored = await cortex.memory.store("support", "The second.", **given)
            assert (stored.content, stored.embedding) == ("The second.", None)
        assert await cortex.memory.count("support") == 2
    assert "a memory is stored without an embedding" in caplog.text
    assert "private" not in caplog.text and "second" not in caplog.text
