"""The functions of the contract by path. Their arguments were checked before."""

from __future__ import annotations

from cortex_rx.backends.sqlite.functions import (
    agents,
    contexts,
    conversations,
    embeddings,
    fact_commits,
    fact_lists,
    fact_search,
    fact_similar,
    facts,
    forgetting,
    graph_sync,
    immutable,
    leases,
    memories,
    memory_lists,
    memory_spaces,
    mutable,
    search,
    stream_ends,
    stream_reads,
    stream_takeover,
    streams,
    tokens,
    users,
)
from cortex_rx.backends.sqlite.functions.registry import Functions

__all__ = ["MUTATIONS", "QUERIES"]

_TABLES = (contexts, memory_spaces, users, agents, immutable, mutable, graph_sync)

QUERIES: Functions = {
    "memories:get": memories.get,
    "memories:list": memory_lists.list_rows,
    "memories:page": memory_lists.page_rows,
    "memories:search": search.search,
    "memories:around": memories.around,
    "memories:count": memory_lists.count,
    "memories:unembedded": embeddings.unembedded,
    "facts:get": facts.get,
    "facts:list": fact_lists.list_rows,
    "facts:queryBySubject": fact_lists.list_rows,
    "facts:queryByRelationship": fact_lists.list_rows,
    "facts:count": fact_lists.count,
    "facts:search": fact_search.search,
    "facts:getHistory": facts.history,
    "facts:exportFacts": fact_lists.export,
    "conversations:get": conversations.get,
    "conversations:list": conversations.list_rows,
    "conversations:count": conversations.count,
    "conversations:getHistory": conversations.history,
    "facts:queued": fact_commits.queued,
    "facts:similar": fact_similar.similar,
    "streams:get": stream_reads.get,
    "streams:read": stream_reads.read,
    "streams:interrupted": stream_reads.interrupted,
    "streams:list": stream_reads.list_rows,
    **{path: function for table in _TABLES for path, function in table.QUERIES.items()},
}

MUTATIONS: Functions = {
    "memories:store": memories.store,
    "memories:deleteMemory": forgetting.delete,
    "memories:forget": forgetting.forget,
    "memories:reembed": embeddings.reembed,
    "memories:embed": embeddings.embed,
    "facts:commit": fact_commits.commit,
    "facts:store": facts.store,
    "facts:update": facts.update,
    "facts:deleteFact": facts.delete,
    "facts:consolidate": facts.consolidate,
    "streams:begin": streams.begin,
    "streams:append": streams.append,
    "streams:finalize": streams.finalize,
    "streams:close": streams.close,
    "streams:renew": leases.renew,
    "streams:stop": leases.stop,
    "streams:issueToken": tokens.issue_token,
    "streams:takeOver": stream_takeover.take_over,
    "streams:finish": stream_ends.finish,
    "streams:rollback": stream_ends.rollback,
    **{path: function for table in _TABLES for path, function in table.MUTATIONS.items()},
}
