"""An apk database, read from an image: its packages, and what it says after an edit.

`installed` says which packages there are and what each owns; scripts, triggers and what people
asked for stand beside it. A database that cannot be read in full is read as far as it goes and
refused for editing: its packages stay, whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import msgspec

from careen.finding import some
from careen.packages import shells
from careen.packages.apk import edit, faults, record, scripts
from careen.packages.apk.database import Database
from careen.packages.apk.record import Record
from careen.packages.apk.scripts import Archive
from careen.packages.package import Package
from careen.packages.source import Source
from careen.packages.text import lines
from careen.rootfs.path import ROOT, Path, join
from careen.rootfs.rootfs import Rootfs

__all__ = ["ApkRecords", "read"]

_HOMES = ("lib/apk/db", "usr/lib/apk/db")  # the second where /usr is merged
_FLAGS = {
    "f": "not all files of it could be installed",
    "s": "a script of it failed",
    "x": "extended attributes of its files could not be set",
}


class ApkRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What an apk database records. `refused` says why not to edit it, "" when it may be."""

    packages: tuple[Package, ...]
    files: frozenset[Path]
    notes: tuple[str, ...]
    refused: str
    database: Database

    @property
    def faults(self) -> tuple[str, ...]:
        """See `careen.packages.catalog.Records`."""
        return tuple(faults.found(self.database))

    @property
    def whole(self) -> bool:
        """See `careen.packages.catalog.Records`: a list of files may lose single ones."""
        return False

    def relinked(self, dropped: frozenset[Path]) -> Mapping[Path, str | None]:
        """See `careen.packages.catalog.Records`: apk manages no links."""
        return {}

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """See `careen.packages.catalog.Records`; ids of other databases are passed over.

        ValueError for a package that is `unreadable`: no plan may remove one.
        """
        for package in self.packages:
            if package.unreadable and package.id in removed:
                raise ValueError(f"{package.id} must stay: {package.unreadable}")
        if self.refused:
            return {}
        return dict(edit.edited(self.database, removed, dropped))


def read(rootfs: Rootfs) -> ApkRecords | None:
    """The image's apk database, None when there is none."""
    found = [(home, rootfs.resolve(f"{home}/installed")) for home in _HOMES]
    homes = {place.path: home for home, place in reversed(found) if place.path is not None}
    if not homes:
        return None
    *others, home = homes.values()
    source = Source(rootfs, rootfs.resolve(home).path or ROOT)
    source.hops |= {hop for _, place in found for hop in place.hops}
    source.troubles += [f"/{other} is another one beside /{home}" for other in others]
    return _records(source, [rootfs.resolve(other).path or ROOT for other in homes.values()])


def _records(source: Source, homes: Sequence[Path]) -> ApkRecords:
    records = _installed(source)
    archives = _archives(source)
    source.attempt("triggers", partial(_triggers, source), None)
    source.attempt(edit.WORLD, partial(source.read, edit.WORLD, at=edit.WORLD), b"")
    shells.remember(source)
    refused = f"its database is not sound: {source.troubles[0]}" if source.troubles else ""
    directories = {
        listed: _directory(source.rootfs, listed) for one in records for listed in one.files
    }
    packages = tuple(_package(one, directories, refused) for one in records)
    _note(source, records, refused)
    return ApkRecords(
        packages=packages,
        files=frozenset(_files(source, homes)),
        notes=tuple(source.notes),
        refused=refused,
        database=Database(
            rootfs=source.rootfs,
            paths=source.paths,
            contents=source.contents,
            records=records,
            directories=directories,
            archives=archives,
        ),
    )


def _installed(source: Source) -> tuple[Record, ...]:
    """The records that can be read, each package once; one trouble for each of the others."""
    nothing: tuple[bytes, ...] = ()
    raws = source.attempt("installed", lambda: record.cut(source.read("installed")), nothing)
    records: dict[str, Record] = {}
    checksums: dict[bytes, str] = {}
    for number, raw in enumerate(raws, 1):
        one = source.attempt(f"installed: record {number}", partial(record.parse, raw), None)
        if one is None:
            continue
        # apk tells packages apart by their checksums, and takes two records of one for one
        first = checksums.setdefault(one.checksum, one.name)
        if one.name in records:
            source.troubles.append(f"installed: {one.name} is recorded twice")
            continue
        if first != one.name:
            source.troubles.append(f"installed: {one.name} has the checksum of {first}")
        records[one.name] = one
    return tuple(records.values())


def _archives(source: Source) -> dict[str, Archive]:
    archives = {}
    for name in scripts.FILES:
        archive = source.attempt(name, partial(_archive, source, name), None)
        if archive is not None:
            archives[name] = archive
    return archives


def _archive(source: Source, name: str) -> Archive | None:
    content = source.read(name)
    return scripts.parse(content, gzipped=name.endswith(".gz")) if content else None


def _triggers(source: Source) -> None:
    for line in lines(source.read("triggers")):
        edit.trigger(line)


def _directory(rootfs: Rootfs, listed: str) -> Path:
    """Where a listed directory really is: where the image has a link there, the link's target."""
    path = rootfs.resolve(listed).path
    if path is not None and rootfs.nodes[path].kind == "directory":
        return path
    return rootfs.canonical(listed)


def _package(one: Record, directories: Mapping[str, Path], refused: str) -> Package:
    paths = dict.fromkeys(_paths(one, directories))
    paths.pop(ROOT, None)
    return Package(
        id=one.name,
        name=one.name,
        version=one.version,
        architecture=one.architecture,
        database="apk",
        source=one.origin or one.name,
        source_version=one.version,  # all packages of an origin are built as one
        paths=tuple(paths),
        provides=one.provides,
        depends=tuple((name,) for name in one.depends),
        unreadable=refused,
    )


def _paths(one: Record, directories: Mapping[str, Path]) -> Iterable[Path]:
    for listed, names in one.files.items():
        directory = directories[listed]
        yield directory
        yield from (join(directory, name) for name in names)


def _note(source: Source, records: Sequence[Record], refused: str) -> None:
    """Say once, for all packages alike, what is odd about some."""
    names = [one.name for one in records]
    if refused:
        source.notes.append(f"cannot be edited, {refused}" + (f": {some(names)}" if names else ""))
    groups = defaultdict(list)
    for one in records:
        for flag in one.flags:
            if flag in _FLAGS:
                groups[_FLAGS[flag]].append(one.name)
    source.notes += [f"{what}: {some(names)}" for what, names in groups.items()]


def _files(source: Source, homes: Iterable[Path]) -> set[Path]:
    """The database's directory, all in it, the links that lead there, and where its own lead."""
    inside = {path for home in homes for path in (home, *source.rootfs.below(home))}
    linked = {path for file, path in source.paths.items() if file not in shells.FILES}
    return inside | linked | source.hops
