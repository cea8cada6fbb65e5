"""What a store must hold, in plain Python: the contract of `streams:*` and of memories that are stored alone once more,
over strings and lists.  What is read of streams is in `facts.py`.

Every write that a store does or refuses is given to the model too, which says what its answer must be, or which
refusal; and what is in the store afterwards.  No SQL, no pieces, no index: it is short enough to be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proofs.machine.facts import Facts, Reading

from cortex_rx.errors import (
    Diverged,
    Fenced,
    Gap,
    IdempotencyConflict,
    MemoryNotFound,
    StillOwned,
    StreamNotFound,
    TokenExpired,
    TokenSuperseded,
    TokenUnknown,
    WrongMemorySpace,
)

__all__ = ["Alone", "Model", "Row", "Stream"]

Args = Mapping[str, Any]
Row = tuple[str, str, bool, str]
"""Of a memory: its content, whose it is ("user" or "agent"; "system" was stored alone), whether it is partial, its
conversation."""

HOUR = 3_600_000


@dataclass
class Stream:
    """One stream of one memory space; times in ms."""

    space: str
    id: str
    conversation: str
    question: str
    state: str = "open"
    epoch: int = 1
    attempt: int = 0
    texts: dict[int, str] = field(default_factory=lambda: {0: ""})
    """What is stored of each attempt."""
    lease: int = 0
    term: int = 0
    """The length of the lease."""
    stopping: int = 0
    """The epoch whose writer was asked to stop."""
    claim: str | None = None
    claim_token: str | None = None
    presented: int = 0
    question_memory: bool = False
    answer_memory: bool = True
    incomplete: bool = False
    """Its answer is what there was when nobody went on with it."""
    started: int = 0
    ended: int = 0
    """When its answer became one."""
    reading: Reading = field(default_factory=Reading)

    @property
    def text(self) -> str:
        return self.texts[self.attempt]

    @property
    def gone(self) -> bool:
        return self.state in ("deleted", "rolledBack")

    def owned(self, now: int) -> bool:
        """Whether its lease runs: it was given before now, and has not ended."""
        return self.lease - self.term <= now < self.lease


@dataclass
class Alone:
    """A memory that was stored alone."""

    space: str
    id: str
    content: str
    conversation: str


@dataclass
class Token:
    space: str
    stream: Stream | None
    serial: int
    expires: int


class Model:
    """All of a store.  A call changes it and returns a part of the answer, or raises what the store must raise."""

    def __init__(self) -> None:
        self.streams: dict[tuple[str, str], Stream] = {}
        self.order: list[Stream | Alone] = []
        """As they were begun, or stored."""
        self.alone: dict[tuple[str, str], Alone] = {}
        """The memories that were stored alone, by space and id."""
        self.talks: dict[tuple[str, str], list[tuple[Stream, str, str | None]]] = {}
        """Of each conversation the exchanges that have ended: stream, question, answer."""
        self.tokens: dict[str, Token] = {}
        self.memories: dict[str, tuple[Stream, str]] = {}
        """Those that somebody deletes, by id: "agent", the answer, or "user", the question."""
        self.facts = Facts()
        self.changes = 0
        self.latest = 0
        """The latest time that the store has seen; the clock may have been set back since."""

    def expired(self, token: str, now: int) -> bool:
        """The store may have forgotten the owner of an expired token."""
        return token in self.tokens and self.tokens[token].expires <= max(now, self.latest)

    def call(self, path: str, args: Args, now: int) -> dict[str, Any]:
        """One write."""
        self.changes += 1
        self.latest = max(self.latest, now)
        result: dict[str, Any] = getattr(self, "_" + path.partition(":")[2])(args, now)
        return result

    # --- what is there ------------------------------------------------------------------------------------------------

    def rows(self, space: str, *, partial: bool) -> list[Row]:
        """The memories, newest first."""
        rows: list[Row] = []
        for stream in reversed(self.order):
            if isinstance(stream, Alone):
                if stream.space == space:
                    rows.append((stream.content, "system", False, stream.conversation))
            elif stream.space == space:
                is_partial = stream.state == "open"
                if stream.answer_memory and (partial or not is_partial):
                    rows.append((stream.text, "agent", is_partial, stream.conversation))
                if stream.question_memory:
                    rows.append((stream.question, "user", False, stream.conversation))
        return rows

    def _begun(self) -> list[Stream]:
        return [one for one in self.order if isinstance(one, Stream)]

    def messages(self, space: str, conversation: str) -> list[tuple[str, str]]:
        """What was said, in the order of asking."""
        return [said for _, said in self._said(space, conversation)]

    def _said(self, space: str, conversation: str) -> list[tuple[Stream, tuple[str, str]]]:
        said: list[tuple[Stream, tuple[str, str]]] = []
        for stream, question, answer in self.talks.get((space, conversation), []):
            said.append((stream, ("user", question)))
            if answer is not None:
                said.append((stream, ("agent", answer)))
        return said

    def pending(self, space: str, conversation: str) -> list[tuple[str, str, int, int, int]]:
        """What has not ended, in the order of asking: stream, question, attempt, length, messages before it."""
        places = {id(stream): at for at, stream in enumerate(self.order)}
        said = [places[id(stream)] for stream, _ in self._said(space, conversation)]
        return [
            (stream.id, stream.question, stream.attempt, len(stream.text), sum(at < places[id(stream)] for at in said))
            for stream in self._begun()
            if (stream.space, stream.conversation, stream.state) == (space, conversation, "open")
        ]

    def streams_in(self, space: str) -> list[Stream]:
        return [stream for stream in self.streams.values() if stream.space == space]

    def streams_of(self, space: str, conversation: str) -> list[tuple[str, str]]:
        """Ids and states of the streams of a conversation, newest first."""
        return [
            (stream.id, stream.state)
            for stream in reversed(self._begun())
            if (stream.space, stream.conversation) == (space, conversation) and not stream.gone
        ]

    # --- beginning, and taking over -----------------------------------------------------------------------------------

    def _begin(self, args: Args, now: int) -> dict[str, Any]:
        key = args["memorySpaceId"], args["streamId"]
        stream = self.streams.get(key)
        if stream is None or stream.state == "rolledBack":
            made = Stream(*key, args["conversationId"], args["userMessage"], claim=args.get("claim"))
            made.started = args.get("startedAt", now)
            if stream is not None:
                made.epoch = stream.epoch + 1
                self.order.remove(stream)
            stream = self.streams[key] = made
            self.order.append(made)
            self._leased(made, args, now)
        elif stream.state == "deleted":
            raise StreamNotFound
        elif (stream.conversation, stream.question) != (args["conversationId"], args["userMessage"]):
            raise IdempotencyConflict
        elif (
            stream.claim is not None and stream.claim == args.get("claim") and stream.claim_token is None
        ):  # the same call once more
            pass
        elif stream.state != "finished" or (args.get("completes") and self._withdraw(stream)):
            if stream.state == "open":
                self._check_free(stream, now)
            self._own(stream, args.get("claim"))
            self._put(stream, stream.attempt + 1, "")
            stream.answer_memory, stream.lease = True, 0
            self._leased(stream, args, now)
        if args.get("readFacts") and stream.state == "open":
            stream.reading.asked = True
        if "token" in args:
            self._issue(stream, args["token"], now)
        return {"epoch": stream.epoch, "attempt": stream.attempt, "state": stream.state}

    def _withdraw(self, stream: Stream) -> bool:
        """An incomplete answer is none any more; whether it is one."""
        if not (stream.incomplete and stream.question_memory):
            return False
        talk = self.talks[stream.space, stream.conversation]
        talk[:] = [(of, question, None if of is stream else answer) for of, question, answer in talk]
        stream.state = "empty"
        return True

    def _takeOver(self, args: Args, now: int) -> dict[str, Any]:  # noqa: N802 - as the contract names it
        token = self.tokens.get(args["token"])
        if token is None:
            raise TokenUnknown
        if token.space != args["memorySpaceId"]:
            raise WrongMemorySpace
        stream = token.stream
        if stream is None:
            raise StreamNotFound
        if (stream.claim, stream.claim_token) != (args["claim"], args["token"]):
            if token.serial < stream.presented:
                raise TokenSuperseded
            if token.expires <= now:
                raise TokenExpired("")
            if stream.state == "open":
                if not args.get("force"):
                    self._check_free(stream, now)
                self._own(stream, args["claim"], args["token"])
                stream.presented = token.serial
                stream.lease = 0
                self._leased(stream, args, now)
        if "newToken" in args:
            self._issue(stream, args["newToken"], now)
        return {
            "state": stream.state,
            "streamId": stream.id,
            "epoch": stream.epoch,
            "attempt": stream.attempt,
            "length": len(stream.text),
        }

    def _issueToken(self, args: Args, now: int) -> dict[str, Any]:  # noqa: N802
        return {"expiresAt": self._issue(self._present(args), args["token"], now)}

    def _issue(self, stream: Stream, token: str, now: int) -> int:
        found = self.tokens.setdefault(token, Token(stream.space, stream, len(self.tokens) + 1, now + HOUR))
        assert found.stream is stream, "a token of two streams"
        return found.expires

    def _renew(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._owned(args)
        if stream.state != "open":
            return {}
        self._leased(stream, {"lease": 10_000, **args}, now)
        return self._told(stream)

    def _stop(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._present(args)
        if stream.state == "open":
            stream.stopping = stream.epoch
        return {"state": stream.state, "owned": stream.state == "open" and stream.owned(now)}

    def _told(self, stream: Stream) -> dict[str, Any]:
        """Whether its writer is asked to stop."""
        return {"stop": True} if stream.stopping == stream.epoch else {}

    # --- the text -----------------------------------------------------------------------------------------------------

    def _append(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._owned(args)
        attempt, text = self._written(stream, args)
        self._put(stream, attempt, text)
        if stream.state == "open":
            self._leased(stream, args, now)
        return {"end": len(text), **self._told(stream)}

    def _written(self, stream: Stream, args: Args) -> tuple[int, str]:
        """What an append makes of the text."""
        attempt, start, body = args["attempt"], args["start"], args["text"]
        is_open = stream.state == "open"
        if attempt < stream.attempt:
            raise Fenced
        text = stream.text
        if attempt > stream.attempt:
            if not is_open:
                raise IdempotencyConflict
            text = ""
        if start > len(text):
            raise Gap(len(text), start)
        if not (text[start:].startswith(body) or body.startswith(text[start:])):
            raise Diverged if is_open else IdempotencyConflict
        longer = text + body[len(text) - start :]
        if longer != text and not is_open:
            raise IdempotencyConflict
        return attempt, longer

    def _put(self, stream: Stream, attempt: int, text: str) -> None:
        if attempt > stream.attempt:
            self.facts.withdraw(stream, ["answer"])
        stream.attempt = attempt
        stream.texts[attempt] = text

    def _commit(self, args: Args, now: int) -> dict[str, Any]:
        """Facts of a window."""
        stream = self._owned(args)
        attempt = args.get("attempt", stream.attempt)
        if args["side"] == "answer" and attempt != stream.attempt:
            raise Fenced if attempt < stream.attempt else Gap(0, args["to"])
        return self.facts.commit(stream, args)

    # --- the ends -----------------------------------------------------------------------------------------------------

    def _finalize(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._owned(args)
        if stream.state == "open":
            attempt, text = self._written(stream, args)
            if len(text) != args["length"]:
                raise Gap(len(text), args["length"])
            self._put(stream, attempt, text)
            if "extractions" in args:
                self.facts.take(stream, args["extractions"])
            self._answer(stream, now, incomplete=args.get("reason") == "incomplete")
            return {"contentLength": len(text), "stored": "now"}
        start, text = args["start"], args["text"]
        if stream.state == "finished" and args["attempt"] < stream.attempt:
            raise Fenced
        same = stream.state == "finished" and args["attempt"] == stream.attempt and args["length"] == len(stream.text)
        if not (same and stream.text[start : start + len(text)] == text):
            raise IdempotencyConflict
        return {"contentLength": len(stream.text), "stored": "before"}

    def _answer(self, stream: Stream, now: int, *, incomplete: bool) -> None:
        """The exchange, once: its question in its conversation, its answer behind it."""
        stream.state, stream.lease, stream.incomplete, stream.ended = "finished", 0, incomplete, now
        stream.question_memory = True
        self.facts.publish(stream)
        talk = self.talks.setdefault((stream.space, stream.conversation), [])
        exchange = stream, stream.question, stream.text
        for at, (of, _, _) in enumerate(talk):
            if of is stream:
                talk[at] = exchange
                return
        self._tell(talk, exchange)

    def _tell(self, talk: list[tuple[Stream, str, str | None]], exchange: tuple[Stream, str, str | None]) -> None:
        """Put an exchange where it was asked."""
        places = {id(stream): at for at, stream in enumerate(self.order)}
        later = [at for at, (of, _, _) in enumerate(talk) if places[id(of)] > places[id(exchange[0])]]
        talk.insert(min(later, default=len(talk)), exchange)

    def _close(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._owned(args)
        if stream.state == "finished":
            raise IdempotencyConflict
        if stream.state == "empty":
            return {"contentLength": 0, "stored": "before"}
        self._unanswered(stream)
        return {"contentLength": 0, "stored": "now"}

    def _unanswered(self, stream: Stream) -> None:
        stream.state, stream.lease = "empty", 0
        stream.question_memory, stream.answer_memory = True, False
        self.facts.publish(stream, ["question"])
        talk = self.talks.setdefault((stream.space, stream.conversation), [])
        if all(of is not stream for of, _, _ in talk):
            self._tell(talk, (stream, stream.question, None))

    def _finish(self, args: Args, now: int) -> dict[str, Any]:
        stream = self._present(args)
        stored = "before"
        if stream.state == "open":
            self._check_free(stream, now)
            self._own(stream, None)
            stored = "now"
            if stream.text.strip():
                self._answer(stream, now, incomplete=True)
            else:
                self._unanswered(stream)
        return {"contentLength": 0 if stream.state == "empty" else len(stream.text), "stored": stored}

    def _rollback(self, args: Args, now: int) -> dict[str, Any]:
        stream = self.streams.get((args["memorySpaceId"], args["streamId"]))
        if stream is None or stream.state == "deleted":
            raise StreamNotFound
        if args["epoch"] != stream.epoch:
            raise Fenced
        if stream.state == "finished":
            raise IdempotencyConflict
        if stream.state != "rolledBack":
            key = stream.space, stream.conversation
            self.talks[key] = [each for each in self.talks.get(key, []) if each[0] is not stream]
            stream.question_memory = False
            self.facts.withdraw(stream)
            self._forget(stream)
            stream.state = "rolledBack"
        return {"streamId": stream.id, "rolledBack": True}

    def _store(self, args: Args, now: int) -> dict[str, Any]:
        key, conversation = (args["memorySpaceId"], args["memoryId"]), args["conversationRef"]["conversationId"]
        there = self.alone.get(key)
        if there is None:
            there = self.alone[key] = Alone(*key, args["content"], conversation)
            self.order.append(there)
        elif (there.content, there.conversation) != (args["content"], conversation):
            raise IdempotencyConflict
        return {"memoryId": there.id, "content": there.content}

    def _deleteMemory(self, args: Args, now: int) -> dict[str, Any]:  # noqa: N802
        if (alone := self.alone.pop((args["memorySpaceId"], args["memoryId"]), None)) is not None:
            self.order.remove(alone)
            return {"deleted": True, "memoryId": args["memoryId"], "factsDeleted": 0, "factIds": []}
        if args["memoryId"] not in self.memories:
            raise MemoryNotFound
        stream, whose = self.memories[args["memoryId"]]
        if not (stream.answer_memory if whose == "agent" else stream.question_memory or stream.state == "open"):
            raise MemoryNotFound
        alone = stream.state in ("open", "empty")  # a question whose answer is not there
        if whose == "user":
            stream.question_memory = False
        else:
            stream.answer_memory = False
        if whose == "agent" or alone:
            self._forget(stream)
        erased = self.facts.erase(stream, "answer" if whose == "agent" else "question")
        return {"deleted": True, "memoryId": args["memoryId"], **erased}

    def _forget(self, stream: Stream) -> None:
        stream.state, stream.answer_memory, stream.lease = "deleted", False, 0
        self.facts.forget(stream)
        for token in self.tokens.values():
            if token.stream is stream:
                token.stream = None

    # --- who owns a stream --------------------------------------------------------------------------------------------

    def _present(self, args: Args) -> Stream:
        stream = self.streams.get((args["memorySpaceId"], args["streamId"]))
        if stream is None or stream.gone:
            raise StreamNotFound
        return stream

    def _owned(self, args: Args) -> Stream:
        stream = self._present(args)
        if args["epoch"] != stream.epoch:
            raise Fenced
        return stream

    def _own(self, stream: Stream, claim: str | None, token: str | None = None) -> None:
        stream.epoch += 1
        stream.state, stream.claim, stream.claim_token = "open", claim, token

    def _leased(self, stream: Stream, args: Args, now: int) -> None:
        if "lease" in args:
            stream.lease, stream.term = now + args["lease"] if args["lease"] else 0, args["lease"]

    def _check_free(self, stream: Stream, now: int) -> None:
        if stream.owned(now):
            raise StillOwned(stream.lease)
