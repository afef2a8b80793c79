"""What people ask to drop, checked against what they ask to keep and against what can be edited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from careen.errors import SourceError
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan.closure import Closure, Scene, told
from careen.plan.plan import Options
from careen.plan.selection import Selection
from careen.rootfs.path import Path, absolute

__all__ = ["Asked", "check_started", "of", "stuck", "untouchable"]


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
        packages=dict(_packages(scene, keep, drop)),
        paths=dict(_paths(scene, keep, drop)),
    )


def _packages(scene: Scene, keep: Selection, drop: Selection) -> Iterator[tuple[str, str]]:
    indivisible = scene.catalog.indivisible
    for id, package in scene.catalog.packages.items():
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
        if id in indivisible and (why := stuck(package, scene, keep)):
            raise SourceError(f"{id} cannot be dropped ({pattern}): it goes whole, and {why}")
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


def check_started(asked: Asked, closure: Closure, catalog: Catalog, options: Options) -> None:
    """SourceError when what the config starts is to be dropped: the image would not start.

    `force` overrules it.
    """
    for path in asked.files(catalog) if not options.force else ():
        because = closure.paths.get(path)
        if because is not None and because.rule == "config":
            pattern = asked.paths.get(path) or next(
                asked.packages[id] for id in catalog.owners[path] if id in asked.packages
            )
            raise SourceError(
                f"{absolute(path)} cannot be dropped ({pattern}): "
                f"{told(because, closure, catalog)}, and the image would not start; leave it out, "
                "or overrule with --force"
            )


def stuck(package: Package, scene: Scene, keep: Selection) -> str:
    """Which file of a package must stay and why, "" when all may go with it."""
    for path in package.paths:
        inode = scene.rootfs.nodes.get(path)
        if inode is None or inode.kind == "directory":
            continue
        if pattern := keep.path(path):
            return f"{absolute(path)} is asked for ({pattern})"
        if _is_database(path, scene.catalog):
            return f"{absolute(path)} is the package database's"
    return ""


def untouchable(path: Path, catalog: Catalog) -> str:
    """Why a path must stay whatever anybody asks, "" when it may go."""
    if _is_database(path, catalog):
        return "it is the package database's, which changes only with the packages"
    for id in catalog.owners.get(path, ()):
        if catalog.packages[id].unreadable:
            return f"the record of {id} cannot be edited, {catalog.packages[id].unreadable}"
    return ""


def _is_database(path: Path, catalog: Catalog) -> bool:
    return any(path in database.files for database in catalog.databases)
