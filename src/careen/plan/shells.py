"""Which paths of an image are shells, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.plan.closure import Scene
from careen.plan.rules import SHELLS
from careen.rootfs.path import Path, name, normal, parent

__all__ = ["find"]

_BINARIES = ("bin", "sbin")


def find(scene: Scene) -> Mapping[Path, Path]:
    """Each path by which a shell can be started → the file that it leads to (itself, or another).

    By name in a `bin` or `sbin` directory, by /etc/shells, and every other link to the same file
    there: `/usr/bin/sh` first.
    """
    found: dict[Path, Path] = {}
    for path in _named(scene):
        target = scene.rootfs.resolve(path).path
        inode = scene.rootfs.nodes.get(target) if target is not None else None
        if (
            target is not None
            and inode is not None
            and inode.kind == "file"
            and inode.entry.mode & 0o111
        ):
            found[path] = target
    return dict(sorted(found.items(), key=lambda item: (name(item[0]) != "sh", item[0])))


def _named(scene: Scene) -> Iterator[Path]:
    for path in scene.rootfs.nodes:
        if name(path) in SHELLS and name(parent(path)) in _BINARIES:
            yield path
    for text in scene.facts.shells:
        path = scene.rootfs.canonical(normal(text))
        if path in scene.rootfs:
            yield path
