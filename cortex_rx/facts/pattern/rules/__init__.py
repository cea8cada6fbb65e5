"""The rules, by family."""

from cortex_rx.facts.pattern.rule import Rule
from cortex_rx.facts.pattern.rules import dates, identity, places, preferences, relations

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    *preferences.RULES,
    *identity.RULES,
    *relations.RULES,
    *places.RULES,
    *dates.RULES,
)
"""Every rule."""
