"""Backends with one defect each in `conversations:*`, beside those of exchanges, and the promise that must catch it."""
