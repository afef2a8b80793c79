"""What the database says once packages and paths are gone. Pure: it works on what was read.

Each function answers for one kind of file: its new content by path, None to delete it. Nothing is
ever marked `deinstall`: scanners list such a package as installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from careen.packages import shells
from careen.packages.dpkg import alternatives
from careen.packages.dpkg.database import Database, Row
from careen.packages.dpkg.listing import digested
from careen.packages.dpkg.names import diversions
from careen.packages.dpkg.stanza import without_conffiles
from careen.packages.package import Package
from careen.packages.text import lines, text
from careen.rootfs.path import Path

__all__ = ["edited"]

Changes = dict[Path, bytes | None]


class _Going(msgspec.Struct, frozen=True, kw_only=True):
    """What goes: packages by id, paths; `partial` are the packages that stay and lose a path."""

    removed: Mapping[str, Package]
    kept: Mapping[str, Package]
    partial: Mapping[str, Package]
    dropped: frozenset[Path]
    architectures_removed: Mapping[str, frozenset[str]]
    architectures_kept: Mapping[str, frozenset[str]]

    def named(self, name: str, architecture: str = "") -> bool:
        """Whether an entry about `name` is about removed packages only.

        An entry may say no architecture, or another than `all`'s, which apt calls the native one.
        """
        if name not in self.architectures_removed:
            return False
        if name not in self.architectures_kept:
            return True
        gone = {architecture, "all"} & self.architectures_removed[name]
        stays = {architecture, "all"} & self.architectures_kept[name]
        return bool(architecture and gone and not stays)

    def qualified(self, package: str) -> bool:
        """`named` for NAME or NAME:ARCH."""
        name, _, architecture = package.partition(":")
        return self.named(name, architecture)


def edited(
    database: Database,
    packages: Iterable[Package],
    removed: frozenset[str],
    dropped: frozenset[Path],
) -> Changes:
    """Every file of the database that changes when `removed` (ids) and `dropped` go."""
    going = _going(packages, removed, dropped)
    changes: Changes = {}
    for part in (
        _stanzas,
        _standalone,
        _info,
        _diversions,
        _overrides,
        _triggers,
        _alternatives,
        _shells,
    ):
        changes |= part(database, going)
    return {
        path: content
        for path, content in sorted(changes.items())
        if path not in dropped and content != database.contents.get(path, b"")
    }


def _going(
    packages: Iterable[Package], removed: frozenset[str], dropped: frozenset[Path]
) -> _Going:
    gone: dict[str, Package] = {}
    kept: dict[str, Package] = {}
    for package in packages:
        (gone if package.id in removed else kept)[package.id] = package
    return _Going(
        removed=gone,
        kept=kept,
        partial={key: package for key, package in kept.items() if _loses(package, dropped)},
        dropped=dropped,
        architectures_removed=_architectures(gone.values()),
        architectures_kept=_architectures(kept.values()),
    )


def _loses(package: Package, dropped: frozenset[Path]) -> bool:
    return not package.unreadable and not dropped.isdisjoint(package.paths)


def _architectures(packages: Iterable[Package]) -> dict[str, frozenset[str]]:
    found = defaultdict(set)
    for package in packages:
        found[package.name].add(package.architecture)
    return {name: frozenset(architectures) for name, architectures in found.items()}


def _stanzas(database: Database, going: _Going) -> Changes:
    """status, status-old, available, extended_states: other stanzas keep their bytes."""
    return {
        database.paths[name]: b"".join(
            _row(row, going)
            for row in rows
            if not (row.id in going.removed if row.id else going.named(row.name, row.architecture))
        )
        for name, rows in database.rows.items()
    }


def _row(row: Row, going: _Going) -> bytes:
    """A conffile that went leaves the record too, or the stanza names what .list does not."""
    if row.id not in going.partial:
        return row.stanza
    gone = [line for line, path in row.conffiles.items() if path in going.dropped]
    return without_conffiles(row.stanza, gone) if gone else row.stanza


def _standalone(database: Database, going: _Going) -> Changes:
    """status.d, where a package has a file of its own."""
    return {
        path: None if row.id in going.removed else _row(row, going)
        for path, row in database.standalone.items()
    }


def _info(database: Database, going: _Going) -> Changes:
    """info/NAME.*: all files of a removed package; the lines of paths that a partial one lost.

    A file that loses its last line stays, empty: dpkg complains when md5sums are absent.
    """
    changes: Changes = {}
    for key in going.removed:
        changes |= dict.fromkeys(database.info.get(key, {}).values())
    for key, package in going.partial.items():
        files = database.info.get(key, {})
        for extension, path_of in _LISTS.items():
            if extension in files:
                changes[files[extension]] = _less(
                    database, going, files[extension], package.name, path_of
                )
    return changes


def _listed(line: bytes) -> bytes:
    return line.rstrip(b"\n")


def _configured(line: bytes) -> bytes:
    return line.rstrip(b"\n").removeprefix(b"remove-on-upgrade ")


_LISTS: Mapping[str, Callable[[bytes], bytes]] = {
    "list": _listed,
    "md5sums": digested,
    "conffiles": _configured,
}


def _less(
    database: Database,
    going: _Going,
    file: Path,
    package: str,
    path_of: Callable[[bytes], bytes],
) -> bytes:
    """`file` without the lines of `package`'s paths that are dropped."""
    rows = lines(database.contents[file])
    paths = database.names.owned([text(path_of(row)) for row in rows], package)
    return b"".join(row for row, path in zip(rows, paths, strict=True) if path not in going.dropped)


def _diversions(database: Database, going: _Going) -> Changes:
    """A removed package's diversion goes, unless a kept package's file lies where it sent it."""
    changes: Changes = {}
    for name in ("diversions", "diversions-old"):
        if name in database.paths:
            path = database.paths[name]
            changes[path] = b"".join(
                diversion.record
                for diversion in diversions(database.contents[path])
                if not going.named(diversion.package) or _diverted(database, going, diversion.path)
            )
    return changes


def _diverted(database: Database, going: _Going, listed: str) -> bool:
    line = f"/{listed}".encode("utf-8", "surrogateescape")
    return any(
        line in database.contents[files["list"]].split(b"\n")
        for key, files in database.info.items()
        if key in going.kept and "list" in files
    )


def _overrides(database: Database, going: _Going) -> Changes:
    """statoverride: the lines of paths that go, or are absent and were only removed packages'."""
    gone = {path for package in going.removed.values() for path in package.paths}
    kept = {path for package in going.kept.values() for path in package.paths}

    def stays(line: bytes) -> bool:
        path = database.names.of(text(line.rstrip(b"\n").split(b" ", 3)[-1]))
        absent = path in gone and path not in kept and not database.names.present(path)
        return path not in going.dropped and not absent

    return _filtered(database, ("statoverride", "statoverride-old"), stays)


def _filtered(database: Database, names: Iterable[str], stays: Callable[[bytes], bool]) -> Changes:
    changes: Changes = {}
    for name in names:
        if name in database.paths:
            path = database.paths[name]
            changes[path] = b"".join(line for line in lines(database.contents[path]) if stays(line))
    return changes


def _triggers(database: Database, going: _Going) -> Changes:
    """Who is interested in a trigger, and who awaits one; dpkg deletes the list of nobody."""

    def interested(line: bytes) -> bool:
        package = text(line).split()[-1:]
        return not package or not going.qualified(package[0].partition("/")[0])

    names = [name for name in database.paths if name.startswith("triggers/")]
    names = [name for name in names if name != _DEFERRED]
    changes = _filtered(database, names, interested)
    for path in changes:
        changes[path] = changes[path] or (None if database.contents[path] else b"")
    if _DEFERRED in database.paths:
        path = database.paths[_DEFERRED]
        changes[path] = b"".join(_awaited(line, going) for line in lines(database.contents[path]))
    return changes


_DEFERRED = "triggers/Unincorp"


def _awaited(line: bytes, going: _Going) -> bytes:
    """A trigger's line without the removed packages that awaited it; `-` when nobody does."""
    words = text(line).split()
    left = [word for word in words[1:] if not going.qualified(word)]
    if len(left) == len(words[1:]):
        return line
    return " ".join([words[0], *(left or "-")]).encode("utf-8", "surrogateescape") + b"\n"


def _alternatives(database: Database, going: _Going) -> Changes:
    """The records of choices that went; a record goes with its last choice."""
    changes: Changes = {}
    for alternative in database.alternatives:
        left = alternatives.without(alternative, going.dropped)
        path = database.paths[f"alternatives/{alternative.name}"]
        changes[path] = None if left is None else alternatives.dump(left)
    return changes


def _shells(database: Database, going: _Going) -> Changes:
    """/etc/shells and its like."""
    paths = [database.paths[name] for name in shells.FILES if name in database.paths]
    return {
        path: shells.without(database.contents[path], going.dropped, database.names.of)
        for path in paths
    }
