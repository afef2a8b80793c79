"""Tetragon's events (`tetra getevents -o json`, or its export file), one a line.

Executions and loaded libraries come by themselves; opened files need a TracingPolicy on
`security_file_open`, `security_file_permission` or `security_mmap_file`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from careen.profile.importers.importer import Filter, Filters, Item, Origin, Unread
from careen.profile.importers.log import Log
from careen.profile.importers.records import Record, at, items, number, objects, text
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("container", "image", "process")

_HOOKS = ("process_kprobe", "process_lsm", "process_tracepoint", "process_uprobe")
_MAKES = ("unlink", "rename", "mkdir", "rmdir", "mknod", "symlink", "create")
_PATHS = ("file_arg", "path_arg", "linux_binprm_arg")
_INCOMPLETE = "unresolvedPathComponents"
_ABSENT = (-2, -20)  # -ENOENT, -ENOTDIR


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """What was executed, loaded and touched."""
    for record in objects(log):
        if isinstance(record, Unread):
            yield record
            continue
        for kind, body in record.items():
            process = at(body, "process")
            if not kind.startswith("process_") or not isinstance(process, dict):
                continue
            origin, binary = _origin(process), text(process, "binary")
            if filters.admit(origin, binary):
                yield origin
                yield from _event(kind, body, binary)


def _origin(process: Record) -> Origin:
    container = at(process, "pod", "container")
    image, _, digest = text(container, "image", "id").rpartition("@")
    return Origin(
        container=text(container, "name"),
        id=text(container, "id").rpartition("//")[2] or text(process, "docker"),
        image=text(container, "image", "name") or image,
        digest=digest,
    )


def _event(kind: str, body: Record, binary: str) -> Iterator[Item]:
    if kind == "process_exec":
        if binary:
            yield Event("executed", binary, process=binary)
    elif kind == "process_loader":
        if text(body, "path"):
            yield Event("opened", text(body, "path"), process=binary)
    elif kind in _HOOKS:
        result = number(body, "return", "int_arg")
        for argument in items(body, "args"):
            yield from _argument(argument, text(body, "function_name"), result, binary)


def _argument(argument: Any, function: str, result: int, binary: str) -> Iterator[Item]:
    path = text(argument, "string_arg")
    if path:
        if not path.startswith("/"):  # a file's name in a call that asked for it; or any other text
            return
    else:
        key = next((key for key in _PATHS if text(argument, key, "path")), "")
        path = text(argument, key, "path")
        if _INCOMPLETE in text(argument, key, "flags"):
            yield Unread(f"a path that Tetragon could not resolve: {path[-60:]!r}")
            return
        if key == "linux_binprm_arg" and result == 0:
            yield Event("executed", path, process=binary)
            return
    if path and any(word in function for word in _MAKES):
        yield Event("made", path, process=binary)
    elif path and result in _ABSENT:
        yield Event("missing", path, process=binary)
    elif path and result >= 0:
        yield Event("opened", path, process=binary)
