"""`assert_no_leaks` catches each kind of leak, and nothing else."""

import asyncio
import importlib
import socket
import threading

import pytest

from cortex_rx.testing import Leaked, assert_no_leaks, run_virtual
from cortex_rx.testing import leaks as module


async def numbers():
    yield 1
    yield 2


def leaked(caught):
    return "\n".join(caught.value.left)


async def test_a_task():
    with pytest.raises(Leaked) as caught:
        async with assert_no_leaks():
            task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
            await asyncio.sleep(0)
    assert "task forgotten: sleep() at tasks.py:" in leaked(caught)
    assert str(caught.value).startswith("left behind:\n  task forgotten")
    task.cancel()


@pytest.mark.usefixtures("no_thaw")
def test_a_timer():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(Leaked) as caught:
            async with assert_no_leaks():
                timer = loop.call_later(60, print)
        assert caught.value.left == ("timer: print() in 60 s",)
        timer.cancel()
        async with assert_no_leaks():
            loop.call_later(60, print).cancel()

    run_virtual(main())


@pytest.mark.usefixtures("no_thaw")
async def test_an_async_generator():
    with pytest.raises(Leaked) as caught:
        async with assert_no_leaks():
            generator = numbers()
            await anext(generator)
    assert "async generator numbers() at test_leaks.py:" in leaked(caught)
    await generator.aclose()
    async with assert_no_leaks():
        never_begun = numbers()
        ended = [n async for n in numbers()]
    assert ended == [1, 2]
    await never_begun.aclose()


async def test_a_generator_that_was_dropped_is_closed_by_the_loop():
    async with assert_no_leaks():
        async for _ in numbers():
            break


@pytest.mark.usefixtures("no_thaw")
def test_a_thread():
    stop = threading.Event()
    with pytest.raises(Leaked) as caught:
        with assert_no_leaks(grace=0.01):
            thread = threading.Thread(target=stop.wait, name="worker")
            thread.start()
    assert caught.value.left == ("thread worker",)
    stop.set()
    thread.join()
    with assert_no_leaks():  # one that is about to end is waited for
        threading.Timer(0.05, int).start()


async def test_the_threads_of_the_loop_are_its_own():
    async with assert_no_leaks():
        await asyncio.to_thread(int)


@pytest.mark.usefixtures("no_thaw")
def test_a_file_and_a_socket(tmp_path):
    with pytest.raises(Leaked) as caught:
        with assert_no_leaks():
            file = open(tmp_path / "left.txt", "w")
    assert f"open: {tmp_path / 'left.txt'} (descriptor {file.fileno()})" in leaked(caught)
    file.close()
    with pytest.raises(Leaked) as caught:
        with assert_no_leaks():
            open_socket = socket.create_server(("127.0.0.1", 0))
    assert "socket.socket" in leaked(caught) and "127.0.0.1" in leaked(caught)
    open_socket.close()
    with assert_no_leaks():
        open(tmp_path / "closed.txt", "w").close()


@pytest.mark.usefixtures("no_thaw")
@pytest.mark.parametrize("psutil", [True, False])
def test_where_the_system_lists_no_descriptors(tmp_path, monkeypatch, psutil):
    monkeypatch.setattr(module, "DESCRIPTORS", ("/no/such/place",))
    if psutil:
        pytest.importorskip("psutil")
    else:

        def absent(name):
            raise ImportError(name)

        monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(Leaked) as caught:
        with assert_no_leaks():
            file = open(tmp_path / "left.txt", "w")
            listening = socket.create_server(("127.0.0.1", 0))
    assert "left.txt" in leaked(caught) and "127.0.0.1" in leaked(caught)
    file.close()
    listening.close()


@pytest.mark.usefixtures("no_thaw")
def test_a_loop_that_was_not_closed():
    with pytest.raises(Leaked) as caught:
        with assert_no_leaks():
            loop = asyncio.new_event_loop()
            task = loop.create_task(asyncio.sleep(1), name="on another loop")
            loop.run_until_complete(asyncio.sleep(0))
    assert "task on another loop" in leaked(caught)
    assert "socket" in leaked(caught)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_what_was_there_before_is_no_leak(tmp_path):
    with open(tmp_path / "before.txt", "w"), assert_no_leaks():
        pass

    async def main():
        task = asyncio.create_task(asyncio.sleep(1))
        await asyncio.sleep(0)
        async with assert_no_leaks():
            await asyncio.sleep(0.5)
        await task

    run_virtual(main())


@pytest.mark.usefixtures("no_thaw")
def test_the_error_of_the_body_goes_on_with_a_note(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        with assert_no_leaks():
            file = open(tmp_path / "left.txt", "w")
            raise ZeroDivisionError
    assert any("left.txt" in note for note in caught.value.__notes__)
    file.close()
    with pytest.raises(ZeroDivisionError) as caught:
        with assert_no_leaks():
            raise ZeroDivisionError
    assert not hasattr(caught.value, "__notes__")


async def test_plain_and_async_nest():
    with assert_no_leaks():
        async with assert_no_leaks():
            await asyncio.sleep(0)
