"""Marble diagrams: drawn from runs, played as sources, expected in tests."""
