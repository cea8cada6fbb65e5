"""The client's embedder: for all that is remembered, unless a call says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from cortex_rx import Cortex, Embedder
from cortex_rx import operators as cx
from cortex_rx.errors import InvalidArgument
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
        chain = shared_chain(cortex.backend, None, MINE)
        assert shared_chain(cortex.backend, None, MINE) is chain
        assert shared_chain(cortex.backend, None, OTHER) is not chain
        assert dict(chain["finalize"].args)["generate_embedding"] is MINE
