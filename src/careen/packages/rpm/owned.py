"""From headers to packages: the id of each, what it owns by canonical path, what it asks for."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from careen.packages.package import Package
from careen.packages.rpm.record import Record
from careen.rootfs.path import ROOT, Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["packages_of"]

# what a machine runs beside its own 64-bit packages, by rpm's names
_FOREIGN = frozenset(
    ["i386", "i486", "i586", "i686", "athlon", "geode", "ppc", "s390", "armv7hl", "armv7hnl"]
)

Place = Callable[[str], Path]


def packages_of(
    rootfs: Rootfs, records: Sequence[Record], files: frozenset[Path], refused: str
) -> tuple[Package, ...]:
    """The package of each record, in their order; `files` are the database's own.

    An id must not change when another package goes, so it follows from the package alone: `NAME`,
    or `NAME.ARCH` of a 32-bit architecture that may stand beside another. Where that names
    several (kernels, an update that broke off), each has all its version in its id, and stays.
    """
    place = functools.cache(rootfs.canonical)
    names = Counter(map(_id, records))
    labels = Counter(one.label for one in records)
    packages = []
    for one in records:
        alone = names[_id(one)] == 1
        label = one.label if labels[one.label] == 1 else f"{one.label}#{one.row}"
        packages.append(
            Package(
                id=_id(one) if alone else label,
                name=one.name,
                version=one.version,
                architecture=one.architecture,
                database="rpm",
                source=one.source,
                source_version=one.source_version,
                paths=tuple(dict.fromkeys(_paths(rootfs, one, place, files))),
                conffiles=tuple(dict.fromkeys(map(place, sorted(one.config - one.ghosts)))),
                provides=one.provides,
                depends=tuple((name,) for name in one.requires),
                unreadable=refused or _unreadable(one, alone=alone),
            )
        )
    return tuple(packages)


def _id(one: Record) -> str:
    return f"{one.name}.{one.architecture}" if one.architecture in _FOREIGN else one.name


def _unreadable(one: Record, *, alone: bool) -> str:
    if one.is_key:
        return "it is a key that packages are checked with"
    return "" if alone else "several of its name are on record"


def _paths(rootfs: Rootfs, one: Record, place: Place, files: frozenset[Path]) -> Iterator[Path]:
    """What the package owns: rpm's own lists its database among its ghosts, without bringing it."""
    for listed in one.files:
        path = place(listed)
        if listed in one.directories:
            path = _folder(rootfs, path)
        if path != ROOT and not (listed in one.ghosts and path in files):
            yield path


def _folder(rootfs: Rootfs, path: Path) -> Path:
    """A listed directory: where the image has a link to one, the link's target."""
    target = rootfs.resolve(path).path
    is_directory = target is not None and rootfs.nodes[target].kind == "directory"
    return target if target is not None and is_directory else path
