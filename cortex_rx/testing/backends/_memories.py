"""memories and conversations: lists, filters, search, deletion, pages."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import (
    ConversationNotFound,
    EmbeddingMismatch,
    IdempotencyConflict,
    MemoryNotFound,
    StreamNotFound,
)
from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _three(b: Bench) -> None:
    """Three exchanges of two people in two conversations."""
    await b.exchange("one?", "first answer", "st", tags=["a"], importance=10)
    await b.exchange(
        "two?", "second answer", "st2", userId="bob", conversationId="d", tags=["b"], importance=90, participantId="p"
    )
    await b.exchange("three?", "third answer", "st3", tags=["a", "c"], importance=50)


@PROMISES.add("memories:list")
async def the_newest_comes_first(b: Bench) -> None:
    """Lists give the newest first, in the order in which exchanges began, an answer before its question."""
    await b.begin("st", "one?")
    await b.exchange("two?", "2", "st2")
    await b.finalize("1", "st")
    b.same([row["content"] for row in await b.rows()], ["2", "two?", "1", "one?"], "the list")


@PROMISES.add("memories:list", "memories:search", "memories:count")
async def filters_act_before_the_limit(b: Bench) -> None:
    """Filters apply before the limit; counts agree with them."""
    await _three(b)
    listed: list[tuple[dict[str, Any], list[str]]] = [
        ({"limit": 2}, ["third answer", "three?"]),
        ({"limit": 0}, []),
        ({"userId": "bob", "limit": 1}, ["second answer"]),
        ({"conversationId": "d"}, ["second answer", "two?"]),
        ({"userId": "ada", "conversationId": "d"}, []),
        ({"sourceType": "conversation", "limit": 1}, ["third answer"]),
        ({"sourceType": "a2a"}, []),
    ]
    for args, want in listed:
        b.same([row["content"] for row in await b.rows(**args)], want, f"the list with {args}")
    found: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"first answer", "second answer", "third answer"}),
        ({"userId": "bob", "limit": 1}, {"second answer"}),
        ({"tags": ["b", "c"]}, {"second answer", "third answer"}),
        ({"tags": ["c"], "limit": 1}, {"third answer"}),
        ({"minImportance": 50}, {"second answer", "third answer"}),
        ({"minImportance": 90.5}, set()),
        ({"sourceType": "a2a"}, set()),
    ]
    for args, contents in found:
        b.same(set(await b.found("answer", **args)), contents, f"the search with {args}")
    b.same(len(await b.found("answer", limit=2)), 2, "how many a search with limit 2 finds")
    b.same(await b.ask("memories:count"), 6, "the count")
    b.same(await b.ask("memories:count", userId="bob"), 2, "the count of one user")
    b.same(await b.ask("memories:count", sourceType="a2a"), 0, "the count of another source")


@PROMISES.add("memories:list", "memories:page", "memories:count", "memories:store")
async def each_filter_lists_counts_and_turns_pages(b: Bench) -> None:
    """For each filter, and for several together, the list is what passes it, the count is its length, and pages of any
    size are the list from its end."""
    kinds = (("ada", "p", "system"), ("ada", "q", "tool"), ("bob", "p", "a2a"), (None, None, "conversation"))
    for number in range(12):
        user, participant, source = kinds[number % 4]
        owner = {"userId": user, "participantId": participant}
        given = {key: value for key, value in owner.items() if value is not None}
        ref = {"conversationRef": {"conversationId": f"c{number % 2}", "messageIds": []}}
        await b.do("memories:store", content=str(number), **{**_BARE, "sourceType": source}, **given, **ref)
    await b.do("memories:store", content="theirs", memorySpaceId=b.other, userId="ada", participantId="p", **_BARE)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "0 1 2 3 4 5 6 7 8 9 10 11"),
        ({"userId": "ada"}, "0 1 4 5 8 9"),
        ({"participantId": "p"}, "0 2 4 6 8 10"),
        ({"sourceType": "tool"}, "1 5 9"),
        ({"conversationId": "c1"}, "1 3 5 7 9 11"),
        ({"userId": "ada", "participantId": "p"}, "0 4 8"),
        ({"userId": "bob", "sourceType": "tool"}, ""),
        ({"participantId": "p", "sourceType": "a2a", "userId": "bob"}, "2 6 10"),
        ({"conversationId": "c0", "participantId": "p", "sourceType": "system"}, "0 4 8"),
        ({"sourceType": "rumour"}, ""),
    ]
    for args, contents in cases:
        want = contents.split()
        b.same([row["content"] for row in await b.rows(**args)], want[::-1], f"the list with {args}")
        behind = [row["content"] for row in await b.rows(**args, offset=1, limit=2)]
        b.same(behind, want[::-1][1:3], f"a part of the list with {args}")
        if "conversationId" not in args:
            b.same(await b.ask("memories:count", **args), len(want), f"the count with {args}")
        for limit in (1, 3, 100):
            seen: list[str] = []
            cursor: dict[str, str] = {}
            for _ in range(14):  # pages that repeat themselves would not end
                page = await b.ask("memories:page", **args, **cursor, limit=limit)
                seen += [row["content"] for row in page["page"]]
                if "cursor" not in page:
                    break
                b.same(len(page["page"]), limit, "the length of a page that is not the last")
                cursor = {"cursor": page["cursor"]}
            b.same(seen, want, f"the pages of {limit} with {args}")


@PROMISES.add("memories:search")
async def words_are_found(b: Bench) -> None:
    """A word is found whatever its case and accents, once; words with signs and scripts without spaces are phrases."""
    said = ["The zebra of Ångström", "I don't know C++", "私は京都に住む", "zebra and giraffe and zebra"]
    for number, text in enumerate(said):
        await b.exchange("-", text, f"st{number}", conversationId=f"c{number}")
    cases = [
        ("ANGSTROM", [said[0]]), ("don't", [said[1]]), ("dont", []), ("C++", [said[1]]), ("京都", [said[2]]),
        ("都京", []), ("giraffe", [said[3]]), ("zeb", []), ("giraffe zebra", [said[3], said[0]]),
    ]  # fmt: skip
    for query, want in cases:
        b.same(await b.found(query), want, f"what a search for {query!r} finds")
    scores = [row["_score"] for row in await b.ask("memories:search", query="giraffe zebra")]
    b.same(all(0 <= score <= 1 for score in scores), True, "whether scores lie between 0 and 1")
    b.same(scores == sorted(scores, reverse=True), True, "whether the best memory comes first")


@PROMISES.add("memories:search")
async def a_search_narrows_and_turns_pages(b: Bench) -> None:
    """A search has the filters of a memory, all of its tags, its times, pages, and a least score."""
    await _three(b)
    rows = {row["content"]: row for row in await b.rows()}
    later = rows["third answer"]["createdAt"]
    found: list[tuple[dict[str, Any], set[str]]] = [
        ({"tags": ["a", "c"], "tagMatch": "all"}, {"third answer"}),
        ({"conversationId": "d"}, {"second answer"}),
        ({"participantId": "p"}, {"second answer"}),
        ({"contentType": "fact"}, set()),
        ({"createdBefore": 0}, set()),
        ({"createdAfter": later + 1}, set()),
        ({"updatedBefore": 0}, set()),
        ({"sourceAfter": 2**62}, set()),
        ({"sourceBefore": 2**62, "minImportance": 90}, {"second answer"}),
        ({"minScore": 1}, set()),
    ]
    for args, contents in found:
        b.same(set(await b.found("answer", **args)), contents, f"the search with {args}")
    whole = await b.found("answer")
    b.same([*await b.found("answer", limit=2), *await b.found("answer", offset=2)], whole, "two pages")


@PROMISES.add("memories:search")
async def a_turn_is_found_by_its_neighbours(b: Bench) -> None:
    """A memory is found by what is said around it in its conversation, behind what has the words itself, and only so
    far as neighbours are asked for; the neighbours are those that the filters of user and partials let through."""
    await b.exchange("where is the zebra?", "over the hill")
    await b.exchange("and the sun?", "in the sky", "st2", conversationId="d")
    first = await b.found("zebra", neighbours=True, limit=1)
    b.same(first, ["where is the zebra?"], "the best with neighbours")
    b.same(set(await b.found("zebra", neighbours=True)), {*first, "over the hill"}, "all with neighbours")
    b.same(await b.found("zebra"), first, "without neighbours")
    b.same(await b.found("zebra", neighbours=True, userId="bob"), [], "of another user")
    why = [row["_why"]["terms"] for row in await b.ask("memories:search", query="zebra", explain=True)]
    b.same([[term["term"] for term in terms] for terms in why], [["zebra"], ["zebra"]], "the terms that explain it")
    b.same(["neighbour" in terms[0] for terms in why], [False, True], "whether a neighbour explains it")


@PROMISES.add("memories:search", "memories:store")
async def embeddings_count_in_a_search(b: Bench) -> None:
    """By "semantic" the nearest embedding comes first; "auto" weighs words and embeddings by alpha; "keyword" takes
    words alone. An embedding of another model is refused."""
    said = {"zebra": [1.0, 0.0], "a striped horse": [0.0, 1.0]}
    for number, (content, embedding) in enumerate(said.items()):
        ref = {"conversationRef": {"conversationId": f"c{number}", "messageIds": []}}
        vector = {"embedding": embedding, "embeddingModel": "m"}
        await b.do("memories:store", content=content, **_BARE, **ref, **vector)
    near = {"embedding": [0.1, 1.0], "embeddingModel": "m"}
    b.same(await b.found("zebra", strategy="keyword", **near), ["zebra"], "by words")
    b.same((await b.found("zebra", strategy="semantic", **near))[0], "a striped horse", "the nearest")
    b.same((await b.found("zebra", alpha=0.9, **near))[0], "a striped horse", "the first, if embeddings weigh more")
    b.same((await b.found("zebra", alpha=0.1, **near))[0], "zebra", "the first, if words weigh more")
    other = b.found("zebra", **{**near, "embeddingModel": "other"})
    await b.refused(EmbeddingMismatch, other, "a search by the embedding of another model")


@PROMISES.add("memories:search")
async def any_string_is_a_query(b: Bench) -> None:
    """Any string is a query; one without a word finds nothing."""
    await b.exchange("near and far", "not the answer")
    for query in ("", " ", '"', "*", "...", "\0\n", "(", "^"):
        b.same(await b.found(query), [], f"what a search for {query!r} finds")
    for query in ("a AND", "NEAR(", "NOT", '"near', "col:x", "{a b}: c", "'; DROP TABLE memories; --", "far " * 5_000):
        await b.found(query)
    b.same(await b.found("far " * 5_000), ["near and far"], "what a long query finds")


@PROMISES.add("memories:search")
async def a_search_does_not_depend_on_other_spaces(b: Bench) -> None:
    """Search results, their order and their scores do not depend on other memory spaces."""
    for number, text in enumerate(("zebra zebra", "zebra giraffe", "giraffe")):
        await b.exchange("-", text, f"st{number}", conversationId=f"c{number}")
    first = await b.ask("memories:search", query="zebra giraffe")
    for number in range(5):
        await b.exchange("giraffe", "giraffe " * 20, f"st{number}", memorySpaceId=b.other)
    b.same(await b.ask("memories:search", query="zebra giraffe"), first, "the search, when another space is full")


@PROMISES.add("memories:around")
async def a_memory_has_its_conversation_around_it(b: Bench) -> None:
    """The nearest turns of a memory's own conversation stand around it, those that pass the filters, in order."""

    async def around(*memories: str, **args: Any) -> list[tuple[list[str], list[str]]]:
        rows = await b.ask("memories:around", memoryIds=list(memories), **args)
        found = {
            one["memoryId"]: [[row["content"] for row in one[side]] for side in ("before", "after")] for one in rows
        }
        b.same([one["memoryId"] for one in rows], [each for each in memories if each in found], "the order of the ids")
        return [(found[each][0], found[each][1]) for each in memories if each in found]

    for number, user in enumerate(("ada", "ada", "bob", "ada")):
        await b.exchange(f"q{number}", f"a{number}", f"st{number}", userId=user)
        await b.exchange(f"p{number}", f"b{number}", f"other{number}", conversationId="d")
    parts = [{"start": at, "end": at + 1} for at in range(5)]
    begun = await b.begin("long", "q4")
    await b.finalize("vwxyz", "long", chunks=parts)
    await b.begin("open", "q5")
    await b.append(0, "a5", "open")
    await b.exchange("q", "a", "theirs", memorySpaceId=b.other)
    at = {row["content"]: row["memoryId"] for row in await b.rows(includeChunks=True)}
    b.same(await around(at["a1"]), [(["q1"], ["q2"])], "around an answer")
    b.same(await around(at["q1"], turns=3), [(["q0", "a0"], ["a1", "q2", "a2"])], "around a question, three turns")
    b.same(await around(at["a1"], turns=2, userId="ada"), [(["a0", "q1"], ["q3", "a3"])], "of one user")
    b.same(await around(at["a1"], turns=0), [([], [])], "no turns")
    b.same(await around(at["q1"], "unknown", at["q0"]), [(["a0"], ["a1"]), ([], ["a0"])], "of several ids")
    b.same(await around(at["a2"], userId="ada"), [], "around a memory of another user")
    b.same(await around(at["a2"], memorySpaceId=b.other), [], "around a memory of another space")
    b.same(await around(at["q4"]), [(["a3"], ["vwxyz"])], "around the question of an answer in chunks")
    b.same(await around(at["x"]), [(["q4", "w"], ["y"])], "around a chunk")
    b.same(await around(at["v"], turns=9, userId="bob"), [], "around a chunk of another user's answer")
    b.same(await around(begun["memoryId"], includePartial=True), [(["q4"], ["a5"])], "with partial answers")
    partial = (await b.stream("open") or {})["memoryId"]
    b.same(await around(partial), [], "around a partial answer")


_WHOLE: dict[str, Any] = {
    "content": "The tool measured 21 degrees\0 in Ångström's room",
    "contentType": "fact",
    "sourceType": "tool",
    "sourceUserId": "probe",
    "sourceUserName": "The probe",
    "sourceTimestamp": 12_345,
    "userId": "ada",
    "agentId": "helper",
    "participantId": "p",
    "messageRole": "system",
    "conversationRef": {"conversationId": "c", "messageIds": ["msg-2", "msg-1", "msg-2"]},
    "immutableRef": {"type": "reading", "id": "r-1", "version": 3},
    "mutableRef": {"namespace": "rooms", "key": "21", "snapshotValue": {"a\0": [None, 1.5]}, "snapshotAt": 9},
    "importance": 62.5,
    "tags": ["room", "", "room"],
    "embedding": [0.5, -1.25],
    "metadata": {"unit": "°C", "raw": {"value": None}},
}
_BARE: dict[str, Any] = {"contentType": "raw", "sourceType": "system", "importance": 0, "tags": []}


@PROMISES.add("memories:store", "memories:get", "memories:list", "memories:search", "memories:count")
async def one_memory_is_stored(b: Bench) -> None:
    """A memory that is stored alone has all that it was given, and is listed, counted and found like the others."""
    stored = await b.do("memories:store", memoryId="whole", **_WHOLE)
    b.same({key: stored.get(key) for key in _WHOLE}, _WHOLE, "what memories:store gives")
    b.same((stored["memoryId"], stored["memorySpaceId"], stored["isPartial"]), ("whole", b.space, False), "the rest")
    b.same(await b.memory("whole"), stored, "memories:get")
    bare = await b.do("memories:store", memoryId="bare", content="", **_BARE)
    b.same({key: bare.get(key) for key in _WHOLE}, {**dict.fromkeys(_WHOLE), "content": "", **_BARE,
        "sourceTimestamp": bare["createdAt"]}, "one with nothing but what is required")  # fmt: skip
    await b.do("memories:store", memoryId="theirs", memorySpaceId=b.other, **_WHOLE)
    b.same(await b.rows(), [bare, stored], "the list, newest first")
    b.same([row["memoryId"] for row in await b.rows(userId="ada")], ["whole"], "the list of one user")
    b.same([row["memoryId"] for row in await b.rows(sourceType="system")], ["bare"], "the list of one source")
    b.same([row["memoryId"] for row in await b.rows(conversationId="c")], ["whole"], "the list of the conversation")
    b.same(await b.ask("memories:count"), 2, "the count")
    b.same(await b.ask("memories:count", sourceType="tool"), 1, "the count of one source")
    b.same(await b.found("ANGSTROM degrees"), [_WHOLE["content"]], "the search")
    b.same(await b.found("angstrom", tags=["room"], minImportance=62.5, sourceType="tool"), [_WHOLE["content"]],
        "the search with filters")  # fmt: skip
    b.same(await b.found("angstrom", sourceType="system"), [], "the search for another source")
    b.same(await b.ask("conversations:get", conversationId="c"), None, "the conversation, which is not made")


@PROMISES.add("memories:store", "memories:get")
async def ids_are_made_and_contents_are_whole(b: Bench) -> None:
    """Without a memoryId each memory gets an id of its own; a content of any length is stored whole."""
    long = "0123456789 " * 20_000
    made = [await b.do("memories:store", content=text, **_BARE) for text in ("same", "same", long)]
    b.same(len({row["memoryId"] for row in made}), 3, "how many ids were made")
    b.same([row["contentLength"] for row in made], [4, 4, len(long)], "the lengths")
    b.same(len(made[2]["content"]), 65_536, "how much of a long content the result has")
    row = await b.memory(made[2]["memoryId"])
    b.same(row and row["content"] == long, True, "whether memories:get gives all of it")


@PROMISES.add("memories:store", "memories:deleteMemory")
async def a_memory_id_is_stored_once(b: Bench) -> None:
    """A memoryId with the same content, owner and conversation is the same memory; with another it is refused."""
    first = await b.do("memories:store", memoryId="whole", **_WHOLE)
    b.same(await b.do("memories:store", memoryId="whole", **{**_WHOLE, "importance": 1}), first, "the second time")
    b.same(await b.rows(), [first], "what is stored")
    others: list[dict[str, Any]] = [
        {"content": "another"}, {"content": _WHOLE["content"] + "s"}, {"userId": "bob"}, {"agentId": "other"},
        {"participantId": "q"}, {"conversationRef": {"conversationId": "d", "messageIds": []}},
    ]  # fmt: skip
    for other in others:
        call = b.do("memories:store", memoryId="whole", **{**_WHOLE, **other})
        await b.refused(IdempotencyConflict, call, f"another {next(iter(other))} under this id")
    b.same(await b.rows(), [first], "what is stored after the refusals")
    await b.do("memories:deleteMemory", memoryId="whole")
    b.same(await b.rows(), [], "what is stored after its deletion")
    b.same(await b.found("degrees"), [], "the search after its deletion")
    await b.do("memories:store", memoryId="whole", **{**_WHOLE, "content": "anew"})
    b.same([row["content"] for row in await b.rows()], ["anew"], "what is stored anew")


@PROMISES.add("memories:store", "streams:begin", "streams:finalize", "streams:close")
async def an_exchange_keeps_its_memory_ids(b: Bench) -> None:
    """The ids of an exchange are taken: of its chunks, before its memories are stored, and when it was closed."""
    taken: list[str] = []
    for stream in ("open", "closed", "chunked"):
        taken += (await b.begin(stream, f"{stream}?", conversationId=stream))["memoryIds"]
    await b.end(stream="closed")
    await b.finalize("answer", "chunked", chunks=[{"start": 0, "end": 3}, {"start": 3, "end": 6}])
    chunks = [row["memoryId"] for row in await b.rows(includeChunks=True) if "chunkMetadata" in row]
    b.same(len(chunks), 2, "the number of chunks")
    for memory in (*taken, *chunks):
        call = b.do("memories:store", memoryId=memory, content="mine", **_BARE)
        await b.refused(IdempotencyConflict, call, "the id of an exchange")
    await b.finalize("answer", "open")
    begun = await b.begin("closed", "closed?", conversationId="closed")
    await b.finalize("answer", "closed", epoch=begun["epoch"], attempt=begun["attempt"])
    b.same({row["memoryId"] for row in await b.rows()}, set(taken), "what is stored in the end")


@PROMISES.add(
    "memories:deleteMemory", "memories:get", "memories:list", "memories:search", "memories:count", "streams:get"
)
async def what_was_deleted_is_gone(b: Bench) -> None:
    """A deleted memory is gone from every result; the messages stay; with an answer's memory its stream is deleted."""
    result = await b.exchange("mouse?", "elephant")
    await b.exchange("and?", "elephant too", "st2")
    question, answer = (row["memoryId"] for row in result["memories"])
    deleted = await b.do("memories:deleteMemory", memoryId=answer)
    b.same(deleted, {"deleted": True, "memoryId": answer, "factsDeleted": 0, "factIds": []}, "the result")
    b.same(await b.memory(answer), None, "memories:get")
    b.same([row["content"] for row in await b.rows()], ["elephant too", "and?", "mouse?"], "the list")
    b.same(await b.found("elephant"), ["elephant too"], "the search")
    b.same(await b.ask("memories:count"), 3, "the count")
    b.same([m["content"] for m in await b.messages()][:2], ["mouse?", "elephant"], "the messages")
    b.same(await b.stream(), None, "the stream")
    await b.refused(MemoryNotFound, b.do("memories:deleteMemory", memoryId=answer), "deleting it again")
    await b.refused(StreamNotFound, b.begin(question="mouse?"), "beginning its stream again")
    await b.refused(StreamNotFound, b.append(0, "elephant"), "append to its stream")
    await b.refused(StreamNotFound, b.finalize("elephant"), "finalize of its stream")
    await b.do("memories:deleteMemory", memoryId=question)
    b.same(await b.found("mouse"), [], "the search for the question, deleted too")


@PROMISES.add("memories:deleteMemory", "streams:append", "streams:finalize")
async def a_deleted_partial_stays_deleted(b: Bench) -> None:
    """Deleting a partial memory deletes its stream: a writer that continues is refused."""
    begun = await b.begin()
    await b.append(0, "elephant")
    await b.do("memories:deleteMemory", memoryId=begun["memoryId"])
    await b.refused(StreamNotFound, b.append(8, "s"), "append")
    await b.refused(StreamNotFound, b.finalize("s", start=8), "finalize")
    b.same(await b.found("elephant", includePartial=True), [], "the search")
    b.same(await b.rows(includePartial=True), [], "the list")
    b.same(await b.messages(), [], "the messages")


@PROMISES.add("memories:reembed", "memories:unembedded", "memories:embed")
async def a_store_is_moved_to_another_model(b: Bench) -> None:
    """The old embeddings stay until each memory has one of the new model; then the model is the store's, for all."""
    await b.do("memories:store", **_WHOLE | {"content": "one", "embedding": [1.0, 2.0]})
    await b.do("memories:store", **{key: value for key, value in _WHOLE.items() if key != "embedding"})
    await b.do("memories:store", memorySpaceId=b.other, **_WHOLE | {"content": "other", "embedding": [1.0, 2.0]})
    await b.begin()
    await b.append(0, "not yet")
    model = f"model of {b.space}"

    async def found() -> list[Any]:
        rows = await b.rows() + await b.rows(memorySpaceId=b.other)
        return [(row["content"], row.get("embedding")) for row in rows]

    before = await found()
    begun = await b.do("memories:reembed", model=model, dimension=2)
    b.same((begun["missing"] >= 2, begun["current"], begun["done"]), (True, False, False), "the beginning")
    contents: list[str] = []
    page = await b.ask("memories:unembedded", model=model, limit=1)
    left = page["left"]
    while page["memories"]:
        b.same(len(page["memories"]), 1, "the memories of a page")
        row = page["memories"][0]
        contents += [row["content"]] if row["memorySpaceId"] in (b.space, b.other) else []
        b.same(await found() if row["memorySpaceId"] == b.space else before, before, "the embeddings meanwhile")
        key = {name: row[name] for name in ("memorySpaceId", "memoryId", "updatedAt")}
        vectors = [
            {**key, "memoryId": "gone", "embedding": [7.0, 7.0]},
            {**key, "updatedAt": 0, "embedding": [7.0, 7.0]},
            {**key, "embedding": [3.0, 4.0]},
        ]
        stored = await b.do("memories:embed", model=model, vectors=vectors)
        b.same(stored, {"stored": 1}, "what is stored, where one is gone and one has changed")
        b.same(await b.do("memories:embed", model=model, vectors=vectors), stored, "the same again")
        page = await b.ask("memories:unembedded", model=model, limit=1, after=page["next"])
    b.same((contents, left >= len(contents)), (["one", _WHOLE["content"], "other"], True), "what had no embedding")
    there = await b.rows()
    key = {name: there[0][name] for name in ("memorySpaceId", "memoryId", "updatedAt")}
    call = b.do("memories:embed", model="a third", vectors=[{**key, "embedding": [1.0, 2.0]}])
    await b.refused(EmbeddingMismatch, call, "embeddings of a third model")
    state = await b.do("memories:reembed", model=model, dimension=2)
    b.same((state["missing"], state["current"]), (0, True), "the end")
    while not state["done"]:
        state = await b.do("memories:reembed", model=model, dimension=2)
    b.same(await found(), [(content, [3.0, 4.0]) for content, _ in before], "the embeddings afterwards")
    late = b.do("memories:store", **_WHOLE | {"embedding": [1.0, 2.0], "embeddingModel": "the old one"})
    await b.refused(EmbeddingMismatch, late, "an embedding of another model")


@PROMISES.add("conversations:get", "conversations:list", "conversations:count")
async def conversations_are_there(b: Bench) -> None:
    """A conversation has its participants, and is listed, without messages, once an exchange in it has ended."""
    b.same(await b.ask("conversations:get", conversationId="c"), None, "an unknown conversation")
    await b.begin(participantId="p")
    b.same(await b.ask("conversations:count"), 0, "the count after begin alone")
    await b.finalize("because")
    await b.exchange("two?", "2", "st2", userId="bob", conversationId="d")
    found = await b.ask("conversations:get", conversationId="c")
    b.same((found["type"], found["messageCount"]), ("user-agent", 2), "type and messageCount")
    b.same(found["participants"], {"userId": "ada", "participantId": "p"}, "the participants")
    listed = await b.ask("conversations:list")
    b.same([row["conversationId"] for row in listed], ["d", "c"], "the list, newest first")
    b.same([row for row in listed if "messages" in row], [], "rows of the list with messages")
    b.same([row["conversationId"] for row in await b.ask("conversations:list", userId="ada", limit=1)], ["c"], "of ada")
    b.same(await b.ask("conversations:count", userId="bob"), 1, "the count of bob's")
    b.same(await b.ask("conversations:count", type="agent-agent"), 0, "the count of another type")


@PROMISES.add("conversations:getHistory")
async def history_comes_in_pages(b: Bench) -> None:
    """getHistory gives pages of a conversation's messages, in either order."""
    for number in range(3):
        await b.exchange(f"q{number}", f"a{number}", f"st{number}")
    pages: list[tuple[dict[str, Any], list[str], bool]] = [
        ({}, ["q0", "a0", "q1", "a1", "q2", "a2"], False),
        ({"limit": 2}, ["q0", "a0"], True),
        ({"limit": 2, "offset": 4}, ["q2", "a2"], False),
        ({"limit": 4, "offset": 3}, ["a1", "q2", "a2"], False),
        ({"limit": 3, "sortOrder": "desc"}, ["a2", "q2", "a1"], True),
        ({"offset": 5, "sortOrder": "desc"}, ["q0"], False),
        ({"offset": 6}, [], False),
    ]
    for args, want, more in pages:
        page = await b.ask("conversations:getHistory", conversationId="c", **args)
        b.same([message["content"] for message in page["messages"]], want, f"the page with {args}")
        b.same(
            (page["total"], page["hasMore"], page["conversationId"]), (6, more, "c"), f"what the page with {args} says"
        )
    call = b.ask("conversations:getHistory", conversationId="unknown")
    await b.refused(ConversationNotFound, call, "the history of an unknown conversation")
