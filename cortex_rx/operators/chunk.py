"""Cut the answer into chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.embedding.embedder import GenerateEmbedding, as_embedder, checked_function
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, beside, passing
from cortex_rx.errors import InvalidArgument, MissingExtra
from cortex_rx.events import Chunked, Delta, Ended, Problem, Replayed, Resumed, StreamEvent
from cortex_rx.models.records import SHORTEST_CHUNK, ChunkingStrategy
from cortex_rx.operators._support.cutting import TOKEN_LENGTH, Cutting, SafeCount
from cortex_rx.operators._support.semantic_cutting import WANTS, SemanticCutting

__all__ = ["chunk"]

_SIZES = {"token": 500, "sentence": 5, "paragraph": 2, "fixed": 2000, "semantic": 10}  # as Cortex suggests
_LEAST = 3_000  # of `longest`, in code points: more than a link may have
_INTERVAL = 0.25  # seconds between two looks at what passed, for sentences to embed; the end is seen at once
_BATCH = 2048  # after so many events it looks sooner


@operator(reads=[Delta, Ended, Replayed, Resumed], emits=[Chunked, Problem], captures_text=True)
def chunk(
    strategy: ChunkingStrategy,
    size: int | None = None,
    overlap: int = 0,
    *,
    longest: int = 10_000,
    max_length: int | None = None,
    language: str = "en",
    count: Callable[[str], int] | None = None,
    embedder: GenerateEmbedding | None = None,
    percentile: float | None = None,
) -> Operator:
    """Cut the answer into chunks of `size` units while it streams; each repeats the last `overlap` units before it.

    So parts of an answer can be stored, embedded or shown before it has ended.

    ```text
    chunk("paragraph", size=1)
    source  O-a-b-c-d----f-(E|)
    out     O-a-b-c-(dC)-f-(ECC|)

    chunk("semantic", embedder=case)
    source  OABCDEuvwxyz---(E|)
    out     OABCDEuvwxyz---E-----(CC|)

    O = Opened, E = Ended, C = Chunked
    ```

    | strategy | unit | size |
    |---|---|---|
    | `token` | a token: by `count`, else four code points, with the space after it; closed after a word | 500 |
    | `sentence` | a sentence, by the rules of `language`; also a list item, a heading, a fenced block of code | 5 |
    | `paragraph` | text between blank lines | 2 |
    | `fixed` | a code point | 2,000 |
    | `semantic` | a sentence; a chunk also ends where the next sentences are about something else | 10 |

    A chunk is `text[start_offset:end_offset]` of the answer, in code points. White space belongs to the text after it
    (except for `fixed`). Apart from overlaps, the chunks make up the whole answer. They do not depend on how the answer
    was split into deltas. Grapheme clusters, links, code spans and fenced blocks are never cut. `sentence` also keeps
    text in quotes or brackets together, up to 300 code points; `token` keeps every word that fits in a chunk, and
    `fixed` every number and every abbreviation with dots. A part that is never cut, and alone exceeds `size`, is a
    chunk of its own. No unit is longer than `longest` code points: a sentence or paragraph without an end is closed
    there after a word, a fence after a line.

    With `max_length`, at least 32, no chunk has more code points, including its overlap. It is closed before the first
    unit that does not fit. A unit that alone is longer is cut in any case: after a line, else a word, else a grapheme
    cluster. Each part counts as its share of the unit, and as at least one.

    `count(text)` returns the number of tokens of a word and the white space before it. It has no side effects. No word
    counts as less than one. If it fails, there is one `Problem`, and from then on four code points are a token.

    `semantic` embeds sentences by the `embedder`, beside the stream. A chunk also ends where five sentences and the
    next two are less alike than at all but `percentile` (15) percent of the last 64 places, after three sentences at
    least; this is known four sentences later. If the embedder fails, or takes more than 30 s, there is one `Problem`,
    and the rest is cut by `size` alone. So is what waits at an error, 30 s after the end (`EMBEDDER_SLOW`), or beyond
    262,144 code points (`EMBEDDER_BEHIND`).

    Reads `Delta`. Emits `Chunked` as soon as the following text shows that a chunk is closed: mostly a word later, at
    most 3,200 code points later where a link might go on. The last chunks come at `Ended`, or at an error. A new
    attempt is cut anew. In a stream that was taken over, the `Replayed` text is cut too, so in the end there are the
    chunks of the whole answer. Holds the open chunk with its overlap, and the open unit; the work is linear.

    Needs the extra `chunk`. Raises `InvalidArgument` and `MissingExtra`.

    Commonly used for: memories of a size that suits a search, embeddings while the answer streams, reading aloud.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, run
    >>> turn = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
    >>> answer = from_stream(["Dr. Smith pa", "id $3.14. The", "n he left."], turn=turn)
    >>> only = ops.filter(lambda event: isinstance(event, Chunked))
    >>> for event in asyncio.run(run(answer.pipe(chunk("sentence", size=1), only, ops.to_list()))):
    ...     print(event.chunk.start_offset, event.chunk.end_offset, repr(event.chunk.content))
    0 22 'Dr. Smith paid $3.14. '
    22 35 'Then he left.'

    See also: `text`, `persist_partial`.
    """
    check.one_of(*get_args(ChunkingStrategy))("strategy", strategy)
    most = check.optional(check.whole(1))("size", size) or _SIZES[strategy]
    check.whole(_LEAST)("longest", longest)
    full = most  # units that a chunk can have
    check.optional(check.whole(SHORTEST_CHUNK))("max_length", max_length)
    if max_length is not None:
        longest = max(_LEAST, min(longest, max_length))
        full = min(most, max_length // (TOKEN_LENGTH if strategy == "token" and not count else 1))
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap < full:
        raise InvalidArgument("overlap", overlap, f"a whole number from 0 to {full - 1}, less than the size")
    check.name("language", language)
    check.optional(check.function)("count", count)
    if count and strategy != "token":
        raise InvalidArgument("count", type(count).__name__, "None, unless the strategy is 'token'")
    embeds = as_embedder(check.optional(checked_function)("embedder", embedder))
    if (embeds is None) == (strategy == "semantic"):
        accepted = "an Embedder or a function from a text to its vector, with the strategy 'semantic' and no other"
        raise InvalidArgument("embedder", check.shown(embedder), accepted)
    check.optional(check.importance)("percentile", percentile)
    if percentile is not None and embeds is None:
        raise InvalidArgument("percentile", percentile, "None, unless the strategy is 'semantic'")
    try:  # imported here, so that programs without `chunk` need no library for it
        from cortex_rx.chunking import PERCENTILE, Topics, cutter
    except ImportError as error:
        raise MissingExtra("chunk", "chunk") from error
    if embeds is not None:
        percent = PERCENTILE if percentile is None else percentile
        work = SemanticCutting(
            embeds,
            lambda start: cutter("sentence", 1, longest=longest, language=language, start=start),
            lambda start: Topics(most, overlap, percentile=percent, start=start, max_length=max_length),
        )
        return beside(work.run, _INTERVAL, capacity=_BATCH, wants=WANTS, gated=False)

    def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        counter = SafeCount(count, emit) if count else None
        start_cutter = partial(
            cutter, strategy, most, overlap, longest=longest, max_length=max_length, language=language, count=counter
        )
        cutting = Cutting(emit, lambda start: start_cutter(start=start))
        return cutting.on_next, cutting.at_end

    return passing(make)
