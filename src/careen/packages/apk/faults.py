"""Where an apk database contradicts itself. Pure: it works on what was read."""

from __future__ import annotations

from collections.abc import Iterator

from careen.errors import FormatError
from careen.packages.apk.database import Database
from careen.packages.apk.edit import WORLD, answers, trigger
from careen.packages.apk.record import name_of
from careen.packages.text import lines, text

__all__ = ["found"]


def found(database: Database) -> Iterator[str]:
    """A sentence for each script, trigger or wish of which `installed` has no package."""
    known = {one.checksum for one in database.records}
    names = {f"{one.name}-{one.version}" for one in database.records}
    for archive, content in database.archives.items():
        for member in content.members:
            if member.package and member.checksum not in known and member.package not in names:
                yield f"{archive} has a script of {member.package}, which is not on record"
    for line in _rows(database, "triggers"):
        if _identity(line) not in known:
            yield f"triggers has {text(line)!r}, of a package that is not on record"
    answered = set(answers(database.records))
    for line in _rows(database, WORLD):
        for word in text(line).split():
            if not word.startswith("!") and name_of(word) not in answered:
                yield f"/{WORLD} asks for {word}, and no package on record is or provides it"


def _rows(database: Database, name: str) -> Iterator[bytes]:
    content = database.contents.get(database.paths[name], b"") if name in database.paths else b""
    return (line.rstrip(b"\n") for line in lines(content) if line.strip())


def _identity(line: bytes) -> bytes:
    """The package's; b"" for a line that names none, for which editing is refused anyway."""
    try:
        return trigger(line)
    except FormatError:
        return b""
