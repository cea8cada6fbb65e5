"""Faults on purpose: calls that fail, processes that crash, plans of both."""
