"""What was read of an rpm database, as an edit needs it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Database"]


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`content` is the SQLite database at `path` with its log replayed, `rows` each package's row
    by id, `keys` the name of the package in each row and how many files it lists. `beside` are the
    files that SQLite keeps next to it, `shells` the content of those among the lists of login
    shells that no package owns.
    """

    rootfs: Rootfs
    path: Path
    content: bytes
    rows: Mapping[str, int]
    keys: Mapping[int, tuple[str, int]]
    beside: tuple[Path, ...]
    shells: Mapping[Path, bytes]
