"""Calls that every backend has to accept or refuse: `calls.json`, for any language.

Each function has a `kind`, a `call` with the required arguments, and the cases made from it. A case sets fields
(`with`) or leaves fields out (`without`). A refused case names the `field` of the `InvalidArgument`; the error names
this field or a part of it (`tags[0]`). An accepted case may fail for another reason, for example because there is no
stream.

What JSON cannot say is an object with one key. {"$number": name} is "NaN", "Infinity" or "-Infinity". {"$utf16":
[units]} is a text by its UTF-16 code units, lone surrogates included. {"$nested": n} is n lists, each within the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Literal, NamedTuple

__all__ = ["Sample", "samples"]


class Sample(NamedTuple):
    """A call. `field` is the field that is refused, or None if the call is accepted."""

    kind: Literal["query", "mutation"]
    path: str
    args: dict[str, Any]
    field: str | None

    def names(self, field: str) -> bool:
        """Whether an error that names `field` is the expected one."""
        return (
            self.field is not None and field.startswith(self.field) and field[len(self.field) :][:1] in ("", ".", "[")
        )


def samples() -> Iterator[Sample]:
    """All calls of `calls.json`.

    >>> next(one for one in samples() if one.path == "memories:count" and one.field)
    Sample(kind='query', path='memories:count', args={}, field='memorySpaceId')
    """
    text = files("cortex_rx.backends.contract").joinpath("calls.json").read_text(encoding="utf-8")
    for path, function in json.loads(text).items():
        for case in (*function["accepted"], *function["refused"]):
            args = {**function["call"], **case.get("with", {})}
            kept = {name: value for name, value in args.items() if name not in case.get("without", ())}
            yield Sample(function["kind"], path, _decoded(kept), case.get("field"))


def _decoded(value: Any) -> Any:
    match value:
        case list():
            return [_decoded(item) for item in value]
        case {"$number": name}:
            return float(name)
        case {"$utf16": units}:
            return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "surrogatepass")
        case {"$nested": levels}:
            nested: list[Any] = []
            for _ in range(levels - 1):
                nested = [nested]
            return nested
        case dict():
            return {key: _decoded(item) for key, item in value.items()}
        case _:
            return value
