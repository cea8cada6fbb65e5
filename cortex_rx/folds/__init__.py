"""State that is a function of the events: the position of the text, the result, the exchange, the metrics.

Each fold builds on `position`; none counts attempts by itself."""

from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.folds.result import ResultFold
from cortex_rx.folds.stream_error import stream_error

__all__ = [
    "Move",
    "ResultFold",
    "TextPosition",
    "stream_error",
]
