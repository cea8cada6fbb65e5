"""Which errors are transient, which are final, and how long to wait: the table of errors, its rules, and the pauses."""

from cortex_rx.retry.judge import is_transient, judge, retry_after, status_of
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, doubling, retrying, within
from cortex_rx.retry.table import TABLE, Rule, Verdict

__all__ = [
    "SHORT_PAUSES",
    "TABLE",
    "Backoff",
    "Rule",
    "Verdict",
    "doubling",
    "is_transient",
    "judge",
    "retry_after",
    "retrying",
    "status_of",
    "within",
]
