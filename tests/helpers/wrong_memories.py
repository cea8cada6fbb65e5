"""Backends with one defect each in the versions and the archive of memories, and the promise that must catch it."""
