"""Backends with one defect each in `agents:*`, and the promise that must catch it."""
