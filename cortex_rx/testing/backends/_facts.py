"""facts: storing, correcting, retracting, lists, searching, history, exports."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from cortex_rx.errors import FactNotFound, FactRetracted, IdempotencyConflict, InvalidArgument
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _store(b: Bench, fact: str, *triple: str, **more: Any) -> Row:
    """`facts:store`, of a text and perhaps its triple."""
    given = dict(zip(("subject", "predicate", "object"), triple, strict=False))
    args = {"factType": "identity", "confidence": 80, "sourceType": "manual", "tags": [], **given, **more}
    stored: Row = await b.do("facts:store", fact=fact, **args)
    return stored


async def _lives(b: Bench, place: str, **more: Any) -> Row:
    return await _store(b, f"Ada lives in {place}.", "Ada", "lives_in", place, **more)


async def _listed(b: Bench, **args: Any) -> list[str]:
    return [row["fact"] for row in await b.ask("facts:list", **args)]


def _message(*messages: str) -> Row:
    return {"sourceRef": {"conversationId": "c", "messageIds": list(messages), "memoryId": f"mem-{messages[0]}"}}


@PROMISES.add("facts:store", "facts:get")
async def said_twice_is_one_fact(b: Bench) -> None:
    """What two messages say is one fact with both sources, and surer; the same message again changes nothing of that.
    What differs in polarity, numbers, tense, or in who does what to whom, is another fact."""
    first = await _store(b, "Ada likes tea.", "Ada", "likes", "tea", **_message("m1"))
    b.same(first["confidence"], 80, "the confidence of one message")
    await _store(b, "Ada likes tea!", "Ada", "likes", "tea", **_message("m1"))
    again = await _store(b, "ada likes the tea", "ada", "likes", "the tea", **_message("m2"))
    b.same(again["factId"], first["factId"], "the fact of the second message")
    b.same(again["confidence"], 96, "the confidence of two messages")
    b.same([source["messageIds"] for source in again["sources"]], [["m1"], ["m2"]], "the sources")
    b.same(again["sourceRef"], again["sources"][0], "the first source")
    b.same(await b.ask("facts:get", factId=first["factId"]), again, "what is stored")
    others = [
        ("Ada does not like coffee.", "Ada", "likes", "coffee"), ("Ada likes coffee.", "Ada", "likes", "coffee"),
        ("Ada liked milk.", "Ada", "likes", "milk"), ("Ada likes milk.", "Ada", "likes", "milk"),
        ("Ada manages Bob.", "Ada", "manages", "Bob"), ("Bob manages Ada.", "Bob", "manages", "Ada"),
        ("Ada owns 2 cats.", "Ada", "owns", "cats"), ("Ada owns 3 cats.", "Ada", "owns", "cats"),
    ]  # fmt: skip
    stored = {(await _store(b, *other, deduplication="semantic"))["factId"] for other in others}
    b.same(len(stored), len(others), "how many facts there are")


@PROMISES.add("facts:store")
async def a_strategy_says_what_is_one_fact(b: Bench) -> None:
    """Without deduplication each statement is a fact; "exact" compares the text, "structural" what it says."""
    for strategy, count in (("none", 3), ("exact", 2), ("structural", 1)):
        triple = {"subject": strategy, "predicate": "likes", "object": "tea", "deduplication": strategy}
        for said in ("I like tea", "I like tea.", "Tea is what I like"):
            await _store(b, said, **triple)
        b.same(await b.ask("facts:count", subject=strategy), count, f"the facts with the strategy {strategy}")


@PROMISES.add("facts:store")
async def a_fact_with_an_id_is_stored_once(b: Bench) -> None:
    """A fact that has an id of the client's is stored once; another fact under the id is an `IdempotencyConflict`."""
    first = await _lives(b, "Lisbon", factId="mine")
    b.same(first["factId"], "mine", "its id")
    b.same(await _lives(b, "Lisbon", factId="mine"), first, "the same call again")
    await b.refused(IdempotencyConflict, _lives(b, "Porto", factId="mine"), "another fact under this id")
    await b.refused(IdempotencyConflict, _lives(b, "Lisbon", factId="mine", userId="ada"), "of another user")
    b.same(await b.ask("facts:list"), [first], "the list")


@PROMISES.add("facts:store", "facts:list")
async def a_new_value_closes_the_old_one(b: Bench) -> None:
    """Where one value holds at a time, a new one supersedes the old one, which stays as it was until then. The past,
    another subject, a predicate with many values and `revise` false supersede nothing."""
    lisbon = await _lives(b, "Lisbon", validFrom=100)
    porto = await _lives(b, "Porto", validFrom=200)
    b.same(porto.get("supersedes"), lisbon["factId"], "what the new fact supersedes")
    old = await b.ask("facts:get", factId=lisbon["factId"])
    got = old.get("closed"), old.get("supersededBy"), old.get("validUntil")
    b.same(got, ("changed", porto["factId"], 200), "how the old fact is closed")
    b.same(await _listed(b), ["Ada lives in Porto."], "the list")
    b.same(await _listed(b, includeSuperseded=True), ["Ada lives in Lisbon.", "Ada lives in Porto."], "the whole list")
    for time, there in ((99, []), (100, ["Lisbon"]), (199, ["Lisbon"]), (200, ["Porto"])):
        b.same(await _listed(b, asOf=time), [f"Ada lives in {place}." for place in there], f"the list as of {time}")
    await _store(b, "Ada lived in Rome.", "Ada", "lives_in", "Rome")
    await _store(b, "Bob lives in Rome.", "Bob", "lives_in", "Rome")
    await _lives(b, "Faro", revise=False)
    await _lives(b, "Evora", userId="ada")
    for pet in ("cat", "dog"):
        await _store(b, f"Ada has a {pet}.", "Ada", "has_pet", pet)
    b.same(await b.ask("facts:count"), 7, "the facts that hold")


@PROMISES.add("facts:list", "facts:store")
async def the_order_of_times_decides(b: Bench) -> None:
    """What arrives late is put where it belongs in time, and supersedes nothing that is newer."""
    await _lives(b, "Porto", validFrom=200)
    late = await _lives(b, "Lisbon", validFrom=100)
    b.same(late.get("validUntil"), 200, "the end of what came late")
    b.same(await _listed(b), ["Ada lives in Porto."], "the list")


@PROMISES.add("facts:update")
async def a_correction_takes_the_place(b: Bench) -> None:
    """A correction has a new id, the next version, and all else of the fact: owner, participant, sources, times. The
    fact is closed as wrong; only the newest correction can be corrected."""
    more = {**_message("m1"), "userId": "ada", "participantId": "p", "tags": ["a"], "metadata": {"k": 1}}
    first = await _lives(b, "Lisbn", validFrom=100, **more)
    fixed = await b.do(
        "facts:update", factId=first["factId"], fact="Ada lives in Lisbon.", object="Lisbon", confidence=90
    )
    changed = {"factId", "fact", "object", "confidence", "version", "supersedes", "knownFrom", "createdAt", "updatedAt"}
    kept = {name: value for name, value in first.items() if name not in changed}
    b.same({name: value for name, value in fixed.items() if name not in changed}, kept, "what stays")
    b.same((fixed["version"], fixed["confidence"], fixed.get("supersedes")), (2, 90, first["factId"]), "what is new")
    old = await b.ask("facts:get", factId=first["factId"])
    b.same((old["closed"], old.get("supersededBy"), old["fact"]), ("wrong", fixed["factId"], first["fact"]), "the old")
    b.same(await b.ask("facts:list"), [fixed], "the list")
    error = await b.refused(
        FactRetracted, b.do("facts:update", factId=first["factId"], confidence=1), "correcting it again"
    )
    b.same(error.corrected_by, fixed["factId"], "the correction that the error names")
    again = await b.do("facts:update", factId=fixed["factId"], tags=[], metadata={})
    b.same((again["version"], again["tags"], again["metadata"]), (3, [], {}), "the next correction")
    await b.refused(FactNotFound, b.do("facts:update", factId="nowhere"), "correcting what is not there")


@PROMISES.add("facts:deleteFact", "facts:count")
async def what_is_retracted_is_in_no_list(b: Bench) -> None:
    """A fact that was retracted is in no list, count, search or export; what it had superseded holds again. It is still
    there by its id."""
    await _lives(b, "Lisbon", validFrom=100)
    porto = await _lives(b, "Porto", validFrom=200)
    for _ in range(2):
        b.same(
            await b.do("facts:deleteFact", factId=porto["factId"]),
            {"deleted": True, "factId": porto["factId"]},
            "retracting",
        )
    gone = await b.ask("facts:get", factId=porto["factId"])
    b.same((gone["closed"], gone["knownUntil"] >= gone["knownFrom"]), ("wrong", True), "how it is closed")
    for args in ({}, {"includeSuperseded": True}, {"asOf": 300}, {"validAt": 300}):
        b.same(await _listed(b, **args), ["Ada lives in Lisbon."], f"the list with {args}")
        b.same(await b.ask("facts:count", **args), 1, f"the count with {args}")
        found = await b.ask("facts:search", query="Porto", **args)
        b.same(found, [], f"the search with {args}")
    b.same((await b.ask("facts:exportFacts", format="json"))["count"], 1, "the export")
    await b.refused(FactNotFound, b.do("facts:deleteFact", factId="nowhere"), "retracting what is not there")


@PROMISES.add("facts:list", "facts:count", "facts:search")
async def known_at_gives_what_was_known(b: Bench) -> None:
    """`knownAt` gives the facts as they were known then: before a later value, a correction, a retraction, and another
    source. The time at which something became known never falls."""
    first = await _lives(b, "Lisbon", validFrom=100, **_message("m1"))
    await b.passes(5)
    second = await _lives(b, "Porto", validFrom=200)
    await b.passes(5)
    third = await b.do("facts:update", factId=second["factId"], fact="Ada lives in Braga.", object="Braga")
    await b.passes(5)
    await b.do("facts:deleteFact", factId=third["factId"])
    gone = (await b.ask("facts:get", factId=third["factId"]))["knownUntil"]
    times = [first["knownFrom"], second["knownFrom"], third["knownFrom"], gone]
    b.same(times, sorted(set(times)), "the times")
    for time, place in zip(times, ("Lisbon", "Porto", "Braga", "Lisbon"), strict=True):
        there = [f"Ada lives in {place}."]
        b.same(await _listed(b, knownAt=time), there, f"the list known at {time}")
        b.same(await b.ask("facts:count", knownAt=time), 1, "the count")
        b.same([row["fact"] for row in await b.ask("facts:search", query="Ada", knownAt=time)], there, "the search")
        b.same(await _listed(b, knownAt=time, asOf=150), ["Ada lives in Lisbon."], "the list as of an earlier time")
    b.same(await b.ask("facts:list", knownAt=first["knownFrom"]), [first], "the fact as it was")
    b.same(await b.ask("facts:list", knownAt=first["knownFrom"] - 1), [], "what was known before")


async def _four(b: Bench) -> None:
    """Four facts that differ in all that is filtered by."""
    await _store(
        b, "Ada likes tea.", "Ada", "likes", "tea", factType="preference", confidence=10, userId="ada", tags=["a"],
        metadata={"k": 1, "l": True}, validFrom=100, **_message("m1"),
    )  # fmt: skip
    await _store(
        b, "Ada likes the zebra.", "Ada", "likes", "zebra", factType="preference", confidence=90, userId="bob",
        tags=["a", "b"], metadata={"k": 2}, validFrom=200, **_message("m2"),
    )  # fmt: skip
    await _store(
        b, "Bob was in Rome.", "Bob", "visited", "Rome", factType="event", confidence=50, participantId="p",
        sourceType="tool",
    )  # fmt: skip
    await _store(
        b, "Ada's favourite zebra is not blue.", "Ada", "favorite", "blue", qualifier="zebra", factType="custom",
        confidence=70, sourceType="a2a",
    )  # fmt: skip


@PROMISES.add("facts:list", "facts:count", "facts:search", "facts:queryBySubject", "facts:queryByRelationship")
async def facts_are_filtered(b: Bench) -> None:
    """Each filter lets through what it says, in lists, counts and searches alike; all that are given must fit."""
    await _four(b)
    rows = await b.ask("facts:list")
    b.same([row["fact"][:10] for row in rows], ["Ada likes ", "Ada likes ", "Bob was in", "Ada's favo"], "the order")
    later = rows[3]["createdAt"]
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"subject": "Ada"}, [0, 1, 3]), ({"subject": "Ada", "predicate": "likes"}, [0, 1]),
        ({"predicate": "Likes"}, [0, 1]), ({"predicate": "favorite_zebra"}, [3]), ({"object": "tea"}, [0]),
        ({"predicate": "favorite tea"}, []), ({"qualifier": "zebra"}, [3]), ({"polarity": "negative"}, [3]),
        ({"tense": "past"}, [2]), ({"factType": "preference"}, [0, 1]), ({"minConfidence": 70}, [1, 3]),
        ({"minConfidence": 0}, [0, 1, 2, 3]), ({"confidence": 50}, [2]), ({"userId": "bob"}, [1]),
        ({"participantId": "p"}, [2]), ({"conversationId": "c"}, [0, 1]), ({"conversationId": "d"}, []),
        ({"memoryId": "mem-m2"}, [1]), ({"sourceType": "a2a"}, [3]), ({"tags": ["a", "b"]}, [0, 1]),
        ({"tags": ["a", "b"], "tagMatch": "all"}, [1]), ({"metadata": {"k": 1}}, [0]), ({"metadata": {"l": 1}}, []),
        ({"metadata": {}}, [0, 1, 2, 3]), ({"version": 1}, [0, 1, 2, 3]), ({"version": 0}, []),
        ({"createdBefore": 0}, []), ({"createdAfter": later + 1}, []), ({"createdBefore": later + 1}, [0, 1, 2, 3]),
        ({"updatedBefore": 0}, []), ({"updatedAfter": 0}, [0, 1, 2, 3]), ({"validAt": 150}, [0]),
        ({"validAt": 200}, [0, 1]), ({"asOf": 99}, []), ({"asOf": 200}, [0, 1]), ({"subject": "ada"}, []),
    ]  # fmt: skip
    for args, want in cases:
        b.same([rows.index(row) for row in await b.ask("facts:list", **args)], want, f"the list with {args}")
        b.same(await b.ask("facts:count", **args), len(want), f"the count with {args}")
        found = await b.ask("facts:search", query="tea zebra Rome", **args)
        b.same({row["factId"] for row in found}, {rows[at]["factId"] for at in want}, f"the search with {args}")
        more = {"subject": "Ada", **args}
        if more["subject"] == "Ada":
            there = [row for row in (rows[at] for at in want) if row["subject"] == "Ada"]
            b.same(await b.ask("facts:queryBySubject", **more), there, f"about Ada, with {args}")
            more = {"predicate": "likes", **more}
            if more["predicate"] == "likes":
                there = [row for row in there if row["predicate"] == "likes"]
                b.same(await b.ask("facts:queryByRelationship", **more), there, f"what Ada likes, with {args}")


@PROMISES.add("facts:list", "facts:queryBySubject", "facts:queryByRelationship")
async def facts_are_sorted_and_paged(b: Bench) -> None:
    """A list is in the order in which facts were made, or sorted, the highest first; pages fit together. A limit of 0
    gives none."""
    await _four(b)
    rows = await b.ask("facts:list")
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [0, 1, 2, 3]), ({"limit": 0}, []), ({"limit": 3, "offset": 2}, [2, 3]), ({"offset": 4}, []),
        ({"sortBy": "confidence"}, [1, 3, 2, 0]), ({"sortBy": "confidence", "sortOrder": "asc"}, [0, 2, 3, 1]),
        ({"sortBy": "confidence", "limit": 1, "offset": 1}, [3]), ({"sortBy": "version"}, [0, 1, 2, 3]),
        ({"sortBy": "createdAt", "sortOrder": "asc"}, [0, 1, 2, 3]), ({"sortOrder": "asc"}, [0, 1, 2, 3]),
    ]  # fmt: skip
    for args, want in cases:
        b.same([rows.index(row) for row in await b.ask("facts:list", **args)], want, f"the list with {args}")
    about = await b.ask("facts:queryBySubject", subject="Ada", sortBy="confidence", limit=2)
    b.same(about, [rows[1], rows[3]], "the page about Ada")
    likes = await b.ask("facts:queryByRelationship", subject="Ada", predicate="likes", limit=1, offset=1)
    b.same(likes, [rows[1]], "the page of what Ada likes")


@PROMISES.add("facts:page", "facts:list")
async def pages_of_facts_fit_together(b: Bench) -> None:
    """The pages behind each other are the list, each fact once, whatever the filter and the size; also of facts that
    another has superseded. What comes meanwhile stands at the end, and what is retracted meanwhile is left out."""
    await _four(b)
    await _lives(b, "Lisbon")
    await _lives(b, "Porto")
    for args in ({}, {"subject": "Ada"}, {"tags": ["a"]}, {"includeSuperseded": True}, {"minConfidence": 99}):
        rows = await b.ask("facts:list", **args)
        for limit in (1, 2, 100):
            paged: list[Row] = []
            more: Row = {}
            while True:
                page = await b.ask("facts:page", **args, limit=limit, **more)
                paged += page["page"]
                b.same(len(page["page"]) <= limit, True, f"a page of {limit} has no more")
                if "cursor" not in page:
                    break
                more = {"cursor": page["cursor"]}
            b.same(paged, rows, f"the pages of {limit} with {args}")
    first = await b.ask("facts:page", limit=2)
    (gone, *_), last = (await b.ask("facts:list"))[2:], await _store(b, "Ada sings.")
    await b.do("facts:deleteFact", factId=gone["factId"])
    rest = await b.ask("facts:page", limit=100, cursor=first["cursor"])
    b.same(first["page"] + rest["page"], await b.ask("facts:list"), "the pages around a change")
    b.same(rest["page"][-1]["factId"], last["factId"], "the fact that came meanwhile")
    await b.refused(InvalidArgument, b.ask("facts:page", cursor="x"), "a page behind what is no cursor")


@PROMISES.add("facts:search")
async def facts_are_found_by_words(b: Bench) -> None:
    """A fact is found by its words, whatever their case and form, the best first; it is sorted and paged on demand.
    What another memory space has changes nothing."""
    await _four(b)
    found = await b.ask("facts:search", query="does ADA like zebras?")
    b.same(found[0]["object"], "zebra", "the best fact")
    scores = [row["_score"] for row in found]
    b.same(scores, sorted(scores, reverse=True), "the order of the scores")
    b.same(all(0 < score <= 1 for score in scores), True, "whether scores lie between 0 and 1")
    by_confidence = await b.ask("facts:search", query="zebra", sortBy="confidence", sortOrder="asc")
    b.same([row["confidence"] for row in by_confidence], [70, 90], "those with the word, by their confidence")
    pages = [(await b.ask("facts:search", query="zebra", limit=1, offset=at))[0]["object"] for at in (0, 1)]
    b.same(len(set(pages)), 2, "the facts of two pages")
    for query in ("", "...", "giraffe"):
        b.same(await b.ask("facts:search", query=query), [], f"what {query!r} finds")
    for number in range(3):
        await _store(b, f"A zebra is number {number}.", memorySpaceId=b.other)
    b.same(await b.ask("facts:search", query="does ADA like zebras?"), found, "the search after writes elsewhere")


@PROMISES.add("facts:get", "facts:getHistory", "facts:update", "facts:deleteFact", "facts:consolidate")
async def facts_of_another_space_are_not_there(b: Bench) -> None:
    """Nothing of a memory space shows in another one, or is changed from there."""
    mine = await _lives(b, "Lisbon")
    elsewhere = {"memorySpaceId": b.other}
    b.same(await b.ask("facts:get", factId=mine["factId"], **elsewhere), None, "the fact, elsewhere")
    b.same(await b.ask("facts:getHistory", factId=mine["factId"], **elsewhere), [], "its history, elsewhere")
    theirs = await _lives(b, "Porto", **elsewhere)
    b.same(await b.ask("facts:list"), [mine], "the list")
    for path in ("facts:update", "facts:deleteFact"):
        await b.refused(FactNotFound, b.do(path, factId=mine["factId"], **elsewhere), f"{path}, elsewhere")
    both = [mine["factId"], theirs["factId"], "nowhere"]
    merged = await b.do("facts:consolidate", factIds=both, keepFactId=mine["factId"])
    b.same(merged["mergedCount"], 0, "how many facts of another space are merged")
    await b.refused(
        FactNotFound, b.do("facts:consolidate", factIds=both, keepFactId=theirs["factId"]), "keeping one from elsewhere"
    )
    b.same(await b.ask("facts:list"), [mine], "the list afterwards")
    b.same(await b.ask("facts:list", **elsewhere), [theirs], "the list elsewhere")


@PROMISES.add("facts:getHistory")
async def a_history_has_all_versions(b: Bench) -> None:
    """A history has what superseded or corrected each other, oldest first, from whichever of them it is asked; each
    once, also after facts were consolidated."""
    lisbon = await _lives(b, "Lisbon", validFrom=100)
    porto = await _lives(b, "Porto", validFrom=200)
    fixed = await b.do("facts:update", factId=lisbon["factId"], object="Lisboa")
    want = [lisbon["factId"], fixed["factId"], porto["factId"]]
    for fact in want:
        history = await b.ask("facts:getHistory", factId=fact)
        b.same([row["factId"] for row in history], want, "the history")
    same = await _store(b, "Ada has a flat in Porto.", validFrom=300)
    for keep in (porto, same):
        ids = [porto["factId"], same["factId"]]
        try:
            await b.do("facts:consolidate", factIds=ids, keepFactId=keep["factId"])
        except FactNotFound:  # it is no open fact any more
            continue
    history = [row["factId"] for row in await b.ask("facts:getHistory", factId=same["factId"])]
    b.same(history, [*want, same["factId"]], "the history of all")
    b.same(await b.ask("facts:getHistory", factId="nowhere"), [], "the history of what is not there")


@PROMISES.add("facts:consolidate")
async def facts_become_one(b: Bench) -> None:
    """The kept fact gets the sources of the others and the mean of all confidences; the others are closed by it. Ids
    that are unknown, twice, or of another user's facts do not count."""
    kept = await _store(b, "Ada likes tea.", "Ada", "likes", "tea", userId="ada", confidence=81, **_message("m1"))
    other = await _store(b, "Ada drinks tea.", "Ada", "drinks", "tea", userId="ada", confidence=40, **_message("m2"))
    alien = await _store(b, "Ada likes tea.", "Ada", "likes", "tea", userId="bob")
    ids = [kept["factId"], other["factId"], other["factId"], alien["factId"], "nowhere"]
    for count in (1, 0):
        merged = await b.do("facts:consolidate", factIds=ids, keepFactId=kept["factId"])
        b.same(merged, {"consolidated": True, "keptFactId": kept["factId"], "mergedCount": count}, "the result")
        now = await b.ask("facts:get", factId=kept["factId"])
        b.same((now["fact"], now["confidence"]), ("Ada likes tea.", 60), "the kept fact")
        b.same([source["messageIds"] for source in now["sources"]], [["m1"], ["m2"]], "its sources")
    gone = await b.ask("facts:get", factId=other["factId"])
    b.same((gone["closed"], gone.get("supersededBy")), ("wrong", kept["factId"]), "the other fact")
    b.same({row["factId"] for row in await b.ask("facts:list")}, {kept["factId"], alien["factId"]}, "the list")


@PROMISES.add("facts:exportFacts")
async def facts_are_exported(b: Bench) -> None:
    """An export has all facts that hold, of one type if asked, in each format whole, whatever signs are in them."""
    odd = "Ada says \"a, b\";\nand 'c' "
    await _lives(b, "Lisbon", validFrom=100)
    await _lives(b, "Porto", validFrom=200)
    await _store(b, odd, "=1+1", "likes", "x,y", factType="custom", tags=["a,b", '"'])
    there = await b.ask("facts:list")
    as_json = await b.ask("facts:exportFacts", format="json")
    b.same((as_json["format"], as_json["count"], json.loads(as_json["data"])), ("json", 2, there), "as JSON")
    one = await b.ask("facts:exportFacts", format="json", factType="custom")
    b.same([fact["fact"] for fact in json.loads(one["data"])], [odd], "of one type")
    graph = json.loads((await b.ask("facts:exportFacts", format="jsonld"))["data"])
    got = [(node["@type"], node["fact"]) for node in graph["@graph"]]
    b.same(("@context" in graph, got), (True, [("Fact", row["fact"]) for row in there]), "as JSON-LD")
    table = list(csv.DictReader(io.StringIO((await b.ask("facts:exportFacts", format="csv"))["data"], newline="")))
    b.same([line["fact"] for line in table], [row["fact"] for row in there], "the texts as CSV")
    b.same((table[1]["object"], json.loads(table[1]["tags"])), ("x,y", ["a,b", '"']), "the fields as CSV")
    b.same(table[1]["subject"], "'=1+1", "what a spreadsheet would take for a formula")
