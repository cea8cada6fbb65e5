"""Reading facts: from which text, by which extractor, while an answer streams or from the store later."""
