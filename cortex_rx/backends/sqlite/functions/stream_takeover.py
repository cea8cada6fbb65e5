"""`streams:takeOver`: another process goes on with a stream from its stored text, with a resume token."""

from __future__ import annotations

from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import leases, streams, tokens
from cortex_rx.backends.sqlite.functions.stream_reads import end_fields, id_fields, resume_fields, turn_of
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import IdempotencyConflict, StreamNotFound

__all__ = ["take_over"]


def take_over(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:takeOver`: raises the epoch, not the attempt."""
    token = tokens.look_up(tx, args["token"], args["memorySpaceId"])
    row = leases.find_numbered(tx, token["stream"])
    if row is None:
        raise StreamNotFound("the memory of this stream was deleted, or it was rolled back")
    stream = leases.require_live(row)
    claim = args["claim"]
    if stream["claim"] != claim or stream["claim_token"] != token["serial"]:  # else it is the same call again
        tokens.check_valid(tx, token, stream)
        if stream["state"] == "open":
            if not args["force"]:
                leases.check_free(tx, stream)
            leases.bump_epoch(tx, stream, claim, token["serial"])
            leases.log_takeover(tx, stream)
            text_store.save_writer_state(tx, stream["answer"], leases.writer_state(tx, args))
    if "newToken" in args:
        tokens.issue(tx, stream, args["newToken"], args)
        if tokens.look_up(tx, args["newToken"], stream["space"])["serial"] < token["serial"]:
            raise IdempotencyConflict("newToken is older than token")
    return _answer(tx, {"memorySpaceId": stream["space"], "streamId": stream["id"]})


def _answer(tx: Transaction, key: dict[str, Any]) -> dict[str, Any]:
    """What the new writer has to know, or the stored result if the stream has ended."""
    stream = leases.get_live(tx, key)
    answer: dict[str, Any] = {
        "state": stream["state"],
        "streamId": stream["id"],
        "memoryId": stream["memory"],
        **id_fields(stream),
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "length": stream["length"],
        "turn": turn_of(tx, stream),
    }
    if stream["state"] == "open":
        return {**answer, **resume_fields(stream), **leases.lease_field(tx, stream)}
    return {**answer, **end_fields(stream), **streams.result(tx, key, "before")}
