"""pam.d(5): the modules that each service's file names, and the files that it includes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from careen.rootfs import etc
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["CONF", "DIRECTORIES", "Pam", "places", "read"]

DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d")
"""Where a service's file is looked up, in this order; the latter two are the vendors'."""
CONF = "/etc/pam.conf"
"""All services in one file: read only where none of the directories is."""

_CEILING = 1 << 20  # bytes; such a file has some kilobytes
_WORD = re.compile(
    r"\[(?:\\.|[^\]\\])*\]?|\S+"
)  # brackets hold a control, or an argument with spaces
_TYPES = frozenset(["account", "auth", "password", "session"])


class Pam(msgspec.Struct, frozen=True, kw_only=True):
    """What a service's file names, as written.

    `includes` are services, or files by their absolute paths; `modules` maps each module to the
    absolute paths among its arguments (`envfile=/etc/default/locale`).
    """

    includes: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, ...]] = {}


def read(rootfs: Rootfs) -> dict[Path, Pam]:
    """Each file of DIRECTORIES, what these include elsewhere, and CONF, by their resolved paths."""
    waiting = deque(text for folder in DIRECTORIES for text in etc.matches(rootfs, f"{folder}/*"))
    waiting.append(CONF)
    found: dict[Path, Pam] = {}
    known: dict[tuple[Inode, bool], Pam] = {}  # hard links of one file are read once
    while waiting:
        text = waiting.popleft()
        path = rootfs.resolve(text).path
        if path is None or path in found or rootfs.nodes[path].kind != "file":
            continue
        key = rootfs.nodes[path], text == CONF
        if key not in known:
            known[key] = _read(rootfs, text)
            waiting += (place for include in known[key].includes for place in places(include))
        found[path] = known[key]
    return found


def _read(rootfs: Rootfs, text: str) -> Pam:
    lines = list(_assembled(etc.lines(rootfs, text, ceiling=_CEILING)))
    if text == CONF:
        lines = [words[1:] for words in lines]  # each begins with its service's name
    return _parsed(lines)


def places(service: str) -> tuple[str, ...]:
    """Where the file of a service, or of an include, may be."""
    if service.startswith("/"):
        return (service,)
    return tuple(f"{folder}/{service}" for folder in DIRECTORIES)


def _assembled(lines: list[str]) -> Iterator[list[str]]:
    """The words of each line that says something, continued lines put together."""
    parts: list[str] = []
    for line in lines:
        text = line.partition("#")[0].rstrip()
        parts.append(text.removesuffix("\\"))
        if not text.endswith("\\"):
            words = _WORD.findall(" ".join(parts))
            parts = []
            if words:
                yield words


def _parsed(lines: list[list[str]]) -> Pam:
    includes: dict[str, None] = {}
    modules: dict[str, dict[str, None]] = {}
    for line in lines:
        match line:
            case ["@include", file, *_]:
                includes[file] = None
            case [kind, "include" | "substack", file, *_] if _is_type(kind):
                includes[file] = None
            case [kind, _, module, *arguments] if _is_type(kind):
                texts = (word.strip("[]").rpartition("=")[2] for word in arguments)
                paths = modules.setdefault(module, {})
                paths.update(dict.fromkeys(text for text in texts if text.startswith("/")))
    return Pam(
        includes=tuple(includes),
        modules={module: tuple(paths) for module, paths in modules.items()},
    )


def _is_type(word: str) -> bool:
    return word.lower().removeprefix("-") in _TYPES
