"""The contract of a memory backend: each function once, as data.

`query(path, args)` reads, `mutation(path, args)` writes. Arguments and results are values that Convex carries:
dictionaries with camelCase keys, lists, strings, numbers, booleans and None. A key without a value is left out; it is
never None. Times are epoch milliseconds of the store's clock, which may be set: nothing is sorted by them. Lengths and
offsets count code points.

A function takes the memory space it works in and sees no other. An id of another space counts as unknown. The same
stream or conversation id may mean different things in two spaces. So `memorySpaceId` is required, also where the stock
contract lets it be left out. Of the whole store are only these: the functions of the tables users, agents, immutable
and mutable, as in the stock contract; the lists of the memory spaces themselves (`memorySpaces:list`, `count`, `page`,
`search` and `findByParticipant`); `graphSync`; and those that move a store to another embedding model
(`memories:reembed`, `memories:unembedded`, `memories:embed`). `facts:queued` may read for all spaces, since one worker
does. A context that was granted to another space is seen there, as far as the grant says.

A memory space may be archived. Then each mutation that works in it is refused with `MemorySpaceArchived`, but those
that end what began before, and those about the memory space itself: `when_archived` says which.

A mutation is one transaction, all or nothing, and is durable when it returns. Sending it again succeeds, changes
nothing and gives the same result. So a client whose answer was lost repeats the call. What differs from this stands
with the function, as `repeated`. There are five kinds. What makes a record makes another one each time, unless the
client gives its id, a `claim` or an `operationId`; so does what counts up or down. A result with `stored` says "before"
the second time. A repeated deletion of one record raises the error that it is not there, which then means success. A
call for many records by filters works on those that fit by then. And with `expectedVersion` alone a repeated change is
a `VersionConflict`, since it has been made.

Failures are the `StoreError`s of `cortex_rx.errors`. Only a `StoreUnavailable` is worth trying again. A missing,
unknown or wrong argument is an `InvalidArgument` that names it, before anything is stored. None, a lone surrogate and a
number that is not finite are wrong too. A function that does not exist is an `UnknownFunction`.

`types` says what the data consist of; the other modules are the tables, `tables` has them all. From them come the
checks of arguments (`checks.check`), the typed calls, the page `docs/contract.md`, and `calls.json`: calls that every
backend has to accept or refuse.

    >>> from cortex_rx.backends.contract.tables import FUNCTIONS
    >>> FUNCTIONS["streams:append"].errors
    ('StreamNotFound', 'Fenced', 'Diverged', 'Gap', 'IdempotencyConflict')
"""
