"""Small rpm databases, written as a table of packages.

root = redhat([Pkg("bash", files=["/usr/bin/bash"], provides=["/bin/sh"]), Pkg("glibc")])
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from careen.rootfs.rootfs import Rootfs
from tests.builders import Node, Reg
from tests.rootfs.hand_made import rootfs

HOME = "var/lib/rpm"
DATABASE = f"{HOME}/rpmdb.sqlite"
INT16, INT32, STRING, BIN, STRINGS = 3, 4, 6, 7, 8
WIDTHS = {INT16: 2, INT32: 4}
TABLES = {"Name": "TEXT", "Basenames": "TEXT", "Requirename": "TEXT", "Sigmd5": "BLOB"}
Entry = tuple[int, int, Any]  # tag, type, value


def header(entries: Sequence[Entry], added: Sequence[Entry] = (), *, region: bool = True) -> bytes:
    """`entries` as a package brought them, and what installing it `added`."""
    index, store = _filled(entries, b"")
    if region:
        index = struct.pack(">IIiI", 63, BIN, len(store), 16) + index
        store += struct.pack(">IIiI", 63, BIN, -len(index), 16)
    more, store = _filled(added, store)
    index += more
    return struct.pack(">II", len(index) // 16, len(store)) + index + store


def _filled(entries: Iterable[Entry], store: bytes) -> tuple[bytes, bytes]:
    index = b""
    for tag, kind, value in entries:
        width = WIDTHS.get(kind, 1)
        store += bytes(-len(store) % width)
        data, count = _data(kind, value)
        index += struct.pack(">IIiI", tag, kind, len(store), count)
        store += data
    return index, store


def _data(kind: int, value: Any) -> tuple[bytes, int]:
    if kind == STRING:
        return value.encode("utf-8", "surrogateescape") + b"\0", 1
    if kind == STRINGS:
        texts = [text.encode("utf-8", "surrogateescape") + b"\0" for text in value]
        return b"".join(texts), len(texts)
    if kind == BIN:
        return value, len(value)
    return struct.pack(f">{len(value)}{'H' if kind == INT16 else 'I'}", *value), len(value)


@dataclass(frozen=True)
class Pkg:
    """A package; `files` as absolute names, directories with a slash at the end.

    `flags` are the file flags by name: 1 a configuration file, 64 a ghost.
    """

    name: str
    files: Sequence[str] = ()
    version: str = "1.0"
    release: str = "1"
    epoch: int | None = None
    arch: str = "x86_64"
    source: str = "src-2.0-3.src.rpm"
    flags: Mapping[str, int] = field(default_factory=dict)
    provides: Sequence[str] = ()
    requires: Sequence[str] = ()

    @property
    def entries(self) -> list[Entry]:
        names = [file.rstrip("/").rpartition("/") for file in self.files]
        folders = sorted({f"{folder}/" for folder, _, _ in names})
        modes = [0o040755 if file.endswith("/") else 0o100644 for file in self.files]
        table: list[Entry] = [
            (1000, STRING, self.name),
            (1001, STRING, self.version),
            (1002, STRING, self.release),
            (1003, INT32, [] if self.epoch is None else [self.epoch]),
            (1022, STRING, self.arch),
            (1030, INT16, modes),
            (1037, INT32, [self.flags.get(file, 0) for file in self.files]),
            (1044, STRING, self.source),
            (1047, STRINGS, [self.name, *self.provides]),
            (1049, STRINGS, list(self.requires)),
            (1116, INT32, [folders.index(f"{folder}/") for folder, _, _ in names]),
            (1117, STRINGS, [base for _, _, base in names]),
            (1118, STRINGS, folders),
        ]
        return [entry for entry in table if entry[2] not in ([], "")]

    @property
    def blob(self) -> bytes:
        return header(self.entries, [(1008, INT32, [1700000000])])

    @property
    def keys(self) -> dict[str, list[str | bytes]]:
        """What rpm finds the package by, a table each."""
        return {
            "Name": [self.name],
            "Basenames": [file.rstrip("/").rpartition("/")[2] for file in self.files],
            "Requirename": list(self.requires),
            "Sigmd5": [self.name.encode()],
        }


def schema(connection: sqlite3.Connection) -> None:
    """The tables that rpm makes, in its words."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS 'Packages' "
        "(hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"
    )
    for table, kind in TABLES.items():
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS '{table}' (key '{kind}' NOT NULL, hnum INTEGER NOT NULL, "
            "idx INTEGER NOT NULL, FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum))"
        )
        connection.execute(f"CREATE INDEX IF NOT EXISTS '{table}_key_idx' ON '{table}'(key ASC)")


def insert(connection: sqlite3.Connection, package: Pkg) -> None:
    number = connection.execute("INSERT INTO Packages (blob) VALUES (?)", [package.blob]).lastrowid
    for table, keys in package.keys.items():
        for position, key in enumerate(keys):
            connection.execute(f"INSERT INTO '{table}' VALUES (?, ?, ?)", [key, number, position])


def database(packages: Sequence[Pkg], *more: str) -> bytes:
    """rpmdb.sqlite as rpm leaves it (its header says that it may have a log), then `more` SQL."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rpmdb.sqlite"
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA journal_mode = WAL")
        schema(connection)
        for package in packages:
            insert(connection, package)
        connection.commit()
        for statement in more:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return file.read_bytes()


def ndb(blobs: Sequence[bytes]) -> bytes:
    """Packages.db: one page of slots, then the headers."""
    slots = [struct.pack("<4sIIIIIII", b"RpmP", 0, 1, 1, len(blobs) + 1, 0, 0, 0)]
    content = b""
    for number, blob in enumerate(blobs, 1):
        head = struct.pack("<4sIII", b"BlbS", number, 1700000000, len(blob))
        padded = head + blob + bytes(-(len(blob) + 28) % 16)
        tail = struct.pack("<II4s", zlib.adler32(padded), len(blob), b"BlbE")
        start, count = 256 + len(content) // 16, (len(padded) + 12) // 16
        slots.append(struct.pack("<4sIII", b"Slot", number, start, count))
        content += padded + tail
    free = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    return (b"".join(slots) + free * (254 - len(blobs))) + content


def redhat(packages: Sequence[Pkg], *nodes: Node, **more: Any) -> Rootfs:
    """`packages` installed, as `table` has them."""
    return rootfs(table(packages, *nodes, **more))


def table(
    packages: Sequence[Pkg], *nodes: Node, content: bytes | None = None, file: str = DATABASE
) -> list[Node]:
    """`packages` installed, with their files; `content` is the database when it is another."""
    first = [Reg(file, database(packages) if content is None else content), *nodes]
    named = {node.name for node in first}
    files = {name[1:]: name for one in packages for name in one.files if name[-1] != "/"}
    return [*first, *(Reg(name, text) for name, text in files.items() if name not in named)]
