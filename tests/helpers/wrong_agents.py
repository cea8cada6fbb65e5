"""Backends with one defect each in `agents:*`, and the promise that must catch it."""

from helpers.wrong_backends import noticed_by
from helpers.wrong_mutable import Table

from cortex_rx.backends import SqliteBackend


@noticed_by("an_agent_is_registered_once")
class MergesTheConfiguration(Table):
    async def mutation(self, path, args):
        if path == "agents:configure":
            row = await SqliteBackend.query(self, "agents:get", {"agentId": args["agentId"]})
            args = {**args, "config": {**(row or {}).get("config", {}), **args["config"]}}
        return await SqliteBackend.mutation(self, path, args)


@noticed_by("agents_are_filtered_before_the_page")
class CountsAll(Table):
    def changed(self, path, args):
        return {"metadata": args["metadata"]} if path == "agents:count" and "metadata" in args else args


@noticed_by("statistics_are_of_the_data")
class CountsWhatIsThereTwice(Table):
    """Once as the agent's and once as the participant's."""

    def made(self, path, args, result):
        if path == "agents:computeStats" and result["totalMemories"] > 2:
            return {**result, "totalMemories": result["totalMemories"] + 2}
        return result


@noticed_by("an_agent_is_unregistered")
class TakesOneFilterForAll(Table):
    """The ids win over the other filters."""

    def changed(self, path, args):
        return {"agentIds": args["agentIds"]} if path == "agents:unregisterMany" and "agentIds" in args else args
