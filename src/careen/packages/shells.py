"""The shells that may be somebody's login shell (shells(5)), less those that went.

No package manager's own: every database's edit says the same of them.
"""

from __future__ import annotations

from collections.abc import Callable

from careen.errors import CareenError
from careen.packages.source import Source
from careen.packages.text import lines, text
from careen.rootfs.path import Path

__all__ = ["FILES", "remember", "without"]

FILES = ("etc/shells", "var/lib/shells.state")
"""/etc/shells, and update-shells' memory of it, which would bring a shell back."""


def remember(source: Source) -> None:
    """Read both files; one that cannot be read is noted, and stays as it is."""
    for file in FILES:
        try:
            source.read(file, at=file)
        except CareenError as error:
            source.notes.append(f"/{file} is left as it is: {error}")


def without(content: bytes, dropped: frozenset[Path], path_of: Callable[[str], Path]) -> bytes:
    """`content` without the lines of shells that are dropped; comments stay."""
    return b"".join(line for line in lines(content) if not _names(line, dropped, path_of))


def _names(line: bytes, dropped: frozenset[Path], path_of: Callable[[str], Path]) -> bool:
    shell = line.strip()
    return shell.startswith(b"/") and path_of(text(shell)) in dropped
