"""A notebook cell that awaits a pipeline and is interrupted: a real kernel, a real SIGINT."""

import queue
import time

import pytest
from jupyter_client.manager import KernelManager

SETUP = """
import asyncio
from reactivex import operators as ops
from cortex_rx.engine import beside, run, stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.engine.running import Shared, Stopped

class Case:
    def __init__(self, n, pause=0.001):
        self.n, self.pause = n, pause
        self.shown, self.rows, self.commits, self.broken = [], [], [], []
        self.opened = self.closed = 0

    async def model(self, point):
        self.opened += 1
        try:
            for i in range(self.n):
                await asyncio.sleep(self.pause)
                yield i
        finally:
            await asyncio.sleep(0.001)
            self.closed += 1

    async def write(self, what):
        try:
            for _ in range(3):
                await asyncio.sleep(0.03)
        except asyncio.CancelledError:
            self.broken.append(what)
            raise

    async def worker(self, inbox):
        async for batch in inbox:
            await self.write(batch)
            self.rows.extend(batch)
        print("flushing", flush=True)
        await self.write(inbox.end)
        self.commits.append((inbox.end.name, list(self.rows)))
        return
        yield

    def show(self, item):
        self.shown.append(item)
        print("token", item, flush=True)

    def pipeline(self):
        return from_async_iterable(self.model).pipe(beside(self.worker), ops.do_action(self.show))

    async def by_run(self):
        return await run(self.pipeline())

    async def by_stream(self):
        async with stream(self.pipeline()) as out:
            async for item in out:
                pass
        return item

    async def by_shared(self):
        self.answer = Shared(self.pipeline())
        async for item in self.answer:
            pass
        return await self.answer

    async def rest(self):
        # Only a Shared runs in a task of its own: it flushes while the kernel is free again.
        if hasattr(self, "answer"):
            try:
                await self.answer
            except Stopped:
                pass
        await asyncio.sleep(0)

def running():
    ours = [task.get_coro().__qualname__ for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    generators = [each.__qualname__ for each in asyncio.get_running_loop()._asyncgens if each.ag_frame is not None]
    return [name for name in ours + generators if name not in usual]

usual = ()
usual = running()
"""

FOREVER = 10**9


class Kernel:
    def __init__(self, tmp_path, monkeypatch):
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(name, str(tmp_path / name.lower()))
        self.manager = KernelManager()
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def begin(self, code):
        """Start a cell."""
        self.cell, self.printed = self.client.execute(code, store_history=False), ""
        self.error = ""

    def _message(self, until):
        while (left := until - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                break
            if message["parent_header"].get("msg_id") == self.cell:
                if message["msg_type"] == "stream":
                    self.printed += message["content"]["text"]
                elif message["msg_type"] == "error":
                    self.error = "\n".join(message["content"]["traceback"])
                return message
        raise AssertionError(f"the kernel went silent after printing {self.printed!r}")

    def until_printed(self, text):
        until = time.monotonic() + 20
        while text not in self.printed:
            message = self._message(until)
            over = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            assert not over, f"the cell ended: {self.printed!r}, {self.error}"

    def end(self):
        """What the cell printed, and the name of the error that ended it, if one did."""
        until = time.monotonic() + 20
        while True:
            message = self._message(until)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=20)
            if reply["parent_header"].get("msg_id") == self.cell:
                return self.printed, reply["content"].get("ename")

    def run(self, code):
        self.begin(code)
        printed, error = self.end()
        assert error is None, (error, printed)
        return printed

    def value(self, expression):
        return eval(self.run(f"print(repr({expression}))"), {})

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        assert not self.manager.is_alive()


@pytest.fixture(scope="module")
def kernels():
    """The kernels of this module; the last one may still run."""
    started = []
    yield started
    if started and started[-1].manager.has_kernel:
        started[-1].stop()


@pytest.fixture
def kernel(kernels, tmp_path, monkeypatch):
    """The kernel that the test before left running, or a new one: tests run in any order, and one of them stops it."""
    if not kernels or not kernels[-1].manager.has_kernel:
        kernels.append(Kernel(tmp_path, monkeypatch))
        kernels[-1].run(SETUP)
    return kernels[-1]


def kept(kernel):
    """What the next cell sees; it is the same for every way of reading."""
    kernel.run("await case.rest()")
    shown, rows, commits = kernel.value("(case.shown, case.rows, case.commits)")
    assert rows == shown == list(range(len(shown))) and len(shown) >= 6
    assert commits == [("CANCELLED", shown)]
    assert kernel.value("(case.broken, case.opened, case.closed)") == ([], 1, 1)
    assert kernel.value("running()") == []
    return shown


def a_new_pipeline_works(kernel, form):
    printed = kernel.run(f"case = Case(10); print('last', await case.by_{form}())")
    tokens = [line for line in printed.splitlines() if line.startswith("token")]
    assert tokens == [f"token {i}" for i in range(10)] and printed.splitlines()[-1] == "last 9"
    assert kernel.value("(case.rows, case.commits)") == (list(range(10)), [("COMPLETED", list(range(10)))])
    assert kernel.value("running()") == []


@pytest.mark.parametrize("form", ["run", "stream", "shared"])
def test_an_interrupted_cell_keeps_what_it_showed(kernel, form):
    kernel.begin(f"case = Case({FOREVER}); await case.by_{form}()")
    kernel.until_printed("token 5\n")
    kernel.manager.interrupt_kernel()
    printed, error = kernel.end()
    assert error in {"KeyboardInterrupt", "CancelledError"}
    shown = kept(kernel)
    seen = [int(line.split()[1]) for line in printed.splitlines() if line.startswith("token")]
    assert seen == shown[: len(seen)] and len(seen) >= 6
    a_new_pipeline_works(kernel, form)


@pytest.mark.parametrize("form", ["run", "stream"])
def test_a_cell_that_is_interrupted_again_while_it_flushes(kernel, form):
    kernel.begin(f"case = Case({FOREVER}); await case.by_{form}()")
    kernel.until_printed("token 5\n")
    kernel.manager.interrupt_kernel()
    kernel.until_printed("flushing\n")
    kernel.manager.interrupt_kernel()
    kernel.manager.interrupt_kernel()
    _, error = kernel.end()
    assert error in {"KeyboardInterrupt", "CancelledError"}
    kept(kernel)
    a_new_pipeline_works(kernel, form)


def test_a_kernel_that_is_shut_down_in_the_middle_ends(kernel):
    """A pipeline that runs beside its cell does not keep the kernel from ending when it is asked to."""
    kernel.run(
        f"case = Case({FOREVER}, 0.01); answer = Shared(case.pipeline()); answer.detach(); task = answer.start()"
    )
    assert kernel.value("not task.done() and len(running()) > 0")
    kernel.stop()
