"""The work and the memory, counted: neither grows with the length of the text."""

from __future__ import annotations

import pytest
from helpers.lanes import examples, slow_but

from cortex_rx.chunking import cutter

PROSE = (
    'The quick brown fox (a small one, e.g. 3.5 kg) jumps over "the lazy dog." It sees https://example.com/a_(b) '
    "and `code. Span`. Dr. Smith said so.\n\n你好世界。他说：「你好。」\n```\ncode. Here\n```\n"
)
TEXTS = {
    "prose": PROSE,
    "quotes": '"a ',
    "brackets": "(a [b ",
    "backticks": "`` a ` ",
    "links": "[a](b",
    "tags": "<a <b ",
    "stops": "a. ",
    "marks": "\u0301",
    "letters": "x",
    "spaces": " ",
    "newlines": "\n",
    "fence": "```\nx\n",
    "an address": "https://a.b/c)",
    "flags": "🇩🇪",
    "wide": "中",
}
LONGEST = 3000
QUICK = ["prose", "brackets", "letters", "fence"]
WORST = 8  # times that a code point is looked at, in texts made for that
STRATEGIES = ["token", "sentence", "paragraph", "fixed"]


def work(text: str, strategy: str, step: int, **how: int) -> tuple[int, int, int]:
    """Code points that were looked at, questions asked, and code points that were held at most."""
    made = cutter(
        strategy, {"token": 100, "sentence": 5, "paragraph": 2, "fixed": 400}[strategy], longest=LONGEST, **how
    )
    given = held = 0
    for at in range(0, len(text), step):
        for piece in made.feed(text[at : at + step]):
            given = piece.end
        held = max(held, min(at + step, len(text)) - given)
    return made.strategy.scanner.steps, getattr(made.strategy, "asked", 0), held


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", slow_but(QUICK, TEXTS, "texts that are made to be slow to cut"))
def test_the_work_is_linear_and_what_is_held_bounded(name, strategy):
    unit = TEXTS[name]
    length = max(24_000, examples(48_000))  # longer than what may be held, also in a usual run
    short, long = (unit * (size // len(unit)) for size in (length // 4, length))
    few, some, _ = work(short, strategy, 5)
    many, more, held = work(long, strategy, 5)
    assert many <= 4.6 * few + 10_000, "four times the text, four times the work"
    assert many <= WORST * len(long)
    assert more <= 4.1 * some and more <= len(long) / 2.9
    chunk = {"sentence": 5 * LONGEST, "paragraph": 2 * LONGEST}.get(strategy, 400 + LONGEST)
    assert held <= chunk + LONGEST + 600, "the open chunk, the open unit, and what is not yet looked at"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", slow_but(["prose", "fence"], TEXTS, "texts that are made to be slow to cut"))
def test_a_bound_on_the_length_costs_nothing_and_bounds_what_is_held(name, strategy):
    text = TEXTS[name] * (max(12_000, examples(24_000)) // len(TEXTS[name]))
    free, _, _ = work(text, strategy, 5)
    bounded, _, held = work(text, strategy, 5, max_length=500)
    assert bounded <= 1.1 * free + 1000
    assert held <= 500 + 2 * LONGEST + 600, (
        "the open chunk, the open unit, what is scanned and what is not yet looked at"
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_prose_is_looked_at_few_times(strategy):
    text = PROSE * 100
    looked, asked, _ = work(text, strategy, 5)
    assert looked <= 4 * len(text)
    assert asked <= len(text) / 20
