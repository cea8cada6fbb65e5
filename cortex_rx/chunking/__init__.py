"""Cut a text that comes in pieces into chunks.

There are three steps, each of which sees the text once:

* `atoms`: the smallest pieces between which a cut is allowed: words, white space, links, code, whole fences;
* `units`: what a strategy counts, made of atoms: words with their tokens, code points, paragraphs; `sentences`;
* `packing`: units into chunks of a size, with an overlap; `semantic` ends chunks also between topics.

Every decision depends on the text, never on the pieces in which it came: a scanner that needs more text waits for it.
So every way of splitting the input gives the same chunks.  The text that is waited for or kept is bounded.

The package needs the extra `chunk`: `regex` for grapheme clusters, `sentencex` for sentences.
"""

from cortex_rx.chunking.atoms import Atom, Kind, Scanner
from cortex_rx.chunking.cutting import TOKEN, Cutter, cutter
from cortex_rx.chunking.packing import Packer, Span
from cortex_rx.chunking.semantic import PERCENTILE, Topics
from cortex_rx.chunking.sentences import Sentences
from cortex_rx.chunking.units import Fixed, Paragraphs, Strategy, Unit, Words

__all__ = [
    "PERCENTILE",
    "TOKEN",
    "Atom",
    "Cutter",
    "Fixed",
    "Kind",
    "Packer",
    "Paragraphs",
    "Scanner",
    "Sentences",
    "Span",
    "Strategy",
    "Topics",
    "Unit",
    "Words",
    "cutter",
]
