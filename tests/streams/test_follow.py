"""Readers that come late or come back, and read from the store what another process writes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx import Cortex, SqliteBackend, remember_stream
from cortex_rx.errors import InvalidArgument, ResumableStreamError, StillOwned, StoreUnavailable, StreamNotFound
from cortex_rx.events import Delta, Ended, Interrupted, Rewound, RolledBack
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.streams.follow import Position
from cortex_rx.testing import assert_no_leaks, run_virtual

PARAMS = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": "What?",
    "user_id": "ada",
    "user_name": "Ada",
}


class Two:
    """Two clients on one file, as two processes have them."""

    def __init__(self, path: Path) -> None:
        def store() -> SqliteBackend:
            return SqliteBackend(path / "m.db", clock=lambda: 1_700_000_000 + asyncio.get_running_loop().time())

        self.stores = store(), store()
        self.writer, self.reader = (Cortex(each) for each in self.stores)

    async def __aenter__(self) -> Two:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self.writer, self.reader):
            await client.close()
        for store in self.stores:
            await store.close()

    def stream(self, *items: Any, how: Any = replayable, **more: Any) -> Any:
        async def model(point: Any) -> Any:
            for item in items:
                if isinstance(item, int | float):
                    await asyncio.sleep(item)
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item

        return self.writer.memory.remember_stream(how(model), **PARAMS | more)

    async def follow(self, stream_id: str, after: Any = 0) -> list[Any]:
        return [event async for event in self.reader.memory.follow("space", stream_id, after)]


def text_of(events: list[Any], after: int = 0) -> str:
    """The text, checked to be without gap or repeat."""
    offset, index, text = after, 0, ""
    for event in events:
        if isinstance(event, Delta):
            assert (event.offset, event.index) == (offset, index)
            text, offset, index = text + event.text, offset + len(event.text), index + 1
    return text


async def position_of(answer: Any) -> Any:
    """The position of a reader that has seen all the text so far."""
    async with aclosing(aiter(answer)) as texts:
        await anext(texts)
        return texts.position


def played(tmp_path: Path, main: Any) -> Any:
    async def whole() -> Any:
        async with Two(tmp_path) as two:
            return await main(two)

    with assert_no_leaks():
        return run_virtual(whole())


def test_what_is_stored_then_what_comes_to_the_end(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 3, "two ", 3, "three")
        answer.detach()
        await asyncio.sleep(2)
        events = await two.follow(answer.stream_id)
        assert text_of(events) == "one two three"
        assert len([e for e in events if isinstance(e, Delta)]) == 3
        assert events[-1] == Ended("stop", 13, 3)
        assert text_of(await two.follow(answer.stream_id, 4), 4) == "two three"
        assert await two.follow(answer.stream_id, 13) == [Ended("stop", 13, 0)]
        await answer

    played(tmp_path, main)


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), st.floats(0, 2)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 30),
    st.floats(0, 10),
)
def test_from_any_place_at_any_time_the_rest_comes_once(
    tmp_path_factory: Any, parts: Any, after: int, late: float
) -> None:
    text = "".join(part for part, _ in parts)
    after = min(after, len(text))

    async def main() -> None:
        async with Two(tmp_path_factory.mktemp("f")) as two:
            answer = two.stream(*(item for part in parts for item in part))
            answer.detach()
            await asyncio.sleep(late + 0.01)
            events = await two.follow(answer.stream_id, after)
            while isinstance(events[0], Rewound):
                after_ = events.pop(0).offset
                assert after_ < after
                assert text_of(events, after_) == text[after_:]
                break
            else:
                assert text_of(events, after) == text[after:]
            assert isinstance(events[-1], Ended)

    run_virtual(main())


def test_a_stream_that_is_cut_off_is_an_event_and_can_be_followed_again(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 3, ConnectionResetError())
        answer.detach()
        await asyncio.sleep(1)
        events = await two.follow(answer.stream_id)
        assert text_of(events) == "one "
        assert events[-1] == Interrupted(0, 4)
        (left,) = await two.reader.memory.interrupted("space")
        assert (left.stream_id, left.length, left.user_message) == (answer.stream_id, 4, "What?")
        token = await two.reader.memory.issue_token("space", left.stream_id)
        again = two.writer.memory.remember_stream(
            replayable(lambda point: ["one two"]), memory_space_id="space", resume_from=token
        )
        again.detach()
        await asyncio.sleep(0.1)  # until it is owned again, there is nobody to follow
        assert text_of(await two.follow(answer.stream_id, 4), 4) == "two"
        await again
        assert await two.reader.memory.interrupted("space") == []

    played(tmp_path, main)


def test_a_process_that_died_is_noticed_when_its_lease_has_run_out(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 1000)
        answer.detach()
        await asyncio.sleep(1)
        await two.stores[0].close()
        loop = asyncio.get_running_loop()
        started = loop.time()
        events = await two.follow(answer.stream_id)
        assert events[-1] == Interrupted(0, 4)
        assert 9 < loop.time() - started < 10.5
        await answer.stop()

    played(tmp_path, main)


def test_what_was_shown_and_lost_with_its_process_is_rewound_and_never_spliced(tmp_path: Path) -> None:
    """The reader saw "one two " live; "two " was lost. The next process continued with another text, beyond that
    position.
    """

    async def main(two: Two) -> None:
        answer = two.stream("one ", 0.7, "two ", 1000)
        async for text in (texts := aiter(answer)):
            if text == "two ":
                break
        place = texts.position
        assert place == Position(8, 0, 1)
        answer.detach()
        await two.stores[0].close()  # within the interval
        await answer.stop()
        await asyncio.sleep(11)
        token = await two.reader.memory.issue_token("space", answer.stream_id)
        assert (await two.follow(answer.stream_id, place))[:1] == [Rewound(0, 4)]
        again = two.reader.memory.remember_stream(
            prefill(lambda point: [" six seven eight"]), memory_space_id="space", resume_from=token
        )
        assert (await again).full_response == "one six seven eight"
        events = await two.follow(answer.stream_id, place)
        assert events[0] == Rewound(0, 4)
        assert text_of(events[1:], 4) == "six seven eight"
        assert text_of(await two.follow(answer.stream_id, await position_of(again)), 19) == ""

    played(tmp_path, main)


@pytest.mark.parametrize("way", ["token", "key"])
def test_an_attempt_that_was_lost_whole_is_never_taken_for_the_next_of_the_same_number(
    tmp_path: Path, way: str
) -> None:
    """A second process began the text anew and died before anything of it was stored; a third began it anew too."""

    async def main(two: Two) -> None:
        first = two.stream("one ", 1, ConnectionResetError(), how=restart, idempotency_key="key")
        with pytest.raises(ResumableStreamError):
            await first
        store = SqliteBackend(tmp_path / "m.db", clock=lambda: 1_700_000_000 + asyncio.get_running_loop().time())

        async def other(point: Any) -> Any:
            yield "eins zwei"
            await asyncio.sleep(1000)

        second = remember_stream(
            restart(other),
            backend=store,
            memory_space_id="space",
            resume_from=first.resume_token,
        )
        async for _ in (texts := aiter(second)):
            break
        place = texts.position
        assert place == Position(9, 1, 2)
        await store.close()  # within the interval
        await second.stop()
        await asyncio.sleep(11)
        more = {"memory_space_id": "space", "resume_from": second.resume_token}
        more = more if way == "token" else PARAMS | {"idempotency_key": "key"}
        third = two.writer.memory.remember_stream(restart(lambda point: ["uno dos tres"]), **more)
        assert (await third).full_response == "uno dos tres"
        events = await two.follow(first.stream_id, place)
        assert events[0] == Rewound(1, 0)
        assert text_of(events[1:]) == "uno dos tres"

    played(tmp_path, main)


def test_a_place_beyond_what_is_stored(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ")
        await answer
        assert await two.follow(answer.stream_id, 99) == [Rewound(0, 4), Ended("stop", 4, 0)]

    played(tmp_path, main)


def test_a_new_attempt_begins_anew(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 2, ConnectionResetError())
        answer.detach()
        await asyncio.sleep(3)
        place = await position_of(answer)
        token = answer.resume_token
        again = two.writer.memory.remember_stream(
            restart(lambda point: ["uno dos"]), memory_space_id="space", resume_from=token
        )
        assert (await again).full_response == "uno dos"
        events = await two.follow(answer.stream_id, place)
        assert events[0] == Rewound(1, 0)
        assert text_of(events[1:]) == "uno dos"
        assert {event.attempt for event in events if isinstance(event, Delta)} == {1}

    played(tmp_path, main)


@pytest.mark.parametrize("how", ["rolled back", "deleted"])
def test_a_stream_that_is_taken_back_while_it_is_followed(tmp_path: Path, how: str) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 1000)
        answer.detach()
        await asyncio.sleep(1)
        following = asyncio.ensure_future(two.follow(answer.stream_id))
        await asyncio.sleep(1)
        if how == "deleted":
            kept = await answer.kept()
            await two.reader.memory.delete("space", kept.memory_id)
        else:
            await answer.stop(keep_partial=False)
        events = await following
        assert text_of(events) == "one "
        assert events[-1] == RolledBack(answer.stream_id)
        await answer.stop()
        if how == "deleted":
            with pytest.raises(StreamNotFound):
                await two.follow(answer.stream_id)
        with pytest.raises(StreamNotFound):
            await two.follow("no such stream")

    played(tmp_path, main)


def test_a_stream_that_is_taken_back_and_begun_anew_between_two_looks_is_not_spliced(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one two three", 1000, idempotency_key="key")
        answer.detach()
        await asyncio.sleep(1)
        events: list[Any] = []

        async def read() -> None:
            async for event in two.reader.memory.follow("space", answer.stream_id, every=timedelta(seconds=10)):
                events.append(event)

        following = asyncio.ensure_future(read())
        await asyncio.sleep(1)
        assert text_of(events) == "one two three"
        await answer.stop(keep_partial=False)
        again = two.stream("uno dos tres ", 20, "cuatro", idempotency_key="key")
        assert (await again).full_response == "uno dos tres cuatro"
        await following
        assert events[1] == Rewound(0, 0)
        assert [event.text for event in events[2:-1]] == ["uno dos tres ", "cuatro"]
        assert isinstance(events[-1], Ended)

    played(tmp_path, main)


def test_a_place_in_an_attempt_before_the_stream_was_taken_back(tmp_path: Path) -> None:
    """Its attempts are counted from 0 again: the same number is another text."""

    async def fails(two: Two, *items: Any) -> Any:
        answer = two.stream(*items, ConnectionResetError(), how=restart, idempotency_key="key")
        answer.detach()
        await asyncio.sleep(3)
        return answer

    async def main(two: Two) -> None:
        await fails(two, "one ")
        answer = await fails(two, "two ")
        place = await position_of(answer)
        assert (place.attempt, place.offset) == (1, 4)
        await answer.stop(keep_partial=False)
        await fails(two, "three ")
        await two.stream("four five", how=restart, idempotency_key="key")
        events = await two.follow(answer.stream_id, place)
        assert events[0] == Rewound(1, 0)
        assert text_of(events[1:]) == "four five"

    played(tmp_path, main)


@pytest.mark.parametrize("again", ["by its token", "under its key"])
def test_an_attempt_that_was_shown_and_never_stored_is_not_that_of_the_next_writer(tmp_path: Path, again: str) -> None:
    """Both count it as attempt 1, and it is another text."""

    async def main(two: Two) -> None:
        async def breaks_once(point: Any) -> Any:
            yield "two two " if point.attempt else "one "
            await asyncio.sleep(1000 if point.attempt else 3)
            raise ConnectionResetError

        keyed = PARAMS | {"idempotency_key": "key"}
        options = {"maxRetries": 1, "retryDelay": 0}
        first = two.writer.memory.remember_stream(restart(breaks_once), options, **keyed)
        first.detach()
        await asyncio.sleep(2)
        await two.stores[0].close()  # from now on nothing of it is written
        await asyncio.sleep(2)
        place, token = await position_of(first), first.resume_token
        assert (place.attempt, place.offset) == (1, 8)
        await asyncio.sleep(12)
        params = keyed if again == "under its key" else {"memory_space_id": "space", "resume_from": token}
        text = "three three three"
        last = two.reader.memory.remember_stream(restart(lambda point: [text]), **params)
        assert (await last).full_response == text
        assert (await position_of(last)).attempt == 1
        events = await two.follow(last.stream_id, place)
        assert events[0] == Rewound(1, 0)
        assert text_of(events[1:]) == text
        await first.stop()

    played(tmp_path, main)


def test_a_partial_that_nobody_resumes_is_finished(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 4, ConnectionResetError())
        answer.detach()
        await asyncio.sleep(2)
        with pytest.raises(StillOwned):
            await two.reader.memory.finish("space", answer.stream_id)
        await asyncio.sleep(4)
        done = await two.reader.memory.finish("space", answer.stream_id)
        assert [memory.content for memory in done.memories] == ["What?", "one "]
        conversation = await two.reader.conversations.get("c-1", memory_space_id="space")
        assert [(m.content, (m.metadata or {}).get("finishReason")) for m in conversation.messages] == [
            ("What?", None),
            ("one ", "incomplete"),
        ]
        events = await two.follow(answer.stream_id)
        assert events[-1] == Ended("incomplete", 4, 1)
        assert await two.reader.memory.interrupted("space") == []

    played(tmp_path, main)


def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ", 20, "two")
        answer.detach()
        await asyncio.sleep(1)
        store, down = two.stores[1], False
        asked = type(store).query

        async def query(path: str, args: Any) -> Any:
            if down:
                raise StoreUnavailable("away")
            return await asked(store, path, args)

        store.query = query  # type: ignore[method-assign]
        following = asyncio.ensure_future(two.follow(answer.stream_id))
        await asyncio.sleep(1)
        down = True
        await asyncio.sleep(15)
        down = False
        assert text_of(await following) == "one two"
        down = True
        with pytest.raises(StoreUnavailable):
            await two.follow(answer.stream_id)

    played(tmp_path, main)


@pytest.mark.parametrize(("every", "each"), [(0.2, 5.0), (0.2, 0.0), (60.0, 5.0)])
def test_a_store_that_is_away_is_waited_for_by_the_clock_however_long_each_call_takes(
    tmp_path: Path, every: float, each: float
) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one")
        await answer
        store, tries = two.stores[1], 0

        async def query(path: str, args: Any) -> Any:
            nonlocal tries
            tries += 1
            await asyncio.sleep(each)
            raise StoreUnavailable("away")

        store.query = query  # type: ignore[method-assign]
        begun = asyncio.get_running_loop().time()
        following = two.reader.memory.follow("space", answer.stream_id, every=timedelta(seconds=every))
        with pytest.raises(StoreUnavailable):
            await anext(following)
        took = asyncio.get_running_loop().time() - begun
        assert 25 < took <= 30 + each and tries > 3

    played(tmp_path, main)


def test_spaces_do_not_mix_and_arguments_are_checked(tmp_path: Path) -> None:
    async def main(two: Two) -> None:
        answer = two.stream("one ")
        await answer
        with pytest.raises(StreamNotFound):
            [event async for event in two.reader.memory.follow("other", answer.stream_id)]
        assert await two.reader.memory.interrupted("other") == []
        with pytest.raises(StreamNotFound):
            await two.reader.memory.issue_token("other", answer.stream_id)
        for after in (-1, True, "4"):
            with pytest.raises(InvalidArgument, match="after: got"):
                await two.follow(answer.stream_id, after)
        with pytest.raises(InvalidArgument, match="every: got"):
            [event async for event in two.reader.memory.follow("space", answer.stream_id, every=timedelta(0))]

    played(tmp_path, main)


WRITER = """
import asyncio, sys
from cortex_rx import Cortex
from cortex_rx.sources.model_stream import replayable

async def model(point):
    for number in range(int(sys.argv[3])):
        await asyncio.sleep(0.02)
        yield f"{number} "

async def main():
    async with Cortex(sys.argv[1]) as cortex:
        more = {"resume_from": sys.argv[2], "take_over": True} if sys.argv[2] else {
            "conversation_id": "c-1", "user_message": "Count!", "user_id": "ada", "user_name": "Ada"}
        answer = cortex.memory.remember_stream(replayable(model), memory_space_id="space", **more)
        async for event in answer.events():
            if type(event).__name__ == "Begun":
                print(answer.stream_id, answer.resume_token, flush=True)
        print((await answer).stored_before, flush=True)

asyncio.run(main())
"""


def test_real_processes_kill_resume_and_follow(tmp_path: Path) -> None:
    """One process is killed while it writes, another one takes over, a third reads all the while."""
    program = tmp_path / "writer.py"
    program.write_text(textwrap.dedent(WRITER))
    path = tmp_path / "m.db"

    def writer(token: str = "", numbers: int = 10_000) -> Any:
        command = [sys.executable, str(program), str(path), token, str(numbers)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    async def main() -> None:
        first = writer()
        stream_id, token = (await asyncio.to_thread(first.stdout.readline)).split()
        second = None
        async with Cortex(path) as cortex:
            seen = ""
            async for event in cortex.memory.follow("space", stream_id, every=timedelta(milliseconds=20)):
                if isinstance(event, Delta):
                    assert event.offset == len(seen)
                    seen += event.text
                if second is None and len(seen) > 20:
                    first.kill()
                    await asyncio.to_thread(first.wait)
                    second = writer(token, 100)
            assert event == Ended("stop", len(seen), event.index)
            assert seen == "".join(f"{number} " for number in range(100))
            assert second is not None
            assert await asyncio.to_thread(second.wait) == 0
            second.stdout.close()
            first.stdout.close()
            memories = await cortex.memory.list("space", include_partial=True)
            assert [memory.content for memory in memories] == [seen, "Count!"]
            conversation = await cortex.conversations.get("c-1", memory_space_id="space")
            assert [message.content for message in conversation.messages] == ["Count!", seen]

    asyncio.run(main())
