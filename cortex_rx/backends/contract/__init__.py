"""The contract of a memory backend: each of its functions once, as data.

`query(path, args)` reads, `mutation(path, args)` writes.  Arguments and results are what Convex carries: dictionaries with
camelCase keys, lists, strings, numbers, booleans and None; a key that has no value is left out, never None.  Times are
epoch milliseconds of the store's clock, lengths and offsets are code points.

Every function takes the memory space it works in, and sees no other: an id of another space is as good as unknown, and
one stream or conversation id may be used in two spaces, for two things.  Hence `memorySpaceId` is required everywhere,
also where the stock contract lets it be left out.  A mutation is one transaction, all or nothing, and is done when it
returns; sending it again is a success that changes nothing, and gives the same result: so a client whose answer was lost
repeats the call.  What he must know: `begin` without a `claim` is another beginning each time; a result that says
"stored" says "before" the second time; a memory that is deleted is not found, so to `deleteMemory`, repeated,
`MemoryNotFound` is a success.  Failures are the `StoreError`s of `cortex_rx.errors`; of them only a `StoreUnavailable` is
worth trying again.  A missing, unknown or wrong argument (None too, a lone surrogate, a number that is not finite) is an `InvalidArgument`
that names it, before anything is stored; a function that is not there an `UnknownFunction`.

`types` says what the data are made of, `memories`, `conversations` and `streams` are the tables.  From them come the checks of arguments
(`check`), the typed calls, the page `docs/contract.md`, and `calls.json`: calls that every backend has to accept or refuse.

    >>> FUNCTIONS["streams:append"].errors
    ('StreamNotFound', 'Fenced', 'Diverged', 'Gap', 'IdempotencyConflict')
"""

from cortex_rx.backends.contract.checks import check, misshapen
from cortex_rx.backends.contract.tables import FUNCTIONS, TABLES

__all__ = ["FUNCTIONS", "TABLES", "check", "misshapen"]
