"""mutable."""

from __future__ import annotations

from cortex_rx.testing.backends.promise import Collected

PROMISES = Collected()
