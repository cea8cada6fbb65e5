"""Read facts from the question and from the answer while it streams."""

from __future__ import annotations

from datetime import timedelta

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.beliefs import Predicates
from cortex_rx.chain import Operator, operator
from cortex_rx.embedding.embedder import GenerateEmbedding
from cortex_rx.engine import beside
from cortex_rx.events import (
    Adapted,
    Begun,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Replayed,
    Resumed,
    Rewound,
)
from cortex_rx.facts.deciding import Decider
from cortex_rx.facts.extractor import Extractor
from cortex_rx.facts.reader import EXTRACTION_TIMEOUT, fact_reader
from cortex_rx.facts.windows import THRESHOLD
from cortex_rx.models.facts import FactDeduplication
from cortex_rx.operators._support.fact_run import FactWork

__all__ = ["extract_facts"]

_INTERVAL = 0.25  # seconds between two looks at what passed; the end is seen at once
_BATCH = 2048  # after so many events it looks sooner


@operator(
    needs=[Begun],
    reads=[Opened, Adapted, Replayed, Resumed, Rewound, Delta, PartialStored, Ended, Problem],
    emits=[FactsExtracted, Problem],
    captures_text=True,
)
def extract_facts(
    extractor: Extractor,
    backend: Backend,
    threshold: int = THRESHOLD,
    progressive: bool = True,
    concurrency: int = 1,
    timeout: timedelta = EXTRACTION_TIMEOUT,
    wait: timedelta = timedelta(seconds=10),
    deduplication: FactDeduplication = "structural",
    revise: bool | Decider = True,
    embedder: GenerateEmbedding | None = None,
    predicates: Predicates | None = None,
) -> Operator:
    """Read facts from the question, and from the answer while it streams. Each character is read once.

    ```text
    extract_facts(letters, store, threshold=2)
    source  OBa-----P-----b---P----------c---P----(E|)
    store   [][([a])(][)-]([b)][]--------([c)][]-----------
    out     OBa-----P-----b---P---F------c---P---FE----(F|)

    O = Opened, B = Begun, E = Ended, P = PartialStored, F = FactsExtracted, [ ] = a write
    ```

    Tokens pass at once. Beside them, the user's message is read by itself, then the answer in windows: new text of at
    least `threshold` code points, up to the end of a sentence, and at most 12 % before it for context. At most
    `concurrency` calls of the extractor run at a time, each for at most `timeout`. Unless it is `progressive`, they
    begin when the answer has ended. An `Adapted` multiplies the threshold by `strategy.threshold`, from the next
    sentence on: fewer calls on a fast stream, facts sooner on a slow one.

    Reads `Delta`, `PartialStored` and `Adapted`. Emits `FactsExtracted` for each piece with facts. A piece is stored as
    soon as its text is, with its offset in one transaction: a process that dies loses no facts, and the one that
    takes the stream over reads none twice. What is read of the text that is not durable at the end is stored by
    `finalize`, in the transaction of the exchange. There the facts become visible, and it is decided what they
    supersede. They are gone if the stream is rolled back or its text begins anew. `remember_stream` tells the store
    with the question that facts are read (`Turn.read_facts`); else the first write of this step does.

    After the end of the answer it waits for the extractor, at most `wait`; when the stream fails or is stopped it does
    not wait. What was not read by then is queued in the store, with each piece for which the extractor failed or took
    too long. Each is a `Problem`. `cortex.facts.drain()` reads what is queued. Facts for which only an embedding or the
    decider's word is missing by then are stored without it. If the store refuses facts, they are queued; the exchange
    is stored in any case. Of a stream it takes 1,000; what goes beyond is a `Problem` and a dead letter. At most
    262,144 code points wait to be read; of a longer text that comes faster than it is read, a part is queued.

    `extractor(user_message, text)` is any function, sync or async; a sync one runs on a thread. See `Extractor`. A fact
    about "user", "I" or nobody is about the user: the subject becomes the user's id. `deduplication` says which
    statements are one fact, `revise` whether a new value of a predicate that has one at a time supersedes the old one.
    A `Decider` as `revise` decides the doubtful cases, in at most 10 s for each piece. `predicates` are those that you
    know beside ours. With `deduplication="semantic"` and an `embedder` a decider is also asked about facts that are
    near in meaning.

    It stands after `persist_partial` and before `recover` and `finalize`.

    Commonly used for: knowing who somebody is and what they like, as of now and as of then.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(extract_facts(lambda user_message, text: [], SqliteBackend(":memory:"), threshold=800))
    extract_facts(extractor=<lambda>, backend=SqliteBackend(':memory:'), threshold=800)

    See also: `begin`, `adapt`, `persist_partial`, `finalize`.
    """
    reader = fact_reader(extractor, backend, timeout, deduplication, revise, embedder, predicates)
    work = FactWork(
        reader,
        threshold=check.whole(1)("threshold", threshold),
        progressive=check.flag("progressive", progressive),
        concurrency=check.whole(1)("concurrency", concurrency),
        wait=check.seconds(zero=True)("wait", wait),
    )
    wants = frozenset({Opened, Begun, Adapted, Replayed, Resumed, Rewound, Delta, PartialStored, Ended, Problem})
    return beside(work.run, _INTERVAL, capacity=_BATCH, wants=wants, gated=False)
