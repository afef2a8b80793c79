"""Where a dpkg database contradicts itself. Pure: it works on what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from careen.packages.dpkg.database import Database, Row
from careen.packages.dpkg.listing import digested
from careen.packages.package import Package
from careen.packages.text import lines, text
from careen.rootfs.path import Path

__all__ = ["found"]

_FORMER = (b" obsolete", b" remove-on-upgrade")  # conffiles that an upgrade left behind


def found(database: Database, packages: Iterable[Package]) -> Iterator[str]:
    """A sentence for each contradiction between `status` and `info/`, or between files of those.

    What `dpkg --audit` says of a package (no list, no digests) is said here as well; more than it
    looks at: files of no package, digests and configuration files that the list does not have.
    """
    for stray in database.strays:
        yield f"{stray} is of no package on record"
    rows = {row.id: row for row in database.rows.get("status", ()) if row.id}
    for package in packages:
        if package.database == "dpkg":
            yield from _of(package, rows[package.id], database)


def _of(package: Package, row: Row, database: Database) -> Iterator[str]:
    files = database.info.get(package.id, {})
    is_there = package.status.split()[2] != "config-files"  # else dpkg needs neither file
    for extension, what in _NEEDED.items():
        if is_there and extension not in files:
            yield f"{package.id} is on record, and info/ has no {what}"
    listed = _read(database, files, "list")
    if listed is not None:
        sums = _read(database, files, "md5sums") or b""
        digests = {digested(line) for line in lines(sums)} - {b""}
        yield from _unlisted(package, listed, digests, "md5sums name", database)
        current = [line for line in row.conffiles if not line.endswith(_FORMER)]
        conffiles = {line.strip().rpartition(b" ")[0] for line in current}
        yield from _unlisted(package, listed, conffiles, "record names the conffile", database)


_NEEDED = {"list": "list of its files", "md5sums": "md5sums of its files"}


def _read(database: Database, files: Mapping[str, Path], extension: str) -> bytes | None:
    return database.contents.get(files[extension]) if extension in files else None


def _unlisted(
    package: Package, listed: bytes, names: set[bytes], said: str, database: Database
) -> Iterator[str]:
    """Those of `names` that the list has neither as written nor by the path that they lead to."""
    rows = listed.split(b"\n")[:-1]
    suspects = [text(name) for name in sorted(names.difference(rows))]
    if not suspects:
        return
    known = set(database.names.owned(map(text, rows), package.name))
    for name, path in zip(suspects, database.names.owned(suspects, package.name), strict=True):
        if path not in known:
            yield f"{package.id}: its {said} {name}, which its list does not"
