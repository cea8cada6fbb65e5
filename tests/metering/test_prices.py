"""`Prices`: what tokens cost; an unknown model has no cost."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from cortex_rx.errors import InvalidArgument, MissingExtra
from cortex_rx.metering import prices as module
from cortex_rx.metering.prices import Price, Prices
from cortex_rx.models.records import Usage

AT = 1_764_000_000.0  # November 2025
USED = Usage(1_000, 100, 1_100, 400, None, 60)


def test_the_parts_of_the_input_have_their_own_prices():
    price = Price(input=2.0, output=10.0, cached_input=0.5, cache_write=4.0)
    used = Usage(1_000_000, 100_000, cached_input_tokens=300_000, cache_write_tokens=200_000, reasoning_tokens=90_000)
    assert price.of(used) == pytest.approx(0.5 * 2 + 0.3 * 0.5 + 0.2 * 4 + 0.1 * 10), "reasoning is output"
    assert Price(2.0, 10.0).of(used) == pytest.approx(2 + 1), "as other input"
    assert Price(2.0, 10.0).of(Usage()) == 0


def test_a_table_is_asked_by_the_name_with_and_without_its_date():
    table = Prices({"gpt-4o": Price(1, 1), "claude-sonnet-4": Price(2, 2), "mine": Price(0, 0)})
    million = Usage(output_tokens=1_000_000)
    costs = {
        name: table.cost(name, million, AT)
        for name in (
            "gpt-4o",
            "gpt-4o-2024-08-06",
            "claude-sonnet-4-20250514",
            "mine",
            "gpt-4o-mini",
            "claude-sonnet-4-5",
            None,
        )
    }
    assert {name: cost and cost.usd for name, cost in costs.items()} == {
        "gpt-4o": 1, "gpt-4o-2024-08-06": 1, "claude-sonnet-4-20250514": 2, "mine": 0,
        "gpt-4o-mini": None, "claude-sonnet-4-5": None, None: None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"gpt-4o": 2.0}, r"prices\['gpt-4o'\]: got 2.0"),
        ({"gpt-4o": Price(input=-1, output=1)}, r"prices\['gpt-4o'\].input: got -1"),
        ({"gpt-4o": Price(input=1, output=float("inf"))}, r"prices\['gpt-4o'\].output: got inf"),
        ({"": Price(1, 1)}, "prices: got"),
        ("openai", "prices: got 'openai'"),
        (2.0, "prices: got"),
    ],
)
def test_what_is_wrong_is_said(given, says):
    with pytest.raises(InvalidArgument, match=says):
        Prices(given)


def test_the_librarys_prices_offline(monkeypatch):
    """With its packaged table: nothing is connected to."""

    def refuse(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    prices = Prices("genai-prices")
    prices.load()
    assert prices.ready
    cost = prices.cost("gpt-4o-2024-08-06", USED, AT)
    assert cost == (pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6), "genai-prices")
    assert prices.cost("story", USED, AT) is None and prices.cost(None, USED, AT) is None
    assert prices.cost("gpt-4o", Usage(1, cached_input_tokens=5), AT) is None, "counts that contradict each other"
    assert Prices(None).cost("gpt-4o", USED, AT) is None


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(module, "is_installed", lambda name: False)
    assert Prices("auto").ready and Prices("auto").cost("gpt-4o", USED, AT) is None
    with pytest.raises(MissingExtra, match=r"cortex-rx\[prices\]"):
        Prices("genai-prices")


def test_a_library_that_cannot_be_used_means_no_cost(monkeypatch):
    prices = Prices("auto")
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.delitem(sys.modules, "genai_prices.data", raising=False)
    prices.load()
    assert prices.ready and prices.cost("gpt-4o", USED, AT) is None


def test_nothing_of_the_extras_is_imported_with_the_package():
    program = "import cortex_rx, sys; assert not {'genai_prices', 'bpe_openai', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
