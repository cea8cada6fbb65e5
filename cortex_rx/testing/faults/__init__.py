"""Deliberate faults: calls that fail, processes that crash, and plans of both."""
