"""The table of errors: errors of real clients, and our own; `resume`, the hooks and `is_transient` agree on each."""

from __future__ import annotations

import ast
import asyncio
import gc
import http.client
import math
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

import cortex_rx
from cortex_rx import errors, from_stream, is_transient, run
from cortex_rx import operators as cx
from cortex_rx.errors import CortexError
from cortex_rx.models.records import StreamError
from cortex_rx.models.turn import Turn
from cortex_rx.retry import pauses
from cortex_rx.retry.judge import judge, retry_after
from cortex_rx.retry.pauses import Backoff, doubling, retrying
from cortex_rx.retry.table import TABLE, Verdict
from cortex_rx.sources.model_stream import restart
from cortex_rx.testing import run_virtual

TURN = Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada")
PACKAGE = Path(cortex_rx.__file__).parent

OURS: dict[str, list[Any]] = {
    "CallbackError": ["chunk", KeyError("x")],
    "EmbeddingMismatch": ["one", 256, None, 3],
    "EventsLost": ["finalize", "Begun", "begin"],
    "Gap": [3, 5],
    "InvalidArgument": ["importance", 101, "0 to 100"],
    "MissingExtra": ["the demo", "demo"],
    "NotAnEvent": ["begin", "str"],
    "NotStored": ["the store is down", "text"],
    "ProviderError": ["no"],
    "ResumableStreamError": [ValueError("x")],
    "RetryAfterTooLong": [86_400.0, 60.0],
    "SpoolBusy": [1000.0],
    "StillOwned": [1000.0],
    "StreamTimeout": ["idle", 5.0],
    "StreamTooLong": [5],
    "UnknownStep": ["chnk", ["chunk"]],
    "UnsupportedOption": ["chunk_size", 5, "None"],
    "VersionConflict": [1, 2],
}
"""What they are made of that need more than a message."""
CLASSES: list[type[CortexError]] = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, CortexError)
]


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def our_errors() -> dict[str, Exception]:
    made: dict[str, Exception] = {kind.__name__: kind(*OURS.get(kind.__name__, ["x"])) for kind in CLASSES}
    return made | {
        "StreamTimeout in all": errors.StreamTimeout("total", 5.0),
        "ProviderError overloaded": errors.ProviderError("x", "overloaded_error"),
        "ProviderError insufficient_quota": errors.ProviderError("x", "rate_limit_error", "insufficient_quota"),
        "ResumableStreamError of a connection": errors.ResumableStreamError(ConnectionError()),
        "NotStored for a store that is away": caused(errors.NotStored("x", "text"), errors.StoreBusy("x")),
        "NotStored for one that is full of nonsense": caused(errors.NotStored("x", "text"), errors.StoreCorrupt("x")),
    }


def what_resume_does(error: Exception) -> bool:
    """Whether the source is opened again."""
    opened: list[int] = []

    async def model(point: Any) -> Any:
        opened.append(1)
        yield "a"
        if len(opened) == 1:
            raise error

    async def main() -> None:
        source = from_stream(restart(model), turn=TURN)
        await run(source.pipe(cx.resume(1, timedelta(0)), ops.materialize(), ops.to_list()))

    run_virtual(main())
    return len(opened) == 2


def what_hooks_say(error: Exception) -> bool:
    """What `recoverable` is."""
    told: list[StreamError] = []

    async def model() -> Any:
        yield "a"
        raise error

    async def main() -> None:
        source = from_stream(model(), turn=TURN)
        await run(source.pipe(cx.observe(on_error=told.append), ops.materialize(), ops.to_list()))

    run_virtual(main())
    (one,) = told
    return one.recoverable


def table(made: dict[str, Exception]) -> str:
    """For a person to read: where it comes from, its class, what is thought of it, and why; checked on the way."""
    lines: list[str] = []
    for name, error in made.items():
        rule, kind = judge(error), type(error)
        assert is_transient(error) is (rule.verdict is Verdict.TRANSIENT), name
        assert what_resume_does(error) is is_transient(error), name
        assert what_hooks_say(error) is is_transient(error), name
        where = "" if kind.__module__ == errors.__name__ else f"{kind.__module__.split('.')[0]}."
        lines.append(f"{name:<60} {where + kind.__name__:<42} {rule.verdict.value:<10} {rule.why}")
    return "\n".join(lines)


@pytest.mark.filterwarnings("default::ResourceWarning")  # errors hold what was open when they were raised
def test_what_real_clients_raise(tmp_path: Path, snapshot: Any) -> None:
    from helpers import client_errors  # here, since it takes seconds to import all those clients

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # some clients leave a socket open when a connection fails
        with client_errors.servers(tmp_path) as place:
            made = {
                name: client_errors.raised(lambda make=make: make(place)) for name, make in client_errors.MAKE.items()
            }
            assert len(made) >= 100
            assert table(made) == snapshot
        made.clear()
        gc.collect()  # now, and not in some other test


def test_what_we_raise(snapshot: Any) -> None:
    assert table(our_errors()) == snapshot


def test_every_error_of_ours_has_one_row_and_nothing_else_has() -> None:
    rows = [kind for rule in TABLE["ours"] for kind in rule.names]
    assert sorted(kind.__name__ for kind in rows) == sorted(kind.__name__ for kind in CLASSES)


def test_no_name_stands_twice_in_a_table() -> None:
    for rules in TABLE.values():
        names = [str(name).lower() for rule in rules for name in rule.names]
        assert len(names) == len(set(names))


def test_nothing_has_a_list_of_its_own() -> None:
    """Whether the store may be back is decided in the table alone."""
    asked = {"StoreUnavailable", "StoreBusy", "StoreFull", "Diverged", "Gap"}
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "testing"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                kinds: ast.AST | None = node.type
            elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("isinstance", "issubclass"):
                kinds = node.args[1]
            else:
                continue
            named = {each.id for each in ast.walk(kinds) if isinstance(each, ast.Name)} if kinds else set()
            assert not named & asked, f"{path.relative_to(PACKAGE)}:{node.lineno}"


# --- chains and groups ------------------------------------------------------------------------------------------------


class Odd(Exception):
    """Nothing is known of it."""


def within(error: Exception, other: Exception, *, suppress: bool = False) -> Exception:
    """Raised while another one was handled."""
    error.__context__, error.__suppress_context__ = other, suppress
    return error


def status(number: int) -> Exception:
    error = Odd()
    error.status_code = number  # type: ignore[attr-defined]
    return error


def word(said: str, name: str = "code") -> Exception:
    error = Odd()
    error.body = {"error": {name: said}}  # type: ignore[attr-defined]
    return error


class Hostile(Exception):
    """Whatever it is asked for, it fails; only its class is known."""

    @property
    def response(self) -> Any:
        raise RuntimeError("no")

    status_code = status = body = headers = rcvd = response


def named(value: object) -> str:
    return repr(value)[:80] if value is not DEEP else "DEEP"


CIRCLE = caused(Odd(), caused(Odd(), Odd()))
CIRCLE.__cause__.__cause__ = CIRCLE  # type: ignore[union-attr]
LONG = ConnectionError()
for _ in range(5000):
    LONG = caused(Odd(), LONG)
DEEP: Exception = ConnectionError()
for _ in range(5000):
    DEEP = ExceptionGroup("x", [DEEP])
ROUND = ExceptionGroup("x", [Odd(), ConnectionError()])
ROUND.exceptions[0].__cause__ = ROUND


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (caused(Odd(), ConnectionError()), True),
        (caused(Odd(), caused(Odd(), errors.StoreUnavailable("x"))), True),
        (Odd(ConnectionError()), True),
        (caused(status(400), ConnectionError()), False),
        (caused(status(503), ValueError()), True),
        (caused(ConnectionError(), TypeError()), False),
        (caused(ConnectionError(), Odd()), True),
        (caused(ConnectionError(), status(400)), True),
        (caused(TypeError(), ConnectionError()), False),
        (within(Odd(), ConnectionError()), False),
        (within(ConnectionError(), KeyError()), True),
        (within(ConnectionError(), status(401)), True),
        (caused(ConnectionError(), status(401)), False),
        (caused(ConnectionError(), ExceptionGroup("x", [TimeoutError(), caused(Odd(), status(403))])), False),
        (caused(ConnectionError(), ExceptionGroup("x", [TimeoutError(), status(400)])), True),
        (caused(ConnectionError(), ExceptionGroup("x", [ExceptionGroup("y", [word("insufficient_quota")])])), False),
        (caused(ConnectionError(), ExceptionGroup("x", [TimeoutError(), ssl.SSLCertVerificationError()])), False),
        (caused(ConnectionError(), ExceptionGroup("x", [TimeoutError(), OSError()])), True),
        (caused(ConnectionError(), ROUND), True),
        (http.client.CannotSendRequest(), False),
        (http.client.ResponseNotReady(), False),
        (http.client.LineTooLong("header line"), False),
        (http.client.RemoteDisconnected(), True),
        (word("service_unavailable_error"), True),
        (word("server_is_overloaded"), True),
        (word("overloaded", "error_type"), True),
        (word("overloaded", "nothing"), False),
        (within(ConnectionError(), type("InvalidURL", (Exception,), {})()), False),
        (within(ConnectionError(), type("InvalidURL", (Exception,), {})(), suppress=True), True),
        (caused(Odd(), errors.CallbackError("chunk", ConnectionError())), False),
        (caused(errors.CallbackError("chunk", ConnectionError()), ConnectionError()), False),
        (ExceptionGroup("x", [ConnectionError(), ExceptionGroup("y", [TimeoutError(), status(503)])]), True),
        (ExceptionGroup("x", [ConnectionError(), ValueError()]), False),
        (BaseExceptionGroup("x", [ConnectionError(), KeyboardInterrupt()]), False),
        (ExceptionGroup("x", [LONG.__class__()] * 2), False),
        (ExceptionGroup("x", [errors.StoreBusy("x")] * 3), True),
        (asyncio.CancelledError(), False),
        (KeyboardInterrupt(), False),
        (Hostile(), False),
        (type("ReadTimeout", (Hostile, TimeoutError), {})(), True),
        (CIRCLE, False),
        (ROUND, False),
        (LONG, False),
        (DEEP, False),
        (None, False),
    ],
    ids=named,
)
def test_what_a_chain_comes_to(error: BaseException | None, transient: bool) -> None:
    assert is_transient(error) is transient


SIMPLE = [
    ConnectionError,
    TimeoutError,
    Odd,
    ValueError,
    TypeError,
    lambda: errors.StoreBusy("x"),
    lambda: errors.Gap(1, 2),
]
LEAVES = st.sampled_from([*SIMPLE, lambda: status(429), lambda: status(400)]).map(lambda make: make())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda error: caused(Odd(), error)),
        st.lists(inner, min_size=1, max_size=3).map(lambda errors: ExceptionGroup("x", errors)),
    ),
    max_leaves=8,
)


@given(TREES)
def test_what_wraps_says_no_more_than_what_is_in_it(error: Exception) -> None:
    if isinstance(error, ExceptionGroup):
        assert is_transient(error) is all(map(is_transient, error.exceptions))
    assert is_transient(caused(Odd(), error)) is is_transient(error)
    assert judge(caused(Odd(), error)) == judge(error)
    assert is_transient(ExceptionGroup("x", [error, error])) is is_transient(error)
    assert judge(error).verdict is not Verdict.CARRIED


# --- how long to wait -------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def asking(value: object, name: str = "retry-after") -> Exception:
    error = Odd()
    error.response = SimpleNamespace(headers={name: value})  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7.5 ", 7.5),
        (7, 7.0),
        ("0", 0.0),
        ("nan", None),
        ("-1", None),
        ("-inf", None),
        ("inf", math.inf),
        ("1e400", math.inf),
        ("9" * 5000, math.inf),
        ("soon", None),
        ("", None),
        (b"7", None),
        ([], None),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 00:01:30", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -1200", 251_635_290_000.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Thu, 99 Xxx 2026 99:99:99 +999999999", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_how_long_is_asked_for(value: object, seconds: float | None) -> None:
    found = retry_after(asking(value), NOW)
    assert found == (pytest.approx(seconds, rel=1e-3) if seconds else seconds)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (caused(Odd(), ExceptionGroup("x", [asking("7"), Odd()])), 7.0),
        (Odd(asking("7")), 7.0),
        (ExceptionGroup("x", [caused(Odd(), asking("3")), Odd(asking("7"))]), 7.0),
        (errors.ResumableStreamError(asking("7")), 7.0),
        (caused(errors.NotStored("x", "text"), asking("7")), 7.0),
        (ROUND, None),
        (DEEP, None),
        (LONG, None),
    ],
    ids=named,
)
def test_whatever_decides_about_an_error_says_how_long_is_asked_for(error: Exception, seconds: float | None) -> None:
    assert retry_after(error, NOW) == seconds


def test_milliseconds_come_first_and_a_cause_may_say_it() -> None:
    error = asking("9")
    error.response.headers["retry-after-ms"] = "250"  # type: ignore[attr-defined]
    assert retry_after(error, NOW) == 0.25
    error.response.headers["retry-after-ms"] = "x"  # type: ignore[attr-defined]
    assert retry_after(caused(Odd(), error), NOW) == 9.0
    assert retry_after(ExceptionGroup("x", [asking("3"), Odd(), error]), NOW) == 9.0
    assert retry_after(asking("3", "Retry-After"), NOW) == 3.0
    assert retry_after(CIRCLE, NOW) is retry_after(Hostile(), NOW) is None


@given(
    st.one_of(
        st.text(), st.floats().map(repr), st.integers().map(str), st.datetimes().map("{:%a, %d %b %Y %T %z}".format)
    )
)
def test_no_header_crashes(value: str) -> None:
    seconds = retry_after(asking(value), NOW)
    assert seconds is None or seconds >= 0


def test_amazon_and_the_library_say_it_elsewhere() -> None:
    error = Odd()
    error.response = {"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "5"}}}  # type: ignore[attr-defined]
    assert (retry_after(error, NOW), is_transient(error)) == (5.0, True)
    other = Odd()
    other.headers = {"Retry-After": "6"}  # type: ignore[attr-defined]
    assert retry_after(other, NOW) == 6.0


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_a_call_is_made_again_as_long_as_it_may_pass() -> None:
    gone = [ConnectionError(1), errors.StoreBusy("x"), ValueError("x"), ConnectionError(2)]
    told: list[Exception] = []

    async def call() -> float:
        if gone:
            raise gone.pop(0)
        return asyncio.get_running_loop().time()

    async def main() -> tuple[float, float]:
        with pytest.raises(ValueError):
            await retrying(call, Backoff(doubling(1.0, 5.0)), told.append)
        return asyncio.get_running_loop().time(), await retrying(call, Backoff([7.0]))

    start = run_virtual(_time())
    first, second = run_virtual(main())
    assert (first - start, second - start) == (3.0, 10.0)
    assert [type(error) for error in told] == [ConnectionError, errors.StoreBusy, ValueError]


async def _time() -> float:
    return asyncio.get_running_loop().time()


def test_without_pauses_left_the_last_error_is_raised() -> None:
    count = 0

    async def call() -> None:
        nonlocal count
        count += 1
        raise ConnectionError(count)

    with pytest.raises(ConnectionError, match="^3$"):
        run_virtual(retrying(call, Backoff([0.1, 0.2])))


def test_pauses_within_a_time_count_the_time_of_the_tries() -> None:
    tries = 0

    async def call() -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(5.0)  # until it fails
        raise ConnectionError

    async def main() -> float:
        with pytest.raises(ConnectionError):
            await retrying(call, Backoff(pauses.within(30.0, repeat(0.2))))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5.2 * 5 + 5.0 and tries == 6


@pytest.mark.parametrize(("said", "seconds"), [("Thu, 01 Jan 2026 00:01:00 GMT", 30.0), ("soon", 90.0), (None, 90.0)])
def test_a_date_is_compared_with_the_time_of_the_provider_if_it_says_it(said: object, seconds: float) -> None:
    """The clock here may be an hour off; then the pause was none, or ended the stream as too long."""
    error = asking("Thu, 01 Jan 2026 00:01:30 GMT")
    error.response.headers["date"] = said  # type: ignore[attr-defined]
    assert retry_after(error, NOW) == pytest.approx(seconds)
    error.response.headers["retry-after"] = "7"  # type: ignore[attr-defined]
    assert retry_after(error, NOW) == 7.0


@given(st.one_of(st.text(), st.datetimes().map("{:%a, %d %b %Y %T %z}".format)))
def test_no_date_of_a_provider_crashes(said: str) -> None:
    error = asking("Thu, 01 Jan 2026 00:01:30 GMT")
    error.response.headers["date"] = said  # type: ignore[attr-defined]
    seconds = retry_after(error, NOW)
    assert seconds is not None and seconds >= 0
