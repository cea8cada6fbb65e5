"""Leases, claims, tokens, take-overs, reading, finishing and rolling back."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import (
    Fenced,
    IdempotencyConflict,
    InvalidArgument,
    StillOwned,
    StreamNotFound,
    TokenExpired,
    TokenSuperseded,
    TokenUnknown,
    WrongMemorySpace,
)
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()
LONG = 60_000  # ms of a lease that does not expire here
SHORT = 150  # ms of a lease that expires; a remote store needs some time to answer
LATER = 250


@PROMISES.add("streams:begin", "streams:get")
async def a_lease_holds_others_off(b: Bench) -> None:
    """While a lease runs, another begin is StillOwned until its end, and changes nothing; then it takes the stream
    over."""
    begun = await b.begin(lease=LONG, claim="mine")
    before = await b.everything()
    owned = await b.refused(StillOwned, b.begin(lease=LONG, claim="yours"), "begin with another claim")
    b.same(owned.until, begun["leaseUntil"], "the end of the lease in the error")
    await b.refused(StillOwned, b.begin(), "begin without a claim")
    b.same(await b.everything(), before, "what is stored afterwards")
    found = await b.stream()
    b.same(found and (found["owned"], found["leaseUntil"]), (True, begun["leaseUntil"]), "owned and leaseUntil of get")
    await b.begin("st2", lease=SHORT, claim="mine")
    await b.passes(LATER)
    b.same((await b.begin("st2", claim="yours"))["epoch"], 2, "the epoch of a begin after the lease")
    await b.begin("st3")
    b.same((await b.begin("st3"))["epoch"], 2, "the epoch of a begin without a lease before")


@PROMISES.add("streams:begin")
async def a_claim_repeats_a_begin(b: Bench) -> None:
    """Begin, sent again with the claim of the current epoch, gives the same result and changes nothing."""
    first = await b.begin(lease=LONG, claim="mine")
    await b.append(0, "abc")
    again = await b.begin(lease=LONG, claim="mine")
    keys = ("memoryId", "epoch", "attempt", "state")
    b.same([again[key] for key in keys], [first[key] for key in keys], "the result, once more")
    b.same(await b.text(), "abc", "the text")
    b.same(await b.append(3, "d"), 4, "the end of a write that goes on")


@PROMISES.add("streams:renew", "streams:append", "streams:begin")
async def a_lease_is_renewed_and_released(b: Bench) -> None:
    """Renew and append start a new lease; a lease of 0 releases the stream; an old epoch is Fenced, whatever the
    lease."""
    begun = await b.begin(lease=LONG, claim="mine")
    renewed = await b.do("streams:renew", streamId="st", epoch=1, lease=2 * LONG)
    b.same(renewed["leaseUntil"] > begun["leaseUntil"], True, "whether renew gave a longer lease")
    await b.append(0, "abc", lease=3 * LONG)
    found = await b.stream()
    b.same(
        found is not None and found["leaseUntil"] > renewed["leaseUntil"], True, "whether append gave a longer lease"
    )
    await b.refused(Fenced, b.do("streams:renew", streamId="st", epoch=2, lease=LONG), "renew under another epoch")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0)
    b.same((await b.begin(claim="yours", lease=LONG))["epoch"], 2, "the epoch of a begin after the lease was released")
    await b.refused(Fenced, b.do("streams:renew", streamId="st", epoch=1, lease=LONG), "renew by the former writer")
    await b.append(0, "x", epoch=2, attempt=1, lease=0)
    b.same((await b.begin(claim="third"))["epoch"], 3, "the epoch of a begin after append has released the lease")
    await b.begin("st2", claim="mine", lease=SHORT)
    await b.passes(LATER)
    b.same(await b.append(0, "late", "st2", lease=LONG), 4, "a write after the lease, without a take-over")
    await b.refused(StillOwned, b.begin("st2", claim="yours"), "begin after that write has renewed the lease")


@PROMISES.add("streams:stop", "streams:append", "streams:renew")
async def a_writer_is_asked_to_stop(b: Bench) -> None:
    """Stop is told to the writer of that time, in the results of append and renew, until another takes over; it changes
    nothing else, and no other stream."""
    begun = await b.begin(claim="mine", lease=LONG, token=b.token("k"))
    await b.begin("st2")
    await b.do("streams:begin", streamId="st", userMessage="why?", **_OTHER, memorySpaceId=b.other)
    write = {"epoch": 1, "attempt": 0, "start": 0, "text": "abc"}
    b.same(await b.do("streams:append", streamId="st", **write), {"end": 3}, "append before the request")
    before = await b.everything()
    for _ in range(2):
        asked = await b.do("streams:stop", streamId="st")
        stands = {"state": "open", "owned": True, "leaseUntil": begun["leaseUntil"]}
        b.same(asked, stands, "the result of stop, each time")
        b.same(await b.everything(), before, "what is stored afterwards")
    b.same(await b.do("streams:append", streamId="st", **write), {"end": 3, "stop": True}, "append after the request")
    renew = {"epoch": 1, "lease": LONG}
    b.same((await b.do("streams:renew", streamId="st", **renew)).get("stop"), True, "whether renew says it")
    b.same(await b.do("streams:append", streamId="st2", **write), {"end": 3}, "append of another stream")
    elsewhere = await b.do("streams:append", streamId="st", **write, memorySpaceId=b.other)
    b.same(elsewhere, {"end": 3}, "append of a stream with this id in another memory space")
    await b.begin(claim="mine", lease=LONG)
    b.same((await b.do("streams:renew", streamId="st", **renew)).get("stop"), True, "renew after begin was sent again")
    await b.take("k", "yours", force=True, lease=LONG)
    b.same((await b.do("streams:renew", streamId="st", epoch=2)).get("stop"), None, "renew after a take-over")
    b.same(await b.append(3, "d", epoch=2), 4, "the end of a write that goes on")
    await b.do("streams:renew", streamId="st", epoch=2, lease=0)
    b.same(await b.do("streams:stop", streamId="st"), {"state": "open", "owned": False}, "stop without a writer")
    b.same((await b.do("streams:renew", streamId="st", epoch=2)).get("stop"), True, "renew by a writer that was slow")
    await b.do("streams:renew", streamId="st", epoch=2, lease=0)
    await b.begin(claim="again", lease=LONG)
    b.same((await b.do("streams:renew", streamId="st", epoch=3)).get("stop"), None, "renew after a new beginning")


_OTHER: dict[str, Any] = {"conversationId": "c", "importance": 50, "tags": []}


@PROMISES.add("streams:stop", "streams:finalize")
async def a_stop_leaves_what_has_ended(b: Bench) -> None:
    """A writer that was asked to stop may finalise; of a stream that has ended, stop says so and changes nothing; one
    that is not there is StreamNotFound."""
    await b.begin(lease=LONG, claim="mine")
    await b.do("streams:stop", streamId="st")
    b.same((await b.finalize("because"))["stored"], "now", "what finalize says")
    await b.begin("st2")
    await b.end(stream="st2")
    before = await b.everything()
    for stream, state in (("st", "finished"), ("st2", "empty")):
        stands = {"state": state, "owned": False}
        b.same(await b.do("streams:stop", streamId=stream), stands, f"stop of a stream that is {state}")
    b.same(await b.everything(), before, "what is stored afterwards")
    await b.begin("st3")
    await b.do("streams:rollback", streamId="st3", epoch=1)
    for stream in ("st3", "never"):
        await b.refused(StreamNotFound, b.do("streams:stop", streamId=stream), f"stop of {stream}")
    await b.refused(StreamNotFound, b.do("streams:stop", streamId="st", memorySpaceId=b.other), "of another space")


@PROMISES.add("streams:takeOver")
async def a_token_takes_the_stream_over(b: Bench) -> None:
    """takeOver continues from the stored text: the epoch rises, the attempt does not; it gives the turn, the mark and
    the state."""
    turn: dict[str, Any] = {"userName": "Ada", "tags": ["t"], "metadata": {"k": 1}, "startedAt": 5}
    begun = await b.begin(**turn, token=b.token("k"))
    await b.append(0, "Bé😀", mark={"cursor": [1, None]}, state={"index": 7})
    taken = await b.take("k", "one", lease=LONG)
    b.same(
        (taken["state"], taken["streamId"], taken["memoryId"]), ("open", "st", begun["memoryId"]), "what was taken over"
    )
    b.same((taken["epoch"], taken["attempt"], taken["length"]), (2, 0, 3), "epoch, attempt and length")
    b.same((taken["mark"], taken["resumeState"]), ({"cursor": [1, None]}, {"index": 7}), "mark and state")
    asked = {"memorySpaceId": b.space, "conversationId": "c", "userMessage": "why?", "userId": "ada", "importance": 50}
    b.same(taken["turn"], {**asked, **turn}, "the turn")
    await b.refused(Fenced, b.append(3, "late"), "append by the former writer")
    await b.refused(Fenced, b.finalize("late", start=3), "finalize by the former writer")
    b.same(await b.append(3, "!", epoch=2), 4, "the end of a write that goes on")
    await b.finalize("", start=4, epoch=2)
    b.same([row["content"] for row in await b.rows()], ["Bé😀!", "why?"], "the memories")


@PROMISES.add("streams:takeOver")
async def a_take_over_waits_for_the_lease(b: Bench) -> None:
    """A take-over is StillOwned while another lease runs, unless it is forced; after the lease it succeeds."""
    begun = await b.begin(claim="mine", lease=LONG, token=b.token("k"))
    owned = await b.refused(StillOwned, b.take("k", "one"), "a take-over while the lease runs")
    b.same(owned.until, begun["leaseUntil"], "the end of the lease in the error")
    b.same((await b.take("k", "one", force=True, lease=LONG))["epoch"], 2, "the epoch of a take-over that is forced")
    await b.begin("st2", claim="mine", lease=SHORT, token=b.token("k2"))
    await b.passes(LATER)
    b.same((await b.take("k2", "one"))["epoch"], 2, "the epoch of a take-over after the lease")


@PROMISES.add("streams:takeOver", "streams:renew", "streams:read", "streams:interrupted", virtual=True)
async def a_lease_of_the_future_is_none(b: Bench) -> None:
    """A lease that ends later than its own length from now is none, since the clock was set back; renewed, it is one
    again."""

    async def owned() -> tuple[Any, Any, bool]:
        found, read = await b.stream(), await b.ask("streams:read", streamId="st", after=0)
        listed = await b.ask("streams:interrupted", limit=9)
        return found and found["owned"], read["owned"], bool(listed)

    await b.begin(claim="mine", lease=LONG, token=b.token("k"))
    b.same(await owned(), (True, True, False), "whether it is owned, of get, read and interrupted")
    b.set_clock(-3600)
    b.same(await owned(), (False, False, True), "the same, after the clock was set back by an hour")
    await b.do("streams:renew", streamId="st", epoch=1, lease=LONG)
    b.same(await owned(), (True, True, False), "the same, after the writer has renewed its lease")
    await b.refused(StillOwned, b.take("k", "one"), "a take-over while the lease runs")
    b.set_clock(-3600)
    b.same((await b.take("k", "one", lease=LONG))["epoch"], 2, "the epoch of a take-over, after the clock was set back")
    await b.refused(Fenced, b.append(0, "late"), "append by the former writer")


@PROMISES.add("streams:takeOver")
async def a_claim_repeats_a_take_over(b: Bench) -> None:
    """A take-over that is sent again with its claim gives the same result, also while its lease runs and with its new
    token."""
    await b.begin(token=b.token("k"))
    await b.append(0, "abc")
    first = await b.take("k", "one", lease=LONG, newToken=b.token("n"))
    again = await b.take("k", "one", lease=LONG, newToken=b.token("n"))
    b.same((again["epoch"], again["attempt"], again["length"]), (2, 0, 3), "epoch, attempt and length, once more")
    b.same(first["epoch"], 2, "the epoch of the first")
    await b.refused(StillOwned, b.take("k", "two"), "the same token with another claim")
    b.same(await b.append(3, "d", epoch=2), 4, "the end of a write that goes on")


@PROMISES.add("streams:takeOver", "streams:issueToken")
async def a_token_opens_only_its_own(b: Bench) -> None:
    """A token that is unknown, expired, superseded or of another memory space has its own error each, and opens
    nothing."""
    await b.begin(token=b.token("k"))
    await b.append(0, "secret")
    before = await b.everything()
    await b.refused(TokenUnknown, b.take("forged", "x", force=True), "a token that was never issued")
    await b.refused(WrongMemorySpace, b.take("k", "x", force=True, memorySpaceId=b.other), "a token of another space")
    await b.refused(
        InvalidArgument, b.do("streams:takeOver", token="resume_k", claim="x"), "a token that is not hashed"
    )
    issued = await b.do("streams:issueToken", streamId="st", token=b.token("brief"), tokenTtl=SHORT)
    b.same(issued["expiresAt"] > 0, True, "whether issueToken says when it expires")
    await b.passes(LATER)
    await b.refused(TokenExpired, b.take("brief", "x", force=True), "an expired token")
    b.same(await b.everything(), before, "what is stored after these")
    await b.do("streams:issueToken", streamId="st", token=b.token("new"))
    b.same((await b.take("new", "one", lease=0))["epoch"], 2, "the epoch of a take-over with a newer token")
    await b.refused(TokenSuperseded, b.take("k", "x", force=True), "the older token")
    b.same((await b.take("new", "two", lease=0))["epoch"], 3, "the epoch when the newer token is presented again")
    await b.begin("st2")
    call = b.do("streams:issueToken", streamId="st2", token=b.token("new"))
    await b.refused(IdempotencyConflict, call, "issuing the token of another stream")
    call = b.do("streams:issueToken", streamId="unknown", token=b.token("other"))
    await b.refused(StreamNotFound, call, "issuing a token of an unknown stream")


@PROMISES.add("streams:takeOver")
async def a_token_of_a_finished_stream_gives_the_result(b: Bench) -> None:
    """A token of a finished stream gives the stored result, and takes nothing over."""
    await b.begin(token=b.token("k"))
    result = await b.finalize("because", reason="stop", usage={"total": 7})
    taken = await b.take("k", "one")
    b.same((taken["state"], taken["stored"], taken["epoch"]), ("finished", "before", 1), "state, stored and epoch")
    b.same((taken["reason"], taken["usage"]), ("stop", {"total": 7}), "reason and usage")
    for key in ("conversation", "memories", "contentLength"):
        b.same(taken[key], result[key], key)
    await b.begin("st2", "and?", token=b.token("k2"))
    await b.end(stream="st2")
    b.same((await b.take("k2", "one"))["state"], "empty", "the state of a closed stream")


@PROMISES.add("streams:append", "streams:get")
async def marks_go_with_the_text(b: Bench) -> None:
    """Mark and state belong to the end of the text: a write that does not reach it leaves them, a new attempt has
    none."""

    async def kept() -> Any:
        found = await b.stream()
        return found and (found.get("mark"), found.get("resumeState"))

    await b.begin()
    b.same(await kept(), (None, None), "before the first write")
    await b.append(0, "abc", mark=1, state={"index": 1})
    await b.append(3, "def", mark=2)
    b.same(await kept(), (2, {"index": 1}), "after a mark alone")
    await b.append(0, "abc", mark=1, state={"index": 1})
    b.same(await kept(), (2, {"index": 1}), "after the first write was sent again")
    await b.append(6, "", mark=3, state=None)
    b.same(await kept(), (3, None), "after a write of no text, at the end")
    await b.append(0, "new", attempt=1)
    b.same(await kept(), (None, None), "in a new attempt")


@PROMISES.add("streams:read")
async def text_is_read_from_anywhere(b: Bench) -> None:
    """Read gives at most `limit` code points of an attempt, also an older one, from any offset, and the state of the
    stream."""
    await b.begin(lease=LONG, claim="mine")
    await b.append(0, "é😀京d")
    await b.append(4, "ef")
    for after, limit, start, text in (
        (0, 3, 0, "é😀京"),
        (1, 2, 1, "😀京"),
        (4, 9, 4, "ef"),
        (6, 9, 6, ""),
        (99, 9, 6, ""),
    ):
        read = await b.ask("streams:read", streamId="st", after=after, limit=limit)
        b.same(
            (read["start"], read["text"], read["length"]), (start, text, 6), f"read after {after} with limit {limit}"
        )
    b.same(
        (read["state"], read["epoch"], read["owned"], read["attempt"]), ("open", 1, True, 0), "where the stream stands"
    )
    await b.append(0, "anew", attempt=1)
    read = await b.ask("streams:read", streamId="st", after=0)
    b.same((read["text"], read["attempt"], read["attempts"]), ("anew", 1, 1), "the newest attempt")
    read = await b.ask("streams:read", streamId="st", after=0, attempt=0)
    b.same((read["text"], read["attempt"], read["attempts"]), ("é😀京def", 0, 1), "the attempt before")
    await b.finalize("", start=4, attempt=1, reason="stop")
    read = await b.ask("streams:read", streamId="st", after=2)
    b.same((read["text"], read["state"], read["reason"]), ("ew", "finished", "stop"), "of a finished stream")
    await b.refused(StreamNotFound, b.ask("streams:read", streamId="st2", after=0), "of an unknown stream")
    call = b.ask("streams:read", streamId="st", after=0, memorySpaceId=b.other)
    await b.refused(StreamNotFound, call, "of a stream of another memory space")


@PROMISES.add("streams:read")
async def what_was_lost_is_not_certain(b: Bench) -> None:
    """Text that was shown but not stored before another writer continued is not `certain`; of an attempt that began
    again, none is."""
    await b.begin(token=b.token("k"))
    await b.append(0, "one ")
    await b.take("k", "one", lease=LONG)
    await b.append(4, "two", epoch=2)

    async def certain(attempt: int) -> list[int]:
        asked = {"streamId": "st", "after": 0, "attempt": attempt}
        return [(await b.ask("streams:read", **asked, epoch=epoch))["certain"] for epoch in (1, 2, 3)]

    b.same(await certain(0), [4, 7, 7], "what is certain to readers of the epochs 1 to 3")
    await b.take("k", "two", force=True)
    await b.append(0, "anew", attempt=1, epoch=3)
    b.same(await certain(1), [0, 0, 4], "what is certain of an attempt that only epoch 3 has stored")
    await b.do("streams:renew", streamId="st", epoch=3, lease=0)
    await b.begin()
    await b.append(0, "again", attempt=2, epoch=4)
    b.same(await certain(2), [0, 0, 0], "what is certain of an attempt that only epoch 4 has stored")


@PROMISES.add("streams:interrupted")
async def interrupted_streams_are_listed(b: Bench) -> None:
    """Interrupted lists the open streams without a running lease, newest first, and no others."""
    await b.begin("st", "one?")
    await b.append(0, "abc")
    await b.begin("owned", "two?", lease=LONG, claim="mine")
    await b.begin("st2", "three?", lease=SHORT, claim="mine")
    await b.exchange("four?", "4", "finished")
    await b.begin("closed", "five?")
    await b.end(stream="closed")
    await b.begin("there", "six?", memorySpaceId=b.other)
    await b.passes(LATER)
    listed = await b.ask("streams:interrupted")
    b.same([row["streamId"] for row in listed], ["st2", "st"], "the streams")
    b.same(
        [(row["userMessage"], row["length"]) for row in listed], [("three?", 0), ("one?", 3)], "questions and lengths"
    )
    b.same([row["streamId"] for row in await b.ask("streams:interrupted", limit=1)], ["st2"], "the newest alone")


@PROMISES.add("streams:finish")
async def a_partial_can_be_finished(b: Bench) -> None:
    """Finish turns a partial without an owner into an answer, once, marked as incomplete, under a new epoch."""
    await b.begin(lease=LONG, claim="mine")
    await b.append(0, "half of it")
    await b.refused(StillOwned, b.do("streams:finish", streamId="st"), "finish while the lease runs")
    await b.do("streams:renew", streamId="st", epoch=1, lease=0)
    result = await b.do("streams:finish", streamId="st")
    b.same((result["stored"], result["contentLength"]), ("now", 10), "stored and contentLength")
    answer, question = await b.rows()
    b.same((question["content"], answer["content"]), ("why?", "half of it"), "the memories")
    b.same(answer["metadata"], {"incomplete": True}, "the metadata of the answer's memory")
    said = (await b.messages())[1]["metadata"]
    b.same(said, {"incomplete": True, "finishReason": "incomplete"}, "the metadata of its message")
    await b.refused(Fenced, b.append(10, "late"), "append by the former writer")
    before = await b.everything()
    b.same(await b.do("streams:finish", streamId="st"), {**result, "stored": "before"}, "finish once more")
    b.same(await b.everything(), before, "what is stored afterwards")
    await b.begin("st2", "and?")
    await b.append(0, " \n", "st2")
    await b.do("streams:finish", streamId="st2")
    found = await b.stream("st2")
    b.same(found and found["state"], "empty", "the state of a stream without text that was finished")
    b.same((await b.messages())[-1]["metadata"]["unanswered"], "interrupted", "the mark of its question")


@PROMISES.add("streams:begin", "streams:finish")
async def an_incomplete_answer_can_be_completed(b: Bench) -> None:
    """Begin with `completes` reopens an answer that was ended as incomplete; its text, message and memory are
    replaced."""
    await b.begin()
    await b.append(0, "half of it")
    await b.do("streams:finish", streamId="st")
    ended, rows, messages = await b.everything(), await b.rows(), await b.messages()
    b.same(
        (await b.begin(lease=LONG, claim="mine"))["state"], "finished", "the state that begin gives without `completes`"
    )
    b.same(await b.everything(), ended, "what is stored afterwards")
    for _ in range(2):
        again = await b.begin(lease=LONG, claim="mine", completes=True)
        b.same(
            (again["epoch"], again["attempt"], again["state"]), (3, 1, "open"), "epoch, attempt and state, each time"
        )
    b.same(await b.rows(), rows[1:], "the memories without partial ones")
    b.same(await b.messages(), messages[:1], "the messages")
    b.same((await b.ask("streams:read", streamId="st", after=0, attempt=0))["text"], "half of it", "the former attempt")
    await b.finalize("half of it and the rest", epoch=3, attempt=1)
    answer, question = await b.rows()
    b.same((question["content"], answer["content"]), ("why?", "half of it and the rest"), "the memories")
    b.same(answer.get("metadata"), None, "the metadata of the answer's memory")
    said = await b.messages()
    b.same([each["content"] for each in said], ["why?", "half of it and the rest"], "the messages")
    b.same(said[0], messages[0], "the question's message")
    b.same((await b.begin(completes=True))["state"], "finished", "the state of a complete answer")
    b.same(await b.messages(), said, "the messages afterwards")


@PROMISES.add("streams:rollback", "streams:get", "streams:read")
async def a_rollback_leaves_nothing(b: Bench) -> None:
    """Rollback deletes a stream completely, with its question; a late writer is refused; the id can be used again."""
    await b.exchange("and?", "then", "st2")
    before = await b.everything()
    await b.begin(token=b.token("k"), tags=["t"])
    await b.append(0, "zebra")
    await b.append(0, "zebra again", attempt=1)
    await b.refused(Fenced, b.do("streams:rollback", streamId="st", epoch=2), "rollback under another epoch")
    for _ in range(2):
        done = await b.do("streams:rollback", streamId="st", epoch=1)
        b.same(done, {"streamId": "st", "rolledBack": True}, "the result, each time")
        b.same(await b.everything(), before, "what is stored afterwards")
    b.same(await b.found("zebra", includePartial=True), [], "the search for its text")
    read = await b.ask("streams:read", streamId="st", after=0)
    b.same((read["state"], read["text"]), ("rolledBack", ""), "the result of read")
    await b.refused(StreamNotFound, b.append(11, "late", attempt=1), "append by a late writer")
    await b.refused(StreamNotFound, b.finalize("late"), "finalize by a late writer")
    await b.refused(StreamNotFound, b.take("k", "x", force=True), "a take-over with its token")
    again = await b.begin(question="another?")
    b.same((again["epoch"] > 1, again["attempt"], again["state"]), (True, 0, "open"), "a stream begun anew")
    await b.refused(Fenced, b.append(0, "late"), "append by the writer of the stream before")
    b.same(await b.text(), "", "its text")


@PROMISES.add("streams:rollback")
async def a_rollback_takes_a_closed_question_too(b: Bench) -> None:
    """Rollback of a closed stream removes its question from the conversation; an answer is never rolled back."""
    await b.exchange("one?", "1", "st2")
    before = await b.everything()
    await b.begin()
    await b.end("error")
    await b.do("streams:rollback", streamId="st", epoch=1)
    # The conversation has been changed since, so its time may be another.
    b.same(_timeless(await b.everything()), _timeless(before), "what is stored afterwards")
    await b.refused(IdempotencyConflict, b.do("streams:rollback", streamId="st2", epoch=1), "rollback of an answer")
    b.same([row["content"] for row in await b.rows()], ["1", "one?"], "the memories")


def _timeless(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "updatedAt"} for row in seen]
