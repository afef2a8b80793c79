"""What the database says once packages are gone. Pure: it works on what was read, in memory."""

from __future__ import annotations

from careen.packages import shells
from careen.packages.rpm import sqlite
from careen.packages.rpm.database import Database
from careen.rootfs.path import Path

__all__ = ["edited"]

Changes = dict[Path, bytes | None]


def edited(database: Database, removed: frozenset[str], dropped: frozenset[Path]) -> Changes:
    """Every file of the database that changes when `removed` (ids) and `dropped` go.

    The files that SQLite keeps beside it go with the first edit: they hold older pages, and a
    log would bring those back.
    """
    changes: Changes = {
        path: shells.without(content, dropped, database.rootfs.canonical)
        for path, content in database.shells.items()
    }
    changes = {path: new for path, new in changes.items() if new != database.shells[path]}
    rows = [row for id, row in database.rows.items() if id in removed]
    if rows:
        changes[database.path] = sqlite.without(database.content, rows)
        changes |= dict.fromkeys(database.beside)
    return {path: changes[path] for path in sorted(changes) if path not in dropped}
