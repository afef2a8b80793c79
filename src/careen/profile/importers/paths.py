"""A plain list of absolute paths, one a line. Empty lines and those that begin with `#` are none.

Whatever makes such a list will do: `find -newer`, `lsof`, another tool's report through jq.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from careen.profile.importers.importer import Filter, Filters, Item, Unread
from careen.profile.importers.log import Log
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ()


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """Each path as opened."""
    for line in log.lines():
        if line.startswith(b"/"):
            yield Event("opened", os.fsdecode(line))
        elif line.strip() and not line.startswith(b"#"):
            yield Unread(f"not an absolute path: {os.fsdecode(line[:60])!r}")
