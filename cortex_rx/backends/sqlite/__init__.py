"""`SqliteBackend`: memory in one SQLite file, without anything to install or start.

    async with SqliteBackend("memory.db") as backend:
        begun = await backend.mutation("streams:begin", {...})
        rows = await backend.query("memories:search", {"memorySpaceId": "support", "query": "don't"})

Its modules, from the outside in:

* `store`: the backend. Each mutation is one function, between `BEGIN IMMEDIATE` and `COMMIT` on the one thread that
  writes. Each query is one function on its own connection, in one read transaction that ends before the result is
  returned.
* `writer`: mutations that wait at the same time share one transaction, each in a savepoint.
* `functions`: the functions of the contract (`cortex_rx.backends.contract`), with checked arguments: `streams`,
  `memories`, `conversations`; `exchanges`, the rows that a stream adds to the other two; `leases`, `tokens`,
  `stream_takeover`, who writes a stream and how another writer goes on with it; `stream_reads`; and `stream_ends`, for
  streams that nobody goes on with.
* `text_store`: texts in pieces. An answer of any length is appended, finalised, listed and searched without being whole
  in memory. `index`: which words they have; `tokenizer`, `language`: how texts become words and stems, and queries
  terms. `index_move`: how an older file gets this index.
* `connection`, `schema`: opening, checking and migrating the file. `backup`: copying it.

Durability: WAL with `synchronous=FULL`. What a mutation has returned survives a crash of the process and of the
machine. Several processes may use one file. `docs/decisions/sqlite.md` says why it is built so.
"""

from cortex_rx.backends.sqlite.store import SqliteBackend

__all__ = ["SqliteBackend"]
