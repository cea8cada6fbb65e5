"""Every promise of a backend holds for a client whose writes go wrong and that repeats them:
`tests/proofs/crashes/conformance.py`.

What goes wrong is each write of each promise: it fails before or after its effect, it is late, or the process that
makes it dies before or after it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.lanes import slow_but
from proofs.crashes.conformance import KINDS, LONG, PROMISES, kept

from cortex_rx import SqliteBackend
from cortex_rx.testing import BACKEND_PROMISES, BackendPromise, BrokenPromise, each_fault, wall

SHARDS = 8


def promises_of(shard: int) -> list[BackendPromise]:
    """Each promise is in one shard, a long one not in the first."""
    short, long = PROMISES[: -len(LONG)], PROMISES[-len(LONG) :]
    return short[shard::SHARDS] + (long[shard - 1 :: SHARDS - 1] if shard else [])


def test_each_promise_is_in_one_shard() -> None:
    names = [promise.name for shard in range(SHARDS) for promise in promises_of(shard)]
    assert sorted(names) == sorted(promise.name for promise in PROMISES)
    assert set(LONG) <= set(names) and not set(LONG) & {promise.name for promise in promises_of(0)}


@pytest.mark.parametrize("shard", slow_but([0], range(SHARDS), "more cases of a proof"))
def test_every_promise_under_every_fault(tmp_path: Path, shard: int, proof: Any) -> None:
    counts: Counter[str] = Counter()
    promises = promises_of(shard)
    # Each case has a file of its own: what is true of a whole store takes longer with all that cases before have left.
    files = (tmp_path / f"{number}.db" for number in itertools.count())
    for at, promise in enumerate(promises):
        effects, hit = kept(promise, next(files))
        assert not hit
        plans = list(each_fault(len(effects), KINDS))
        for plan in plans[proof.size(at % 6, 0) :: proof.size(6, 1)]:  # five kinds: each sixth is of another one
            _, hit = kept(promise, next(files), plan)
            assert hit.total() == 1, f"{plan} of {promise} did not happen"
            counts += hit
            counts["cases"] += 1
    assert min(counts[kind] for kind in KINDS) >= counts["cases"] // 10, counts
    proof.count("conformance under faults", {"promises": len(promises), **counts})


class ClaimsInMemory(SqliteBackend):
    """It knows the beginnings that it has answered, but only as long as it lives."""

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        if path != "streams:begin" or "claim" not in args:
            return await super().mutation(path, args)
        known: dict[Any, Any] = self.__dict__.setdefault("known", {})
        key = (args["memorySpaceId"], args["streamId"], args["claim"])
        if key not in known:
            known[key] = await super().mutation(path, {k: v for k, v in args.items() if k != "claim"})
        return known[key]


def test_what_only_a_lost_answer_shows_is_found(tmp_path: Path) -> None:
    def make(path: Path) -> SqliteBackend:
        return ClaimsInMemory(path, clock=wall)

    promise = next(promise for promise in BACKEND_PROMISES if promise.name == "a_claim_repeats_a_begin")
    for plan in ("", "1 fail-after", "1 crash"):
        kept(promise, tmp_path / "memory.db", plan, make)
    with pytest.raises(BrokenPromise, match="StillOwned"):
        kept(promise, tmp_path / "memory.db", "1 crash-after", make)
