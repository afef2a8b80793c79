"""Falco's alerts with `json_output: true`, one a line.

Falco tells of a file only what the rule's output names: `%evt.type %evt.res %fd.name
%fs.path.name %proc.exepath %proc.name %container.id %container.name %container.image.repository`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from careen.profile.importers.importer import Filter, Filters, Item, Origin, Unread
from careen.profile.importers.log import Log
from careen.profile.importers.records import at, objects
from careen.profile.observed import Event, How

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("container", "image", "process")

_EXAMINES = frozenset(
    ["stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink"]
)
_MAKES = frozenset(
    [
        *("mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "rmdir"),
        *("symlink", "symlinkat", "link", "linkat", "mknod", "mknodat"),
    ]
)
_FILES = ("", "file", "directory")
_ABSENT = ("ENOENT", "ENOTDIR", "-2", "-20")
_NOTHING = ("", "<NA>", "N/A")
_PATHS = ("fd.name", "fs.path.name", "fs.path.target", "fs.path.source")


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """The programs that ran, and the files that the rules' outputs name; not the host's."""
    for record in objects(log):
        if isinstance(record, Unread):
            yield record
            continue
        fields = at(record, "output_fields")
        if not isinstance(fields, dict):
            yield Unread("no `output_fields`")
            continue
        origin = _origin(fields)
        processes = _text(fields, "proc.name"), _text(fields, "proc.exepath")
        if origin.id != "host" and filters.admit(origin, *processes):
            yield origin
            yield from _events(fields, *processes)


def _origin(fields: dict[str, Any]) -> Origin:
    repository, tag = (_text(fields, f"container.image.{key}") for key in ("repository", "tag"))
    return Origin(
        container=_text(fields, "container.name"),
        id=_text(fields, "container.id"),
        image=f"{repository}:{tag}" if repository and tag else repository,
        digest=_text(fields, "container.image.digest"),
    )


def _events(fields: dict[str, Any], process: str, program: str) -> Iterator[Event]:
    call, result = _text(fields, "evt.type"), _text(fields, "evt.res")
    if program:
        yield Event("executed", program, "", process)
    paths = {_text(fields, key) for key in _PATHS if _text(fields, "fd.type") in _FILES}
    for path in sorted(paths):
        if path.startswith("/") and (how := _how(call, result)):
            yield Event(how, path, "", process, call not in ("lstat", "readlink"))


def _how(call: str, result: str) -> How | None:
    if call in _MAKES:
        return "made"
    if result in _ABSENT:
        return "missing"
    if result not in ("", "SUCCESS") and not result.isdecimal():
        return None
    return "examined" if call in _EXAMINES else "opened"


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) and value not in _NOTHING else ""
