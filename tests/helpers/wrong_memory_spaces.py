"""Backends with one defect each in `memorySpaces:*`, and the promise that must catch it."""
