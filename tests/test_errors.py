"""Every exception says what is wrong, has a code, and survives pickling between processes."""

from __future__ import annotations

import pickle

import pytest

from cortex_rx import errors
from cortex_rx.streams.stopping import AnswerStopped


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.InvalidArgument("importance", 101, "0 to 100"), "importance: got 101; accepted: 0 to 100"),
        (errors.UnsupportedOption("chunk_size", 5, "None"), "chunk_size: got 5; accepted: None"),
        (errors.Gap(end=3, start=5), "a write at 5 would leave a gap: 3 code points are stored"),
        (errors.ExtractionFailed("length"), "the facts are not complete: the model's output reached its limit"),
        (errors.NotStored("the disk is full", "the answer"), "the disk is full"),
        (errors.NotStored("the store is down", "text", 3, errors.Spooled("s.db", "1")), "the store is down"),
        (
            errors.SpoolBusy(1000.0),
            "another drainer is at work; if it is dead, the spool is free at 1000 (epoch milliseconds)",
        ),
        (
            errors.StillOwned(1_700_000_000_000.0),
            "another writer owns the stream; its lease ends at 1700000000000 (epoch milliseconds), unless it is "
            "renewed. To read along: memory.follow(memory_space_id, stream_id); to take the stream: resume_from=, "
            "take_over=True",
        ),
        (
            errors.StillOwned(1000.0, "stream-1", here=True),
            "an answer of this process owns the stream; its lease ends at 1000 (epoch milliseconds), unless it is "
            "renewed. To read along: memory.follow(memory_space_id, 'stream-1'); to take the stream: resume_from=, "
            "take_over=True",
        ),
        (
            errors.TokenSuperseded("a newer token of the stream has been used"),
            "a newer token of the stream has been used",
        ),
        (AnswerStopped(None, "request"), "the stream was stopped by memory.stop"),
        (
            errors.GraphQueryError("the server refused the query", "Neo.ClientError.Statement.SyntaxError"),
            "the server refused the query",
        ),
        (errors.GraphTimeout("it took too long"), "it took too long"),
    ],
)
def test_an_error_names_what_is_wrong_and_survives_pickling(error: errors.CortexError, text: str) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(error) == str(again) == text
    assert vars(again) == vars(error)


def test_an_unknown_step_lists_the_names_there_are() -> None:
    assert (
        str(errors.UnknownStep("chnk", ["begin", "chunk"]))
        == "no step 'chnk' in this chain; its steps are: begin, chunk"
    )


def test_a_missing_extra_names_the_install_command() -> None:
    assert (
        str(errors.MissingExtra("the demo", "demo")) == "the demo needs the extra 'demo': pip install 'cortex-rx[demo]'"
    )


def test_codes_are_unique() -> None:
    types = [
        getattr(errors, name) for name in errors.__all__ if name not in ("ErrorCode", "Spooled", "is_cortex_error")
    ]
    types.append(AnswerStopped)
    assert len({error.code for error in types}) == len(types)


def test_text_that_was_not_stored_is_carried_but_not_shown() -> None:
    error = errors.NotStored("the disk is full", "a private answer")
    assert error.text == "a private answer"
    assert "private" not in str(error)
