"""A package on record, whatever the database."""

from __future__ import annotations

from typing import Literal

import msgspec

from careen.rootfs.path import Path

__all__ = ["Database", "Package"]

Database = Literal["dpkg", "dpkg-status.d", "apk", "rpm"]


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is unique in an image, before and after an edit: `NAME`, or `NAME:ARCH` of a foreign
    architecture; `NAME (apk)` where another database stands beside its own.

    `paths` are canonical (no name through a link, diversions mapped) and include directories and
    what is absent from the image; `conffiles` is a subset. `depends` are the declared
    alternatives, each group a tuple of package names (`Depends` and `Pre-Depends`), or with rpm
    of names that packages provide and of absolute paths. `source` and
    `source_version` are the source package's, and the package's own where the record does not
    say. `status` is the database's own word (`install ok installed`), "" in a database that has
    none. `unreadable` says why the package cannot be
    edited, "" when it can: such a package stays, whole. `partly_listed` says why what is in use
    of the package may be missing from `paths`, "" otherwise: it stays unless people drop it.
    """

    id: str
    name: str
    version: str
    architecture: str
    database: Database
    source: str = ""
    source_version: str = ""
    essential: bool = False
    status: str = ""
    paths: tuple[Path, ...] = ()
    conffiles: tuple[Path, ...] = ()
    provides: tuple[str, ...] = ()
    depends: tuple[tuple[str, ...], ...] = ()
    unreadable: str = ""
    partly_listed: str = ""
