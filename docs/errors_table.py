"""The page `errors.md`: what is retried and what is not, from `TABLE` in `cortex_rx/retry/table.py`."""

from __future__ import annotations

import inspect

from cortex_rx.retry.judge import judge
from cortex_rx.retry.table import TABLE, Rule, Verdict

HEAD = """# Errors: what is tried again

This page is generated from [`cortex_rx/retry/table.py`](../cortex_rx/retry/table.py) (`make docs`), and tested.

One table decides what an error means. `resume` asks it, and so does everything that writes to a store or delivers from
a spool. The field `recoverable`, which hooks are given, comes from it too. `is_transient(error)` says whether the same
call may succeed later:

```python
>>> from cortex_rx import is_transient
>>> is_transient(ConnectionResetError()), is_transient(PermissionError())
(True, False)
```

"""

TITLES = {
    "ours": ("Our own errors", "By class; the nearest class counts."),
    "words": (
        "Words",
        "What providers say: `code`, `type` or `status` of the error, or of the body that it carries. "
        "Upper and lower case are the same.",
    ),
    "header": (
        "The header `x-should-retry`",
        "OpenAI and Anthropic send it, and their clients obey it: `_should_retry` in the `_base_client.py` of both.",
    ),
    "statuses": (
        "HTTP statuses",
        "The first row that fits counts. The clients of OpenAI and Anthropic retry 408, 409, 429 and all from 500 on. "
        "Those of Google and Amazon retry 500, 502, 503 and 504.",
    ),
    "closes": (
        "Closed WebSockets",
        "The code with which the other side closed it; a class or a word decides for the others.",
    ),
    "classes": ("Classes", "Of Python and of clients, by the name of the class or of the nearest of its bases."),
    "errnos": ("Error numbers", "Of an `OSError` whose class says nothing."),
}


def page() -> str:
    """The page as Markdown."""
    order = (inspect.getdoc(judge) or "").partition("\n\n")[2].replace("  ", " ")
    parts = [HEAD, order, "\n\n## Verdicts\n\n| verdict | means |\n|---|---|\n"]
    parts += [f"| {verdict.value} | {said} |\n" for verdict, said in meanings().items()]
    for key, (title, head) in TITLES.items():
        parts.append(f"\n## {title}\n\n{head}\n\n| verdict | which | why |\n|---|---|---|\n")
        parts += [
            f"| {rule.verdict.value} | {', '.join(map(shown, rule.names))} | {why(rule)} |\n" for rule in TABLE[key]
        ]
    return "".join(parts)


def meanings() -> dict[Verdict, str]:
    """The docstring of each verdict in its class."""
    lines = [line.strip() for line in inspect.getsource(Verdict).splitlines()]
    return {verdict: lines[lines.index(f'{verdict.name} = "{verdict.value}"') + 1].strip('"') for verdict in Verdict}


def shown(name: object) -> str:
    """A name of an error as the page shows it."""
    if isinstance(name, range):
        return f"{name.start} to {name.stop - 1}"
    return f"`{name.__name__ if isinstance(name, type) else name}`"


def why(rule: Rule) -> str:
    """The reason, and how `recover` treats it."""
    return f"{rule.why}; `recover` passes it on as it is" if rule.as_is else rule.why
