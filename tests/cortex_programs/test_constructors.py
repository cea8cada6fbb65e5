"""What Cortex constructs is constructed here in the same way: its classes take values in its order, checked."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import cortex_rx
from cortex_rx import RememberParams, SearchOptions, StoreMemoryInput, StreamHooks, models
from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.models.facts import FactRecord, ListFactsFilter
from cortex_rx.models.records import MemoryEntry, Message, Record, Usage
from cortex_rx.models.store_input import MemoryMetadata, MemorySource

CONSTRUCTORS: dict[str, list[str]] = json.loads(
    (Path(cortex_rx.__file__).resolve().parents[1] / "docs" / "cortex.json").read_text(encoding="utf-8")
)["constructors"]


def _models() -> dict[str, type[Record]]:
    """The models that have the name of a class of Cortex."""
    modules = [importlib.import_module(f"cortex_rx.models.{one.name}") for one in pkgutil.iter_modules(models.__path__)]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name in CONSTRUCTORS and inspect.isclass(value) and issubclass(value, Record)
    }


MODELS = _models()


@pytest.mark.parametrize("name", MODELS)
def test_values_without_a_keyword_stand_in_the_order_of_cortex(name: str) -> None:
    model = MODELS[name]
    ours = model._positions or tuple(model.model_fields)
    assert list(ours[: len(CONSTRUCTORS[name])]) == CONSTRUCTORS[name]


def test_every_class_of_cortex_is_here_but_the_options_of_its_worker() -> None:
    assert set(CONSTRUCTORS) - set(MODELS) == {"GraphSyncWorkerOptions"}


def test_they_are_the_fields_of_these_names() -> None:
    params = RememberParams("space", "c-1", "Hi!", "Hello.", "ada", "Ada", None, 0, ["greeting"])
    assert params.keywords() == {
        "memory_space_id": "space",
        "conversation_id": "c-1",
        "user_message": "Hi!",
        "agent_response": "Hello.",
        "user_id": "ada",
        "user_name": "Ada",
        "importance": 0,
        "tags": ["greeting"],
        "metadata": {},
    }
    assert SearchOptions(None, "ada", None, ["a"], "all").keywords() == {
        "user_id": "ada",
        "tags": ["a"],
        "tag_match": "all",
        "limit": 20,
    }
    assert ListFactsFilter("space", "preference", "ada", limit=5) == ListFactsFilter(
        memory_space_id="space", fact_type="preference", subject="ada", limit=5
    )
    assert Message("m-1", "user", "Hi!", 7) == Message(id="m-1", role="user", content="Hi!", timestamp=7)


def test_a_memory_is_stored_from_what_cortex_constructs() -> None:
    given = StoreMemoryInput(
        "It rains.", "raw", MemorySource("tool", 7), MemoryMetadata(0, ["weather"], {"unit": "mm", "pageSize": 3})
    )
    assert (given.importance, given.tags, given.metadata) == (0, ("weather",), {"unit": "mm", "pageSize": 3})
    assert given.keywords()["source_type"] == "tool"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Usage(*range(7)), "Usage: got '7 values without a keyword'; accepted: at most 6: input_tokens"),
        (lambda: Usage(1, input_tokens=1), "input_tokens: got 'twice'; accepted: the field once"),
        (lambda: Usage(1, inputTokens=1), "input_tokens: got 'twice'; accepted: the field once"),
        (lambda: StreamHooks(print, on_chunk=print), "on_chunk: got 'twice'"),
        (lambda: StreamHooks("print"), "on_chunk: got 'str'; accepted: a function"),
        (lambda: MemoryEntry("k57", "mem-1"), "_id: got 'a value'; accepted: None: MemoryEntry has no such field here"),
        (lambda: FactRecord("k57", "fact-1"), "_id: got 'a value'; accepted: None: FactRecord has no such field here"),
    ],
)
def test_what_does_not_fit_is_said_by_name(make: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make()
    assert str(refused.value).startswith(said)


def test_what_is_not_supported_is_refused_by_name_in_its_place_too() -> None:
    with pytest.raises(UnsupportedOption, match=r"^importance: got 50"):
        SearchOptions(None, None, None, None, None, 50)
    assert SearchOptions(None, "ada", "phone", None, None, None).keywords() == {
        "user_id": "ada",
        "participant_id": "phone",
        "limit": 20,
    }
