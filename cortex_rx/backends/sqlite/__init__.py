"""`SqliteBackend`: memory in one SQLite file, with nothing to install and nothing to start.

    async with SqliteBackend("memory.db") as backend:
        begun = await backend.mutation("streams:begin", {...})
        rows = await backend.query("memories:search", {"memorySpaceId": "support", "query": "don't"})

How it is made, from the outside in:

* `store`: the backend.  Each mutation is one function, run from `BEGIN IMMEDIATE` to `COMMIT` on the one thread that writes;
  each query is one function on a connection of its own, within one read transaction that ends before its result is given.
* `writer`: the mutations that wait at the same time share one transaction, each in a savepoint.
* `functions`: the functions of the contract (`cortex_rx.backends.contract`), whose checks have passed before.
* `streams`, `memories`, `conversations`: what they do; `exchanges`: what a stream leaves in the other two.  `leases`, `tokens`,
  `takeover`: who writes a stream, and how another goes on with it; `reading`: what there is of one; `ending`: what becomes of one
  that nobody goes on with.
* `texts`: texts in pieces, so that an answer of any length is appended, finalised, listed and searched without ever being whole
  in memory.  `words`: how texts become the terms of the full-text index.
* `connection`, `schema`: opening, recognising and migrating the file.  `backup`: copying it.

Durability: WAL with `synchronous=FULL`; what a mutation has returned survives a crash of the process and of the machine.  Several
processes may use one file.  Why it is built so: `docs/decisions/sqlite.md`.
"""

from cortex_rx.backends.sqlite.store import SqliteBackend

__all__ = ["SqliteBackend"]
