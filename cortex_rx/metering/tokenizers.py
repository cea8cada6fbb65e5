"""The tokenizers of OpenAI's models, by `bpe-openai` (extra `tokens`). Offline: the vocabularies are in the package."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

from cortex_rx.errors import MissingExtra
from cortex_rx.metering._installed import is_installed

__all__ = ["ENCODINGS", "encoding_of", "installed", "tokenizer"]

ENCODINGS: tuple[str, ...] = ("o200k_base", "cl100k_base")
"""The encodings that are known here."""

_DATED = r"(-\d{4}-\d\d-\d\d|-\d{4}|-latest)?"
# As tiktoken assigns them. A model that is not named here has no tokenizer: its encoding is not known.
_MODELS = {
    "o200k_base": rf"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|o1|o3|o4)(-(mini|nano|preview|chat|pro))*{_DATED}",
    "cl100k_base": rf"(gpt-4|gpt-3\.5|gpt-35)(-(turbo|32k|16k|preview|instruct))*{_DATED}(-preview)?",
}
_BINDINGS = "bpe_openai._bindings"


def encoding_of(model: str | None) -> str | None:
    """The encoding of a model, by its name; None if it is not known.

    >>> encoding_of("gpt-4o-2024-08-06"), encoding_of("gpt-4-0613"), encoding_of("ft:gpt-4o-mini:me::1")
    ('o200k_base', 'cl100k_base', 'o200k_base')
    >>> encoding_of("claude-sonnet-4-5"), encoding_of("gpt-99"), encoding_of(None)
    (None, None, None)
    """
    return next((name for name, models in _patterns().items() if model and models.fullmatch(model)), None)


@cache  # not at import: most programs need none
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(rf"(openai/|ft:)?{models}(:.*)?") for name, models in _MODELS.items()}


def installed() -> bool:
    """Whether the library is there. It is not imported."""
    return is_installed("bpe_openai")


def tokenizer(encoding: str) -> Callable[[str], int]:
    """The function that counts the tokens of a text. Special tokens in it are text.

    The first one of an encoding takes 20 to 70 ms, in which the library lets no other thread run: it builds its tables.
    Raises `MissingExtra` if the library is not installed.

    >>> tokenizer("o200k_base")("Where is my parcel?")
    5
    """
    if not installed():
        raise MissingExtra("the tokenizer of a model", "tokens")
    if (bindings := sys.modules.get(_BINDINGS) or _bindings()) is None:
        return partial(_by_package, encoding)
    counting: Callable[[str], int] = bindings.tokenizer_for_encoding(encoding).count
    return counting


def _bindings() -> Any:
    """The library's compiled part, without the package around it; None if it is not where it is expected.

    The package reads three vocabularies in Python when it is imported: 0.6 s, and 100 MB that only its decoding needs.
    """
    package = find_spec("bpe_openai")
    places = list(package.submodule_search_locations or ()) if package else []
    spec = PathFinder.find_spec(_BINDINGS, places)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    # A later import of the package finds it. The module cannot be initialised twice in a process.
    return sys.modules.setdefault(_BINDINGS, module)


def _by_package(encoding: str, text: str) -> int:
    package: Any = import_module("bpe_openai")
    return len(package.get_encoding(encoding).encode_ordinary(text))
