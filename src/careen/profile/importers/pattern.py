"""A path with components that stand for any: how observers fold thousands of paths into one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from careen.rootfs.path import ROOT, Path, absolute, join
from careen.rootfs.rootfs import Rootfs

__all__ = ["ANY", "ANY_DEPTH", "Pattern"]

ANY = "*"
ANY_DEPTH = "**"
_SPECIAL = re.compile(r"[*?\[]")


class Pattern(msgspec.Struct, frozen=True):
    """`components` are literal, but for ANY, one component, and ANY_DEPTH, any number of them."""

    components: tuple[str, ...]

    @property
    def glob(self) -> str:
        """As a pattern of a manifest's `keep.paths`."""
        return "/" + "/".join(
            part if part in (ANY, ANY_DEPTH) else _SPECIAL.sub(r"[\g<0>]", part)
            for part in self.components
        )

    def expanded(self, rootfs: Rootfs) -> Iterator[str]:
        """The files of an image that it stands for, absolute, directories aside; links as named."""
        places = {ROOT}
        for part in self.components:
            directories = {directory for place in places for directory in _entered(rootfs, place)}
            places = {child for place in directories for child in _step(rootfs, place, part)}
        for path in sorted(places):
            if path in rootfs and rootfs.nodes[path].kind != "directory":
                yield absolute(path)


def _entered(rootfs: Rootfs, place: Path) -> Iterator[Path]:
    """The directory that a path leads to, if it is one."""
    there = rootfs.resolve(place).path
    if there is not None and rootfs.nodes[there].kind == "directory":
        yield there


def _step(rootfs: Rootfs, directory: Path, part: str) -> Iterator[Path]:
    if part == ANY:
        yield from rootfs.children(directory)
    elif part == ANY_DEPTH:
        yield directory
        yield from rootfs.below(directory)
    elif (path := join(directory, part)) in rootfs:
        yield path
