"""rpm's SQLite database: headers in `Packages`, and a table for each tag that rpm searches by.

SQLite works on a copy in memory, and does no I/O. The bytes come from an image: the schema must
be what rpm makes (a view or an expression could run for ever), the structure sound, and the work
is bounded.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from careen.errors import FormatError
from careen.packages.rpm import pages

__all__ = ["faults", "headers", "without"]

_MAGIC = b"SQLite format 3\0"
_JOURNAL_MODE, _CHANGES, _VALID_FOR, _VERSION = (
    slice(18, 20),
    slice(24, 28),
    slice(92, 96),
    slice(96, 100),
)
_STEPS = 100_000  # of SQLite's virtual machine, between two looks at the budget

_NAME = r"['\"]?(\w+)['\"]?"
_PACKAGES = "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"
_INDEX_TABLE = re.compile(
    rf"CREATE TABLE {_NAME} ?\( ?key '?(?:TEXT|BLOB)'? NOT NULL, ?hnum INTEGER NOT NULL, ?"
    rf"idx INTEGER NOT NULL, ?FOREIGN KEY ?\(hnum\) REFERENCES ['\"]?Packages['\"]? ?\(hnum\) ?\)"
)
_INDEX = re.compile(rf"CREATE INDEX {_NAME} ON {_NAME} ?\( ?(?:key|hnum)(?: ASC)? ?\)")
_STATISTICS = "sqlite_stat4"  # samples of keys, for the query planner alone
_OWN = ("sqlite_sequence", "sqlite_stat1", _STATISTICS)  # SQLite's, made by AUTOINCREMENT, ANALYZE


def headers(content: bytes) -> list[tuple[int, bytes]]:
    """Each package's row number and header; FormatError when the database is not sound.

    `content` is the whole database, its log replayed.
    """
    with _opened(content) as connection:
        _tables(connection)
        ((verdict,),) = connection.execute("PRAGMA integrity_check(1)")
        if verdict != b"ok":
            raise FormatError(f"SQLite finds it damaged: {_text(verdict)}")
        rows = connection.execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()
    if not all(isinstance(blob, bytes) for _, blob in rows):
        raise FormatError("a header in it is no blob")
    return rows


def faults(content: bytes, keys: Mapping[int, tuple[str, int]]) -> list[str]:
    """Where the tables that rpm searches by do not fit `Packages`, a sentence each.

    `keys` has for each row the package's name and how many files it lists.
    """
    with _opened(content) as connection:
        tables = _tables(connection)
        found = [fault for table in tables for fault in _dangling(connection, table)]
        if "Name" in tables:
            rows = {
                (number, _text(key))
                for key, number in connection.execute("SELECT CAST(key AS BLOB), hnum FROM 'Name'")
            }
            found += [
                f"package {number}, {name}, is not found by its name"
                for number, (name, _) in keys.items()
                if (number, name) not in rows
            ]
        if "Basenames" in tables:
            query = "SELECT hnum, COUNT(*) FROM 'Basenames' GROUP BY hnum"
            counts = dict(connection.execute(query).fetchall())
            found += [
                f"{name} lists {files} files, and {counts.get(number, 0)} are found by their names"
                for number, (name, files) in keys.items()
                if counts.get(number, 0) != files
            ]
    return found


def _dangling(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """The rows of a table that lead to no package."""
    query = (
        f"SELECT hnum, COUNT(*) FROM '{table}' "  # noqa: S608 (a plain word, as _tables found)
        "WHERE hnum NOT IN (SELECT hnum FROM Packages) GROUP BY hnum ORDER BY hnum"
    )
    for number, count in connection.execute(query):
        yield f"{table} leads to package {number}, which is not on record ({count} rows)"


def without(content: bytes, gone: Iterable[int]) -> bytes:
    """`content` without these rows of `Packages` and all that points at none, its pages made anew.

    VACUUM is what leaves nothing of a deleted row in the bytes. The result must not tell which
    SQLite careen ran on: room that no cell uses is cleared, and the journal mode, the change
    counter and the number of the version that wrote it are the source's.
    """
    with _opened(content) as connection:
        tables = _tables(connection)
        with connection:
            numbers = ((number,) for number in gone)
            connection.executemany("DELETE FROM Packages WHERE hnum = ?", numbers)
            for table in tables:  # names that _tables found to be plain words
                connection.execute(
                    f"DELETE FROM '{table}' WHERE hnum NOT IN (SELECT hnum FROM Packages)"  # noqa: S608
                )
            if _has(connection, _STATISTICS):
                connection.execute(f"DELETE FROM {_STATISTICS}")  # noqa: S608
        connection.execute("VACUUM")
        ((size,),) = connection.execute("PRAGMA page_size")
        roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master")]
        result = bytearray(pages.cleared(connection.serialize(), size, [1, *roots]))
    result[_JOURNAL_MODE] = content[_JOURNAL_MODE]
    # equal counters say that the size in the header counts
    result[_CHANGES] = result[_VALID_FOR] = content[_CHANGES]
    result[_VERSION] = content[_VERSION]
    return bytes(result)


@contextlib.contextmanager
def _opened(content: bytes) -> Iterator[sqlite3.Connection]:
    """The database in memory; what SQLite says against it becomes a FormatError."""
    if len(content) < 512 or not content.startswith(_MAGIC):
        raise FormatError("no SQLite database")
    copy = bytearray(content)
    copy[_JOURNAL_MODE] = b"\1\1"  # there is no log in memory
    budget = iter(range(100 + len(content) // 20_000))
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.text_factory = bytes
        connection.set_progress_handler(lambda: next(budget, None) is None, _STEPS)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(len(content), 1_000_000))
        try:
            connection.deserialize(bytes(copy))
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA secure_delete=ON")
            yield connection
        # the second when SQLite's own message quotes bytes of the file that are no UTF-8
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise FormatError(f"SQLite cannot read it: {error}") from error


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that point into `Packages`; FormatError when the schema is not rpm's."""
    tables, packages = [], False
    for name, sql in connection.execute("SELECT name, sql FROM sqlite_master ORDER BY rowid"):
        statement = " ".join(_text(sql).split())
        if table := _INDEX_TABLE.fullmatch(statement):
            tables.append(table[1])
        elif statement == _PACKAGES:
            packages = True
        elif not _INDEX.fullmatch(statement) and _text(name) not in _OWN:
            raise FormatError(f"rpm makes no {_text(name)!r} in its schema")
    if not packages:
        raise FormatError("no table of packages")
    return tables


def _has(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
    return found.fetchone() is not None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")[:500]
