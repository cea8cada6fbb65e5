"""Which errors are transient, which are final, and how long to wait: how the table of errors is applied.

`TABLE` holds the rules as data.  `judge` applies them in this order:

1. Our own errors are judged by their class.  Four of them are judged by what they carry.
2. A group is transient if all its members are.
3. Another error is judged by what it reports, in this order: a final word of the provider (`insufficient_quota`), the
   header `x-should-retry`, the HTTP status or the close code of a WebSocket, a transient word (`overloaded_error`,
   which comes inside a stream of status 200).
4. An error that reports nothing is judged by its class, or by its errno.  Clients wrap errors in others.  So a class
   that is known as transient is final if an error below it is final by its class (a certificate, a URL).  It is also
   final if its cause, or a member of a group, is a bug or reports that access is denied (401, 403, a final word).
5. An unknown error is judged by its cause, and is final without one.

A cause is the `__cause__`, or an error that another error was made of: `URLError(refused)`.

Classes are known by name, and no client is imported.  `__context__` counts only in step 4, and only if it is final: an
error raised while another was handled is often a second failure, not the same one.
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
    """Whether a retry may succeed: after a failed connection or store, a silent source, an overloaded provider.

    `resume`, all writers, and the `recoverable` of the error that ends a stream follow it.  `docs/errors.md` shows the
    table.

    >>> is_transient(ConnectionResetError()), is_transient(ValueError())
    (True, False)
    """
    check.optional(check.instance(BaseException, "an exception"))("error", error)
    return judge(error).verdict is Verdict.TRANSIENT


def judge(error: BaseException | None) -> Rule:
    """The rule that applies to an error; its verdict is never `CARRIED`.

    >>> judge(TypeError())
    Rule(verdict=<Verdict.BUG: 'bug'>, names=('TypeError', ...), why='a mistake in a program', as_is=False)
    """
    return _judge(error, {}) or _UNKNOWN


_MOST = 100  # the most errors to examine, which bounds the recursion


def _judge(error: BaseException | None, seen: dict[int, Rule | None]) -> Rule | None:
    """`seen` holds the rules found so far, since causes can form a cycle."""
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
    """The `__cause__`, or the error that this one was made of, as in `URLError(refused)`."""
    made_of = (*error.args, _get(error, "original_error"))
    return error.__cause__ or next((each for each in made_of if isinstance(each, BaseException)), None)


def _said(error: BaseException) -> Rule | None:
    """The rule for what the error reports."""
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
    """The rule for its class, or for its errno."""
    for kind in type(error).__mro__:
        if kind is OSError:
            return _BY_ERRNO.get(cast("OSError", error).errno)
        if rule := _BY_NAME.get(kind.__name__):
            return rule
    return None


def _refused(error: BaseException) -> Rule | None:
    """The final rule or the bug below an error that itself reports only a failed connection."""
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
    """The causes and members of an error, each with whether it caused it."""
    found = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if (cause := _cause(error)) is not None:
        found.append(cause)
    elif not found and error.__context__ is not None and not error.__suppress_context__:
        return [(error.__context__, False)]
    return [(each, caused) for each in found]


def _denied(error: BaseException) -> Rule | None:
    """The rule, if the error reports that access is denied.  Another status may belong to an answer whose body was cut
    off."""
    word = _word(error)
    if word and word.verdict is Verdict.FINAL:
        return word
    status = status_of(error)
    return _of_number("statuses", status) if status in (401, 403) else None


def _get(of: Any, name: str) -> Any:
    """An attribute, or a mapping's value for the name; None if there is none, or if a property fails."""
    try:
        return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)
    except Exception:
        return None


def _word(error: BaseException) -> Rule | None:
    """The rule for the first known word; a code is more exact than a type."""
    body = _get(error, "body")
    response = _get(error, "response")
    for of in (error, body, _get(body, "error"), _get(response, "Error")):
        for name in ("error_code", "provider_code", "code", "Code", "type", "error_type", "status", "which"):
            # Read statically: some properties of these names raise a warning.
            word = inspect.getattr_static(of, name, None) if of is error else _get(of, name)
            if isinstance(word, str) and (rule := _BY_WORD.get(word.lower())):
                return rule
    return None


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error reports, or None.

    >>> status_of(ValueError()) is None
    True
    """
    response = _get(error, "response")
    said = (_get(of, name) for of in (error, response) for name in ("status_code", "status"))
    amazon = _get(_get(response, "ResponseMetadata"), "HTTPStatusCode")
    # The code comes last: it may be the status that is reported within a stream of status 200.
    code = inspect.getattr_static(error, "code", None)
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
            except Exception:  # for example, several headers of one name
                value = None
            if value is not None:
                return value
    return None


def retry_after(error: BaseException, now: float) -> float | None:
    """The pause in seconds that the provider asks for, or None.

    `now` is epoch seconds.  It is used if the provider names a date and not its own time (the header `Date`), since the
    clock here may differ.  The pause can be `inf`, for example from "1e400".  A value that is negative or cannot be
    read counts as none.

    >>> retry_after(ValueError(), now=0.0) is None
    True
    """
    return _asked(error, now, set())


def _asked(error: BaseException | None, now: float, seen: set[int]) -> float | None:
    """The pause that an error or its cause asks for; of a group, the longest."""
    if error is None or id(error) in seen or len(seen) > _MOST:
        return None
    seen.add(id(error))
    if isinstance(error, BaseExceptionGroup):
        asked = [_asked(each, now, seen) for each in error.exceptions]
        return max((seconds for seconds in asked if seconds is not None), default=None)
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _header(error, name)
        if value is not None and (seconds := _seconds(error, str(value), now)) is not None:
            return seconds * scale
    return _asked(_cause(error), now, seen)


def _seconds(error: BaseException, value: str, now: float) -> float | None:
    """A number of seconds, or the seconds until a date; 0 if the date has passed."""
    try:
        number = float(value)
    except ValueError:
        date, there = _date(value), _date(str(_header(error, "date")))
        return None if date is None else max(0.0, date - (now if there is None else there))
    return number if number >= 0 else None  # false for NaN too


def _date(value: str) -> float | None:
    """A date of HTTP, as epoch seconds."""
    from email.utils import parsedate_to_datetime  # here, for it is seldom needed

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
