"""Backends with one defect each in `immutable:*`, and the promise that must catch it."""
