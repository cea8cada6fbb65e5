"""Tools for testing pipelines: virtual time."""

from cortex_rx.testing.virtual import Deadlock, VirtualLoop, run_virtual

__all__ = ["Deadlock", "VirtualLoop", "run_virtual"]
