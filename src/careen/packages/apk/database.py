"""What was read of an apk database, as an edit needs it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from careen.packages.apk.record import Record
from careen.packages.apk.scripts import Archive
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Database"]


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`paths` maps a file's name inside the database (`triggers`), or from the root for one that
    is outside (`etc/apk/world`), to where it really is; `contents` holds what was read there.
    `directories` maps each directory as listed to its canonical path, `archives` the name of an
    archive of scripts to what is in it.
    """

    rootfs: Rootfs
    paths: Mapping[str, Path]
    contents: Mapping[Path, bytes]
    records: tuple[Record, ...]
    directories: Mapping[str, Path]
    archives: Mapping[str, Archive]
