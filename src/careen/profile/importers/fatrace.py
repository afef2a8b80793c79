"""fatrace's log, as text or (`-j`) as JSON, one event a line.

Types are letters: R, W, O and C for read, write, open and close; +, D, < and > for what is made,
deleted and moved. The image's own paths are seen only from inside its mounts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from careen.profile.importers.importer import Filter, Filters, Item, Unread
from careen.profile.importers.log import Log
from careen.profile.importers.records import at, decoded, text
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("process",)

_LINE = re.compile(
    rb"(?:\d+:\d+:\d+(?:\.\d+)? |\d+\.\d+ )?(.*?)\((\d+)\)(?: \[[^\]]*\])?: ([RWOC+D<>]+) +(.*)"
)
_CHANGES = frozenset("+D<>")
_DELETED = " (deleted)"


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """Each event's path: made when nothing but making, deleting or moving is told of it."""
    for line in log.lines():
        if line.startswith(b"{"):
            yield from _record(decoded(line), filters)
        elif line.strip():
            yield from _line(line, filters)


def _line(line: bytes, filters: Filters) -> Iterator[Item]:
    found = _LINE.fullmatch(line)
    if found is None:
        yield Unread(f"not an event: {os.fsdecode(line[:60])!r}")
    elif filters.admits_process(os.fsdecode(found[1])):
        yield _event(found[3].decode("ascii"), os.fsdecode(found[4]), os.fsdecode(found[1]))


def _record(record: Any, filters: Filters) -> Iterator[Item]:
    if isinstance(record, Unread):
        yield record
        return
    path, exe, comm = text(record, "path"), text(record, "exe"), text(record, "comm")
    types = at(record, "types")
    if not isinstance(types, str):
        types = "".join(t for t in types if isinstance(t, str)) if isinstance(types, list) else ""
    if not types:
        yield Unread("no `types`")
    elif filters.admits_process(comm, exe):
        if path:
            yield _event(types, path, comm)
        if exe:
            yield Event("executed", exe, process=comm)


def _event(types: str, path: str, process: str) -> Event:
    made = path.endswith(_DELETED) or not set(types) - _CHANGES
    return Event("made" if made else "opened", path.removesuffix(_DELETED), process=process)
