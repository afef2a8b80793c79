"""What people ask to drop, checked against what they ask to keep and against what can be edited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from careen.errors import SourceError
from careen.packages.catalog import Catalog
from careen.plan.closure import Scene
from careen.plan.selection import Selection
from careen.rootfs.path import Path, absolute

__all__ = ["Asked", "of", "untouchable"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Packages (by id) and paths to drop, each with the pattern that names it."""

    packages: Mapping[str, str]
    paths: Mapping[Path, str]

    def files(self, catalog: Catalog) -> Iterator[Path]:
        """The paths, and what the packages alone own."""
        yield from self.paths
        for id in self.packages:
            for path in catalog.packages[id].paths:
                if all(owner in self.packages for owner in catalog.owners[path]):
                    yield path


def of(scene: Scene, keep: Selection, drop: Selection) -> Asked:
    """What `drop` names; SourceError when it cannot go, or when `keep` names it too."""
    return Asked(
        packages=dict(_packages(scene.catalog, keep, drop)),
        paths=dict(_paths(scene, keep, drop)),
    )


def _packages(catalog: Catalog, keep: Selection, drop: Selection) -> Iterator[tuple[str, str]]:
    for id, package in catalog.packages.items():
        pattern = drop.package(package)
        if pattern is None:
            continue
        kept = keep.package(package)
        if kept is not None:
            raise SourceError(f"{id} is to be kept ({kept}) and dropped ({pattern}); take one away")
        if package.unreadable:
            raise SourceError(
                f"{id} cannot be dropped ({pattern}): its record cannot be edited, "
                f"{package.unreadable}"
            )
        yield id, pattern


def _paths(scene: Scene, keep: Selection, drop: Selection) -> Iterator[tuple[Path, str]]:
    if not drop.path_globs:
        return
    for path, inode in scene.rootfs.nodes.items():
        pattern = drop.path(path) if path else None
        if pattern is None:
            continue
        kept = keep.path(path)
        if kept is not None:
            raise SourceError(
                f"{absolute(path)} is to be kept ({kept}) and dropped ({pattern}); take one away"
            )
        reason = untouchable(path, scene.catalog)
        if reason and inode.kind != "directory":  # a directory stays while anything in it does
            raise SourceError(f"{absolute(path)} cannot be dropped ({pattern}): {reason}")
        yield path, pattern


def untouchable(path: Path, catalog: Catalog) -> str:
    """Why a path must stay whatever anybody asks, "" when it may go."""
    if any(path in database.files for database in catalog.databases):
        return "it is the package database's, which changes only with the packages"
    for id in catalog.owners.get(path, ()):
        if catalog.packages[id].unreadable:
            return f"the record of {id} cannot be edited, {catalog.packages[id].unreadable}"
    return ""
