"""What the benchmarks have in common: the machine, the bars, and the file with the figures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Bar", "machine", "percentile", "show_bars", "write_figures"]


@dataclass(frozen=True)
class Bar:
    """One promise: a figure and what it may be at most."""

    what: str
    value: float
    at_most: float

    @property
    def holds(self) -> bool:
        return self.value <= self.at_most


def machine() -> dict[str, Any]:
    """Where the figures come from; printed as well."""
    found = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
    }
    print(f"{found['implementation']} {found['python']} on {found['system']}, {found['cpus']} CPUs")
    return found


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def show_bars(bars: Iterable[Bar]) -> None:
    """Print which bars hold."""
    print()
    for bar in bars:
        print(f"  {'PASS' if bar.holds else 'FAIL'}  {bar.what:50}{bar.value:9.2f}  at most {bar.at_most:.2f}")


def write_figures(path: Path, figures: dict[str, Any], bars: Iterable[Bar]) -> None:
    """Write the figures, and which bars hold, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = figures | {"bars": [asdict(bar) | {"holds": bar.holds} for bar in bars]}
    path.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"\nwritten to {path}")
