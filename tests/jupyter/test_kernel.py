"""`live` in a real kernel: one display that is updated in place, and a cell that a real SIGINT interrupts."""

import asyncio
import queue
import re
import time

import pytest
from jupyter_client.manager import KernelManager

SETUP = """
import asyncio
from datetime import timedelta
from cortex_rx import Cortex
from cortex_rx.jupyter import live, record

async def model():
    for number in range(1_000_000):
        await asyncio.sleep(0.001)
        yield f"<b>{number}</b> "

def ask(stream):
    return cortex.memory.remember_stream(
        stream, {"partial_response_interval": 100},
        memory_space_id="s", conversation_id="c-1", user_message="Count!", user_id="ada", user_name="Ada")

def running():
    return [task.get_coro().__qualname__ for task in asyncio.all_tasks() if task is not asyncio.current_task()]

usual = running()
"""


class Kernel:
    def __init__(self, folder, monkeypatch):
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(name, str(folder / name.lower()))
        self.manager = KernelManager()
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code, react=lambda kind, content: None):
        """Run a cell; `react` sees its outputs as they come.  Returns them, and the name of the error that ended it."""
        cell, outputs, until = self.client.execute(code), [], time.monotonic() + 60
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=until - time.monotonic())
            except queue.Empty:
                raise AssertionError(f"the kernel went silent after {outputs[-1:]}") from None
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                break
            outputs.append((kind, content))
            react(kind, content)
        error = next((content["ename"] for kind, content in outputs if kind == "error"), None)
        return outputs, error

    def value(self, expression):
        outputs, error = self.run(f"print(repr({expression}))")
        assert error is None, outputs
        return eval("".join(content["text"] for kind, content in outputs if kind == "stream"), {})

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        assert not self.manager.is_alive()


@pytest.fixture
def kernel(tmp_path):
    with pytest.MonkeyPatch.context() as monkeypatch:
        kernel = Kernel(tmp_path, monkeypatch)
        try:
            outputs, error = kernel.run(f"{SETUP}\ncortex = Cortex({str(tmp_path / 'memory.db')!r})")
            assert error is None, outputs
            yield kernel
        finally:
            kernel.stop()


def displays(outputs):
    return [(kind, content) for kind, content in outputs if kind.endswith("display_data")]


def test_an_interrupted_cell_keeps_what_came_and_says_so(kernel, lab):
    interrupted = False

    def react(kind, content):
        nonlocal interrupted
        stored = re.search(r"stored up to ([\d,]+)", content.get("data", {}).get("text/plain", ""))
        if not interrupted and stored and int(stored[1].replace(",", "")) > 500:
            interrupted = True
            kernel.manager.interrupt_kernel()

    outputs, error = kernel.run("answer = ask(model)\nawait live(answer)", react)
    assert error in {"CancelledError", "KeyboardInterrupt"}
    shown = displays(outputs)
    assert [kind for kind, _ in shown] == ["display_data"] + ["update_display_data"] * (len(shown) - 1)
    assert len({content["transient"]["display_id"] for _, content in shown}) == 1  # one place
    last = shown[-1][1]["data"]
    assert last["text/plain"].startswith("interrupted: ")
    assert "<b>0" not in last["text/html"] and "&lt;b&gt;" in last["text/html"]

    found = re.search(r"find it: await (.*)", last["text/plain"])[1]
    assert kernel.run(f"memory = {found.replace('cortex.', 'await cortex.', 1)}")[1] is None
    text, partial = kernel.value("(memory.content, memory.is_partial)")
    assert partial and kernel.value("set(running()) - set(usual)") == set()
    assert f"kept: {len(text):,} characters, a partial memory" in last["text/plain"] and len(text) > 500
    assert "".join(f"<b>{number}</b> " for number in range(len(text))).startswith(text)
    assert asyncio.run(lab.stored()) == [(text, True)]

    outputs, error = kernel.run("await live(ask(['all ', 'well']))")
    assert error is None and displays(outputs)[-1][1]["data"]["text/plain"].startswith("remembered: 8 characters")
    outputs, error = kernel.run("await record(['all ', 'well'], virtual=True)")
    assert error is None and set(outputs[-1][1]["data"]) == {"text/plain", "image/svg+xml"}


def test_an_interrupted_recording_in_virtual_time_ends_too(kernel):
    def react(kind, content):
        if kind == "stream":
            kernel.manager.interrupt_kernel()

    endless = (
        "async def endless():\n    print('begun')\n    while True:\n        await asyncio.sleep(1)\n        yield 'x'"
    )
    assert kernel.run(endless)[1] is None
    outputs, error = kernel.run("await record(endless, virtual=True)", react)
    assert error in {"CancelledError", "KeyboardInterrupt"}, outputs
    assert kernel.value("set(running()) - set(usual)") == set()
