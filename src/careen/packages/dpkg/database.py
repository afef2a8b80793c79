"""What was read of a dpkg database, as an edit needs it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from careen.packages.dpkg.alternatives import Alternative
from careen.packages.dpkg.names import Names
from careen.rootfs.path import Path

__all__ = ["Database", "Row"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A stanza of `status` (with its package's `id`), or of a file that repeats it (id "").

    `conffiles` are the lines of that field, and the canonical path that each names.
    """

    stanza: bytes
    name: str
    architecture: str
    id: str = ""
    conffiles: Mapping[bytes, Path] = {}


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`paths` maps a file's name inside the database (`triggers/File`) to where it really is, and
    likewise files that follow it from outside (`etc/shells`); `contents` holds what was read
    there. `rows` are the stanzas of each such name, `standalone` those of `status.d` by file.
    `info` maps a package's id to its files in `info/` by extension, `strays` are the files there,
    and the digests in `status.d`, of which no package is on record (`info/NAME.*`).
    """

    paths: Mapping[str, Path]
    contents: Mapping[Path, bytes]
    names: Names
    rows: Mapping[str, tuple[Row, ...]]
    standalone: Mapping[Path, Row]
    info: Mapping[str, Mapping[str, Path]]
    strays: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
