"""The pytest plugin: found where the package is installed, quiet until it is used, beside xdist, asyncio and
coverage.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cortex_rx

pytest_plugins = ["pytester"]

ROOT = Path(cortex_rx.__file__).parents[1]
NAME = "pytest_cortex_rx"


@pytest.fixture
def installed(pytester, monkeypatch):
    """A folder for tests, in whose environment the package is installed: what pyproject.toml says of plugins is
    there.
    """
    site = pytester.mkdir("site")
    info = site / "cortex_rx-0.dist-info"
    info.mkdir()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    lines = "".join(f"{name} = {value}\n" for name, value in declared.items())
    (info / "entry_points.txt").write_text(f"[pytest11]\n{lines}")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cortex-rx-as-installed\nVersion: 0\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")

    def run(test, *args, apart=False):
        """In this process, unless it must be `apart`, which costs some seconds."""
        pytester.makepyfile(test)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start("-p", "no:cacheprovider", *args)

    return run


def test_it_is_found_and_imports_nothing(installed):
    result = installed(
        """
        import sys

        def test_quiet(request):
            assert request.config.pluginmanager.hasplugin("pytest_cortex_rx")
            loaded = [name for name in sys.modules if name.split(".")[0] in ("cortex_rx", "reactivex", "pydantic")]
            assert loaded == []

        def test_failing():
            assert 0
        """,
        apart=True,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*marbles*")


@pytest.mark.parametrize("option", ["no:pytest_cortex_rx", "pytest_cortex_rx"])
def test_it_can_be_named(installed, option):
    result = installed("def test_it(virtual): pass", "-p", option)
    result.assert_outcomes(**({"errors": 1} if option.startswith("no:") else {"passed": 1}))


def test_the_fixtures_are_documented(installed):
    result = installed("", "--fixtures")
    for name in ("virtual", "trace", "no_leaks", "make_backend"):
        result.stdout.fnmatch_lines([f"{name} -- *pytest_cortex_rx.py:*", "    [A-Z]*"])


PIPELINE = """
    import asyncio
    import pytest
    from reactivex import operators as ops
    from cortex_rx import operators as cx, run
    from cortex_rx.testing import assert_marbles, marbles
"""


def test_marbles_in_marbles_out(installed):
    installed(
        PIPELINE
        + """
    def test_it(virtual, trace):
        virtual(run(marbles("--a-b{1 min}|").pipe(cx.limit(1, then="end"), trace.tap("out"))))
        assert_marbles(trace, "out", "--a-|", ended="limit")

    def test_hours(virtual):
        async def main():
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()
        assert virtual(main()) == 3600
        assert virtual(main()) == 3600, "a loop of its own each time"
    """
    ).assert_outcomes(passed=2)


def test_a_test_that_fails_shows_its_marbles(installed):
    result = installed(
        PIPELINE
        + """
    def test_shown(virtual, trace):
        virtual(run(marbles("--a-b|").pipe(trace.tap("out"))))
        assert 0

    def test_nothing_to_show(trace):
        assert 0
    """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*- marbles -*", "ms*", "out  a---b---c-(d|)", "", "1 frame = 5 ms", "a = Opened*"])
    assert result.stdout.str().count("- marbles -") == 1


LEAKS = """
    import asyncio, gc, threading
    import pytest
    from cortex_rx.testing import Leaked

    async def leave():
        leave.task = asyncio.create_task(asyncio.sleep(3600), name="forgotten")
"""


@pytest.mark.usefixtures("no_thaw")
def test_what_is_left_in_virtual_time_fails_the_test(installed):
    result = installed(
        LEAKS
        + """
    def test_task(virtual, no_leaks):
        virtual(leave())

    @pytest.mark.usefixtures("no_leaks")
    def test_task_by_mark(virtual):
        virtual(leave())

    def test_not_asked(virtual):
        virtual(leave())

    def test_nothing_left(virtual, no_leaks):
        assert virtual(asyncio.sleep(5, "slept")) == "slept"
    """
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["E*Leaked: left behind:", "E*task forgotten: sleep()*"])


@pytest.mark.usefixtures("no_thaw")
@pytest.mark.slow(reason="another run of pytest")
def test_what_a_plain_test_leaves_fails_it(installed):
    result = installed(
        LEAKS
        + """
    @pytest.fixture
    def file(tmp_path):
        with open(tmp_path / "x", "w") as opened:
            yield opened

    @pytest.fixture
    def later():
        # What is left is ended after the test: this runs in the process of others.
        left = []
        yield left
        for end in left:
            end()

    def test_thread(no_leaks, later):
        done = threading.Event()
        later.append(done.set)
        threading.Thread(target=done.wait, daemon=True, name="lost").start()

    def test_file(no_leaks, later, tmp_path):
        later.append(open(tmp_path / "y", "w").close)

    def test_fixtures_hold_things(no_leaks, file):
        file.write("x")

    class TestClass:
        @pytest.mark.parametrize("n", [1, 2])
        def test_method(self, no_leaks, n):
            assert n in (1, 2)
    """
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["E*thread lost (daemon)"])
    result.stdout.fnmatch_lines(["E*open: *y (descriptor *"])


@pytest.mark.usefixtures("no_thaw")
@pytest.mark.parametrize(
    ("mode", "chosen"),
    [
        pytest.param("auto", (), id="auto"),
        pytest.param(
            "strict", ("-k", "test_left"), id="strict", marks=pytest.mark.slow(reason="another run of pytest")
        ),
    ],
)
def test_beside_pytest_asyncio(installed, mode, chosen):
    result = installed(
        LEAKS
        + """
    pytestmark = pytest.mark.asyncio

    async def test_left(no_leaks):
        await leave()

    async def test_thread_of_the_loop(no_leaks):
        await asyncio.to_thread(gc.collect)

    async def test_refused(virtual, no_leaks):
        with pytest.raises(RuntimeError, match="from a plain function"):
            virtual(asyncio.sleep(1))

    async def test_traced(trace, no_leaks):
        trace.note("x", "a")
        assert 0

    async def test_store(make_backend, no_leaks):
        async with make_backend() as backend:
            assert await backend.query("memories:count", {"memorySpaceId": "s"}) == 0

    async def test_store_left(make_backend):
        assert await make_backend().query("memories:count", {"memorySpaceId": "s"}) == 0
    """,
        "-o",
        f"asyncio_mode={mode}",
        *chosen,
    )
    result.stdout.fnmatch_lines(["E*Leaked: left behind:", "E*task forgotten: sleep()*"])
    if chosen:
        result.assert_outcomes(failed=1, deselected=5)
    else:
        result.assert_outcomes(passed=4, failed=2)
        result.stdout.fnmatch_lines(["*- marbles -*", "x*a"])


def test_stores_are_fresh_the_same_each_time_and_closed(installed):
    installed(
        """
    from datetime import timedelta
    from cortex_rx import operators as cx, run
    from cortex_rx.testing import marbles
    import pytest

    made = []

    async def answer(backend, text):
        source = marbles("--a-|", {"a": text})
        chain = cx.chain(cx.begin(backend), cx.persist_partial(backend, timedelta(seconds=1)), cx.finalize(backend))
        await run(source.pipe(chain))
        return await backend.query("memories:list", {"memorySpaceId": "space"})

    def test_two_runs(virtual, make_backend, no_leaks):
        first, second = make_backend(), make_backend()
        made.append(first)
        rows = virtual(answer(first, "Hello"))
        assert [row["content"] for row in rows] == ["Hello", "What is it?"]
        assert virtual(answer(second, "Hello")) == rows

    def test_it_was_closed(virtual):
        from cortex_rx.errors import StoreClosed
        with pytest.raises(StoreClosed):
            virtual(made[0].query("memories:count", {"memorySpaceId": "s"}))
    """
    ).assert_outcomes(passed=2)


@pytest.mark.slow(reason="a run of pytest that starts another")
def test_beside_xdist(installed):
    result = installed(
        LEAKS
        + """
    def test_left(virtual, no_leaks, trace):
        async def main():
            trace.note("x", "a")
            await leave()
        virtual(main())

    def test_it(virtual):
        assert virtual(asyncio.sleep(60, 5)) == 5
    """,
        "-n",
        "1",
        apart=True,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*task forgotten: sleep()*", "*- marbles -*"])


@pytest.mark.slow(reason="a process that measures coverage; that the plugin imports nothing is tested in every run")
def test_no_line_of_the_package_is_lost_for_coverage(installed, pytester):
    """A plugin that imported the package would do so before pytest-cov begins to measure."""
    pytester.makefile(
        ".cfg", coverage=f"[run]\ninclude = */cortex_rx/errors.py\ndata_file = {pytester.path / 'data'}\n"
    )
    result = installed(
        "def test_it(virtual, trace): pass",
        "--cov",
        f"--cov-config={pytester.path / 'coverage.cfg'}",
        "--cov-report=term",
        apart=True,
    )
    result.assert_outcomes(passed=1)
    line = next(line for line in result.stdout.lines if line.endswith("errors.py") or "/errors.py " in line)
    assert int(line.split()[-1].rstrip("%")) > 60, "its classes were defined while it was measured"


def test_it_knows_pytest_alone():
    """It is imported by every run of pytest: nothing else may be needed for that."""
    assert NAME in {path.stem for path in ROOT.glob("*.py")}
    program = f"import {NAME}, sys; print([m for m in sys.modules if m.startswith(('cortex_rx', 'reactivex'))])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
