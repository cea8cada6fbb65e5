"""The benchmark of providers, with few chunks: each form is read to its end, with the text that it was made of."""

from __future__ import annotations

import pytest

from benchmarks.providers import FORMS, providers
from benchmarks.store import NullStore
from benchmarks.subjects import Model


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_is_read_to_its_end(form: str) -> None:
    model = Model(20)
    await providers(model)[form](model, NullStore())
