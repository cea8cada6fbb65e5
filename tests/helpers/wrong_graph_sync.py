"""Backends with one defect each in `graphSync:*`, and the promise that must catch it."""
