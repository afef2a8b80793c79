"""An rpm database, read from an image: its packages, and what it says after an edit.

rpm keeps each package's header as it was signed, in one of three kinds of file. SQLite's is
edited; ndb and Berkeley DB are read. Of a database that cannot be read in full, nothing is used:
whose the image's files are is then unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from careen.errors import FormatError, SourceError, within
from careen.finding import some
from careen.packages import shells
from careen.packages.package import Package
from careen.packages.rpm import bdb, edit, ndb, record, sqlite, wal
from careen.packages.rpm.database import Database
from careen.packages.rpm.owned import packages_of
from careen.packages.rpm.record import Record
from careen.packages.source import Source
from careen.rootfs.path import Path, absolute, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["RpmRecords", "read"]

_HOMES = ("var/lib/rpm", "usr/lib/sysimage/rpm")  # either may be a link to the other
_SQLITE = "rpmdb.sqlite"
_READERS: Mapping[str, Callable[[bytes], list[tuple[int, bytes]]]] = {
    _SQLITE: sqlite.headers,
    "Packages.db": ndb.headers,
    "Packages": bdb.headers,
}
_REFUSED = {
    "Packages.db": "its database is of rpm's ndb kind, which is not edited",
    "Packages": "its database is a Berkeley DB, which is not edited",
}
_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"  # what a rollback journal in use begins with
_CEILING = 1 << 30  # bytes; SQLite holds no more in memory


class RpmRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What an rpm database records. `refused` says why it is not to be edited, "" when it may be.

    `unsupported` says why it could not be read in full, "" when it was: nothing may be decided
    about the image's files, and there are no packages here.
    """

    files: frozenset[Path]
    packages: tuple[Package, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""
    unsupported: str = ""
    database: Database | None = None

    @property
    def whole(self) -> bool:
        """Whether a package goes whole or not at all: always so with rpm.

        A header is signed, its list of files included, so a record cannot lose single paths:
        every path of a package on record must stay.
        """
        return True

    @property
    def faults(self) -> tuple[str, ...]:
        """See `careen.packages.catalog.Records`; of SQLite's kind alone."""
        if self.database is None:
            return ()
        return tuple(sqlite.faults(self.database.content, self.database.keys))

    def relinked(self, dropped: frozenset[Path]) -> Mapping[Path, str | None]:
        """No symlinks: rpm manages none beside its packages' own."""
        return {}

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """See `careen.packages.catalog.Records`; ids of other databases are passed over.

        ValueError for a package that is `unreadable`: no plan may remove one. SourceError when a
        package that stays on record would lose a path (see `whole`).
        """
        for package in self.packages:
            if package.id not in removed:
                _check_whole(package, dropped)
            elif package.unreadable:
                raise ValueError(f"{package.id} must stay: {package.unreadable}")
        return edit.edited(self.database, removed, dropped) if self.database is not None else {}


def _check_whole(package: Package, dropped: frozenset[Path]) -> None:
    lost = next((path for path in package.paths if path in dropped), None)
    if lost is not None:
        raise SourceError(
            f"{absolute(lost)} cannot go alone, rpm's record of it is signed; "
            "drop the whole package, or keep the file",
            at=package.id,
        )


def read(rootfs: Rootfs) -> RpmRecords | None:
    """The image's rpm database, None when there is none."""
    places = {f"{home}/{file}": file for home in _HOMES for file in _READERS}
    resolved = [(rootfs.resolve(place), file) for place, file in places.items()]
    found = {place.path: file for place, file in resolved if place.path is not None}
    if not found:
        return None
    source = Source(rootfs, parent(next(iter(found))))
    source.hops |= {hop for place, _ in resolved for hop in place.hops}
    files = frozenset(_files(source, found))
    try:
        return _records(source, found, files)
    except (FormatError, SourceError) as error:
        why = f"the image's rpm database cannot be read in full: {error}"
        return RpmRecords(files=files, unsupported=why)


def _files(source: Source, found: Iterable[Path]) -> set[Path]:
    """The databases' directories, all in them, and the links that lead there."""
    rootfs = source.rootfs
    homes = {rootfs.resolve(home).path for home in _HOMES} | {parent(path) for path in found}
    inside = {path for home in homes if home for path in (home, *rootfs.below(home))}
    return inside | source.hops | set(found)


def _records(source: Source, found: Mapping[Path, str], files: frozenset[Path]) -> RpmRecords:
    if len(found) > 1:
        several = " and ".join(map(absolute, found))
        raise FormatError(f"there are several, {several}; remove all but the one that rpm uses")
    ((path, kind),) = found.items()
    with within(absolute(path)):
        content = source.rootfs.read(path, ceiling=_CEILING)
        if kind == _SQLITE:
            content = _settled(source.rootfs, path, content)
        records = _parsed(_READERS[kind](content))
    refused = _REFUSED.get(kind, "")
    packages = packages_of(source.rootfs, records, files, refused)
    database = None if refused else _database(source, path, content, records, packages)
    _note(source, packages, refused)
    return RpmRecords(
        files=files,
        packages=packages,
        notes=tuple(source.notes),
        refused=refused,
        database=database,
    )


def _settled(rootfs: Rootfs, path: Path, content: bytes) -> bytes:
    """The database as SQLite would find it: its log replayed."""
    log, journal = Path(f"{path}-wal"), Path(f"{path}-journal")
    if journal in rootfs and rootfs.read(journal).startswith(_JOURNAL):
        raise FormatError("a change to it broke off; let rpm repair it in the source image")
    if log not in rootfs:
        return content
    return wal.replayed(content, rootfs.read(log, ceiling=_CEILING))


def _parsed(headers: Iterable[tuple[int, bytes]]) -> list[Record]:
    records = []
    for row, blob in headers:
        with within(f"package {row}"):
            records.append(record.parse(row, blob))
    return records


def _database(
    source: Source,
    path: Path,
    content: bytes,
    records: Sequence[Record],
    packages: Sequence[Package],
) -> Database:
    beside = (Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))
    return Database(
        rootfs=source.rootfs,
        path=path,
        content=content,
        rows={package.id: one.row for package, one in zip(packages, records, strict=True)},
        keys={one.row: (one.name, len(one.files)) for one in records},
        beside=tuple(file for file in beside if file in source.rootfs),
        shells=_shells(source, packages),
    )


def _shells(source: Source, packages: Sequence[Package]) -> dict[Path, bytes]:
    """The lists of login shells, but for what a package owns: its record has the digest."""
    shells.remember(source)
    owned = {path for package in packages for path in package.paths}
    return {path: content for path, content in source.contents.items() if path not in owned}


def _note(source: Source, packages: Sequence[Package], refused: str) -> None:
    """Say once, for all packages alike, why they stay; keys are none."""
    groups: dict[str, list[str]] = {}
    for package in packages:
        if package.unreadable and (refused or package.name != "gpg-pubkey"):
            groups.setdefault(package.unreadable, []).append(package.id)
    source.notes += [f"cannot be edited, {why}: {some(ids)}" for why, ids in groups.items()]
