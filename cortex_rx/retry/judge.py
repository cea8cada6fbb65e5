"""Which errors may pass, which are final, and how long to wait: the one table that everything here asks.

`TABLE` holds the rules as data; `judge` applies them, in this order:

1. One of our own errors is what its class says; four of them are what they carry.
2. A group is transient if all that is in it is.
3. Another error is what it says of itself: a word of the provider that is final (`insufficient_quota`), the header
   `x-should-retry`, the HTTP status or the code of a WebSocket that was closed, a word that is transient (`overloaded_error`, which comes inside a 200 stream).
4. One that says nothing is what its class is known for, or its errno.  Clients wrap one error into another: one that is known
   as transient is final all the same where a class below it is (a certificate, a URL), or where what caused it, a member of a group
   too, is a bug or says that access is denied (401, 403, a word that is final).
5. One of which nothing is known is what its cause is, and final without one.

A cause is the `__cause__`, or an error that another was made of: `URLError(refused)`.

Classes are known by name, and no client is imported.  `__context__` counts in the fourth step only, and there only what is
final: what was raised while another error was handled is often a second failure, not the same.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Mapping
from datetime import UTC
from typing import Any, cast

from cortex_rx import errors as ours
from cortex_rx import validation as check
from cortex_rx.retry.table import TABLE, Rule, Verdict

__all__ = [
    "is_transient",
    "judge",
    "retry_after",
    "status_of",
]

_UNKNOWN = Rule(Verdict.FINAL, (), "nothing is known of it")


def _index(rules: tuple[Rule, ...]) -> dict[Any, Rule]:
    return {name.lower() if isinstance(name, str) else name: rule for rule in rules for name in rule.names}


_BY_CLASS, _BY_WORD, _BY_HEADER = _index(TABLE["ours"]), _index(TABLE["words"]), _index(TABLE["header"])
_BY_NAME = {name: rule for rule in TABLE["classes"] for name in rule.names}
_BY_ERRNO = {getattr(errno, name): rule for rule in TABLE["errnos"] for name in rule.names if hasattr(errno, name)}


def is_transient(error: BaseException | None) -> bool:
    """Whether the same may go well the next time: a connection or a store that failed, a silence, a provider that is overloaded.

    `resume`, whatever writes, and the `recoverable` of what ends a stream go by it.  `docs/errors.md` shows the whole table.

    >>> is_transient(ConnectionResetError()), is_transient(ValueError())
    (True, False)
    """
    check.optional(check.instance(BaseException, "an exception"))("error", error)
    return judge(error).verdict is Verdict.TRANSIENT


def judge(error: BaseException | None) -> Rule:
    """The rule that decides about an error; its verdict is never `CARRIED`.

    >>> judge(TypeError())
    Rule(verdict=<Verdict.BUG: 'bug'>, names=('TypeError', ...), why='a mistake in a program', as_is=False)
    """
    return _judge(error, {}) or _UNKNOWN


_MOST = 100  # errors that are looked at, so that the stack is deep enough for all of them


def _judge(error: BaseException | None, seen: dict[int, Rule | None]) -> Rule | None:
    """`seen`: what is known of the others, for they may come in circles."""
    if error is None or len(seen) > _MOST:
        return None
    if id(error) not in seen:
        seen[id(error)] = None
        seen[id(error)] = _decide(error, seen)
    return seen[id(error)]


def _decide(error: BaseException, seen: dict[int, Rule | None]) -> Rule | None:
    if isinstance(error, ours.CortexError):
        rule = next(_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS)
        if rule.verdict is not Verdict.CARRIED:
            return rule
        found = _word(error) or _judge(_cause(error), seen) or _UNKNOWN
        return found._replace(as_is=rule.as_is)
    if isinstance(error, BaseExceptionGroup):
        rules = [_judge(each, seen) or _UNKNOWN for each in error.exceptions]
        return next((rule for rule in rules if rule.verdict is not Verdict.TRANSIENT), rules[0])
    if said := _said(error):
        return said
    known = _known(error)
    if known is None:
        return _judge(_cause(error), seen)
    return (_refused(error) or known) if known.verdict is Verdict.TRANSIENT else known


def _cause(error: BaseException) -> BaseException | None:
    """What it comes from: its `__cause__`, or the error that it was made of, as in `URLError(refused)`."""
    made_of = (*error.args, _get(error, "original_error"))
    return error.__cause__ or next((each for each in made_of if isinstance(each, BaseException)), None)


def _said(error: BaseException) -> Rule | None:
    """What it says of itself."""
    word = _word(error)
    if word and word.verdict is Verdict.FINAL:
        return word
    header = _BY_HEADER.get(str(_header(error, "x-should-retry")).strip().lower())
    status, close = status_of(error), _get(_get(error, "rcvd"), "code")
    return header or _of_number("statuses", status) or _of_number("closes", close) or word


def _of_number(part: str, number: int | None) -> Rule | None:
    def has(name: object) -> bool:
        return number in name if isinstance(name, range) else number == name

    return next((rule for rule in TABLE[part] if any(map(has, rule.names))), None)


def _known(error: BaseException) -> Rule | None:
    """What its class is known for, or its errno."""
    for kind in type(error).__mro__:
        if kind is OSError:
            return _BY_ERRNO.get(cast("OSError", error).errno)
        if rule := _BY_NAME.get(kind.__name__):
            return rule
    return None


def _refused(error: BaseException) -> Rule | None:
    """What a client refuses for good, or a bug, deep in an error that says nothing but that there is no connection."""
    seen = {id(error)}
    todo = _below(error, True)
    while todo and len(seen) < _MOST:
        inner, caused = todo.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        rule = _known(inner)
        if rule and (rule.verdict is Verdict.FINAL or (rule.verdict is Verdict.BUG and caused)):
            return rule
        if caused and (denied := _denied(inner)):
            return denied
        todo += _below(inner, caused)
    return None


def _below(error: BaseException, caused: bool) -> list[tuple[BaseException, bool]]:
    """What an error comes from, and what is in it; whether that has caused it."""
    found = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if (cause := _cause(error)) is not None:
        found.append(cause)
    elif not found and error.__context__ is not None and not error.__suppress_context__:
        return [(error.__context__, False)]
    return [(each, caused) for each in found]


def _denied(error: BaseException) -> Rule | None:
    """That it says itself that access is denied.  Another status may be that of an answer whose body was cut off."""
    word = _word(error)
    if word and word.verdict is Verdict.FINAL:
        return word
    status = status_of(error)
    return _of_number("statuses", status) if status in (401, 403) else None


def _get(of: Any, name: str) -> Any:
    """An attribute, or what a mapping has under the name; None if it has none, or a property of it fails."""
    try:
        return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)
    except Exception:
        return None


def _word(error: BaseException) -> Rule | None:
    """The rule for the first word that is known; a code is more exact than a type."""
    body = _get(error, "body")
    response = _get(error, "response")
    for of in (error, body, _get(body, "error"), _get(response, "Error")):
        for name in ("error_code", "provider_code", "code", "Code", "type", "error_type", "status", "which"):
            # Not asked of a property: some of that name warn.
            word = inspect.getattr_static(of, name, None) if of is error else _get(of, name)
            if isinstance(word, str) and (rule := _BY_WORD.get(word.lower())):
                return rule
    return None


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error says, if it does.

    >>> status_of(ValueError()) is None
    True
    """
    response = _get(error, "response")
    said = (_get(of, name) for of in (error, response) for name in ("status_code", "status"))
    amazon = _get(_get(response, "ResponseMetadata"), "HTTPStatusCode")
    code = inspect.getattr_static(
        error, "code", None
    )  # the last: it may be the status that is said within a stream of 200
    for status in (*said, amazon, int(code) if isinstance(code, str) and code.isdecimal() and len(code) == 3 else code):
        if isinstance(status, int) and 100 <= status < 1000:
            return status
    return None


def _header(error: BaseException, name: str) -> Any:
    response = _get(error, "response")
    for headers in (
        _get(response, "headers"),
        _get(error, "headers"),
        _get(_get(response, "ResponseMetadata"), "HTTPHeaders"),
    ):
        get = getattr(headers, "get", None)
        for spelt in (name, name.title()):
            try:
                value = get(spelt) if callable(get) else None
            except Exception:  # several of one name, and whatever else there may be
                value = None
            if value is not None:
                return value
    return None


def retry_after(error: BaseException, now: float) -> float | None:
    """How many seconds the provider wants us to wait, if it says so; `now` is epoch seconds.

    `inf` is possible: who says 1e400 wants to be left alone.  What cannot be read, and what is negative, is as if nothing was said.

    >>> retry_after(ValueError(), now=0.0) is None
    True
    """
    return _asked(error, now, set())


def _asked(error: BaseException | None, now: float, seen: set[int]) -> float | None:
    """What an error says, or what it comes from; of a group the longest."""
    if error is None or id(error) in seen or len(seen) > _MOST:
        return None
    seen.add(id(error))
    if isinstance(error, BaseExceptionGroup):
        asked = [_asked(each, now, seen) for each in error.exceptions]
        return max((seconds for seconds in asked if seconds is not None), default=None)
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _header(error, name)
        if value is not None and (seconds := _seconds(str(value), now)) is not None:
            return seconds * scale
    return _asked(_cause(error), now, seen)


def _seconds(value: str, now: float) -> float | None:
    """A number, or the seconds until a date; one that is over is now."""
    try:
        number = float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime  # here, for it is seldom needed

        try:
            date = parsedate_to_datetime(value)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return max(0.0, date.timestamp() - now)
        except (ValueError, TypeError, OverflowError):
            return None
    return number if number >= 0 else None  # not a number is no more than that either
