"""The page `options.md`: the table of streaming options, from `STREAMING_OPTIONS`."""

from __future__ import annotations

from cortex_rx.models.options import STREAMING_OPTIONS, OptionEffect

HEAD = """# Streaming options

This page is generated from `cortex_rx.models.options.STREAMING_OPTIONS` (`make docs`), and tested.

`remember_stream` and `default_chain` take all streaming options of Cortex, and `max_retry_after`. Each option adds,
removes or configures one step of the default chain; `default_chain(backend, options)` returns that chain. Names may be
in snake_case or camelCase. `None` means the default. Times are milliseconds, lengths are code points;
`max_buffer_size` is bytes, estimated.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [("option", "what it does", "default", "in Cortex", "where the default differs"), ("---",) * 5]
    for name, effect in STREAMING_OPTIONS.items():
        rows.append((f"`{name}`", does(effect), shown(effect.ours), shown(effect.cortex), effect.differs))
    return HEAD + "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def does(effect: OptionEffect) -> str:
    """Which steps an option acts on, and how."""
    said = f"{effect.does} `{effect.step}{f'({effect.argument})' if effect.argument else ''}`"
    if effect.also:
        step, argument = effect.also
        said += f", and `{step}({argument})`, which it adds"
    return f"where False, {said}" if effect.does == "removes" else said


def shown(value: object) -> str:
    """A default as the page shows it."""
    if value is None:
        return "none"
    return f"{value:,}" if type(value) is int else str(value)
