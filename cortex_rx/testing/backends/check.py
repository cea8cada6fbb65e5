"""`check_backend`: check all promises, and report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.errors import InvalidArgument
from cortex_rx.testing.backends import (
    _agents,
    _contexts,
    _conversation_calls,
    _conversations,
    _exchanges,
    _fact_commits,
    _facts,
    _forgetting,
    _graph_sync,
    _immutable,
    _leases,
    _memories,
    _memory_spaces,
    _mutable,
    _partials,
    _users,
    _versions,
)
from cortex_rx.testing.backends.promise import BackendPromise
from cortex_rx.testing.operators._judge import BrokenPromise

__all__ = ["BACKEND_PROMISES", "BackendReport", "check_backend"]

BACKEND_PROMISES: tuple[BackendPromise, ...] = (
    *_partials.PROMISES,
    *_exchanges.PROMISES,
    *_conversations.PROMISES,
    *_conversation_calls.PROMISES,
    *_memories.PROMISES,
    *_facts.PROMISES,
    *_forgetting.PROMISES,
    *_leases.PROMISES,
    *_fact_commits.PROMISES,
    *_versions.PROMISES,
    *_contexts.PROMISES,
    *_memory_spaces.PROMISES,
    *_users.PROMISES,
    *_agents.PROMISES,
    *_immutable.PROMISES,
    *_mutable.PROMISES,
    *_graph_sync.PROMISES,
)
"""The whole contract."""


@dataclass(frozen=True)
class BackendReport:
    """The promises that were kept, those that were broken (with evidence), and those not checked (with the reason)."""

    checked: tuple[BackendPromise, ...]
    broken: tuple[tuple[BackendPromise, str], ...]
    skipped: tuple[tuple[BackendPromise, str], ...]

    def __str__(self) -> str:
        lines: list[str] = []
        if self.broken:
            lines += ["broken:", *(f"  {promise.says}\n    {what}" for promise, what in self.broken)]
        if self.checked:
            lines += ["checked:", *(f"  {promise.says}" for promise in self.checked)]
        if self.skipped:
            lines += ["not checked:", *(f"  {promise.says} ({why})" for promise, why in self.skipped)]
        return "\n".join(lines)


def check_backend(
    make: Callable[[], Backend],
    *,
    shared: bool = True,
    virtual: bool = False,
    ignore: Collection[str] = (),
) -> BackendReport:
    """Check a backend against the whole contract, and return what was checked.

    Call it in a plain test (not `async def`), since it runs its own loops. `make` returns a backend, which is closed
    again. All backends are over the same store, which need not be empty: every promise uses memory spaces of its own.
    But one moves the store to another embedding model, so all its embeddings are replaced.
    If each backend is a store by itself, for example in memory, pass `shared=False`; then nothing checks that what is
    acknowledged is really stored. `virtual` uses virtual time, for a backend that waits only by asyncio and whose clock
    is `cortex_rx.testing.wall`. Otherwise leases take some tenths of a second of real time. `ignore` names promises
    that need not be kept.

    Raises `BrokenPromise`, an `AssertionError`, with the whole report, if any promise is broken.
    """
    check.function("make", make)
    check.flag("shared", shared)
    check.flag("virtual", virtual)
    check.each(check.name, "names of promises", set, frozenset)("ignore", ignore)
    known = {promise.name for promise in BACKEND_PROMISES}
    if unknown := set(ignore) - known:
        raise InvalidArgument("ignore", sorted(unknown), ", ".join(sorted(known)))
    checked: list[BackendPromise] = []
    broken: list[tuple[BackendPromise, BrokenPromise]] = []
    skipped: list[tuple[BackendPromise, str]] = []
    for promise in BACKEND_PROMISES:
        if promise.name in ignore:
            skipped.append((promise, "ignored"))
        elif promise.shared and not shared:
            skipped.append((promise, "each backend is a store of its own"))
        elif promise.virtual and not virtual:
            skipped.append((promise, "the clock cannot be set in real time"))
        else:
            try:
                promise.check(make, virtual=virtual)
                checked.append(promise)
            except BrokenPromise as error:
                broken.append((promise, error))
    said = tuple((promise, error.what) for promise, error in broken)
    report = BackendReport(tuple(checked), said, tuple(skipped))
    if broken:
        promise, first = broken[0]
        raise BrokenPromise(promise.says, f"{first.what}\n\n{report}") from first
    return report
