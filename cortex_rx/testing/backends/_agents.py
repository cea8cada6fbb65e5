"""agents: registering, finding, statistics, unregistering."""

from __future__ import annotations

from typing import Any

from cortex_rx.errors import AgentAlreadyRegistered, AgentNotRegistered
from cortex_rx.testing.backends.bench import Bench, Row
from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()


async def _register(b: Bench, agent: str, name: str, **more: Any) -> Row:
    """`agents:register`, under an id of this test, and with a mark by which its agents are found."""
    metadata = {"run": b.space, **more.pop("metadata", {})}
    row: Row = await b.do("agents:register", agentId=f"{b.space}-{agent}", name=name, metadata=metadata, **more)
    return row


async def _found(b: Bench, path: str = "agents:search", **filters: Any) -> list[str]:
    """The names of this test's agents that pass."""
    metadata = {"run": b.space, **filters.pop("metadata", {})}
    return [row["name"] for row in await b.ask(path, metadata=metadata, **filters)]


@PROMISES.add("agents:register", "agents:get", "agents:exists", "agents:update", "agents:configure")
async def an_agent_is_registered_once(b: Bench) -> None:
    """An agent is registered under its id once, active; the same call again gives it, another one is refused. update
    replaces what is given, and configure the configuration, whole."""
    agent = {"agentId": f"{b.space}-a"}
    args = {**agent, "name": "Ada", "description": "", "metadata": {"team": None}, "config": {"model": {"a key": 1}}}
    first = await b.do("agents:register", **args)
    b.same({name: first[name] for name in args}, args, "the agent")
    b.same((first["status"], first["updatedAt"]), ("active", first["registeredAt"]), "its status and its times")
    b.same(await b.do("agents:register", **args), first, "the same agent again")
    b.same(await b.ask("agents:get", **agent), first, "what is stored")
    for other in ({"name": "Bob"}, {"config": {"model": {"a key": True}}}):
        await b.refused(AgentAlreadyRegistered, b.do("agents:register", **{**args, **other}), "another agent")
    changed = await b.do("agents:update", **agent, metadata={}, status="inactive")
    want = {**first, "metadata": {}, "status": "inactive", "updatedAt": changed["updatedAt"]}
    b.same(changed, want, "the agent after an update")
    configured = await b.do("agents:configure", **agent, config={"x": 0})
    b.same(configured, {**changed, "config": {"x": 0}, "updatedAt": configured["updatedAt"]}, "after configure")
    b.same(await b.ask("agents:get", **agent), configured, "what is stored in the end")
    b.same(await b.ask("agents:exists", **agent), True, "whether it exists")
    none = {"agentId": f"{b.space}-none"}
    b.same((await b.ask("agents:get", **none), await b.ask("agents:exists", **none)), (None, False), "another id")
    await b.refused(AgentNotRegistered, b.do("agents:update", **none, name="x"), "an update of another id")
    await b.refused(AgentNotRegistered, b.do("agents:configure", **none, config={}), "configure of another id")


@PROMISES.add("agents:list", "agents:search", "agents:count", "agents:page")
async def agents_are_filtered_before_the_page(b: Bench) -> None:
    """Agents are found by each filter, and by all together, before the page is cut; count is the length of the whole
    list. They are sorted as asked, else the last registered first, and pages go on from the first."""
    one: Row = {"capabilities": ["chat", "code"]}
    two: Row = {"capabilities": ["code"], "level": 1}
    three: Row = {"level": True}
    times = [
        (await _register(b, agent, name, metadata=metadata))["registeredAt"]
        for agent, name, metadata in (("1", "Weather", one), ("2", "HELPER", two), ("3", "helper b", three))
    ]
    await b.do("agents:update", agentId=f"{b.space}-1", status="archived")
    every = ["helper b", "HELPER", "Weather"]
    cases: list[tuple[Row, list[str]]] = [
        ({}, every),
        ({"name": "Help"}, ["helper b", "HELPER"]),
        ({"name": ""}, every),
        ({"status": "archived"}, ["Weather"]),
        ({"metadata": {"level": 1}}, ["HELPER"]),
        ({"capabilities": ["chat", "code"]}, ["HELPER", "Weather"]),
        ({"capabilities": ["chat", "code"], "capabilitiesMatch": "all"}, ["Weather"]),
        ({"capabilities": ["code"], "status": "active"}, ["HELPER"]),
        ({"registeredAfter": min(times)}, every),
        ({"registeredBefore": min(times)}, []),
        ({"registeredAfter": max(times) + 1}, []),
    ]
    for filters, want in cases:
        b.same(await _found(b, **filters), want, f"the agents with {filters}")
        b.same(await _found(b, **filters, limit=1, offset=1), want[1:2], f"the second agent with {filters}")
        metadata = {"run": b.space, **filters.get("metadata", {})}
        count = await b.ask("agents:count", **{**filters, "metadata": metadata})
        b.same(count, len(want), f"the count with {filters}")
        found: list[str] = []
        more: Row = {}
        for _ in range(len(want) + 1):
            page = await b.ask("agents:page", **{**filters, "metadata": metadata}, limit=1, **more)
            found += [row["name"] for row in page["page"]]
            if "cursor" not in page:
                break
            more = {"cursor": page["cursor"]}
        b.same(found, want[::-1], f"the pages with {filters}")
    lists: list[tuple[Row, list[str]]] = [
        ({}, every),
        ({"sortBy": "name"}, ["HELPER", "Weather", "helper b"]),
        ({"sortBy": "name", "sortOrder": "desc"}, ["helper b", "Weather", "HELPER"]),
        ({"sortOrder": "asc"}, ["Weather", "HELPER", "helper b"]),
        ({"status": "archived"}, ["Weather"]),
        ({"limit": 0}, []),
    ]
    for args, want in lists:
        rows = await b.ask("agents:list", **{"limit": 1_000_000, **args})
        names = [row["name"] for row in rows if row["agentId"].startswith(b.space)]
        b.same(names, want, f"the list with {args}")


@PROMISES.add("agents:computeStats")
async def statistics_are_of_the_data(b: Bench) -> None:
    """The statistics of an agent count its memories, facts and conversations in all memory spaces, each once, also if
    it is not registered; nothing of another agent, and nothing that is not there any more."""
    agent = f"{b.space}-a"
    empty = {"totalMemories": 0, "totalConversations": 0, "totalFacts": 0, "memorySpacesActive": 0}
    b.same(await b.ask("agents:computeStats", agentId=agent), empty, "the statistics of nothing")
    who = {"agentId": agent, "participantId": agent}
    stored = await b.exchange("why?", "because", **who)
    await b.exchange("and?", "so", "st2", memorySpaceId=b.other, conversationId="d", agentId=agent)
    await b.exchange("who?", "he", "st3", conversationId="e", agentId=f"{agent}-other")
    said = {"fact": "Ada sings.", "factType": "event", "confidence": 90, "tags": [], "sourceType": "manual"}
    fact = await b.do("facts:store", **said, participantId=agent)
    wrong = await b.do("facts:store", **{**said, "fact": "Ada swims."}, participantId=agent, deduplication="none")
    await b.do("facts:deleteFact", factId=wrong["factId"])
    found = await b.ask("agents:computeStats", agentId=agent)
    last = found.pop("lastActive")
    want = {"totalMemories": 4, "totalConversations": 2, "totalFacts": 1, "memorySpacesActive": 2}
    b.same(found, want, "the statistics")
    b.same(last >= fact["createdAt"], True, "whether lastActive is as new as its newest fact")
    for memory in stored["memories"]:
        await b.do("memories:deleteMemory", memoryId=memory["memoryId"])
    left = await b.ask("agents:computeStats", agentId=agent)
    b.same((left["totalMemories"], left["totalConversations"]), (2, 2), "what is left")


@PROMISES.add("agents:unregister", "agents:unregisterMany")
async def an_agent_is_unregistered(b: Bench) -> None:
    """unregister removes the registration alone; unregisterMany those that pass all filters. Others stay, ids that are
    not registered are passed over, and `dryRun` removes nothing."""
    ids = [(await _register(b, str(number), f"n{number % 2}"))["agentId"] for number in range(5)]
    await b.exchange("why?", "because", agentId=ids[0])
    dry = await b.do("agents:unregister", agentId=ids[0], dryRun=True)
    b.same((dry["deleted"], await b.ask("agents:exists", agentId=ids[0])), (False, True), "after a dry run")
    gone = await b.do("agents:unregister", agentId=ids[0])
    b.same((gone["deleted"], gone["agentId"]), (True, ids[0]), "the result of unregister")
    b.same(await b.ask("agents:get", agentId=ids[0]), None, "the agent that was unregistered")
    b.same((await b.ask("agents:computeStats", agentId=ids[0]))["totalMemories"], 2, "its memories")
    await b.refused(AgentNotRegistered, b.do("agents:unregister", agentId=ids[0]), "unregister a second time")
    mine = {"metadata": {"run": b.space}}
    dry = await b.do("agents:unregisterMany", **mine, dryRun=True)
    b.same(dry, {"deleted": 0, "agentIds": ids[1:]}, "a dry run of all")
    some = await b.do("agents:unregisterMany", agentIds=[ids[3], ids[0], ids[2], ids[1], ids[1]], name="n1", **mine)
    b.same(some, {"deleted": 2, "agentIds": [ids[1], ids[3]]}, "those with an id and a name")
    await b.do("agents:update", agentId=ids[4], status="archived")
    b.same((await b.do("agents:unregisterMany", status="archived", **mine))["agentIds"], [ids[4]], "those archived")
    b.same(await _found(b), ["n0"], "who is left")
