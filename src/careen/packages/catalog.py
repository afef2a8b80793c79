"""Every package of an image, and which of them own a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from careen.packages.package import Package
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Catalog", "Records", "of", "read"]


class Records(Protocol):
    """One package database: what it records, and what it would say after an edit."""

    packages: tuple[Package, ...]
    files: frozenset[Path]  # the database's own files, which no package may take with it
    notes: tuple[str, ...]  # what is odd about it, a sentence each

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """The database's files that change when packages (by id) and paths go.

        Pure: it works on what was read. None deletes the file. `dropped` holds every path that
        goes, of removed and of partial packages alike.
        """
        ...


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """`owners` maps a canonical path to the ids of all packages that list it."""

    databases: tuple[Records, ...]
    packages: Mapping[str, Package]
    owners: Mapping[Path, tuple[str, ...]]


def of(databases: Sequence[Records]) -> Catalog:
    """The catalog over databases that were read."""
    packages: dict[str, Package] = {}
    owners: dict[Path, list[str]] = {}
    for database in databases:
        for package in database.packages:
            packages[package.id] = package
            for path in package.paths:
                owners.setdefault(path, []).append(package.id)
    return Catalog(
        databases=tuple(databases),
        packages=packages,
        owners={path: tuple(ids) for path, ids in owners.items()},
    )


def read(rootfs: Rootfs) -> Catalog:
    """The catalog of every database found in the image."""
    from careen.packages import dpkg  # noqa: PLC0415  # python-debian costs start-up time

    return of([database for database in (dpkg.read(rootfs),) if database is not None])
