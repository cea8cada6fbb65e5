"""What must be stored when the story of `Remembering` is over: everything once, and nothing mixed."""

from __future__ import annotations

from collections import Counter

from proofs.stories.exchange import Exchange
from proofs.stories.ledger import Ledger
from proofs.stories.story import Story

from cortex_rx.backends.base import Backend
from cortex_rx.spool import DeadLetter, DeadLetters, Spool

__all__ = ["judge"]

Said = list[tuple[str, str]]  # of a conversation: who, and what


async def judge(backend: Backend, story: Story) -> None:
    """Look at what is stored; `AssertionError` for what does not hold."""
    exchanges, ledger = story.exchanges, story.ledger
    for exchange in exchanges:
        exchange.check()
    assert not ledger.broken, ledger.broken
    await ledger.check(backend)
    letters = {} if story.spool is None else await _letters(backend, exchanges, story.spool)
    for space in "st":
        await _Space(backend, space, letters).judge([each for each in exchanges if each.space == space], ledger)


async def _letters(backend: Backend, exchanges: list[Exchange], spool: Spool) -> dict[str, DeadLetter]:
    """What contradicts the store; nothing else may be left in the spool."""
    assert await spool.count() == 0, "something is left in the spool"
    dead = DeadLetters(spool, backend)
    letters = [await dead.get(letter.id) for letter in await dead.list()]
    for letter in letters:
        (of,) = (each for each in exchanges if (each.space, each.stream) == (letter.memory_space_id, letter.stream_id))
        known = any(text.startswith(letter.text, letter.args.get("start", 0)) for text in of.said)
        assert known, f"{of.key}: a dead letter holds what the model did not say"
    return {letter.id: letter for letter in letters}


class _Space:
    """One memory space: its exchanges, and that nothing else is in it."""

    def __init__(self, backend: Backend, space: str, letters: dict[str, DeadLetter]) -> None:
        self._backend, self._letters = backend, letters
        self._where = {"memorySpaceId": space}
        self._said: dict[str, Said] = {}
        self._stored: Counter[tuple[str, str]] = Counter()
        self._memories: Counter[tuple[str, str]] = Counter()  # role and content, that must be there
        self._messages: Counter[str] = Counter()  # of each conversation, that must be there

    async def judge(self, exchanges: list[Exchange], ledger: Ledger) -> None:
        rows = await self._backend.query("memories:list", {**self._where, "includePartial": True, "limit": 1000})
        self._stored = stored = Counter((row["messageRole"], row["content"]) for row in rows)
        for conversation in "cd":
            found = await self._backend.query("conversations:get", {**self._where, "conversationId": conversation})
            messages = found["messages"] if found else []
            self._said[conversation] = [(message["role"], message["content"]) for message in messages]
        for exchange in exchanges:
            text = await self._exchange(exchange)
            self._check_clients(exchange, text, (exchange.space, exchange.stream) in ledger.gone)
        assert stored == self._memories, f"{self._where}: memories {stored}, and not {self._memories}"
        for conversation, said in self._said.items():
            number = self._messages[conversation]
            assert len(said) == number, f"{self._where}, {conversation}: {len(said)} messages, and not {number}"

    async def _exchange(self, exchange: Exchange) -> str | None:
        """Whether an exchange is stored as it must be; the text of its answer, if there is one."""
        key, question = exchange.key, exchange.question
        where = {**self._where, "streamId": exchange.stream}
        stream = await self._backend.query("streams:get", where)
        said = self._said[exchange.conversation]
        at = [number for number, (_, content) in enumerate(said) if content == question]
        if stream is None:
            assert exchange.over or not exchange.runs, f"{key}: nothing is stored of it"
            assert exchange.deleted or not at, f"{key}: its question is there, and its stream is not"
            assert len(at) <= 1, f"{key}: its question is {len(at)} times in the conversation"
            if at:  # what was said stays, and of an exchange that had an answer the memory of the question
                answered = at[0] + 1 < len(said) and said[at[0] + 1][0] == "agent"
                self._messages[exchange.conversation] += 1 + answered
                unanswered = min(1, self._stored["user", question])  # there, unless it was the one that was deleted
                self._memories["user", question] += 1 if answered else unanswered
            return None
        assert not exchange.deleted, f"{key}: it was deleted, and is there again"
        assert stream["userMessage"] == question, f"{key}: another question is stored"
        assert stream["conversationId"] == exchange.conversation, f"{key}: it is in another conversation"
        if stream["state"] == "empty":
            assert len(at) == 1, f"{key}: its question is {len(at)} times in the conversation"
            assert exchange.left, f"{key}: it has no answer"
            self._messages[exchange.conversation] += 1
            self._memories["user", question] += 1
            return None
        read = await self._backend.query("streams:read", {**where, "after": 0})
        memory = {**self._where, "memoryId": stream["memoryId"], "includePartial": True}
        row = await self._backend.query("memories:get", memory)
        text = str(read["text"])
        content = row["content"] if row else None
        assert content == text, f"{key}: its memory is another text"
        self._memories["agent", text] += 1
        assert exchange.begins(text), f"{key}: what is stored mixes texts: {text!r}"
        if stream["state"] == "open":
            assert exchange.left, f"{key}: it is not finished"
            assert len(at) <= 1, f"{key}: its question is {len(at)} times in the conversation"
            self._messages[exchange.conversation] += len(at)  # it was closed without an answer before, and asked again
            self._memories["user", question] += len(at)
            return text
        assert stream["state"] == "finished", f"{key}: its state is {stream['state']}"
        whole = read.get("reason") == "stop"
        assert not whole or text in exchange.said, f"{key}: the answer is not what the model said"
        assert whole or read.get("reason") in ("incomplete", "error"), f"{key}: it ended with {read.get('reason')}"
        assert len(at) == 1, f"{key}: its question is {len(at)} times in the conversation"
        both = said[at[0] : at[0] + 2]
        assert both == [("user", question), ("agent", text)], f"{key}: its answer is not after its question"
        self._messages[exchange.conversation] += 2
        self._memories["user", question] += 1
        return text

    def _check_clients(self, exchange: Exchange, text: str | None, gone: bool) -> None:
        """What clients were told agrees with what is stored."""
        key = exchange.key
        remembered = {run.remembered for run in exchange.runs if run.remembered is not None}
        if exchange.deleted:
            assert len(remembered) <= 1, f"{key}: remembered as {len(remembered)} texts"
        else:
            for told in remembered:
                # One that was ended as incomplete may have been completed since, by what waited in a spool.
                completed = text is not None and text.startswith(told) and told not in exchange.said
                assert told == text or completed, f"{key}: remembered as another text"
        for seen in exchange.followers:
            if text is not None:
                # One that was ended as incomplete may have been completed since, by what waited in a spool.
                completed = seen.ended and seen.ended.reason != "stop" and text.startswith(seen.text)
                same = seen.text == text or completed
                assert same, f"{key}: a follower saw {len(seen.text)} characters of {len(text)}"
        for run in exchange.runs:
            if run.spooled and run.seen[0].ended and run.spooled.id not in self._letters and not gone:
                there = run.seen[0].text == text
                assert there, f"{key}: an answer was spooled, and is neither stored nor a dead letter"
