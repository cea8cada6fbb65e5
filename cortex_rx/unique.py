"""What nobody else has: ids, claims and resume tokens. Tests have them counted, so that snapshots stay the same."""

from __future__ import annotations

import random
import secrets
import uuid
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any, NoReturn, Self, cast

__all__ = [
    "HoldsToken",
    "ResumeToken",
    "chance",
    "counted_ids",
    "hidden",
    "new_id",
    "new_password",
    "new_token",
    "refuse_pickle",
    "without_token",
]


class ResumeToken(str):
    """A resume token: the string itself, whose `repr` does not show it.

    So no token is in a `repr`, a snapshot, the locals of a traceback or the difference that a test prints. What holds a
    token (an event, a result, an error) is pickled without it. `str(token)` is the plain string, to be sent or kept.

    >>> token = ResumeToken("resume_abc")
    >>> token, str(token), token == "resume_abc"
    (<a resume token>, 'resume_abc', True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<a resume token>"


def hidden(token: str | None) -> ResumeToken | None:
    """The token, not shown by `repr`.

    >>> hidden("resume_abc"), hidden(None)
    (<a resume token>, None)
    """
    return None if token is None else ResumeToken(token)


def without_token(values: dict[str, Any]) -> dict[str, Any]:
    """`values`, with None instead of resume tokens: what is pickled of an object that holds one.

    >>> without_token({"epoch": 1, "token": ResumeToken("resume_abc")})
    {'epoch': 1, 'token': None}
    """
    return {name: None if isinstance(value, ResumeToken) else value for name, value in values.items()}


class HoldsToken:
    """The base of a dataclass that has a resume token: it is pickled without it. A copy in this process has it.

    >>> import copy, pickle
    >>> from cortex_rx.events import Begun
    >>> begun = Begun("mem-1", epoch=1, token=ResumeToken("resume_abc"))
    >>> pickle.loads(pickle.dumps(begun)).token, str(copy.copy(begun).token)
    (None, 'resume_abc')
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        values = {one.name: getattr(self, one.name) for one in fields(cast("Any", self))}
        return partial(type(self), **without_token(values)), ()

    def __copy__(self) -> Self:
        copy: Self = replace(cast("Any", self))
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # what it holds is immutable


def refuse_pickle(self: object) -> NoReturn:
    """The `__reduce__` of an object that means nothing without its token.

    >>> import pickle
    >>> class Ticket:
    ...     __reduce__ = refuse_pickle
    >>> pickle.dumps(Ticket())
    Traceback (most recent call last):
    ...
    TypeError: a Ticket holds a resume token, so it is not pickled
    """
    raise TypeError(f"a {type(self).__name__} holds a resume token, so it is not pickled")


class _Counted:
    """Numbers instead of random ids, by kind, and always the same random numbers."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self.random = random.Random(0)

    def next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]


_counted: _Counted | None = None


def new_id(kind: str) -> str:
    """A new id, unique among those of its kind: 128 random bits."""
    return uuid.uuid4().hex if _counted is None else f"{_counted.next(kind):03}"


def new_token() -> ResumeToken:
    """A new resume token of 256 random bits."""
    return ResumeToken("resume_" + (secrets.token_urlsafe(32) if _counted is None else new_id("token")))


def new_password() -> str:
    """A new password of 192 random bits, for a server that this package starts.

    >>> len(new_password())
    32
    """
    return secrets.token_urlsafe(24)


def chance() -> float:
    """A random number from 0 to 1, for pauses.

    >>> with counted_ids():
    ...     round(chance(), 3)
    0.844
    """
    return random.random() if _counted is None else _counted.random.random()


@contextmanager
def counted_ids() -> Generator[None, None, None]:
    """In this block the package counts its ids, claims and tokens, each kind from `001`, for tests whose results are
    compared with snapshots. Never in a program: the next token can be guessed.

    It holds for the whole process. Stores that outlive the block would get the same ids once more: use empty ones.

    >>> with counted_ids():
    ...     new_id("stream"), new_id("stream"), new_id("claim"), str(new_token())
    ('001', '002', '001', 'resume_001')
    """
    global _counted
    before, _counted = _counted, _Counted()
    try:
        yield
    finally:
        _counted = before
