"""The APIs of a client."""

from __future__ import annotations

from cortex_rx import Cortex

_CLIENT = Cortex(":memory:")
APIS: dict[str, type] = {
    name: type(found)
    for name in dir(_CLIENT)
    if not name.startswith("_") and type(found := getattr(_CLIENT, name, None)).__name__.endswith("API")
}
"""The attributes of a client that are APIs, with their classes. One without a graph has no `graph`."""
