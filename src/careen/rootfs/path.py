"""Paths inside an image: `str` with surrogateescape, relative, no leading `/` or `./`.

The root is the empty path. Nothing here touches a file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NewType

__all__ = ["ROOT", "Path", "absolute", "ancestors", "join", "name", "normal", "order", "parent"]

Path = NewType("Path", str)
ROOT = Path("")


def normal(text: str) -> Path:
    """`/usr//lib/./x/../y` → `usr/lib/y`, by text alone; `..` at the root stays there."""
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return Path("/".join(parts))


def absolute(path: Path) -> str:
    """As people and databases write it: with a leading slash."""
    return f"/{path}"


def parent(path: Path) -> Path:
    """The directory above; the root's is the root."""
    return Path(path.rpartition("/")[0])


def name(path: Path) -> str:
    """The last component."""
    return path.rpartition("/")[2]


def join(directory: Path, child: str) -> Path:
    """`child` inside `directory`."""
    return Path(f"{directory}/{child}" if directory else child)


def ancestors(path: Path) -> Iterator[Path]:
    """The directories above `path`, nearest first, without the root."""
    while path := parent(path):
        yield path


def order(path: Path) -> str:
    """Sort key: parents before children, each directory's tree together."""
    return path.replace("/", "\0")
