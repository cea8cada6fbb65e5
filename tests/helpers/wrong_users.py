"""Backends with one defect each in `users:*`, and the promise that must catch it."""
