"""From texts to vectors: any function as an embedder, and one that works offline.

`embedder`: `Embedder`, a function with what the store must know of it, and the checks of what it returns. `local`:
`local_embedder`, a small model in this process. `threads`: where functions run that are not async.
"""

from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding
from cortex_rx.embedding.local import local_embedder

__all__ = ["Embedder", "GenerateEmbedding", "local_embedder"]
