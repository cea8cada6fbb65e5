"""Check that a backend keeps the contract (`cortex_rx.backends.contract`): ours, and yours.

    >>> from cortex_rx import SqliteBackend
    >>> from cortex_rx.testing import wall
    >>> def make():
    ...     return SqliteBackend(":memory:", clock=wall)
    >>> report = check_backend(make, shared=False, virtual=True)
    >>> print(report)
    checked:
      begin stores the question and makes the partial memory of the answer, at epoch 1, attempt 0
      ...
    not checked:
      what is acknowledged is stored: another backend over the same store sees it at once (each backend is a store...

Under pytest, a test for each promise:

    @pytest.mark.parametrize("promise", BACKEND_PROMISES, ids=str)
    def test_it_keeps_the_contract(promise, make):
        promise.check(make)
"""

from cortex_rx.testing.backends.bench import Bench
from cortex_rx.testing.backends.check import BACKEND_PROMISES, BackendReport, check_backend
from cortex_rx.testing.backends.promise import BackendPromise

__all__ = ["BACKEND_PROMISES", "BackendPromise", "BackendReport", "Bench", "check_backend"]
