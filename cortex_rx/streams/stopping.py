"""Stopping an answer: the error of those who read it, and how its writer hears of a request in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cortex_rx.engine import FlowScheduler
from cortex_rx.engine.running import Stopped
from cortex_rx.errors import CortexError
from cortex_rx.unique import hidden

__all__ = ["AnswerStopped", "heed_stop"]


class AnswerStopped(Stopped, CortexError):
    """An `Answer` was stopped while a caller read or awaited it, or before that.

    `by` says how: "here" by this program (`answer.stop()`, no reader for `linger`, `Cortex.close()`), "request" by
    `memory.stop`, in any process. `resume_token` resumes the stream; None if it has no token. The token is not part of
    the message, nor of a pickle.
    """

    code = "ANSWER_STOPPED"

    def __init__(self, resume_token: str | None = None, by: Literal["here", "request"] = "here") -> None:
        super().__init__("the stream was stopped" if by == "here" else "the stream was stopped by memory.stop")
        self.resume_token: str | None = hidden(resume_token)
        self.by: Literal["here", "request"] = by

    def __reduce__(self) -> tuple[type[AnswerStopped], tuple[None, Literal["here", "request"]]]:
        return type(self), (None, self.by)


def heed_stop(flow: FlowScheduler, written: Mapping[str, Any], token: str | None) -> None:
    """Stop the pipeline if the result of a write says so. What was shown is flushed, as after `answer.stop()`."""
    if written.get("stop"):
        flow.fail(AnswerStopped(token, by="request"))
