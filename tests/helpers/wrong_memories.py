"""Backends with one defect each in the lists, versions and the archive of memories, and the promise that must catch
it."""

from helpers.wrong_backends import Wrong, noticed_by


@noticed_by("each_filter_lists_counts_and_turns_pages")
class CountsAllSources(Wrong):
    async def query(self, path, args):
        if path == "memories:count":
            args = {key: value for key, value in args.items() if key != "sourceType"}
        return await super().query(path, args)


@noticed_by("each_filter_lists_counts_and_turns_pages")
class RepeatsTheLastOfThePageBefore(Wrong):
    async def query(self, path, args):
        if path == "memories:page" and args.get("cursor"):
            args = {**args, "cursor": str(int(args["cursor"]) - 1)}
        return await super().query(path, args)
