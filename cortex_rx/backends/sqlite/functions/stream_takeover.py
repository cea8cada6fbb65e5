"""`streams:takeOver`: another process goes on with a stream, by a resume token, from the text that is stored."""

from __future__ import annotations

from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import leases, streams, tokens
from cortex_rx.backends.sqlite.functions.stream_reads import ended, kept, turn_of
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import IdempotencyConflict, StreamNotFound

__all__ = ["take_over"]


def take_over(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:takeOver`: the epoch rises, the attempt does not."""
    token = tokens.look_up(work, args["token"], args["memorySpaceId"])
    row = leases.find_numbered(work, token["stream"])
    if row is None:
        raise StreamNotFound("the memory of this stream was deleted, or it was rolled back")
    stream = leases.require_live(row)
    claim = args["claim"]
    if stream["claim"] != claim or stream["claim_token"] != token["serial"]:  # or it is the same call once more
        tokens.check_valid(work, token, stream)
        if stream["state"] == "open":
            if not args["force"]:
                leases.check_free(work, stream)
            leases.bump_epoch(work, stream, claim, token["serial"])
            leases.note_break(work, stream)
            text_store.save_writer_state(work, stream["answer"], leases.carried(work, args))
    if "newToken" in args:
        tokens.issue(work, stream, args["newToken"], args)
        if tokens.look_up(work, args["newToken"], stream["space"])["serial"] < token["serial"]:
            raise IdempotencyConflict("newToken is older than the token that is presented")
    return _answer(work, {"memorySpaceId": stream["space"], "streamId": stream["id"]})


def _answer(work: Transaction, key: dict[str, Any]) -> dict[str, Any]:
    """What the one who goes on has to know; or what is stored, if the stream has ended."""
    stream = leases.get_live(work, key)
    answer: dict[str, Any] = {
        "state": stream["state"],
        "streamId": stream["id"],
        "memoryId": stream["memory"],
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "length": stream["length"],
        "turn": turn_of(work, stream),
    }
    if stream["state"] == "open":
        return {**answer, **kept(stream), **leases.shown(stream["lease"])}
    return {**answer, **ended(stream), **streams.result(work, key, "before")}
