"""Stopping an answer: the error of those who read it, and how its writer hears of a request in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.running import Stopped
from cortex_rx.errors import CortexError
from cortex_rx.models.hooks import StoppedBy
from cortex_rx.unique import hidden

__all__ = ["AnswerStopped", "heed_stop"]


_SAID: dict[StoppedBy, str] = {
    "stopped": "the stream was stopped",
    "left": "the stream was stopped: nobody read or awaited it any more",
    "closed": "the stream was stopped: its client was closed",
    "request": "the stream was stopped by memory.stop",
    "cancelled": "the stream was stopped: its task was cancelled",
}


class AnswerStopped(Stopped, CortexError):
    """An `Answer` was stopped while a caller read or awaited it, or before that.

    `by` says what stopped it: `answer.stop()` ("stopped"), that nobody used it for `linger` ("left"), the close of the
    client ("closed"), `memory.stop` in any process ("request"), or the end of its task or loop ("cancelled").
    `resume_token` resumes the stream; None if it has no token. The token is not part of the message, nor of a pickle.
    """

    code = "ANSWER_STOPPED"

    def __init__(self, resume_token: str | None = None, by: StoppedBy = "stopped") -> None:
        super().__init__(_SAID[by])
        self.resume_token: str | None = hidden(resume_token)
        self.by: StoppedBy = by

    def __reduce__(self) -> tuple[type[AnswerStopped], tuple[None, StoppedBy]]:
        return type(self), (None, self.by)


def heed_stop(flow: FlowScheduler, written: Mapping[str, Any], token: str | None) -> None:
    """Stop the pipeline if the result of a write says so. What was shown is flushed, as after `answer.stop()`."""
    if written.get("stop"):
        flow.fail(AnswerStopped(token, by="request"))
