"""Backends with one defect each in `contexts:*`, and the promise that must catch it."""
