"""How the graph servers are told of constraints and indexes: for each, its statements, and how what it shows is read.

>>> rule = Rule("constraint", "Memory", "_key")
>>> DDL["Neo4j"].create(rule)
'CREATE CONSTRAINT cortex_Memory__key IF NOT EXISTS FOR (n:Memory) REQUIRE n._key IS UNIQUE'
>>> DDL["Memgraph"].create(rule)
'CREATE CONSTRAINT ON (n:Memory) ASSERT n._key IS UNIQUE'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

__all__ = ["DDL", "Ddl", "Rule"]


class Rule(NamedTuple):
    """That a property of the nodes with a label is unique, or that it has an index."""

    kind: Literal["constraint", "index"]
    label: str
    property: str

    def __str__(self) -> str:
        return f"{self.kind} on :{self.label}({self.property})"


class Ddl(Protocol):
    """The statements of one kind of server. Each is run by itself."""

    @property
    def shown(self) -> tuple[str, ...]:
        """What shows the rules that there are."""
        ...

    def wanted(self, rules: Iterable[Rule]) -> Iterator[Rule]:
        """The rules that this server should have, to do what these say."""
        ...

    def read(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
        """The rules that the records of `shown` are about."""
        ...

    def create(self, rule: Rule) -> str:
        """What makes a rule."""
        ...

    def drop(self, rule: Rule) -> str:
        """What drops a rule that `create` has made."""
        ...


class _Named:
    """Rules have names, as in Neo4j."""

    @property
    def shown(self) -> tuple[str, ...]:
        return (
            "SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties",
            "SHOW INDEXES YIELD type, labelsOrTypes, properties, state",
        )

    def wanted(self, rules: Iterable[Rule]) -> Iterator[Rule]:
        return iter(rules)

    def read(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
        for record in records:
            labels: list[str] = record["labelsOrTypes"] or []
            properties: list[str] = record["properties"] or []
            if len(labels) == len(properties) == 1:
                if record["type"] in ("UNIQUENESS", "NODE_PROPERTY_UNIQUENESS", "NODE_KEY"):
                    yield Rule("constraint", labels[0], properties[0])
                elif record["type"] == "RANGE" and record["state"] != "FAILED":
                    yield Rule("index", labels[0], properties[0])

    def create(self, rule: Rule) -> str:
        name = f"cortex_{rule.label}_{rule.property}"
        if rule.kind == "constraint":
            return f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{rule.label}) REQUIRE n.{rule.property} IS UNIQUE"
        return f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{rule.label}) ON (n.{rule.property})"

    def drop(self, rule: Rule) -> str:
        return f"DROP {rule.kind.upper()} cortex_{rule.label}_{rule.property} IF EXISTS"


_NUMBERS = frozenset(("importance", "confidence", "depth"))


class _ArcadeDB(_Named):
    """An index on numbers is not wanted: where nodes are there already, the type of the first one's value becomes that
    of the property, and then 50.5 is stored as 50.
    """

    def wanted(self, rules: Iterable[Rule]) -> Iterator[Rule]:
        return (rule for rule in rules if rule.property not in _NUMBERS)


class _Memgraph:
    """Rules have no names, and a constraint is no index."""

    @property
    def shown(self) -> tuple[str, ...]:
        return "SHOW CONSTRAINT INFO", "SHOW INDEX INFO"

    def wanted(self, rules: Iterable[Rule]) -> Iterator[Rule]:
        for rule in rules:
            yield rule
            if rule.kind == "constraint":
                yield rule._replace(kind="index")

    def read(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
        for record in records:
            kind: Literal["constraint", "index"]
            if record.get("constraint type") == "unique":
                kind, found = "constraint", record["properties"]
            elif record.get("index type") == "label+property":
                kind, found = "index", record["property"]
            else:
                continue
            properties = [found] if isinstance(found, str) else found  # it depends on the version
            if len(properties) == 1:
                yield Rule(kind, record["label"], properties[0])

    def create(self, rule: Rule) -> str:
        return f"CREATE {self._rule(rule)}"

    def drop(self, rule: Rule) -> str:
        return f"DROP {self._rule(rule)}"

    def _rule(self, rule: Rule) -> str:
        if rule.kind == "constraint":
            return f"CONSTRAINT ON (n:{rule.label}) ASSERT n.{rule.property} IS UNIQUE"
        return f"INDEX ON :{rule.label}({rule.property})"


DDL: Mapping[str, Ddl] = {"Neo4j": _Named(), "ArcadeDB": _ArcadeDB(), "Memgraph": _Memgraph()}
"""By the name of the dialect."""
