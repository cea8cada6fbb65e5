"""The default chain, the `Answer`, and the functions that run them."""

from cortex_rx.pipeline.answer import Answer, AnswerReader, BegunAnswer, TextPiece
from cortex_rx.pipeline.default_chain import default_chain
from cortex_rx.pipeline.remembering import remember, remember_stream

__all__ = [
    "Answer",
    "AnswerReader",
    "BegunAnswer",
    "TextPiece",
    "default_chain",
    "remember",
    "remember_stream",
]
