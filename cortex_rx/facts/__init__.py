"""Reading facts: from which text, by which extractor, while an answer streams or from the store later."""

from cortex_rx.facts.deciding import Decider
from cortex_rx.facts.extractor import Extraction, Extractor, extract
from cortex_rx.facts.pattern import PatternExtractor, Rule
from cortex_rx.facts.pydantic_ai import PydanticAIDecider, PydanticAIExtractor

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
