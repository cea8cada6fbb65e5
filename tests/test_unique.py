"""Resume tokens are shown nowhere by accident, and what is counted is the same each time."""

from __future__ import annotations

import ast
import copy
import dataclasses
import io
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.extensions.amber.serializer import AmberDataSerializer

import cortex_rx
from cortex_rx import AnswerStopped, Cortex, ResumeFrom, SqliteBackend, replayable
from cortex_rx.errors import IdempotencyConflict, InvalidArgument, ResumableStreamError
from cortex_rx.events import Begun, Opened, StreamEvent, from_json, to_json
from cortex_rx.models.options import ResumeStreamParams
from cortex_rx.models.records import Record
from cortex_rx.pipeline.answer import BegunAnswer
from cortex_rx.testing import counted_ids, run_virtual, wall
from cortex_rx.unique import ResumeToken, new_id, new_token

PARAMS: dict[str, Any] = {"memory_space_id": "s", "conversation_id": "c", "user_message": "Why?", "agent_id": "helper"}


async def breaks(_: Any = None) -> AsyncIterator[str]:
    yield "It is "
    raise ConnectionError


class Breaks:
    """Breaks off the first time, then says all of it."""

    def __init__(self) -> None:
        self.opened = 0

    async def __call__(self, _: object) -> AsyncIterator[str]:
        self.opened += 1
        yield "It is "
        if self.opened == 1:
            raise ConnectionError
        yield "so."


async def got(cortex: Cortex) -> dict[str, Any]:
    """One of everything that is got through `Cortex`."""
    memory, found = cortex.memory, dict[str, Any]()
    hooked: list[Any] = []
    options = {"maxRetries": 1, "hooks": {"onError": hooked.append, "onComplete": hooked.append}}
    answer = memory.remember_stream(replayable(Breaks()), options, **PARAMS)
    found["events"] = [event async for event in answer.events()]
    found["result"] = await answer
    broken = memory.remember_stream(breaks(), {"hooks": {"onError": hooked.append}}, **PARAMS)
    with pytest.raises(ResumableStreamError) as failed:
        await broken
    found["error"] = failed.value
    found["interrupted"] = await memory.interrupted("s")
    assert broken.stream_id and broken.resume_token
    found["issued"] = await memory.issue_token("s", broken.stream_id)
    found["followed"] = [event async for event in memory.follow("s", broken.stream_id)]
    params = {"response_stream": replayable(Breaks()), "memory_space_id": "s", "resume_from": found["issued"]}
    found["params"] = ResumeStreamParams(**params)
    taken = memory.remember_stream(found["params"], {"maxRetries": 1})
    found["events of a take-over"] = [event async for event in taken.events()]
    found["result of a take-over"] = await taken
    stopped = memory.remember_stream(replayable(Breaks()), {"maxRetries": 1}, **PARAMS)
    found["begun"] = await stopped.begun()
    async for _ in stopped:
        break
    await stopped.stop()
    with pytest.raises(AnswerStopped) as stop:
        await stopped
    found["stopped"], found["stop"] = stop.value, await memory.stop("s", stopped.stream_id or "")
    found["hooked"] = hooked
    found["list"] = await memory.list("s", include_partial=True)
    found["search"] = await memory.search("s", "so")
    found["conversation"] = await cortex.conversations.get("c", memory_space_id="s")
    found["conversations"] = await cortex.conversations.list(memory_space_id="s")
    found["streams"] = await memory.streams("s", "c")
    found["history"] = await cortex.conversations.get_history("c", memory_space_id="s")
    found["answers"] = [answer, broken, taken, stopped]
    letter = {"memorySpaceId": "s", "memoryId": "m"}
    await cortex.dead_letters.add("s", "mine", "memories:deleteMemory", letter, IdempotencyConflict("no"))
    found["letters"] = await cortex.dead_letters.list()
    found["drained"] = await cortex.drain_spool()
    found["cortex"] = cortex
    return found


def shown(value: Any) -> str:
    """All that a reader of snapshots and logs may come to see of it."""
    out = [repr(value), str(value), AmberDataSerializer.serialize(value), pickle_of(value)]
    for look in (vars, dataclasses.asdict, lambda it: it.model_dump(), lambda it: it.args):
        try:
            out.append(repr(look(value)))
        except (TypeError, AttributeError):
            pass
    if isinstance(value, BaseException):
        out += traceback.TracebackException.from_exception(value, capture_locals=True).format()
    return "\n".join(out)


def pickle_of(value: Any) -> str:
    try:
        return pickle.dumps(value).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError):  # it is not pickled at all
        return ""


def test_no_token_is_shown_by_accident(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is it in a log, of whatever level."""
    caplog.set_level(logging.DEBUG)

    async def main() -> tuple[dict[str, Any], set[str]]:
        async with SqliteBackend(tmp_path / "m.db", clock=wall) as backend:
            async with Cortex(backend, spool=tmp_path / "spool.db") as cortex:
                found = await got(cortex)
                answers = found["answers"]
                return found, {str(found["issued"]), *(str(answer.resume_token) for answer in answers)}

    found, tokens = run_virtual(main())
    assert len(tokens) == 5 and all(token.startswith("resume_") and len(token) == 50 for token in tokens)
    del found["issued"]
    for name, value in found.items():
        for one in [value, *(value if isinstance(value, list) else [])]:
            seen = [token for token in tokens if token in shown(one)]
            assert not seen, f"{name}: {one!r} shows a token"
    assert not [token for token in tokens if token in caplog.text]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [token for token in tokens if token.encode() in stored]


def test_what_holds_a_token_is_pickled_without_it_and_else_as_it_was() -> None:
    async def main() -> dict[str, Any]:
        async with Cortex(SqliteBackend(":memory:", clock=wall), spool=False) as cortex:
            answer = cortex.memory.remember_stream(["a"], **PARAMS)
            events = [event async for event in answer.events()]
            return {"events": events, "result": await answer}

    found = run_virtual(main())
    begun = next(event for event in found["events"] if isinstance(event, Begun))
    assert begun.token and found["result"].resume_token == begun.token
    opened = dataclasses.replace(next(one for one in found["events"] if isinstance(one, Opened)), token=begun.token)
    for event in (begun, opened):
        again = pickle.loads(pickle.dumps(event))
        assert again == event and again.token is None
        assert dataclasses.replace(again, token=event.token) == event
        for copied in (copy.copy(event), copy.deepcopy(event)):  # in this process
            assert copied == event and copied is not event and copied.token == event.token
        assert from_json(to_json(event)) == event and "resume_" not in json.dumps(to_json(event))
    with pytest.raises(InvalidArgument, match="event: got 'BegunAnswer'"):
        to_json(BegunAnswer("stream-1", begun.token, None))
    claimed = pickle.loads(pickle.dumps(opened))
    assert claimed.claim == opened.claim
    result = found["result"]
    again = pickle.loads(pickle.dumps(result))
    assert again.resume_token is None and again == result.model_copy(update={"resume_token": None})
    assert copy.deepcopy(result).resume_token == result.resume_token
    error = pickle.loads(pickle.dumps(ResumableStreamError(ConnectionError("x"), begun.token)))
    assert error.resume_token is None and isinstance(error.original_error, ConnectionError)
    backend = SqliteBackend(":memory:")
    with pytest.raises(TypeError, match="a ResumeFrom holds a resume token, so it is not pickled"):
        pickle.dumps(ResumeFrom(backend, "s", begun.token))


def test_params_without_their_token_are_refused() -> None:
    """A pickle of the parameters of a resumption has no token: nothing else is begun with it."""
    params = pickle.loads(pickle.dumps(ResumeStreamParams(response_stream=["a"], memory_space_id="s", resume_from="t")))

    async def main() -> None:
        async with Cortex(SqliteBackend(":memory:"), spool=False) as cortex:
            with pytest.raises(InvalidArgument, match="token: got None; accepted: a resume token"):
                await cortex.memory.remember_stream(params)

    run_virtual(main())


def test_a_token_is_a_string_in_all_but_its_repr() -> None:
    token = new_token()
    plain = str(token)
    assert type(plain) is str and token == plain and hash(token) == hash(plain) and f"{token}" == plain
    assert (
        repr(token) == f"{token!r}" == "<a resume token>"
        and repr({"token": [token]}) == "{'token': [<a resume token>]}"
    )
    assert json.loads(json.dumps({"token": token})) == {"token": plain}
    assert pickle.loads(pickle.dumps(token)) == plain  # asked for itself, it is kept
    assert isinstance(copy.deepcopy(token), ResumeToken)
    assert len({new_token() for _ in range(100)} | {new_id("a") for _ in range(100)}) == 200
    said = io.StringIO()
    print(token, file=said)
    assert said.getvalue() == plain + "\n"


def test_all_of_it_is_the_same_each_time(virtual: Any, make_backend: Any, tmp_path: Path, snapshot: Any) -> None:
    """Twice in one test, and in each run of it: `make_backend` has the package count, anew for each block."""

    async def main(folder: Path) -> dict[str, Any]:
        folder.mkdir()
        async with make_backend() as backend, Cortex(backend, spool=folder / "s.db") as cortex:
            found = await got(cortex)
        del found["cortex"], found["answers"]
        found["params"] = found["params"].model_dump(exclude={"response_stream"})
        found["error"] = [found["error"], *vars(found["error"]).values()]
        found["claims"] = [one.claim for one in found["events"] if isinstance(one, Opened)]
        found["tokens"] = [str(one.token) for one in found["events"] if isinstance(one, Begun)]
        return found

    runs: list[str] = []
    for name in ("one", "two"):
        with counted_ids():
            runs.append(AmberDataSerializer.serialize(virtual(main(tmp_path / name))))
    assert runs[0] == runs[1]
    found = virtual(main(tmp_path / "three"))  # in the fixture's own block
    assert AmberDataSerializer.serialize(found) == runs[0]
    ids = {name: found[name] for name in ("claims", "tokens")}
    ids["streams"] = [one.stream_id for name, events in found.items() if "events" in name for one in events[:1]]
    ids["memories"] = [memory.memory_id for memory in found["list"]]
    assert ids == snapshot  # and in every other run of this test


def test_ids_and_random_numbers_come_from_one_place() -> None:
    """Others could not be counted. The tools of tests have seeds of their own."""
    package = Path(cortex_rx.__file__).parent
    makes_ids = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "testing" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and {"uuid", "secrets", "random"} & {getattr(node, "module", ""), *(name.name for name in node.names)}
    }
    assert makes_ids == {"unique.py"}


def test_out_of_the_block_nothing_is_counted() -> None:
    with counted_ids():
        assert (new_id("a"), new_id("b"), new_id("a")) == ("001", "001", "002")
        with counted_ids():
            assert new_id("a") == "001"
        assert new_id("a") == "003" and str(new_token()) == "resume_001"
    assert len(new_id("a")) == 32 and new_id("a") != new_id("a")


def test_every_field_for_a_token_hides_it() -> None:
    """The kind: whichever event, record or error has such a field."""
    token = "resume_" + "x" * 43
    fields: list[str] = []

    def kinds(of: type) -> list[type]:
        return [of, *(each for sub in of.__subclasses__() for each in kinds(sub))]

    for kind in {*kinds(StreamEvent), *kinds(Record), *kinds(Exception)}:
        if not kind.__module__.startswith("cortex_rx"):
            continue
        names: Callable[[], Any] = lambda kind=kind: (  # noqa: E731
            kind.model_fields if issubclass(kind, Record) else getattr(kind, "__dataclass_fields__", {})
        )
        for name, field in names().items():
            if name in ("token", "resume_token", "resume_from"):
                fields.append(f"{kind.__name__}.{name}")
                assert not field.repr
    assert set(fields) >= {"Opened.token", "Begun.token", "StreamError.resume_token", "ResumeStreamParams.resume_from"}
    for error in (AnswerStopped(token), ResumableStreamError(ValueError(), token)):
        assert error.resume_token == token and token not in shown(error)
