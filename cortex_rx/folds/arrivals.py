"""What kind of stream it is, by the times at which its text arrives."""

from __future__ import annotations

import math
from collections import deque
from operator import sub

from cortex_rx.events import StreamKind

__all__ = ["FEWEST", "INSTANT", "Arrivals"]

INSTANT = 0.02
"""Seconds within which deltas count as one arrival: a packet brings several."""
FEWEST = 64
"""So many arrivals are looked at, also if the first of them are older than the window: a burst may be long."""

# Each kind is entered at the first number, and left at the second.
_FAST = 10.0, 7.0  # arrivals in a second, at least
_SLOW = 3.0, 4.0  # at most
_BURSTY = 0.5, 0.3  # the share of the time in which nothing comes, at least
_SILENCES = 2, 1  # how many of them, at least
_SILENCE = 0.25  # seconds; a silence is at least so long, and `_LONGER` times as long as the usual gap
_LONGER = 5.0
_BURST = 3  # arrivals between two silences, at least
_APART = 0.2  # seconds between most arrivals of a slow stream: a fast one that had a pause has fewer such gaps


class Arrivals:
    """The kind of a stream, judged by when its text arrived lately. It begins as steady.

    * bursty: at least half of the time is silence, twice or more, and most of what stands between two silences is a
      burst. A silence is a gap of 0.25 s or more that is five times as long as the median gap; a burst has three
      arrivals or more. One silence and a share of 30 % are enough to stay bursty.
    * slow: at most 3 arrivals in a second, and no more than 4 to stay slow. At least half of the gaps are 0.2 s long.
    * fast: at least 10 arrivals in a second, and 7 to stay fast.
    * steady: anything else.

    Deltas within 20 ms are one arrival. Silences are looked for in the last `window` seconds, arrivals in a second are
    counted in the last half of them. After a change the kind stays for a window: so it changes at most once in one. It
    becomes bursty at once, and another kind when this was found for a quarter of a window: else a fast stream that
    becomes slow were steady for a moment. It is judged when something arrives. While nothing comes, nothing changes.

    It holds the times of the last 64 arrivals, and those of the window: at most `window / INSTANT`, if that is more.

    >>> arrivals = Arrivals(window=5.0)
    >>> [tick / 10 for tick in range(100) if arrivals.note(tick / 10)], arrivals.kind
    ([2.8], 'fast')
    >>> [tick for tick in range(11, 30) if arrivals.note(tick)], arrivals.kind
    ([15], 'slow')
    """

    def __init__(self, window: float) -> None:
        self.window: float = window
        self.kind: StreamKind = "steady"
        self.next: float = -math.inf
        """Before that time nothing need be noted: it is the same instant as the arrival before."""
        self._times: deque[float] = deque()
        self._since = math.inf  # when the first of them arrived, also if it is not held any more
        self._free = -math.inf  # when the kind may change again
        self._look = -math.inf  # when it is judged again
        self._found: StreamKind = "steady"  # what it was judged to be, last
        self._found_at = 0.0  # since when

    def note(self, now: float) -> bool:
        """Text arrived at `now`, in seconds that never go back. Whether the kind changes with it."""
        if now < self.next:
            return False
        self.next = now + INSTANT
        times = self._times
        if not times:
            self._since = now
            self._look = max(self._free, now + self.window / 4)
        times.append(now)
        while len(times) > FEWEST and times[0] <= now - self.window:
            times.popleft()
        if now < self._look:
            return False
        self._look = now + self.window / 20
        kind = self._judged(now)
        if kind != self._found:
            self._found, self._found_at = kind, now
        if kind == self.kind or (kind != "bursty" and now < self._found_at + self.window / 4):
            return False
        self.kind = kind
        self._look = self._free = now + self.window
        return True

    def restart(self) -> None:
        """Leave out the gap that follows: it is none of the stream's own. The kind stays."""
        self._times.clear()
        self.next = -math.inf

    def held(self) -> int:
        """How many times are held."""
        return len(self._times)

    def _judged(self, now: float) -> StreamKind:
        times = list(self._times)
        gaps = list(map(sub, times[1:], times))
        if len(gaps) < 3:
            return self.kind
        if self._is_bursty(gaps):
            return "bursty"
        half, age = self.window / 2, now - self._since
        lately = sum(time > now - half for time in times)
        rate = lately / half if age >= half else (lately - 1) / age
        recent = gaps[-max(lately - 1, 3) :]
        apart = sum(gap >= _APART for gap in recent) * 2 >= len(recent)
        if rate <= _SLOW[self.kind == "slow"] and apart:
            return "slow"
        return "fast" if rate >= _FAST[self.kind == "fast"] else "steady"

    def _is_bursty(self, gaps: list[float]) -> bool:
        least = max(_SILENCE, _LONGER * sorted(gaps)[len(gaps) // 2])
        silences = [at for at, gap in enumerate(gaps) if gap >= least]
        stays = self.kind == "bursty"
        if len(silences) < _SILENCES[stays]:
            return False
        # What stands before each silence; what comes after the last one has not ended.
        sizes = map(sub, silences, [-1, *silences])
        bursts = sum(size >= _BURST for size in sizes)
        share = sum(gaps[at] for at in silences) / sum(gaps)
        return bursts * 2 > len(silences) and share >= _BURSTY[stays]
