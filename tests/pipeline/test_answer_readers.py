"""The readers of an answer: cancelled, slow, late, and where each of them is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import examples
from helpers.scripts import played as script
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx import Cortex, SqliteBackend, default_chain
from cortex_rx import operators as cx
from cortex_rx.errors import (
    IdempotencyConflict,
    InvalidArgument,
    StillOwned,
    StoreUnavailable,
    TextDiverged,
    TokenUnknown,
)
from cortex_rx.events import Delta, Interrupted, Replayed, Resumed, Rewound, StreamEvent
from cortex_rx.sources.model_stream import prefill, replayable, restart
from cortex_rx.streams.follow import Position
from cortex_rx.streams.stopping import AnswerStopped
from cortex_rx.testing import assert_no_leaks, run_virtual

TURN: dict[str, Any] = {
    "memory_space_id": "space",
    "conversation_id": "c-1",
    "user_message": "What?",
    "user_id": "ada",
    "user_name": "Ada",
}


class Places:
    """Clients on one file, as several processes have them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stores: list[SqliteBackend] = []
        self._clients: list[Cortex] = []

    def client(self) -> Cortex:
        store = SqliteBackend(self._path, clock=lambda: 1_700_000_000 + asyncio.get_running_loop().time())
        self.stores.append(store)
        self._clients.append(Cortex(store))
        return self._clients[-1]

    async def aclose(self) -> None:
        for client in self._clients:
            await client.close()
        for store in self.stores:
            await store.close()


def source(*items: Any) -> Any:
    """Text, pauses and errors; after an error, the next opening goes on behind it."""
    left = iter(items)

    async def opened(_: Any = None) -> AsyncIterator[str]:
        async for item in script(left):
            yield item

    return opened


async def patiently(reader: Any, seconds: float = 0.3) -> AsyncIterator[Any]:
    """What a reader gives, with the ping of an SSE loop."""
    while True:
        with suppress(TimeoutError):
            try:
                yield await asyncio.wait_for(anext(reader), seconds)
            except StopAsyncIteration:
                return


def shown_with(shown: str, events: list[StreamEvent]) -> str:
    """What a page shows that had `shown`, after these events of a follower."""
    for event in events:
        if isinstance(event, Delta):
            assert event.offset == len(shown), f"a gap or a repeat: {event} after {shown!r}"
            shown += event.text
        elif isinstance(event, Rewound):
            shown = shown[: event.offset]
    return shown


def played(tmp_path: Path, main: Any) -> None:
    async def whole() -> None:
        async with aclosing(Places(tmp_path / "m.db")) as places:
            await main(places)

    with assert_no_leaks():
        run_virtual(whole())


# --- a cancelled reader -----------------------------------------------------------------------------------------------


def test_a_ping_does_not_end_a_reader_of_text_of_pieces_or_of_events(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        answer = places.client().memory.remember_stream(source(1, "one ", 1, "two ", 1, "three"), **TURN)

        async def pieces() -> list[str]:
            return [piece.text async for piece in patiently(answer.pieces())]

        async def events() -> list[str]:
            return [event.text async for event in patiently(answer.events()) if isinstance(event, Delta)]

        async def texts() -> list[str]:
            return [text async for text in patiently(aiter(answer))]

        for seen in await asyncio.gather(texts(), pieces(), events()):
            assert seen == ["one ", "two ", "three"]
        assert (await answer).full_response == "one two three"

    played(tmp_path, main)


def test_a_ping_does_not_end_a_follower_nor_does_an_error_of_the_store(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        writer, reader = places.client(), places.client()
        answer = writer.memory.remember_stream(source(1, "one ", 1, "two ", 40, "three"), **TURN)
        answer.detach()
        await asyncio.sleep(0.5)
        store, away = places.stores[1], False
        asked = type(store).query

        async def query(path: str, args: Any) -> Any:
            await asyncio.sleep(0.2)
            if away:
                raise StoreUnavailable("away")
            return await asked(store, path, args)

        store.query = query  # type: ignore[method-assign]
        assert answer.stream_id is not None
        events: list[StreamEvent] = []
        following = reader.memory.follow("space", answer.stream_id)
        async for event in patiently(following, 0.25):
            events.append(event)
            if len(events) == 2:
                away = True
                with pytest.raises(StoreUnavailable):
                    await anext(following)
                away = False
        assert shown_with("", events) == "one two three"
        assert [event.text for event in events if isinstance(event, Delta)] == ["one ", "two ", "three"]

        again = reader.memory.follow("space", answer.stream_id)
        first = asyncio.ensure_future(anext(again))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task waits"):
            await anext(again)
        assert await first == Delta("one two three", 0, 0, 0, events[-2].at)  # type: ignore[attr-defined]
        await again.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(again)

    played(tmp_path, main)


def test_a_reader_of_cx_text_that_is_cancelled_goes_on(tmp_path: Path) -> None:
    from cortex_rx import Turn, from_stream, stream

    async def main(places: Places) -> None:
        places.client()
        turn = Turn("space", "c-1", "What?", user_id="ada", user_name="Ada")
        chain = default_chain(places.stores[0])
        async with stream(from_stream(source(1, "one ", 1, "two"), turn=turn).pipe(chain, cx.text())) as texts:
            assert [text async for text in patiently(texts)] == ["one ", "two"]

    played(tmp_path, main)


@pytest.mark.parametrize("kind", ["text", "pieces", "events"])
def test_a_reader_has_left_with_its_cancelled_task_though_the_task_is_held(tmp_path: Path, kind: str) -> None:
    """Its exception lives on with the task, and the traceback with the exception."""

    async def main(places: Places) -> None:
        answer = places.client().memory.remember_stream(source("one ", 1000), **TURN)

        async def read() -> None:
            async for _ in kinds(answer)[kind]:
                pass

        task = asyncio.ensure_future(read())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.sleep(1.1)  # longer than `linger`
        with pytest.raises(AnswerStopped):
            await answer
        assert task.cancelled()

    played(tmp_path, main)


def test_a_text_that_begins_again_twice_is_not_shown_to_a_reader_of_the_first(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        answer = places.client().memory.remember_stream(
            restart(source("one ", 1, ConnectionResetError(), ConnectionResetError(), "uno")),
            {"maxRetries": 2, "retryDelay": 1},
            **TURN,
        )
        texts, seen = aiter(answer), list[str]()
        with pytest.raises(TextDiverged):
            async for text in texts:
                seen.append(text)
        assert seen == ["one "]
        assert texts.position == Position(4, 0, 1)
        assert (await answer).full_response == "uno"

    played(tmp_path, main)


# --- where a reader is ------------------------------------------------------------------------------------------------


def test_a_position_is_that_of_what_the_reader_has_seen_however_slow_or_late_he_is(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        answer = client.memory.remember_stream(source("one ", "two ", "three ", 5, "four"), **TURN)
        texts, pieces, events = aiter(answer), answer.pieces(), answer.events()
        assert (texts.position, pieces.position, events.position) == (None, None, None)
        await asyncio.gather(anext(texts), anext(pieces), anext(events))
        while not isinstance(await anext(events), Delta):
            pass
        await asyncio.sleep(1)
        assert answer.text == "one two three "
        for reader in (texts, pieces, events):
            assert reader.position == Position(4, 0, 1)
        late = aiter(answer)
        assert late.position == Position(0, 0, 1)
        assert await anext(late) == "one two three "
        assert late.position == Position(14, 0, 1)
        await anext(texts)
        await texts.aclose()
        await anext(events)
        await answer.stop()
        assert texts.position == Position(8, 0, 1)
        assert events.position == Position(8, 0, 1)
        assert answer.stream_id is not None
        rest = [event async for event in client.memory.follow("space", answer.stream_id, texts.position)]
        assert shown_with("one two ", rest) == "one two three "
        assert isinstance(rest[-1], Interrupted)

    played(tmp_path, main)


def test_what_its_writer_has_shown_and_not_stored_yet_is_not_rewound(tmp_path: Path) -> None:
    """A page that is reloaded comes back before the next write."""

    async def main(places: Places) -> None:
        client = places.client()
        answer = client.memory.remember_stream(source("one ", 1, "two ", 0.1, "three ", 1, "four"), **TURN)
        texts = aiter(answer)
        answer.detach()
        shown = [await anext(texts) for _ in range(3)]
        assert answer.stream_id is not None
        for after in (texts.position, 14):
            assert after is not None
            events = [event async for event in client.memory.follow("space", answer.stream_id, after)]
            assert not any(isinstance(event, Rewound) for event in events)
            assert shown_with("".join(shown), events) == "one two three four"

    played(tmp_path, main)


def test_a_new_text_that_is_shown_and_not_stored_yet_is_not_rewound(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        answer = client.memory.remember_stream(
            restart(source("one ", 1, ConnectionResetError(), "uno ", 1, "dos")),
            {"maxRetries": 1, "retryDelay": 1},
            **TURN,
        )
        answer.detach()
        pieces, shown = answer.pieces(), ""
        async for piece in pieces:
            shown = piece.text if piece.anew else shown + piece.text
            if shown == "uno ":
                break
        assert pieces.position == Position(4, 1, 1)
        assert answer.stream_id is not None
        events = [event async for event in client.memory.follow("space", answer.stream_id, pieces.position)]
        assert [event.text for event in events if isinstance(event, Delta)] == ["dos"]
        assert not any(isinstance(event, Rewound) for event in events)

    played(tmp_path, main)


def test_a_follower_s_position_is_valid_under_the_epoch_of_who_has_taken_over(tmp_path: Path) -> None:
    """The first writer shows more than it stores, and dies; the follower has seen what is stored, and then the text of
    the next writer. Nothing of that is lost.
    """

    async def main(places: Places) -> None:
        first, second, reader = places.client(), places.client(), places.client()
        answer = first.memory.remember_stream(prefill(source("one ", 1, "two ", 1000)), **TURN)
        answer.detach()
        await asyncio.sleep(0.9)
        await places.stores[0].close()
        await asyncio.sleep(1)
        assert answer.stream_id is not None
        following, shown = reader.memory.follow("space", answer.stream_id), ""
        shown = shown_with(shown, [await anext(following)])
        again = second.memory.remember_stream(
            prefill(source("three ", 1, "four ", 1, "five")),
            memory_space_id="space",
            resume_from=answer.resume_token,
            take_over=True,
        )
        again.detach()
        async for event in following:
            shown = shown_with(shown, [event])
            if shown.endswith("four "):
                break
        assert shown == "one three four "
        assert following.position == Position(15, 0, 2)
        events = [event async for event in reader.memory.follow("space", answer.stream_id, following.position)]
        assert shown_with(shown, events) == "one three four five"
        assert not any(isinstance(event, Rewound) for event in events)
        live = [event async for event in again.events()]
        assert isinstance(live[0], Replayed)
        await answer.stop()

    played(tmp_path, main)


def test_positions_of_a_rewritten_text_are_those_of_what_is_stored(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        chain = default_chain(places.stores[0]).before("begin", cx.rewrite(doubled))
        answer = client.memory.remember_stream(source("ab", 1, "cd", 1, "ef"), chain=chain, **TURN)
        texts = aiter(answer)
        assert [await anext(texts), await anext(texts)] == ["aabb", "ccdd"]
        assert texts.position == Position(8, 0, 1)
        assert (await answer).full_response == "aabbccddeeff"
        assert answer.stream_id is not None
        events = [event async for event in client.memory.follow("space", answer.stream_id, texts.position)]
        assert shown_with("aabbccdd", events) == "aabbccddeeff"

    played(tmp_path, main)


class Doubled:
    def feed(self, text: str) -> str:
        return "".join(letter * 2 for letter in text)

    def finish(self) -> str:
        return ""


def doubled() -> Any:
    return Doubled()


# --- a position as a string -------------------------------------------------------------------------------------------


@given(*[st.integers(0, 2**63 - 1)] * 3)
def test_a_position_is_a_short_string_and_back(offset: int, attempt: int, epoch: int) -> None:
    position = Position(offset, attempt, epoch)
    assert Position.parse(str(position)) == position
    assert re.fullmatch("[0-9.]{5,59}", str(position))


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.2", "1.2.3.4", "1,2,3", " 1.2.3", "1.2.3 ", "1.2.3\n", "1.2.3\r\nx: y", "1.2.3\0", "+1.2.3"),
        *("-1.2.3", "1.-2.3", "01.2.3", "1_0.2.3", "1.2.٣", "１.2.3", "1.2.²", "1e3.2.3", "0x1.2.3", "1..3"),
        *("9" * 5_000 + ".0.1", f"{2**63}.0.1", f"0.0.{10**19}", "1.2.3" * 1_000_000, None, 5, b"1.2.3", 1.2),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_any_other_string_is_refused(text: Any) -> None:
    with pytest.raises(InvalidArgument, match="position: got") as refused:
        Position.parse(text)
    assert refused.value.field == "position"
    assert len(str(refused.value)) < 200


# --- a text that begins again -----------------------------------------------------------------------------------------


def test_a_page_hears_that_the_text_begins_again_and_a_reader_of_text_gets_an_error(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        answer = places.client().memory.remember_stream(
            restart(source("one ", "two ", 1, ConnectionResetError(), "uno ", 1, "dos")),
            {"maxRetries": 1, "retryDelay": 1},
            **TURN,
        )

        async def texts() -> list[str]:
            seen: list[str] = []
            with pytest.raises(TextDiverged):
                async for text in answer:
                    seen.append(text)
            return seen

        async def pieces() -> list[tuple[str, bool, str]]:
            return [(piece.text, piece.anew, str(piece.position)) async for piece in answer.pieces()]

        first, second = await asyncio.gather(texts(), pieces())
        assert first == ["one ", "two "]
        assert second == [
            ("one ", True, "4.0.1"),
            ("two ", False, "8.0.1"),
            ("", True, "0.1.1"),
            ("uno ", False, "4.1.1"),
            ("dos", False, "7.1.1"),
        ]
        assert await pieces() == [("uno dos", True, "7.1.1")]
        assert (await answer).full_response == "uno dos"

    played(tmp_path, main)


def test_a_position_before_the_text_began_again_stays_one_of_the_old_text(tmp_path: Path) -> None:
    """The reader has not been given all of it, and does not read on."""

    async def main(places: Places) -> None:
        client = places.client()
        answer = client.memory.remember_stream(
            restart(source("one ", "two ", 1, ConnectionResetError(), "uno ", 1, "dos")),
            {"maxRetries": 1, "retryDelay": 1},
            **TURN,
        )
        readers = aiter(answer), answer.pieces()
        await asyncio.gather(*[anext(reader) for reader in readers])
        await answer
        for reader in readers:
            assert reader.position == Position(4, 0, 1)
            assert answer.stream_id is not None
            events = [event async for event in client.memory.follow("space", answer.stream_id, reader.position)]
            assert events[0] == Rewound(1, 0)
            assert shown_with("one ", events) == "uno dos"

    played(tmp_path, main)


# --- begun ------------------------------------------------------------------------------------------------------------


def test_begun_starts_the_stream_and_says_what_it_is_before_there_is_text(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        loop = asyncio.get_running_loop()
        answer = places.client().memory.remember_stream(source(5, "one ", "two"), **TURN)
        begun = await answer.begun()
        assert loop.time() < 1
        assert begun.stream_id == answer.stream_id
        assert begun.resume_token == answer.resume_token is not None
        assert begun.resume_token not in repr(begun)
        assert begun.position == Position(0, 0, 1)
        with pytest.raises(AttributeError):
            begun.stream_id = "other"  # type: ignore[misc]
        assert [text async for text in answer] == ["one ", "two"]
        await answer
        assert await answer.begun() == begun

    played(tmp_path, main)


def test_begun_uses_the_stream_while_it_waits_and_then_the_reader_has_linger_to_come(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        answer = client.memory.remember_stream(source(5, "one ", 1000), **TURN)
        await answer.begun()
        await asyncio.sleep(0.9)
        texts = aiter(answer)
        assert await anext(texts) == "one "
        await texts.aclose()
        left = client.memory.remember_stream(source(1000), **TURN)
        await left.begun()
        await asyncio.sleep(1.1)
        with pytest.raises(AnswerStopped):
            await left

    played(tmp_path, main)


def test_begun_raises_what_the_stream_is_refused_with_before_anything_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        asked: list[str] = []

        async def model(_: Any = None) -> AsyncIterator[str]:
            asked.append("asked")
            yield "one "
            await asyncio.sleep(1000)

        def again(**more: Any) -> Any:
            return client.memory.remember_stream(replayable(model), **more)

        for _ in range(2):
            with pytest.raises(TokenUnknown):
                await again(memory_space_id="space", resume_from="resume_unknown").begun()
        assert asked == []
        first = again(**TURN, idempotency_key="key")
        first.detach()
        begun = await first.begun()
        with pytest.raises(StillOwned):
            await again(**TURN, idempotency_key="key").begun()
        with pytest.raises(StillOwned):
            await again(memory_space_id="space", resume_from=begun.resume_token).begun()
        with pytest.raises(IdempotencyConflict):
            await again(**TURN | {"user_message": "Another?"}, idempotency_key="key").begun()
        await first.stop()
        with pytest.raises(AnswerStopped):
            await (stopped := again(**TURN)).stop()
            await stopped.begun()
        stream = begun.stream_id
        for said in ("(not opened) ended with TokenUnknown", f"{stream} ended with StillOwned"):
            assert caplog.messages.count(f"stream {said}") == 2, "every end in the log says of which stream"

    played(tmp_path, main)


def test_begun_for_a_stream_that_is_resumed_or_has_been_stored(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        first = client.memory.remember_stream(replayable(source("one ", 1000)), **TURN, idempotency_key="key")
        begun = await first.begun()
        await asyncio.sleep(0.1)
        await first.stop()
        second = client.memory.remember_stream(
            replayable(source("one ", "two")), memory_space_id="space", resume_from=begun.resume_token
        )
        resumed = await second.begun()
        assert (resumed.stream_id, resumed.position) == (begun.stream_id, Position(0, 0, 2))
        assert resumed.resume_token not in (None, begun.resume_token)
        assert (await second).full_response == "one two"
        finished = client.memory.remember_stream(
            replayable(source("never")), memory_space_id="space", resume_from=resumed.resume_token
        )
        assert (await finished.begun()).stream_id == begun.stream_id
        texts = aiter(finished)
        assert await anext(texts) == "one two"
        assert texts.position is not None
        events = [event async for event in client.memory.follow("space", begun.stream_id, texts.position)]
        assert shown_with("one two", events) == "one two"
        assert not any(isinstance(event, Rewound) for event in events)
        stored = client.memory.remember_stream(source("one two"), **TURN, idempotency_key="key")
        assert (await stored.begun()).position is None
        assert (await stored).stored_before

    played(tmp_path, main)


def test_begun_with_a_store_that_is_away_comes_with_the_first_text(tmp_path: Path) -> None:
    async def main(places: Places) -> None:
        client = places.client()
        store, away = places.stores[0], True
        wrote = type(store).mutation

        async def mutation(path: str, args: Any) -> Any:
            if away:
                raise StoreUnavailable("away")
            return await wrote(store, path, args)

        store.mutation = mutation  # type: ignore[method-assign]
        answer = client.memory.remember_stream(source("one ", 20, "two ", 1), **TURN)
        loop = asyncio.get_running_loop()
        begun = await answer.begun()
        assert 1.9 < loop.time() < 2.1
        assert (begun.stream_id, begun.resume_token, begun.position) == (answer.stream_id, None, None)
        pieces = answer.pieces()
        assert (await anext(pieces)).position is None
        away = False
        assert (await anext(pieces)).position == Position(8, 0, 1)
        assert (await answer.begun()).position == Position(0, 0, 1)
        await answer

    played(tmp_path, main)


# --- the law ----------------------------------------------------------------------------------------------------------

TEXTS = st.text("abcdefgh", min_size=1, max_size=4)
PAUSES = st.sampled_from([0.1, 0.4, 1.0, 3.0])
ITEMS = st.lists(TEXTS | PAUSES, min_size=1, max_size=10)
READS = st.lists(st.sampled_from(["read", "ping", "pause"]), max_size=25)


def kinds(answer: Any) -> dict[str, Any]:
    return {"text": aiter(answer), "pieces": answer.pieces(), "events": answer.events()}


def seen_with(kind: str, shown: str, item: Any, attempt: list[int]) -> str:
    """What a page shows after an item of a reader."""
    if kind == "text":
        return shown + str(item)
    if kind == "pieces":
        return str(item.text) if item.anew else shown + str(item.text)
    if isinstance(item, Replayed):
        attempt[0], shown = item.attempt, item.text
    elif isinstance(item, Delta | Resumed) and item.attempt > attempt[0]:
        attempt[0], shown = item.attempt, ""
    if isinstance(item, Delta) and item.attempt == attempt[0]:
        shown += item.text
    return shown


@settings(max_examples=examples(100), deadline=None)
@given(
    how=st.sampled_from([prefill, restart]),
    first=ITEMS,
    then=ITEMS,
    over=st.sampled_from(["no", "fails", "taken over", "killed"]),
    kind=st.sampled_from(["text", "pieces", "events"]),
    late=st.sampled_from([0.0, 0.3, 2.0]),
    reads=READS,
    rewritten=st.booleans(),
    after=st.sampled_from([0.0, 0.2, 1.0, 20.0]),
)
def test_what_a_reader_has_seen_and_what_follows_is_what_is_stored(
    tmp_path_factory: Any, how: Any, first: Any, then: Any, over: str, kind: str, late: float, reads: Any,
    rewritten: bool, after: float,
) -> None:  # fmt: skip
    """Whatever the source does, and however the reader reads: text up to his position, and `follow` from there, give
    the stored text. Text that was not lost comes once, and is not rewound.
    """

    async def main(places: Places) -> None:
        client, other, page = places.client(), places.client(), places.client()
        chain = default_chain(places.stores[0], {"maxRetries": 1, "retryDelay": 1})
        if rewritten:
            chain = chain.before("begin", cx.rewrite(doubled))
        items = [*first, ConnectionResetError(), "z", *then] if over == "fails" else [*first, 1000.0]
        items = items if over != "no" else [*first, *then]
        answer = client.memory.remember_stream(how(source("x", *items)), chain=chain, **TURN)
        answer.detach()
        reader, shown, attempt = kinds(answer)[kind], "", [-1]
        if not late:  # from the first piece on, so that pieces wait for it
            shown = seen_with(kind, shown, await anext(reader), attempt)
        begun = await answer.begun()
        await asyncio.sleep(late)
        with suppress(StopAsyncIteration, TextDiverged):
            for step in reads:
                if step == "pause":
                    await asyncio.sleep(0.7)
                    continue
                with suppress(TimeoutError):
                    item = await asyncio.wait_for(anext(reader), 0.2 if step == "ping" else 5)
                    shown = seen_with(kind, shown, item, attempt)
        position = reader.position or begun.position
        assert position is not None
        assert position.offset == len(shown)
        await reader.aclose()
        assert reader.position in (position, None)

        last: Any = answer
        if over in ("taken over", "killed"):
            if over == "killed":  # what is shown and not stored yet is lost
                await places.stores[0].close()
            await asyncio.sleep(after)
            chain = default_chain(places.stores[1])
            if rewritten:
                chain = chain.before("begin", cx.rewrite(doubled))
            # `prefill` is refused where the text is rewritten: the model does not know what was shown
            again = restart if rewritten else how
            last = other.memory.remember_stream(
                again(source("y", *then)),
                chain=chain,
                memory_space_id="space",
                resume_from=begun.resume_token,
                take_over=True,
            )
            last.detach()
            await last.begun()
        events = [event async for event in page.memory.follow("space", begun.stream_id, position)]
        result = await last
        assert shown_with(shown, events) == result.full_response
        stored = await page.memory.list("space")
        assert result.full_response in [memory.content for memory in stored]
        rewound = [event for event in events if isinstance(event, Rewound)]
        if shown and result.full_response.startswith(shown) and (over == "no" or (over == "fails" and how is prefill)):
            assert not rewound
        with suppress(Exception):
            await answer.stop()

    async def whole() -> None:
        async with aclosing(Places(tmp_path_factory.mktemp("law") / "m.db")) as places:
            await main(places)

    run_virtual(whole())


def test_the_position_of_a_reader_that_was_given_up_stays(tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[str]:
        for _ in range(100):
            await asyncio.sleep(1)
            yield "word "

    async def main() -> tuple[Any, Any, str]:
        async with Cortex(tmp_path / "m.db") as cortex:
            answer = cortex.memory.remember_stream(
                slow, memory_space_id="s", conversation_id="c", user_message="Why?", agent_id="helper"
            )
            answer.detach()
            reader = aiter(answer)
            await anext(reader)
            with suppress(TimeoutError):
                await asyncio.wait_for(anext(reader), 0.5)
            await asyncio.sleep(30)
            at = reader.position
            await answer
            later = reader.position
            with pytest.raises(AnswerStopped):
                async for _ in reader:
                    pass
            return at, later, str(reader.position)

    at, later, last = run_virtual(main())
    assert at == later
    assert at.offset == 5
    assert 5 < Position.parse(last).offset < 100
