"""Download Neo4j Community from Maven Central into a cache, once for a version: `make services`.

`NEO4J_TEST_VERSION` is the version; by default, the one with long-term support. It is not a part of cortex_rx.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["VERSION", "java", "libraries"]

VERSION = os.environ.get("NEO4J_TEST_VERSION") or "5.26.28"
_SECONDS = 900

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>neo4j</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{0}</version></dependency>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{0}</version></dependency>
  </dependencies>
</project>
"""


def libraries() -> Path:
    """The folder with the version's libraries. It is there only when it is whole."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cortex-rx" / f"neo4j-{VERSION}"


def java() -> str | None:
    """The program that runs Neo4j: of JAVA_HOME, or else the first that is found."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")


def download() -> None:
    """Raises `subprocess.SubprocessError`, with what Maven says on standard error."""
    target = libraries()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pom, new = Path(folder, "pom.xml"), Path(folder, "lib")
        pom.write_text(_POM.format(VERSION))
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        subprocess.run([*command, f"-DoutputDirectory={new}"], check=True, timeout=_SECONDS)
        if not target.exists():
            new.rename(target)


def main() -> None:
    if libraries().exists():
        return
    if java() is None or shutil.which("mvn") is None:
        sys.stdout.write("java and mvn are needed for Neo4j: its tests will be skipped\n")
        return
    sys.stdout.write(f"downloading Neo4j {VERSION}, once\n")
    sys.stdout.flush()
    try:
        download()
    except (OSError, subprocess.SubprocessError) as error:
        sys.stdout.write(f"Neo4j is not to be had, its tests will be skipped: {error}\n")


if __name__ == "__main__":
    main()
