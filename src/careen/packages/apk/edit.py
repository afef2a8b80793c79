"""What the database says once packages and paths are gone. Pure: it works on what was read.

Each function answers for one kind of file: its new content by path.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from careen.errors import FormatError
from careen.packages import shells
from careen.packages.apk import record, scripts
from careen.packages.apk.checksum import identity
from careen.packages.apk.database import Database
from careen.packages.apk.record import Record, name_of
from careen.packages.apk.scripts import Member
from careen.packages.text import lines, text
from careen.rootfs.path import Path

__all__ = ["WORLD", "answers", "edited", "trigger"]

Changes = dict[Path, bytes]
WORLD = "etc/apk/world"


class _Going(msgspec.Struct, frozen=True, kw_only=True):
    """What goes and what stays: records by name, and paths."""

    removed: tuple[Record, ...]
    kept: tuple[Record, ...]
    dropped: frozenset[Path]
    checksums: frozenset[bytes]  # of the removed


def edited(database: Database, removed: frozenset[str], dropped: frozenset[Path]) -> Changes:
    """Every file of the database that changes when `removed` (names) and `dropped` go."""
    gone = tuple(one for one in database.records if one.name in removed)
    going = _Going(
        removed=gone,
        kept=tuple(one for one in database.records if one.name not in removed),
        dropped=dropped,
        checksums=frozenset(one.checksum for one in gone),
    )
    changes: Changes = {}
    for part in (_installed, _scripts, _triggers, _world, _shells):
        changes |= part(database, going)
    return {
        path: content
        for path, content in sorted(changes.items())
        if path not in dropped and content != database.contents[path]
    }


def _installed(database: Database, going: _Going) -> Changes:
    """The records that stay, in their order and their bytes but for the paths that went."""
    if not database.records:
        return {}
    kept = (record.without(one.raw, database.directories, going.dropped) for one in going.kept)
    return {database.paths["installed"]: b"".join(kept)}


def _scripts(database: Database, going: _Going) -> Changes:
    """The scripts of removed packages, and those that only their names say are theirs."""
    known = {one.checksum for one in database.records}
    removed = {f"{one.name}-{one.version}" for one in going.removed}

    def goes(member: Member) -> bool:
        if member.checksum in known:
            return member.checksum in going.checksums
        return member.package in removed

    changes: Changes = {}
    for name, archive in database.archives.items():
        left = scripts.without(archive, goes)
        if left is not None:
            changes[database.paths[name]] = left
    return changes


def _triggers(database: Database, going: _Going) -> Changes:
    """Which directories' changes wake a package's trigger script."""
    if "triggers" not in database.paths:
        return {}
    path = database.paths["triggers"]
    rows = lines(database.contents[path])
    return {path: b"".join(row for row in rows if trigger(row) not in going.checksums)}


def trigger(line: bytes) -> bytes:
    """The identity of the package whose trigger it is; FormatError when a line names none."""
    row = text(line.rstrip(b"\n"))
    checksum, space, _ = row.partition(" ")
    if not space:
        raise FormatError(f"{row!r} is no trigger's line")
    return identity(checksum)


def _world(database: Database, going: _Going) -> Changes:
    """What people asked for (apk-world(5)): a name to which only removed packages answered goes.

    A constraint that forbids (`!name`) stays true, and one that nothing answered stays as it was.
    """
    if WORLD not in database.paths:
        return {}
    gone = set(answers(going.removed)) - set(answers(going.kept))
    path = database.paths[WORLD]
    return {path: b"".join(_asked(line, gone) for line in lines(database.contents[path]))}


def answers(records: Iterable[Record]) -> Iterable[str]:
    """Every name that `world` may call them by."""
    for one in records:
        yield from (one.name, *one.provides)


def _asked(line: bytes, gone: set[str]) -> bytes:
    """A line of constraints (older versions of apk write all in one) without those on `gone`."""
    words = [word for word in text(line.rstrip(b"\n")).split(" ") if word]
    left = [word for word in words if name_of(word) not in gone]
    if len(left) == len(words):
        return line
    return f"{' '.join(left)}\n".encode("utf-8", "surrogateescape") if left else b""


def _shells(database: Database, going: _Going) -> Changes:
    """/etc/shells and its like."""
    paths = [database.paths[name] for name in shells.FILES if name in database.paths]
    path_of = database.rootfs.canonical
    return {path: shells.without(database.contents[path], going.dropped, path_of) for path in paths}
