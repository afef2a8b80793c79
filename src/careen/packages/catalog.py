"""Every package of an image, and which of them own a path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from careen.errors import FormatError
from careen.finding import Finding
from careen.packages.package import Package
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Catalog", "Records", "footprint", "notes", "of", "read"]


class Records(Protocol):
    """One package database: what it records, and what it would say after an edit."""

    @property
    def packages(self) -> tuple[Package, ...]:
        """Every package on record."""

    @property
    def files(self) -> frozenset[Path]:
        """The database's own files: only its edit changes or deletes them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about it, a sentence each."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Where it contradicts itself, a sentence each that no other package's edit changes.

        Worked out each time that it is asked for.
        """

    @property
    def refused(self) -> str:
        """Why nothing may be removed from it, "" when it may be edited."""

    @property
    def whole(self) -> bool:
        """Whether a package on record keeps every path.

        rpm's headers are signed, so a record cannot lose single paths.
        """

    def relinked(self, dropped: frozenset[Path]) -> Mapping[Path, str | None]:
        """The symlinks that it manages and that change when `dropped` goes.

        Each with its new target, None for one that goes with the last thing that it could lead to.
        """
        ...

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """The database's files that change when packages (by id) and paths go.

        Pure: it works on what was read. None deletes the file. `dropped` holds every path that
        goes, of removed and of partial packages alike; a file among them is not brought back.
        """
        ...


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """`owners` maps a canonical path to the ids of all packages that list it.

    `unsupported` says of each database that cannot be read in full why: nothing may be decided
    about the image's files then. `native` is dpkg's native architecture, "" without dpkg.
    """

    databases: tuple[Records, ...]
    packages: Mapping[str, Package]
    owners: Mapping[Path, tuple[str, ...]]
    unsupported: tuple[str, ...] = ()
    native: str = ""

    @property
    def indivisible(self) -> frozenset[str]:
        """The packages, by id, that go whole or keep every path (`Records.whole`)."""
        kinds = {
            package.database
            for database in self.databases
            if database.whole
            for package in database.packages
        }
        return frozenset(id for id, one in self.packages.items() if one.database in kinds)


def of(
    databases: Sequence[Records], unsupported: Sequence[str] = (), *, native: str = ""
) -> Catalog:
    """The catalog over databases that were read; FormatError when two packages have one id."""
    packages: dict[str, Package] = {}
    owners: dict[Path, list[str]] = {}
    for database in databases:
        for package in database.packages:
            if package.id in packages:
                raise FormatError("the image's package database records it twice", at=package.id)
            packages[package.id] = package
            for path in package.paths:
                owners.setdefault(path, []).append(package.id)
    return Catalog(
        databases=tuple(databases),
        packages=packages,
        owners={path: tuple(ids) for path, ids in owners.items()},
        unsupported=tuple(unsupported),
        native=native,
    )


def read(rootfs: Rootfs, *, native: str = "") -> Catalog:
    """The catalog of every database found in the image; see `careen.packages.qualified`.

    `native` is that of the catalog whose ids it must share: what the image was made of.
    """
    # python-debian and the compressors cost start-up time
    from careen.packages import apk, dpkg, rpm  # noqa: PLC0415
    from careen.packages.qualified import qualified  # noqa: PLC0415

    debs, rpms = dpkg.read(rootfs, native=native), rpm.read(rootfs)
    found = {"dpkg": debs, "apk": apk.read(rootfs), "rpm": rpms}
    databases: list[Records] = []
    for word, database in found.items():
        if database is not None:
            databases.append(qualified(database, word) if databases else database)
    unsupported = [rpms.unsupported] if rpms is not None and rpms.unsupported else []
    return of(databases, unsupported, native="" if debs is None else debs.native)


def footprint(package: Package, rootfs: Rootfs) -> tuple[int, int]:
    """What is there of a package: its files (no directories), and their bytes, each inode once."""
    nodes = (rootfs.nodes.get(path) for path in package.paths)
    files = [inode for inode in nodes if inode is not None and inode.kind != "directory"]
    return len(files), sum(inode.entry.size for inode in set(files))


def notes(catalog: Catalog) -> Iterator[Finding]:
    """What is odd about each database, where it contradicts itself, and why one decides nothing."""
    databases = catalog.databases
    told = [message for one in databases for message in (*one.notes, *one.faults)]
    for message in (*told, *catalog.unsupported):
        yield Finding(rule="package-database", severity="note", message=message)
