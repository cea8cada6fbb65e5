"""A graph in a folder: nobody else sees its password or reaches it, one program has it, and it ends with that."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement

from cortex_rx.errors import GraphConnectionError, InvalidArgument, MissingExtra
from cortex_rx.graph import local
from cortex_rx.graph._program import NotStarted, Program, locked_file
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.local import LocalGraph
from cortex_rx.models.graph import GraphNode

ROOT = Path(__file__).parents[2]
needs_arcadedb = pytest.mark.usefixtures("arcadedb_installed")
starts = pytest.mark.slow(reason="a LocalGraph takes some seconds to start")
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def processes(folder: Path) -> tuple[psutil.Process, psutil.Process]:
    """The server and its keeper."""
    server = psutil.Process(int((folder / "pid").read_text()))
    keeper = server.parent()
    assert keeper
    return server, keeper


# --- it runs ----------------------------------------------------------------------------------------------------------


@linux
@starts
@needs_arcadedb
async def test_it_is_for_this_user_and_this_program_only(tmp_path: Path) -> None:
    folder = tmp_path / "größe" / "a graph"
    opened = LocalGraph(folder)
    async with opened as graph:
        await graph.create_node(GraphNode("Memory", {"memoryId": "mem-1"}))
        server, keeper = processes(folder)
        password = opened.config.password
        assert len(password) >= 32
        for process in (server, keeper):
            for what in ("cmdline", "environ"):
                assert password.encode() not in Path(f"/proc/{process.pid}/{what}").read_bytes()
        assert password not in repr(opened.config) + repr(graph) + repr(opened)
        assert folder.stat().st_mode & 0o77 == 0
        written = [path for path in folder.rglob("*") if path.is_file()]
        assert (folder / "password") in written
        assert [path for path in written if path.stat().st_mode & 0o77] == []
        listening = {each.laddr for each in server.net_connections("inet") if each.status == psutil.CONN_LISTEN}
        assert {address.removeprefix("::ffff:") for address, _ in listening} == {"127.0.0.1"}
        assert int(opened.config.uri.rpartition(":")[2]) in {port for _, port in listening}

        with pytest.raises(GraphConnectionError, match=f"is open already.* kill {server.pid}$"):
            await LocalGraph(folder).__aenter__()
        with pytest.raises(GraphConnectionError, match="runs already"):
            await opened.__aenter__()
        async with CypherGraphAdapter(opened.config) as other:  # another program connects like this
            assert await other.count_nodes("Memory") == 1
    assert not server.is_running()
    assert not keeper.is_running()
    with pytest.raises(GraphConnectionError, match="does not run"):
        opened.config  # noqa: B018
    with locked_file(folder / "lock"):
        pass  # nobody has it


CHILD = """
import asyncio, signal, sys
from cortex_rx.graph.local import LocalGraph
from cortex_rx.models.graph import GraphNode

async def main():
    async with LocalGraph(sys.argv[1]) as graph:
        await graph.create_node(GraphNode("Memory", {"memoryId": "mem-1"}))
        print("up", flush=True)
        signal.pause()

asyncio.run(main())
"""


@linux
@starts
@needs_arcadedb
@pytest.mark.parametrize("killed", ["program", "keeper", "both", "server"])
async def test_what_was_written_is_there_after_a_kill(tmp_path: Path, killed: str) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "up\n"
        server, keeper = processes(tmp_path)
        for process in {"keeper": [keeper], "server": [server], "both": [keeper, child], "program": [child]}[killed]:
            process.kill()
        _, alive = psutil.wait_procs([server, keeper], timeout=60)
        assert all(each.status() == psutil.STATUS_ZOMBIE for each in alive)
        child.kill()
    async with LocalGraph(tmp_path) as graph:
        [node] = await graph.find_nodes("Memory")
        assert node.properties == {"memoryId": "mem-1"}


@starts
@needs_arcadedb
async def test_one_that_starts_can_be_given_up(tmp_path: Path) -> None:
    starting = asyncio.create_task(LocalGraph(tmp_path).__aenter__())
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        await asyncio.sleep(0)
    server, keeper = processes(tmp_path)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not server.is_running()
    assert not keeper.is_running()


@starts
@needs_arcadedb
async def test_one_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "databases").write_text("not a folder")
    with pytest.raises(GraphConnectionError, match="did not start in") as caught:
        await LocalGraph(tmp_path).__aenter__()
    assert isinstance(caught.value.__cause__, NotStarted)
    assert "databases" in str(caught.value.__cause__)
    with locked_file(tmp_path / "lock"):
        pass


# --- it does not start ------------------------------------------------------------------------------------------------


async def test_a_folder_that_a_lost_server_has_locked_says_how_to_end_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(local, "is_installed", lambda: True)
    with locked_file(tmp_path / "lock") as lock:
        server = Program(["sleep", "1000"], tmp_path, handed=lock)
        server.wait_until(lambda: True, 60)
    with pytest.raises(GraphConnectionError) as caught:
        await LocalGraph(tmp_path).__aenter__()
    assert str(caught.value) == (
        f"the graph in {tmp_path} is open already, and only one LocalGraph can have it; its server is process "
        f"{server.process_id}. If the program that started it is gone, end it: kill {server.process_id}"
    )
    server.stop()


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(local, "is_installed", lambda: True)
    (tmp_path / "file").write_text("")
    with pytest.raises(GraphConnectionError, match="did not start in"):
        await LocalGraph(tmp_path / "file" / "graph").__aenter__()


def test_without_the_extra_it_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(local, "is_installed", lambda: False)
    with pytest.raises(MissingExtra, match=r"pip install 'cortex-rx\[graph-local\]'"):
        LocalGraph(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(GraphConnectionError, match="no ArcadeDB for this system"):
        LocalGraph(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"folder": ""}, "folder"), ({"folder": 3}, "folder"), ({"memory": 0}, "memory"), ({"memory": "1g"}, "memory")],
)
def test_wrong_arguments_are_refused_by_name(tmp_path: Path, arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{field}: "):
        LocalGraph(**{"folder": tmp_path} | arguments)  # type: ignore[arg-type]


def test_the_extra_is_for_the_same_systems() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    marker = Requirement(extras["graph-local"][0]).marker
    assert marker
    machines = ("x86_64", "aarch64", "arm64", "AMD64", "ARM64", "riscv64")
    systems = {
        (system, machine)
        for system in ("linux", "darwin", "win32", "freebsd14")
        for machine in machines
        if marker.evaluate({"sys_platform": system, "platform_machine": machine, "python_version": "3.11"})
    }
    assert systems == local._SYSTEMS
    assert not marker.evaluate({"python_version": "3.15"})


def test_nothing_of_it_is_imported_by_the_way() -> None:
    """Java is never in this process."""
    command = "import sys, cortex_rx; print('cortex_rx.graph.local' in sys.modules); import cortex_rx.graph.local; "
    command += "print([name for name in sys.modules if name.startswith(('arcadedb', 'jpype', 'neo4j'))])"
    shown = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n[]\n"
