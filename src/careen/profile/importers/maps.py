"""`/proc/PID/maps`, of one process or of many one after the other.

A snapshot: what was opened and closed before is not in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from careen.profile.importers.importer import Filter, Filters, Item, Unread
from careen.profile.importers.log import Log
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ()

# proc_pid_maps(5): address, permissions, offset, device, inode, and a path after spaces
_MAPPING = re.compile(
    rb"[0-9a-f]+-[0-9a-f]+ [r-][w-][x-][ps] [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+) *(.*)"
)
_NEWLINE = rb"\012"  # the one character that the kernel escapes there
_DELETED = b" (deleted)"


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """Each mapped file as opened."""
    for line in log.lines():
        mapping = _MAPPING.fullmatch(line)
        if mapping is None:
            if line.strip():
                yield Unread(f"not a mapping: {os.fsdecode(line[:60])!r}")
        elif mapping[1] != b"0" and mapping[2].startswith(b"/"):
            path = mapping[2].removesuffix(_DELETED).replace(_NEWLINE, b"\n")
            yield Event("opened", os.fsdecode(path))
