"""Chains over a store, and scripts of a model, for the tests of the operators that store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cortex_rx import operators as cx

MS = timedelta(milliseconds=1)
QUESTION = ("user", "What is it?")


def storing(store, interval=500, **persist):
    """What keeps the partial answer."""
    return cx.chain(cx.begin(store), cx.persist_partial(store, interval * MS, **persist))


def whole(store, interval=500, **persist):
    """What keeps the partial answer and stores the exchange."""
    return cx.chain(storing(store, interval, **persist), cx.finalize(store))


def exchange(store, interval=500, **finalize):
    """The same, with arguments for `finalize`."""
    return cx.chain(storing(store, interval), cx.finalize(store, **finalize))


def plain(store, **finalize):
    """What stores the exchange, and no partial answer."""
    return cx.chain(cx.begin(store), cx.finalize(store, **finalize))


CHAINS = pytest.mark.parametrize("chain", [exchange, plain], ids=["with persist_partial", "without"])


def script(count, pause, text="word "):
    """So many numbered words, with a pause before each."""
    out = []
    for number in range(count):
        out += [pause, f"{text}{number} "]
    return out


def sent(store):
    """What was appended: where, and which text."""
    return [(call.args["start"], call.args["text"]) for call in store.of("append")]
