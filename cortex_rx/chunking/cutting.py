"""Cut a text that comes in pieces into chunks, by a strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cortex_rx.chunking.packing import Packer, Span
from cortex_rx.chunking.sentences import Sentences
from cortex_rx.chunking.units import Fixed, Paragraphs, Strategy, Unit, Words

__all__ = ["TOKEN", "Cutter", "cutter"]

TOKEN = 4
"""The code points of a token, if tokens are not counted."""
LAZY = 512  # code points that may wait unexamined, if nothing in them can end a chunk
SOON = 256  # text that is open for longer than this is examined every LAZY code points


class Cutter:
    """Cuts one text, from offset `start` on.  Holds the open chunk, with its overlap, and the open unit.

    Text in which nothing can end a chunk is not examined piece by piece, which would cost ten times as much.

    >>> cutter = Cutter(lambda: Fixed(10_000), size=4, overlap=1)
    >>> [(piece.start, piece.text) for text in ("ab", "cd ", "efgh") for piece in cutter.feed(text)]
    [(0, 'abcd')]
    >>> [(piece.start, piece.text) for piece in cutter.finish()]
    [(3, 'd ef'), (6, 'fgh')]
    """

    def __init__(
        self, make: Callable[[], Strategy], size: int, overlap: int = 0, start: int = 0, max_length: int | None = None
    ) -> None:
        self._make = make
        self.strategy: Strategy = make()
        self.packer: Packer = Packer(size, overlap, start, max_length)
        self._waiting: list[str] = []
        self._length = 0
        self._examined(awake=False)

    def feed(self, text: str) -> list[Span]:
        """Add text, and return the chunks that it completes."""
        if not text:
            return []
        self._waiting.append(text)
        self._length = length = self._length + len(text)
        if length < self._due and ((search := self._search) is None or not search(text)):
            return []
        strategy = self.strategy
        pieces = list(self._pack(strategy.units(strategy.scanner.feed(self._waited()))))
        open_ = strategy.scanner.open
        wakes = strategy.wakes if len(open_) < SOON else None
        self._examined(len(open_), awake=wakes is not None and (strategy.waits or wakes.search(open_) is not None))
        return pieces

    def finish(self) -> list[Span]:
        """End the text, and return the remaining chunks."""
        strategy = self.strategy
        pieces = list(self._pack(strategy.units(strategy.scanner.feed(self._waited()))))
        pieces += self._pack(strategy.units(strategy.scanner.finish()))
        pieces += self._pack(strategy.rest())
        pieces += self.packer.finish()
        self.strategy = self._make()
        self._examined(awake=False)
        return pieces

    def _examined(self, open_: int = 0, *, awake: bool) -> None:
        """Plan the next examination.  `open_` code points are not yet certain; `awake`: the next text may end a
        chunk."""
        wakes = self.strategy.wakes if open_ < SOON else None
        self._search = wakes.search if wakes else None  # what it finds may end a chunk
        if awake:
            self._due = 0
        elif self.strategy.wakes or open_ >= SOON:
            self._due = LAZY
        else:
            self._due = min(self.packer.room - open_, LAZY)

    def _waited(self) -> str:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._length = 0
        return text

    def _pack(self, units: Iterable[Unit]) -> Iterator[Span]:
        for text, weight, loose in units:
            yield from self.packer.add(text, weight, loose)


def cutter(
    strategy: str,
    size: int,
    overlap: int = 0,
    *,
    longest: int = 10_000,
    max_length: int | None = None,
    language: str = "en",
    count: Callable[[str], int] | None = None,
    start: int = 0,
) -> Cutter:
    """The cutter of a strategy, by its name: `token`, `sentence`, `paragraph` or `fixed`.

    >>> sentences = cutter("sentence", size=1)
    >>> [piece.text for piece in sentences.feed("It is 3.14. So") + sentences.finish()]
    ['It is 3.14. ', 'So']
    """
    if strategy == "token":
        scale = 1 if count else TOKEN
        return Cutter(lambda: Words(longest, size * scale, count), size * scale, overlap * scale, start, max_length)
    makes: dict[str, Callable[[], Strategy]] = {
        "sentence": lambda: Sentences(longest, language),
        "paragraph": lambda: Paragraphs(longest),
        "fixed": lambda: Fixed(longest),
    }
    return Cutter(makes[strategy], size, overlap, start, max_length)
