"""Snapshots that are the same on each graph server."""

from __future__ import annotations

from syrupy.extensions.amber import AmberSnapshotExtension
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex

__all__ = ["OnEachServer"]


class OnEachServer(AmberSnapshotExtension):
    """Names a snapshot without the server that the test has as its parameter."""

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        name = super().get_snapshot_name(test_location=test_location, index=index)
        for server in ("arcadedb", "neo4j", "memgraph"):
            name = name.replace(f"[{server}]", "")
        return name
