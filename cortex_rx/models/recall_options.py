"""The options of `recall`: those of a search, and what is added to what it finds, within which budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Protocol

from cortex_rx import validation as check
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import Accepts
from cortex_rx.models.facts import Time
from cortex_rx.models.options import SearchOptions
from cortex_rx.models.recalled import RecalledFact

__all__ = ["CountTokens", "FactFinder", "RecallOptions"]

CountTokens = Callable[[str], int]
"""The number of tokens in a text, by the tokenizer of a model. It is called on a thread."""

_MOST = 2**53
_OptionalCount = Annotated[int | None, Accepts(check.optional(check.whole(0, 10_000)))]
_OptionalBudget = Annotated[int | None, Accepts(check.optional(check.whole(1, _MOST)))]


def _facts(field: str, value: object) -> Any:
    """True, False, or a function."""
    return value if isinstance(value, bool) else check.callback(field, value)


class FactFinder(Protocol):
    """Finds the facts of a memory space that concern a query, at most `limit`, best first. Sync or async.

    For `recall` with a finder of one's own; by default it searches the facts of the store.
    """

    def __call__(
        self, memory_space_id: str, query: str, *, user_id: str | None, limit: int
    ) -> Iterable[RecalledFact] | Awaitable[Iterable[RecalledFact]]:
        """The facts."""
        ...


class RecallOptions(SearchOptions):
    """What `recall` takes: the filters of a search, what is added to what it finds, and the budget.

    The filter of users applies to all that is recalled, `include_partial` to all memories, the others to what the
    search of memories finds. At most one of `max_tokens` and `max_characters` may be given; without either it is 2,000
    tokens.

    >>> RecallOptions(user_id="ada", max_characters=4_000).budget
    ('characters', 4000)
    >>> RecallOptions(max_tokens=1_000, max_characters=4_000)
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: max_tokens: got 1000; accepted: None, if max_characters is given
    """

    _refused: ClassVar[Mapping[str, tuple[tuple[object, ...], str]]] = {
        **SearchOptions._refused,
        "enrich_conversation": ((None, False), "what stands around a memory is recalled by `turns`"),
    }

    conversation_id: Annotated[str | None, Accepts(check.optional(check.name))] = None
    """The conversation that goes on: its newest turns are recalled, too. It is no filter of the search."""
    newest: _OptionalCount = None
    """How many of the newest turns of the conversation; by default 6."""
    turns: Annotated[int, Accepts(check.whole(0, 100))] = 1
    """How many turns around each memory that is found, each way."""
    max_tokens: _OptionalBudget = None
    """The most tokens of `format_for_llm()`, counted by `count_tokens`."""
    max_characters: _OptionalBudget = None
    """The most code points of `format_for_llm()`."""
    count_tokens: Annotated[CountTokens | None, Accepts(check.optional(check.function))] = None
    """Counts the tokens of a text. By default they are estimated: four ASCII characters, or one other, are a token."""
    facts: Annotated[FactFinder | bool, Accepts(_facts)] = True
    """Whether facts are recalled, which are ranked and shown with the memories; or what finds them."""
    as_of: Time = None
    """Recall the facts that were true at this time, also those that are superseded since. By default, those that are
    true now. It is no filter of memories."""
    exclude: Annotated[tuple[str, ...], Accepts(check.names)] = ()
    """The ids of memories that are not recalled, nor their chunks: those that the model has already."""

    @classmethod
    def _named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` under the names of the fields. Refuses what would have no effect."""
        values = super()._named(given)
        for name, other in (("max_tokens", "max_characters"), ("count_tokens", "max_characters")):
            if name in values and other in values:
                raise InvalidArgument(name, check.shown(values[name]), f"None, if {other} is given")
        if "as_of" in values and values.get("facts", True) is not True:
            raise InvalidArgument("as_of", check.shown(values["as_of"]), "None, unless facts is True")
        return values

    @property
    def budget(self) -> tuple[str, int]:
        """The unit and the amount."""
        if self.max_characters is not None:
            return "characters", self.max_characters
        return "tokens", 2_000 if self.max_tokens is None else self.max_tokens

    def for_search(self) -> dict[str, Any]:
        """The keywords of the search."""
        given = self.keywords()
        return {name: given[name] for name in SearchOptions.model_fields if name in given and name != "conversation_id"}
