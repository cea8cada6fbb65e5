"""Arguments of a caller: every failure names the field, what was given and what is accepted, and shows no message
text.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.models.base import Accepts
from cortex_rx.models.options import (
    NOT_IN_CORTEX,
    STREAMING_OPTIONS,
    ConversationFilter,
    HistoryPage,
    MemoryFilter,
    RememberParams,
    RememberStreamParams,
    SearchOptions,
    StreamingOptions,
    ids,
    parse,
)
from cortex_rx.models.turn import Turn

# Every streaming option of Cortex's Python SDK with its default there, by its name there.
CORTEX = {
    "syncToGraph": True,
    "progressiveGraphSync": False,
    "graphSyncInterval": 5000,
    "storePartialResponse": False,
    "partialResponseInterval": 3000,
    "progressiveFactExtraction": False,
    "factExtractionThreshold": 500,
    "chunkSize": None,
    "chunkingStrategy": None,
    "maxSingleMemorySize": None,
    "hooks": None,
    "partialFailureHandling": None,
    "maxRetries": 3,
    "retryDelay": 1000,
    "generateResumeToken": False,
    "streamTimeout": None,
    "maxBufferSize": 10000,
    "incrementalEmbeddings": False,
    "embeddingMergeStrategy": None,
    "enableAdaptiveProcessing": False,
    "maxResponseLength": None,
    "beliefRevision": None,
}
CENTURY = "milliseconds, at most 3155760000000"
MODELS = [StreamingOptions, RememberStreamParams, RememberParams, SearchOptions, MemoryFilter, ConversationFilter]
EXCHANGE = {"memory_space_id": "support", "conversation_id": "c-1", "user_message": "What is it?", "agent_id": "helper"}


def test_the_table_covers_every_option_of_cortex_and_every_field_exactly() -> None:
    assert set(STREAMING_OPTIONS) == set(StreamingOptions.model_fields)
    theirs = {name: effect.cortex for name, effect in STREAMING_OPTIONS.items() if effect.cortex != NOT_IN_CORTEX}
    assert {to_camel(name): default for name, default in theirs.items()} == CORTEX
    assert STREAMING_OPTIONS.keys() - theirs.keys() == {"max_retry_after"}


def test_the_defaults_are_those_of_the_table() -> None:
    options = StreamingOptions()
    for name, effect in STREAMING_OPTIONS.items():
        default = getattr(options, name)
        assert (type(default), default) == (type(effect.ours), effect.ours), name


def test_what_acts_in_this_version() -> None:
    acts = {name: (one.does, one.step, one.argument) for name, one in STREAMING_OPTIONS.items()}
    assert acts == {
        "store_partial_response": ("removes", "persist_partial", ""),
        "partial_response_interval": ("configures", "persist_partial", "interval"),
        "max_buffer_size": ("configures", "persist_partial", "max_pending"),
        "stream_timeout": ("adds", "timeout", "idle"),
        "max_response_length": ("adds", "limit", "max_length"),
        "max_retries": ("adds", "resume", "retries"),
        "retry_delay": ("configures", "resume", "delay"),
        "max_retry_after": ("configures", "resume", "max_retry_after"),
        "partial_failure_handling": ("configures", "recover", "strategy"),
        "generate_resume_token": ("configures", "begin", "token"),
        "hooks": ("adds", "observe", "on_chunk, on_progress, on_error, on_complete, on_end"),
        "chunking_strategy": ("adds", "chunk", "strategy"),
        "chunk_size": ("configures", "chunk", "size"),
        "max_single_memory_size": ("configures", "finalize", "max_single_memory_size"),
        "incremental_embeddings": ("configures", "finalize", "incremental_embeddings"),
        "embedding_merge_strategy": ("configures", "finalize", "embedding_merge_strategy"),
        "progressive_fact_extraction": ("configures", "extract_facts", "progressive"),
        "fact_extraction_threshold": ("configures", "extract_facts", "threshold"),
        "belief_revision": ("configures", "extract_facts", "revise"),
        "sync_to_graph": ("removes", "sync_graph", ""),
        "progressive_graph_sync": ("configures", "sync_graph", "progressive"),
        "graph_sync_interval": ("configures", "sync_graph", "interval"),
        "enable_adaptive_processing": ("adds", "adapt", ""),
    }
    assert set(STREAMING_OPTIONS) == set(acts), "all do"


def test_no_retries_and_no_hooks_ask_for_nothing_but_other_falsy_values_ask() -> None:
    assert parse(StreamingOptions, {"maxRetries": None, "hooks": {}}) == StreamingOptions()
    with pytest.raises(InvalidArgument, match="max_retries: got 0.0; accepted: a whole number, 0 or more"):
        parse(StreamingOptions, {"maxRetries": 0.0})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storePartialResponse", False),
        ("partialResponseInterval", 0),
        ("partialResponseInterval", 0.5),
        ("streamTimeout", 1),
        ("maxResponseLength", 1),
        ("maxBufferSize", 1),
        ("chunkSize", 1),
        ("maxSingleMemorySize", 32),
    ],
)
def test_values_at_the_bounds_are_taken_as_they_are(key: str, value: object) -> None:
    taken = parse(StreamingOptions, {key: value})[key]
    assert (type(taken), taken) == (type(value), value)


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("store_partial_response", 1, "True or False"),
        ("store_partial_response", "yes", "True or False"),
        ("enable_adaptive_processing", 0, "True or False"),
        ("partial_response_interval", -1, "milliseconds, 0 or more"),
        ("partial_response_interval", True, "milliseconds, 0 or more"),
        ("partial_response_interval", "500", "milliseconds, 0 or more"),
        ("partial_response_interval", float("nan"), "milliseconds, 0 or more"),
        ("partial_response_interval", float("inf"), CENTURY),
        ("partial_response_interval", 2**63, CENTURY),
        ("partial_response_interval", sys.maxsize, CENTURY),
        ("retry_delay", 2**63, CENTURY),
        ("retry_delay", sys.float_info.max, CENTURY),
        ("stream_timeout", sys.maxsize, f"{CENTURY}, or None"),
        ("stream_timeout", 2**63, f"{CENTURY}, or None"),
        ("stream_timeout", 3_155_760_000_001, f"{CENTURY}, or None"),
        ("stream_timeout", 0, "milliseconds, more than 0, or None"),
        ("stream_timeout", -0.0, "milliseconds, more than 0, or None"),
        ("stream_timeout", True, "milliseconds, more than 0, or None"),
        ("max_response_length", 0, "a whole number, 1 or more, or None"),
        ("max_response_length", 5.0, "a whole number, 1 or more, or None"),
        ("max_response_length", True, "a whole number, 1 or more, or None"),
        ("max_buffer_size", 0, "a whole number, 1 or more"),
        ("max_buffer_size", 10**400, "a whole number, at most 9007199254740992"),
        ("chunking_strategy", "sentences", "'token' or 'sentence' or 'paragraph' or 'fixed' or 'semantic', or None"),
        ("chunking_strategy", True, "'token' or 'sentence' or 'paragraph' or 'fixed' or 'semantic', or None"),
        ("chunk_size", 0, "a whole number, 1 or more, or None"),
        ("chunk_size", 5.0, "a whole number, 1 or more, or None"),
        ("max_single_memory_size", 31, "a whole number, 32 or more, or None"),
        ("max_single_memory_size", 4e3, "a whole number, 32 or more, or None"),
        ("incremental_embeddings", 1, "True or False"),
        ("embedding_merge_strategy", "", "'average', or None"),
        ("embedding_merge_strategy", False, "'average', or None"),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: Any, accepted: str) -> None:
    for make in (lambda: parse(StreamingOptions, {to_camel(field): value}), lambda: StreamingOptions(**{field: value})):
        with pytest.raises(InvalidArgument) as caught:
            make()
        assert type(caught.value) is InvalidArgument
        assert (caught.value.field, caught.value.accepted) == (field, accepted)
        assert len(str(caught.value)) < 160


@pytest.mark.parametrize(("value", "why"), [("concatenate", "one dimension"), ("hierarchical", "not say what it is")])
def test_a_merge_strategy_that_there_is_only_in_cortex_is_refused_with_the_reason(value: str, why: str) -> None:
    for key in ("embeddingMergeStrategy", "embedding_merge_strategy"):
        with pytest.raises(UnsupportedOption, match=f"^embedding_merge_strategy: got '{value}'; .*{why}"):
            parse(StreamingOptions, {key: value})


def test_a_strategy_that_there_is_only_in_cortex_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOption) as caught:
        parse(SearchOptions, {"strategy": "recent"})
    assert (caught.value.field, caught.value.accepted) == ("strategy", "'auto' or 'keyword' or 'semantic'")


def test_none_is_the_default_of_every_option() -> None:
    for model in (StreamingOptions, SearchOptions, MemoryFilter, ConversationFilter, HistoryPage):
        assert parse(model, dict.fromkeys(model.model_fields)) == model()


@pytest.mark.parametrize(
    ("model", "key", "closest"),
    [
        (StreamingOptions, "chunkSise", "chunk_size"),
        (StreamingOptions, "store_partial_respons", "store_partial_response"),
        (StreamingOptions, "StreamTimeout", "stream_timeout"),
        (RememberStreamParams, "userMesage", "user_message"),
        (SearchOptions, "min_scores", "min_score"),
    ],
)
def test_an_unknown_key_names_the_closest_and_lists_all(model: Any, key: str, closest: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(model, {key: "something private"})
    said = str(caught.value)
    assert said.startswith(f"{model.__name__}: got {key!r}; accepted: {closest} (the closest), or one of ")
    assert said.endswith(", ".join(model.model_fields))
    assert "private" not in said


def test_a_key_that_is_like_none_lists_all() -> None:
    with pytest.raises(
        InvalidArgument, match=r"^HistoryPage: got 'zzz'; accepted: one of limit, offset, after, sort_order$"
    ):
        parse(HistoryPage, {"zzz": 1})


def test_a_field_is_given_once() -> None:
    with pytest.raises(InvalidArgument, match="min_importance: got 'minImportance and min_importance'; accepted: one"):
        parse(SearchOptions, {"minImportance": 5, "min_importance": 5})
    with pytest.raises(InvalidArgument, match="limit: got 'twice'; accepted: the field once"):
        parse(SearchOptions, {"limit": 5}, limit=5)
    with pytest.raises(InvalidArgument, match="user_id: got 'userId and user_id'"):
        parse(SearchOptions, {"userId": "ada"}, user_id="ada")
    with pytest.raises(InvalidArgument, match="limit: got 'twice'"):
        parse(SearchOptions, SearchOptions(limit=5), limit=6)


def test_a_model_a_mapping_a_dataclass_and_keywords_come_to_the_same() -> None:
    @dataclass
    class Theirs:  # as Cortex's own option classes are
        user_id: str
        limit: int | None = None
        boost_recent: bool = False

    model = SearchOptions(user_id="ada")
    assert parse(SearchOptions, model) is model
    assert parse(SearchOptions, {"userId": "ada"}) == parse(SearchOptions, user_id="ada") == model
    assert parse(SearchOptions, Theirs("ada")) == model
    assert parse(SearchOptions, model, limit=3) == SearchOptions(user_id="ada", limit=3)
    assert parse(SearchOptions) == parse(SearchOptions, None) == SearchOptions()


@pytest.mark.parametrize("given", [5, "limit", [("limit", 5)], StreamingOptions(), Turn])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(InvalidArgument, match="accepted: a SearchOptions, a mapping of its fields, or None"):
        parse(SearchOptions, given)
    with pytest.raises(InvalidArgument, match="got 'a key of type int'; accepted: keys that are strings"):
        parse(SearchOptions, {5: given})


def test_what_was_given_is_abbreviated() -> None:
    for value in ("x" * 100_000, ["x" * 100_000, 5], [5] * 100_000, {"x" * 1000: {}}):
        with pytest.raises(InvalidArgument) as caught:
            parse(SearchOptions, {"tags": value})
        said = str(caught.value)
        place, accepted = "tags", "a list of strings that are not empty"
        if isinstance(value, list):
            place, accepted = f"tags[{value.index(5)}]", "a string that is not empty"
        assert said.startswith(f"{place}: got ") and said.endswith(f"; accepted: {accepted}")
        assert len(said) <= len(f"{place}: got ; accepted: {accepted}") + 80


@pytest.mark.parametrize(
    ("model", "field", "value", "shown"),
    [
        (RememberStreamParams, "user_message", ["a private question"], "list"),
        (RememberStreamParams, "response_stream", "a private answer", "str"),
        (RememberParams, "user_message", b"a private question", "bytes"),
        (RememberParams, "user_message", 5550123, "int"),
        (RememberParams, "agent_response", ["a private answer"], "list"),
        (RememberParams, "metadata", ["a private note"], "list"),
        (RememberParams, "metadata", {5: "a private note"}, "a key of type int"),
        (RememberParams, "generate_embedding", "a private answer", "str"),
    ],
)
def test_of_message_text_an_error_shows_only_the_type(model: Any, field: str, value: object, shown: str) -> None:
    answer = {"response_stream": ["x"]} if model is RememberStreamParams else {"agent_response": "x"}
    with pytest.raises(InvalidArgument, match=f"^{field}: got '{shown}'; accepted: ") as caught:
        parse(model, EXCHANGE | answer | {field: value})
    assert "private" not in repr(caught.value) + repr(vars(caught.value))
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("field", ["memory_space_id", "conversation_id", "user_message", "response_stream"])
def test_what_is_missing_is_named(field: str) -> None:
    complete = EXCHANGE | {"response_stream": ["x"]}
    for given in ({k: v for k, v in complete.items() if k != field}, complete | {field: None}):
        with pytest.raises(InvalidArgument, match=f"^{field}: got None; accepted: "):
            parse(RememberStreamParams, given)


def test_a_turn_has_all_that_was_given() -> None:
    async def embed(text: str) -> list[float]:
        return [1.0]

    params = parse(
        RememberStreamParams,
        {
            "memorySpaceId": "support",
            "conversationId": "c-1",
            "userMessage": "What is it?",
            "responseStream": ["x"],
            "userId": "ada",
            "userName": "Ada",
            "participantId": "phone",
            "importance": 0,
            "tags": ["billing", "urgent"],
            "metadata": {"channel": "mail"},
            "idempotencyKey": "key-1",
            "extractContent": None,
            "extractFacts": None,
            "autoEmbed": False,
            "generateEmbedding": embed,
        },
    )
    assert params.turn() == Turn(
        "support",
        "c-1",
        "What is it?",
        user_id="ada",
        user_name="Ada",
        agent_id="agent",
        participant_id="phone",
        importance=0,
        tags=("billing", "urgent"),
        metadata={"channel": "mail"},
        idempotency_key="key-1",
    )
    assert params.generate_embedding is embed and params.extract_content is None
    assert RememberParams(**EXCHANGE, agent_response="").turn().importance == 50
    assert type(RememberParams(**EXCHANGE, agent_response="", importance=80).turn().importance) is int


@pytest.mark.parametrize(
    ("owner", "field"),
    [({}, "user_id"), ({"userId": "ada"}, "user_name"), ({"userName": "Ada"}, "user_id")],
)
def test_a_turn_needs_an_owner(owner: dict[str, str], field: str) -> None:
    given = {key: value for key, value in EXCHANGE.items() if key != "agent_id"}
    given |= owner
    if field == "user_id" and owner:
        given["agentId"] = "helper"
    with pytest.raises(InvalidArgument) as caught:
        parse(RememberParams, given, agent_response="x").turn()
    assert caught.value.field == field


@pytest.mark.parametrize("key", ["autoEmbed", "autoSummarize"])
def test_parameters_without_an_operator_are_refused_by_name(key: str) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        parse(RememberParams, EXCHANGE | {"agent_response": "x", key: True})
    assert to_camel(caught.value.field) == key


@pytest.mark.parametrize(
    ("field", "value"), [("importance", 101), ("importance", True), ("tags", "billing"), ("tags", [""])]
)
def test_the_rest_of_an_exchange_is_checked_too(field: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(RememberParams, EXCHANGE | {"agent_response": "x", field: value})
    assert caught.value.field == ("tags[0]" if value == [""] else field)


# Cortex's SearchOptions, each with a value that asks for what this version's search does not have, and its default.
THEIRS = {
    "importance": (50, None),
    "last_accessed_before": (1, None),
    "last_accessed_after": (1, None),
    "access_count": (1, None),
    "version": (1, None),
    "sort_by": ("createdAt", None),
    "sort_order": ("asc", "desc"),
    "strategy": ("recent", None),
    "boost_importance": (True, False),
    "boost_recent": (True, False),
    "boost_popular": (True, False),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_search_option_of_cortex_that_ours_lacks_is_refused_by_name(name: str) -> None:
    asks, default = THEIRS[name]
    with pytest.raises(UnsupportedOption, match=f"^{name}: got "):
        parse(SearchOptions, {to_camel(name): asks})
    assert parse(SearchOptions, {name: default, "limit": 20}) == SearchOptions()


def test_keywords_are_what_a_typed_call_takes() -> None:
    everything = SearchOptions(
        user_id="ada",
        participant_id="phone",
        tags=("a", "b"),
        tag_match="all",
        source_type="tool",
        content_type="fact",
        min_importance=0,
        conversation_id="c",
        created_after=0,
        created_before=2,
        updated_after=3,
        updated_before=4,
        source_after=5,
        source_before=6,
        neighbours=False,
        min_score=0,
        limit=1,
        offset=7,
        include_partial=True,
    )
    assert everything.keywords() == {
        "user_id": "ada",
        "participant_id": "phone",
        "tags": ["a", "b"],
        "tag_match": "all",
        "source_type": "tool",
        "content_type": "fact",
        "min_importance": 0,
        "conversation_id": "c",
        "created_after": 0,
        "created_before": 2,
        "updated_after": 3,
        "updated_before": 4,
        "source_after": 5,
        "source_before": 6,
        "neighbours": False,
        "min_score": 0,
        "limit": 1,
        "offset": 7,
        "include_partial": True,
    }
    assert SearchOptions().keywords() == {"limit": 20}
    assert MemoryFilter().keywords() == ConversationFilter().keywords() == {}
    assert HistoryPage().keywords() == {"limit": 50, "offset": 0, "sort_order": "asc"}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: SearchOptions(source_type="mail"), "source_type"),  # type: ignore[arg-type]
        (lambda: SearchOptions(min_importance=-1), "min_importance"),
        (lambda: SearchOptions(tag_match="none"), "tag_match"),  # type: ignore[arg-type]
        (lambda: SearchOptions(content_type="poem"), "content_type"),  # type: ignore[arg-type]
        (lambda: SearchOptions(min_score=1.1), "min_score"),
        (lambda: SearchOptions(offset=-1), "offset"),
        (lambda: SearchOptions(created_after=-1), "created_after"),
        (lambda: SearchOptions(source_before=0.5), "source_before"),  # type: ignore[arg-type]
        (lambda: SearchOptions(user_id=""), "user_id"),
        (lambda: MemoryFilter(limit=0), "limit"),
        (lambda: ConversationFilter(type="group"), "type"),  # type: ignore[arg-type]
        (lambda: HistoryPage(offset=-1), "offset"),
        (lambda: HistoryPage(sort_order="up"), "sort_order"),  # type: ignore[arg-type]
        (lambda: ids(memory_id=None), "memory_id"),
        (lambda: ids(memory_id=" "), "memory_id"),
    ],
)
def test_what_narrows_a_query_is_checked(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize("model", MODELS)
def test_every_field_says_what_it_accepts(model: Any) -> None:
    for name, field in model.model_fields.items():
        (check,) = (one.check for one in field.metadata if isinstance(one, Accepts))
        if name not in model._refused:  # of those no value comes so far
            with pytest.raises(InvalidArgument, match=f"^{name}: got ") as caught:
                check(name, "\ud800" if name == "response_stream" else object())
            assert caught.value.accepted


def test_options_are_values() -> None:
    options = StreamingOptions(stream_timeout=5)
    assert pickle.loads(pickle.dumps(options)) == options == options.model_copy()
    assert options["streamTimeout"] == options["stream_timeout"] == options.stream_timeout == 5
    with pytest.raises(Exception, match="frozen"):
        options.stream_timeout = 6  # type: ignore[misc]
