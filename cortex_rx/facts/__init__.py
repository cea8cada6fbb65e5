"""Reading facts: from which text, by which extractor, while an answer streams or from the store later."""

from cortex_rx.facts.extractor import Extraction, Extractor, extract
from cortex_rx.facts.pattern import PatternExtractor, Rule

__all__ = ["Extraction", "Extractor", "PatternExtractor", "Rule", "extract"]
