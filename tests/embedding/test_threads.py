"""The threads of functions that block: bounded, ended when idle, holding nothing."""

from __future__ import annotations

import contextvars
import gc
import os
import threading
import weakref
from concurrent.futures import CancelledError, wait

import pytest

from cortex_rx.embedding.threads import Threads

NAME = "cortex_rx-embedder"


def alive():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def ended():
    for thread in alive():
        thread.join(10)
    return alive() == []


def test_no_more_run_at_a_time_than_allowed_and_none_when_idle():
    threads, together = Threads(3), threading.Barrier(3, timeout=10)
    most, lock, now = [0], threading.Lock(), [0]

    def call(at):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together.wait()  # passes only if three run at a time
        with lock:
            now[0] -= 1
        return at

    futures = [threads.submit(call, at) for at in range(30)]
    assert [future.result(10) for future in futures] == list(range(30))
    assert most == [3]
    assert ended(), "they ended by themselves"


def test_a_call_that_did_not_begin_is_taken_back_with_what_it_holds():
    class Text:
        pass

    threads, go, begun = Threads(1), threading.Event(), []
    stuck = threads.submit(go.wait, 10)
    text = Text()
    gone = weakref.ref(text)
    future = threads.submit(begun.append, text)
    del text
    assert future.cancel()
    del future
    gc.collect()
    assert gone() is None, "though no thread is free"
    assert not stuck.done()
    go.set()
    assert stuck.result(10)
    assert threads.submit(max, 1, 2).result(10) == 2
    assert begun == []
    assert ended()


def test_a_running_call_cannot_be_taken_back():
    threads, began, go = Threads(1), threading.Event(), threading.Event()

    def call():
        began.set()
        return go.wait(10)

    future = threads.submit(call)
    assert began.wait(10)
    assert not future.cancel()
    go.set()
    assert future.result(10)
    assert ended()


@pytest.mark.parametrize("error", [LookupError("x"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_it_raises_is_the_result_and_the_thread_goes_on(error):
    def fails():
        raise error

    threads = Threads(1)
    failing, next_one = threads.submit(fails), threads.submit(max, 1, 2)
    assert failing.exception(10) is error
    assert next_one.result(10) == 2
    assert ended()


def test_a_call_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable")
    variable.set("set by the caller")
    assert Threads(1).submit(variable.get).result(10) == "set by the caller"
    assert ended()


def test_the_child_of_a_fork_has_threads_of_its_own():
    threads, go = Threads(1), threading.Event()
    stuck = threads.submit(go.wait, 10)
    waiting = threads.submit(max, 3, 4)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, b"%d" % threads.submit(max, 1, 2).result(5))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    assert os.read(reading, 9) == b"2"
    os.close(reading)
    go.set()
    assert wait({stuck, waiting}, 10).not_done == set()
    assert ended()


def test_a_cancelled_call_says_so():
    threads, go = Threads(1), threading.Event()
    threads.submit(go.wait, 10)
    future = threads.submit(max, 1, 2)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(0)
    go.set()
    assert ended()
