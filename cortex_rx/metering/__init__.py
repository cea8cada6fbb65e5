"""What an answer took: its tokens, and what they cost.

Tokens are the provider's where it counted them. Else a tokenizer counts them, if the model is known to have it; else
they are estimated. Prices are a table of the user's, or those of `genai-prices`. Nothing here uses the network.
"""

from cortex_rx.metering.prices import Price, Prices
from cortex_rx.metering.tokenizers import ENCODINGS, encoding_of, tokenizer

__all__ = ["ENCODINGS", "Price", "Prices", "encoding_of", "tokenizer"]
