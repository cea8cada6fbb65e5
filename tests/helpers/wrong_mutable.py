"""Backends with one defect each in `mutable:*`, and the promise that must catch it."""
