"""LangChain and LangGraph, used as their documentation says.  It needs the extra `bench`.

LangChain's core has no store for SQLite: what it streams is stored by the same hand-written steps as with the other
libraries.  (Its `RunnableWithMessageHistory` stores at the end alone, and is deprecated in favour of LangGraph.)
LangGraph has a checkpointer for SQLite, which is what stores here.
"""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig, RunnableGenerator
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph

from benchmarks.hand import INTERVAL
from benchmarks.peer import Peer, Ready, hand_store
from benchmarks.subjects import HandWork, Model

__all__ = ["PEERS"]

QUESTION = "What is it?"
THREAD: RunnableConfig = {"configurable": {"thread_id": "c-1"}}


class Chat(BaseChatModel):
    """The model as LangChain has them: it streams chunks of a message."""

    texts: Any

    @property
    def _llm_type(self) -> str:
        return "benchmark"

    def _generate(self, *args: Any, **more: Any) -> ChatResult:
        raise NotImplementedError("it streams only")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **more: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for text in self.texts():
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
            if run_manager:
                await run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk


def measuring(work: HandWork) -> RunnableGenerator[str, str]:
    """The step that notes the time of each token."""

    async def measure(texts: AsyncIterator[str]) -> AsyncIterator[str]:
        async for text in texts:
            work.measure(text)
            yield text

    return RunnableGenerator(measure)


def persisting(work: HandWork) -> RunnableGenerator[str, str]:
    """The step that stores."""

    async def persist(texts: AsyncIterator[str]) -> AsyncIterator[str]:
        await work.begin()
        async for text in texts:
            work.persist(text)
            yield text

    return RunnableGenerator(persist)


@asynccontextmanager
async def langchain(model: Model, path: Path) -> AsyncIterator[Ready]:
    """Generators as runnables, one behind the other."""
    async with hand_store(path) as (store, stored):

        async def run() -> str:
            work = HandWork(store, "langchain")

            async def source(_: AsyncIterator[str]) -> AsyncIterator[str]:
                async for text in model():
                    yield text

            chain = RunnableGenerator(source) | measuring(work) | persisting(work)
            parts = [text async for text in chain.astream(QUESTION)]
            await work.end()
            return "".join(parts)

        yield Ready(run, stored)


@asynccontextmanager
async def langchain_model(model: Model, path: Path) -> AsyncIterator[Ready]:
    """A chat model, the parser of its text, and the same steps behind it."""
    async with hand_store(path) as (store, stored):

        async def run() -> str:
            work = HandWork(store, "langchain model")
            chain = Chat(texts=model) | StrOutputParser() | measuring(work) | persisting(work)
            parts = [text async for text in chain.astream([HumanMessage(QUESTION)])]
            await work.end()
            return "".join(parts)

        yield Ready(run, stored)


class State(TypedDict):
    question: str
    answer: Annotated[str, operator.add]


@asynccontextmanager
async def langgraph(model: Model, path: Path) -> AsyncIterator[Ready]:
    """One node, which streams through the writer of its graph; a checkpoint before it and after it."""
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()

        async def answer(state: State) -> dict[str, str]:
            write = get_stream_writer()
            parts: list[str] = []
            times: list[float] = []
            async for text in model():
                times.append(time.perf_counter())
                parts.append(text)
                write(text)
            sorted(after - before for before, after in pairwise(times))
            return {"answer": "".join(parts)}

        builder = StateGraph(State).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)
        graph = builder.compile(checkpointer=saver)

        async def run() -> str:
            asked = {"question": QUESTION, "answer": ""}
            streamed = graph.astream(asked, THREAD, stream_mode="custom", durability="sync")
            return "".join([text async for text in streamed])

        async def stored() -> str:
            return str((await graph.aget_state(THREAD)).values["answer"])

        yield Ready(run, stored)


@asynccontextmanager
async def langgraph_loop(model: Model, path: Path) -> AsyncIterator[Ready]:
    """The node ends every half second, and is entered again: so there is a checkpoint of the text so far."""
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        texts: AsyncIterator[str] = model()  # no part of the state: an iterator cannot be stored
        times: list[float] = []
        over = False

        async def answer(state: State) -> dict[str, str]:
            nonlocal over
            clock, write = asyncio.get_running_loop().time, get_stream_writer()
            parts: list[str] = []
            due = clock() + INTERVAL if times else 0.0  # the first token is stored at once
            async for text in texts:
                times.append(clock())
                parts.append(text)
                write(text)
                if times[-1] >= due:
                    break
            else:
                over = True
                sorted(after - before for before, after in pairwise(times))
            return {"answer": "".join(parts)}

        builder = StateGraph(State).add_node("answer", answer).add_edge(START, "answer")
        builder.add_conditional_edges("answer", lambda state: END if over else "answer", ["answer", END])
        graph = builder.compile(checkpointer=saver)

        async def run() -> str:
            asked = {"question": QUESTION, "answer": ""}
            streamed = graph.astream(asked, THREAD, stream_mode="custom", durability="sync")
            return "".join([text async for text in streamed])

        async def stored() -> str:
            return str((await graph.aget_state(THREAD)).values["answer"])

        yield Ready(run, stored)


@asynccontextmanager
async def langgraph_messages(model: Model, path: Path) -> AsyncIterator[Ready]:
    """A node that calls a chat model; its tokens are streamed as messages."""
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        chat = Chat(texts=model)

        async def answer(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await chat.ainvoke(state["messages"])]}

        builder = StateGraph(MessagesState).add_node("answer", answer)
        graph = builder.add_edge(START, "answer").add_edge("answer", END).compile(checkpointer=saver)

        async def run() -> str:
            asked = {"messages": [HumanMessage(QUESTION)]}
            parts: list[str] = []
            times: list[float] = []
            async for chunk, _ in graph.astream(asked, THREAD, stream_mode="messages", durability="sync"):
                times.append(time.perf_counter())
                parts.append(chunk.content)
            sorted(after - before for before, after in pairwise(times))
            return "".join(parts)

        async def stored() -> str:
            return str((await graph.aget_state(THREAD)).values["messages"][-1].content)

        yield Ready(run, stored)


AT_END = "no text is stored before the end"
PEERS: dict[str, Peer] = {
    "langchain": Peer(langchain, "storing is written by hand"),
    "langchain model": Peer(langchain_model, "storing is written by hand"),
    "langgraph": Peer(langgraph, f"{AT_END}; a queue without a bound"),
    "langgraph loop": Peer(langgraph_loop, "each checkpoint holds the whole text; a queue without a bound"),
    "langgraph messages": Peer(langgraph_messages, f"{AT_END}; a queue without a bound"),
}
