"""The contract of a memory backend: each function once, as data.

`query(path, args)` reads, `mutation(path, args)` writes. Arguments and results are values that Convex carries:
dictionaries with camelCase keys, lists, strings, numbers, booleans and None. A key without a value is left out; it is
never None. Times are epoch milliseconds of the store's clock, which may be set: nothing is sorted by them. Lengths and
offsets count code points.

Every function takes the memory space it works in and sees no other. An id of another space counts as unknown. The same
stream or conversation id may mean different things in two spaces. So `memorySpaceId` is required everywhere, also where
the stock contract lets it be left out. Only the functions that move a store to another embedding model work on the
whole store: `memories:reembed`, `memories:unembedded` and `memories:embed`; and `facts:queued` may, since one worker
reads for all spaces.

A memory space may be archived. Then each mutation that works in it is refused with `MemorySpaceArchived`, but those
that end what began before, and those about the memory space itself: `when_archived` says which.

A mutation is one transaction, all or nothing, and is durable when it returns. Sending it again succeeds, changes
nothing and gives the same result. So a client whose answer was lost repeats the call. There are four exceptions.
`begin` without a `claim` begins anew each time. `store` without a `memoryId` stores another memory each time. A result
with `stored` says "before" the second time. A repeated `deleteMemory` raises `MemoryNotFound`, which then means
success.

Failures are the `StoreError`s of `cortex_rx.errors`. Only a `StoreUnavailable` is worth trying again. A missing,
unknown or wrong argument is an `InvalidArgument` that names it, before anything is stored. None, a lone surrogate and a
number that is not finite are wrong too. A function that does not exist is an `UnknownFunction`.

`types` says what the data consist of; `memories`, `conversations` and `streams` are the tables. From them come the
checks of arguments (`checks.check`), the typed calls, the page `docs/contract.md`, and `calls.json`: calls that every
backend has to accept or refuse.

    >>> from cortex_rx.backends.contract.tables import FUNCTIONS
    >>> FUNCTIONS["streams:append"].errors
    ('StreamNotFound', 'Fenced', 'Diverged', 'Gap', 'IdempotencyConflict')
"""
