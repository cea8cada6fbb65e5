"""Build the sdist and a wheel from it, and use the wheel in a fresh environment: `make package`."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio, pathlib, sys
import cortex_rx, cortex_rx.testing.simulate
from cortex_rx import Cortex
assert pathlib.Path(cortex_rx.__file__).is_relative_to(sys.prefix), cortex_rx.__file__
async def main():
    async with Cortex("memory.db") as cortex:
        answer = cortex.memory.remember_stream(
            ["It is in ", "Lisbon."], memory_space_id="s", conversation_id="c", user_message="Where?", agent_id="helper"
        )
        result = await answer
        found = await cortex.memory.search("s", "lisbon")
        assert result.full_response == "It is in Lisbon." == found[0].content, (result, found)
asyncio.run(main())
try:
    import operators
except ModuleNotFoundError:
    print("the wheel works in a fresh environment, and brings no other package")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # `build` makes the wheel from the sdist, not from the checkout.
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
        (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
        with tarfile.open(sdist) as tar:
            tops = {member.split("/")[1] for member in tar.getnames() if "/" in member}
        assert "operators" not in tops, tops
        assert {"cortex_rx", "tests", "examples", "README.md", "LICENSE", "pyproject.toml"} <= tops, tops
        names = zipfile.ZipFile(wheel).namelist()
        info = wheel.name.split("-py3")[0] + ".dist-info"
        assert {part.split("/")[0] for part in names} == {"cortex_rx", "pytest_cortex_rx.py", info}, names
        assert "cortex_rx/py.typed" in names
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        constraints = str(ROOT / "constraints.txt")
        run(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, str(wheel)
        )
        run(str(python), "-W", "error", "-c", PROGRAM, cwd=folder)


def run(*command: str, cwd: Path = ROOT) -> None:
    subprocess.run(command, cwd=cwd, check=True)


if __name__ == "__main__":
    main()
