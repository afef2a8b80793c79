"""The small text files under /etc that decide what a program finds, and who runs it.

Each is read through the links inside the image; one that is absent, or no regular file, is empty.
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator

import msgspec

from careen.rootfs.path import Path, name
from careen.rootfs.rootfs import Rootfs

__all__ = [
    "Group",
    "OsRelease",
    "User",
    "groups",
    "ld_paths",
    "lines",
    "matches",
    "musl_paths",
    "os_release",
    "preloads",
    "shells",
    "users",
]

_CEILING = 16 << 20  # bytes; such a file has some kilobytes


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A line of /etc/group."""

    name: str
    gid: int
    members: tuple[str, ...]


class OsRelease(msgspec.Struct, frozen=True, kw_only=True):
    """os-release(5): `id` is `debian`, `like` the ids it derives from, `version` is VERSION_ID."""

    id: str = ""
    like: tuple[str, ...] = ()
    version: str = ""
    title: str = ""


def users(rootfs: Rootfs) -> tuple[User, ...]:
    """Every line of /etc/passwd whose ids are numbers."""
    return tuple(
        User(
            name=fields[0], uid=int(fields[2]), gid=int(fields[3]), home=fields[5], shell=fields[6]
        )
        for fields in _records(rootfs, "/etc/passwd", 7)
        if _is_id(fields[2]) and _is_id(fields[3])
    )


def groups(rootfs: Rootfs) -> tuple[Group, ...]:
    """Every line of /etc/group whose id is a number."""
    return tuple(
        Group(
            name=fields[0],
            gid=int(fields[2]),
            members=tuple(member for member in fields[3].split(",") if member),
        )
        for fields in _records(rootfs, "/etc/group", 4)
        if _is_id(fields[2])
    )


def shells(rootfs: Rootfs) -> tuple[str, ...]:
    """The paths in /etc/shells, as written."""
    texts = (line.partition("#")[0].strip() for line in lines(rootfs, "/etc/shells"))
    return tuple(text for text in texts if text)


def os_release(rootfs: Rootfs) -> OsRelease:
    """/etc/os-release, else /usr/lib/os-release."""
    found = lines(rootfs, "/etc/os-release") or lines(rootfs, "/usr/lib/os-release")
    pairs = (line.partition("=") for line in found)
    values = {key.strip(): _unquoted(value) for key, _, value in pairs}
    return OsRelease(
        id=values.get("ID", ""),
        like=tuple(values.get("ID_LIKE", "").split()),
        version=values.get("VERSION_ID", ""),
        title=values.get("PRETTY_NAME", ""),
    )


def ld_paths(rootfs: Rootfs) -> tuple[str, ...]:
    """The directories of /etc/ld.so.conf and what it includes (ldconfig(8)), in order."""
    seen: set[Path] = set()
    found: dict[str, None] = {}
    waiting = [("include /etc/ld.so.conf", "/etc")]
    while waiting:
        text, folder = waiting.pop()
        word, *patterns = text.split() or [""]
        if word == "include":
            for pattern in reversed(patterns):
                full = pattern if pattern.startswith("/") else f"{folder}/{pattern}"
                waiting += reversed(_included(rootfs, full, seen))
        elif text.startswith("/"):
            found[text.partition("=")[0].rstrip()] = None  # `DIRECTORY=libc6`: a kind of library
    return tuple(found)


def musl_paths(rootfs: Rootfs) -> dict[Path, tuple[str, ...]]:
    """Each `/etc/ld-musl-ARCH.path`, resolved → the directories that musl's loader searches."""
    directories: dict[Path, tuple[str, ...]] = {}
    for file in matches(rootfs, "/etc/ld-musl-*.path"):
        path = rootfs.resolve(file).path
        if path is not None:
            words = (word for line in lines(rootfs, file) for word in line.split(":"))
            directories[path] = tuple(word for word in words if word)
    return directories


def preloads(rootfs: Rootfs) -> tuple[str, ...]:
    """What /etc/ld.so.preload has glibc's loader load into every program (ld.so(8))."""
    texts = (line.partition("#")[0] for line in lines(rootfs, "/etc/ld.so.preload"))
    return tuple(word for text in texts for word in text.replace(":", " ").split())


def lines(rootfs: Rootfs, file: str, *, ceiling: int = _CEILING) -> list[str]:
    """The lines of the text file at `file`; FormatError when it has over `ceiling` bytes."""
    path = rootfs.resolve(file).path
    if path is None or rootfs.nodes[path].kind != "file":
        return []
    text = rootfs.read(path, ceiling=ceiling).decode("utf-8", "surrogateescape")
    return text.split("\n")


def matches(rootfs: Rootfs, pattern: str) -> list[str]:
    """The paths that `pattern` (glob(7)) names, sorted; of two names of one place the first."""
    found = [""]
    for part in pattern.split("/"):
        if part not in ("", "."):
            names = [f"{base}/{child}" for base in found for child in _names(rootfs, base, part)]
            places = {rootfs.resolve(text).path: text for text in sorted(names, reverse=True)}
            found = sorted(text for place, text in places.items() if place is not None)
    return found


def _included(rootfs: Rootfs, pattern: str, seen: set[Path]) -> list[tuple[str, str]]:
    """The lines, each with its file's directory, of every file that was not `seen` before."""
    found: list[tuple[str, str]] = []
    for file in matches(rootfs, pattern):
        path = rootfs.resolve(file).path
        if path is not None and path not in seen:
            seen.add(path)
            folder = file.rpartition("/")[0]
            found += [(line.partition("#")[0].strip(), folder) for line in lines(rootfs, file)]
    return found


def _names(rootfs: Rootfs, directory: str, part: str) -> list[str]:
    if not any(character in part for character in "*?["):
        return [part]
    path = rootfs.resolve(directory).path
    children = [] if path is None else [name(child) for child in rootfs.children(path)]
    shown = [child for child in children if not child.startswith(".") or part.startswith(".")]
    return fnmatch.filter(shown, part)


def _records(rootfs: Rootfs, file: str, width: int) -> Iterator[list[str]]:
    """Colon-separated lines, short ones filled up, as the C library reads them."""
    for line in lines(rootfs, file):
        if line and not line.startswith("#"):
            fields = line.split(":", width - 1)
            yield fields + [""] * (width - len(fields))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:  # a quote that is never closed
        return value.strip()
