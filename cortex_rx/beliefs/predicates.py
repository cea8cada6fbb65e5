"""Predicates: which are known by name, which of them are single-valued, and what their inverse is.

They are listed in `predicates.toml`, beside this module.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from cortex_rx import validation
from cortex_rx.errors import InvalidArgument

__all__ = ["PREDICATES", "Predicate", "Predicates", "snake_case"]

_HUMP = r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"  # livesIn, hasURLOf
_GAP = r"[\W_]+"
_KEYS = ("meaning", "cardinality", "inverse", "qualified", "aliases")


def snake_case(name: str) -> str:
    """The name in lower case, its words joined by `_`.

    >>> snake_case("livesIn"), snake_case("Lives in"), snake_case("lives-in")
    ('lives_in', 'lives_in', 'lives_in')
    """
    if name.isascii() and name.islower() and all(map(str.isalnum, name.split("_"))):
        return name  # as most are: no regular expression is compiled for the names of the file
    return re.sub(_GAP, "_", re.sub(_HUMP, "_", name)).strip("_").casefold()


@dataclass(frozen=True, slots=True)
class Predicate:
    """A predicate, read as "subject predicate object"."""

    name: str
    """In snake case.  In upper case it is the type of the relationship in a graph."""
    single: bool = False
    """Whether a subject has one object at a time, so that a new one supersedes the old one."""
    inverse: str | None = None
    """The predicate that says the same with subject and object exchanged; the name itself if it is symmetric."""
    qualified: bool = False
    """Whether a qualifier tells several apart: favorite *color*, favorite *food*."""
    aliases: tuple[str, ...] = ()
    """Other names of it, in snake case."""
    meaning: str = ""


class Predicates(Mapping[str, Predicate]):
    """Predicates by their names.

    >>> PREDICATES["lives_in"].single, PREDICATES["manages"].inverse
    (True, 'managed_by')
    >>> mine = PREDICATES.extended({"drives": {"cardinality": "one", "aliases": ["has car"]}})
    >>> mine.canonical("hasCar"), mine.single("has car"), PREDICATES.single("drives")
    ('drives', True, False)
    """

    def __init__(self, predicates: Iterable[Predicate] = ()) -> None:
        """The last of those with one name counts.

        Raises `InvalidArgument` if two predicates have a name or an alias in common, or an inverse is unknown or has
        another inverse.
        """
        self._all: dict[str, Predicate] = {each.name: each for each in predicates}
        self._names: dict[str, str] = {name: name for name in self._all}
        for each in self._all.values():
            for alias in each.aliases:
                if self._names.setdefault(alias, each.name) != each.name:
                    raise InvalidArgument(
                        f"{each.name}.aliases", alias, f"a name that is not one of {self._names[alias]}'s, too"
                    )
            if each.inverse is not None:
                inverse = self._all.get(each.inverse)
                if inverse is None or inverse.inverse != each.name:
                    raise InvalidArgument(
                        f"{each.name}.inverse", each.inverse, f"a predicate whose inverse is {each.name}"
                    )
        # The most words of a name: of a text without end, no more are looked up.
        self._longest: int = max((name.count("_") + 1 for name in self._names), default=0)

    def __getitem__(self, name: str) -> Predicate:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __hash__(self) -> int:
        return hash(tuple(self._all.values()))

    def __repr__(self) -> str:
        return f"Predicates({len(self)})"

    def canonical(self, name: str) -> str:
        """The name of the predicate that `name` means; if it is unknown, the name in snake case.

        >>> PREDICATES.canonical("worksFor"), PREDICATES.canonical("Is afraid of")
        ('works_at', 'is_afraid_of')
        """
        plain = snake_case(name)
        return self._names.get(plain, plain)

    def resolved(self, name: str, qualifier: str | None = None) -> tuple[str, str | None]:
        """The canonical name and the qualifier, which may be in the name.

        >>> PREDICATES.resolved("favourite_color"), PREDICATES.resolved("favorite", "color")
        (('favorite', 'color'), ('favorite', 'color'))
        """
        plain = self.canonical(name)
        if qualifier is None and plain not in self._all:
            parts = plain.split("_")
            for cut in range(min(len(parts) - 1, self._longest), 0, -1):
                known = self._all.get(self._names.get("_".join(parts[:cut]), ""))
                if known is not None and known.qualified:
                    return known.name, " ".join(parts[cut:])
        return plain, qualifier

    def single(self, name: str) -> bool:
        """Whether it is single-valued; an unknown predicate is not."""
        known = self._all.get(self.canonical(name))
        return known is not None and known.single

    def extended(self, more: Predicates | Mapping[str, object] | str | PathLike[str]) -> Predicates:
        """These and more: `Predicates`, a mapping from names to tables as in `predicates.toml`, or the path of a file.

        A predicate that is there already is replaced.  Raises `InvalidArgument` for what is no such table, and for
        names that collide.
        """
        if isinstance(more, Predicates):
            return Predicates([*self.values(), *more.values()])
        if isinstance(more, Mapping):
            return Predicates([*self.values(), *_read(more)])
        path = validation.file_path("predicates", more)
        try:
            tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
            raise InvalidArgument("predicates", type(error).__name__, "the path of a TOML file") from error
        return Predicates([*self.values(), *_read(tables)])


def _read(tables: Mapping[str, object]) -> Iterator[Predicate]:
    """The predicates of these tables."""
    for key, value in tables.items():
        if isinstance(value, Predicate):
            yield value
            continue
        name = snake_case(validation.name("predicate", key))
        if not name:
            raise InvalidArgument("predicate", key, "a name with a letter or a digit")
        if not isinstance(value, Mapping):
            raise InvalidArgument(name, type(value).__name__, f"a table with {', '.join(_KEYS)}")
        table: Mapping[str, Any] = value
        for field in table:
            validation.one_of(*_KEYS)(f"field of {name}", field)
        inverse = validation.optional(validation.name)(f"{name}.inverse", table.get("inverse"))
        yield Predicate(
            name=name,
            single=validation.one_of("one", "many")(f"{name}.cardinality", table.get("cardinality", "many")) == "one",
            inverse=None if inverse is None else snake_case(inverse),
            qualified=validation.flag(f"{name}.qualified", table.get("qualified", False)),
            aliases=tuple(map(snake_case, validation.names(f"{name}.aliases", table.get("aliases", [])))),
            meaning=validation.any_text(f"{name}.meaning", table.get("meaning", "")),
        )


_FILE = Path(__file__).with_suffix(".toml")

PREDICATES: Predicates = Predicates(_read(tomllib.loads(_FILE.read_text(encoding="utf-8"))))
"""The predicates of `predicates.toml`."""
