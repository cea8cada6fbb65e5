"""The files of a disk as they may be after the power was lost.

What was synced is there.  Of what was not, each piece of a write within one sector of 512 bytes is there or not,
independently of the others; so is each truncation; of each name in the folder any of its states since the last sync of
the folder: a file that was made may have no name, one that was deleted may be back.  How much there is says the `way`,
one of `WAYS`.  What was written before a sync that failed is there or not for ever, also after a later sync that did
not fail, as on Linux.

Assumed: a sync that returned is honest; disks that lie about it are not modelled.  A sector that was not written keeps
its bytes, and so do the bytes of a sector around a write (SQLite's "powersafe overwrite", its default on Unix; it holds
where the file system writes whole pages).  A sync of a file makes its content and its length durable, not its name.
Later writes to a place are not overtaken by earlier ones.  What is durable does not rot.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SECTOR", "WAYS", "Event", "files_after"]

SECTOR = 512
WAYS = {
    "nothing": 0.0,  # of what was not synced: as if the disk had written nothing by itself
    "everything": 1.0,  # as after a kill
    "a few sectors": 0.1,
    "half of the sectors": 0.5,
    "most sectors": 0.9,
    "whole writes": 0.5,  # each write is there or not
    "garbage": 0.5,  # half of the sectors that were not written are, with something else
}


@dataclass(frozen=True, slots=True, eq=False)  # two that look alike are two
class Event:
    """One thing that was done to the disk, or (`mark`) that happened beside."""

    kind: str
    """create, delete, rename, write, truncate, sync, sync failed, folder sync; or mark."""
    name: str = ""
    """Of the file, without its folder."""
    node: int = 0
    """The file itself, whatever its name: a file that is made anew is another."""
    at: int = 0
    """Where a write begins, or the length to which is truncated."""
    data: bytes = b""
    value: Any = None
    """Of a mark; of a rename the new name."""


def files_after(
    before: list[tuple[str, bytes]], events: Iterable[Event], way: str, chance: random.Random
) -> dict[str, bytes]:
    """The files by name; `before`: those that were there, whose nodes are their numbers."""
    files = {node: _File(bytearray(content)) for node, (_, content) in enumerate(before)}
    names: dict[str, list[int | None]] = {name: [node] for node, (name, _) in enumerate(before)}
    for event in events:
        match event.kind:
            case "create":
                files[event.node] = _File(bytearray())
                names.setdefault(event.name, [None]).append(event.node)
            case "delete":
                names[event.name].append(None)
            case "rename":
                names[event.name].append(None)
                names.setdefault(event.value, [None]).append(event.node)
            case "folder sync":
                names = {name: states[-1:] for name, states in names.items()}
            case "mark":
                pass
            case _:
                files[event.node].do(event)
    found: dict[str, bytes] = {}
    for name, states in names.items():
        node = states[0] if way == "nothing" else states[-1] if way == "everything" else chance.choice(states)
        if node is not None:
            found[name] = files[node].after(way, chance)
    return found


@dataclass(slots=True)
class _File:
    """A file: its durable content, and what was done to it since, in order; `durable` and `doubtful` are numbers of
    these.
    """

    content: bytearray
    events: list[Event] = field(default_factory=list[Event])
    durable: set[int] = field(default_factory=set[int])
    doubtful: set[int] = field(default_factory=set[int])
    """What was not durable when a sync failed."""

    def do(self, event: Event) -> None:
        if event.kind == "sync":
            self.durable.update(set(range(len(self.events))) - self.doubtful)
            if not self.doubtful:
                for each in self.events:
                    _apply(self.content, each)
                self.events.clear()
                self.durable.clear()
        elif event.kind == "sync failed":
            self.doubtful.update(set(range(len(self.events))) - self.durable)
        else:
            self.events.append(event)

    def after(self, way: str, chance: random.Random) -> bytes:
        content = bytearray(self.content)
        share = WAYS[way]
        for number, event in enumerate(self.events):
            if number in self.durable:
                _apply(content, event)
            elif event.kind == "truncate" or way in ("nothing", "everything", "whole writes"):
                if chance.random() < share:
                    _apply(content, event)
            else:
                for piece in _sectors(event):
                    if chance.random() < share:
                        _apply(content, piece)
                    elif way == "garbage" and chance.random() < 0.5:
                        _apply(content, Event("write", at=piece.at, data=chance.randbytes(len(piece.data))))
        return bytes(content)


def _sectors(event: Event) -> Generator[Event, None, None]:
    """A write, parted where sectors end."""
    at, end = event.at, event.at + len(event.data)
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        yield Event("write", at=at, data=event.data[at - event.at : stop - event.at])
        at = stop


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.at :]
        content.extend(bytes(event.at - len(content)))
    else:
        content.extend(bytes(max(0, event.at - len(content))))
        content[event.at : event.at + len(event.data)] = event.data
