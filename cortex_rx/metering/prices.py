"""What the tokens of an answer cost: by a table of the user's, or by `genai-prices` (extra `prices`)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument, MissingExtra
from cortex_rx.metering._installed import is_installed
from cortex_rx.models.records import Record, Usage

__all__ = ["Cost", "GivenPrices", "Price", "Prices", "PricesFrom"]

log: logging.Logger = logging.getLogger("cortex_rx")

PricesFrom: TypeAlias = Literal["table", "genai-prices"]
"""Whose prices they are."""

_DATE = r"[-@]\d{4}-?\d\d-?\d\d"
_LIBRARY = "genai_prices"


class Price(Record):
    """The price of a model, in USD for a million tokens.

    Without `cached_input` or `cache_write`, those tokens cost as much as other input. Reasoning is output.

    >>> Price(input=2.5, output=10, cached_input=1.25).of(Usage(input_tokens=1_000_000, cached_input_tokens=400_000))
    2.0
    """

    _positions: ClassVar[tuple[str, ...]] = ("input", "output", "cached_input", "cache_write")

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None

    def of(self, usage: Usage) -> float:
        """The cost of these tokens in USD. What was not counted costs nothing."""
        read, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        other = max((usage.input_tokens or 0) - read - written, 0)
        cached = self.input if self.cached_input is None else self.cached_input
        write = self.input if self.cache_write is None else self.cache_write
        amounts = other * self.input, read * cached, written * write, (usage.output_tokens or 0) * self.output
        return sum(amounts) / 1_000_000


GivenPrices: TypeAlias = Mapping[str, Price] | Literal["auto", "genai-prices"] | None
"""A table from the names of models to prices, or the library's, if it is there ("auto") or must be; None: no cost."""


class Cost(NamedTuple):
    """An amount in USD, and whose prices it rests on."""

    usd: float
    prices_from: PricesFrom


class Prices:
    """The prices that were given, checked.

    >>> prices = Prices({"gpt-4o": Price(input=2.5, output=10)})
    >>> prices.cost("gpt-4o-2024-08-06", Usage(output_tokens=1000), 0.0)
    Cost(usd=0.01, prices_from='table')
    >>> prices.cost("gpt-4o-mini", Usage(output_tokens=1000), 0.0) is None
    True
    """

    def __init__(self, given: GivenPrices) -> None:
        self._table: dict[str, Price] | None = None
        self._library = False
        if isinstance(given, Mapping):
            self._table = {name: _checked(name, price) for name, price in given.items()}
        elif given is not None:
            check.one_of("auto", "genai-prices")("prices", given)
            self._library = is_installed(_LIBRARY)
            if given == "genai-prices" and not self._library:
                raise MissingExtra("the prices of models", "prices")

    @property
    def ready(self) -> bool:
        """Whether a cost can be said at once: nothing must be imported."""
        return not self._library or "genai_prices.data" in sys.modules

    def load(self) -> None:
        """Import the library and its table: 200 ms, so on a thread. It uses no network. A failure means no costs."""
        try:
            from genai_prices import data_snapshot

            data_snapshot.get_snapshot()
        except Exception as error:
            self._library = False
            log.warning("no cost: genai-prices cannot be used: %s", type(error).__name__)

    def cost(self, model: str | None, usage: Usage, at: float) -> Cost | None:
        """What these tokens of the model cost at a time (seconds since the epoch); None if its price is not known."""
        if model is None:
            return None
        if self._table is not None:
            price = self._table.get(model) or self._table.get(re.sub(_DATE, "", model))
            return Cost(price.of(usage), "table") if price else None
        if not self._library:
            return None
        usd = _library_cost(model, usage, at)
        return None if usd is None else Cost(usd, "genai-prices")


def _checked(name: object, price: object) -> Price:
    check.name("prices", name)
    if not isinstance(price, Price):
        raise InvalidArgument(f"prices[{name!r}]", check.shown(price), "a Price")
    for field in ("input", "output", "cached_input", "cache_write"):
        amount = getattr(price, field)
        check.optional(check.amount("USD for a million tokens", zero=True))(f"prices[{name!r}].{field}", amount)
    return price


def _library_cost(model: str, usage: Usage, at: float) -> float | None:
    from genai_prices import Usage as Counts
    from genai_prices import calc_price

    counts = Counts(
        input_tokens=usage.input_tokens or 0,
        cache_read_tokens=usage.cached_input_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
        output_tokens=usage.output_tokens or 0,
    )
    try:
        return float(calc_price(counts, model, genai_request_timestamp=datetime.fromtimestamp(at, UTC)).total_price)
    except LookupError:
        return None
    except Exception as error:  # counts that contradict each other: no cost is better than a wrong one
        log.warning("no cost: genai-prices refused the counts of a stream with %s", type(error).__name__)
        return None
