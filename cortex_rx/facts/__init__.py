"""Reading facts: from which text, by which extractor, while an answer streams or from the store later."""

from typing import TYPE_CHECKING

from cortex_rx.facts.deciding import Decider
from cortex_rx.facts.extractor import Extraction, Extractor, extract
from cortex_rx.facts.pydantic_ai import PydanticAIDecider, PydanticAIExtractor

if TYPE_CHECKING:
    from cortex_rx.facts.pattern import PatternExtractor, Rule
else:

    def __getattr__(name):
        """The offline extractor and its rules are loaded when they are used."""
        if name not in ("PatternExtractor", "Rule"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from cortex_rx.facts import pattern

        return getattr(pattern, name)


__all__ = [
    "Decider",
    "Extraction",
    "Extractor",
    "PatternExtractor",
    "PydanticAIDecider",
    "PydanticAIExtractor",
    "Rule",
    "extract",
]
