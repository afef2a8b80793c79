"""Tracee's events as JSON, one a line, in the schema of versions 0.x and in that of the new API.

Best are `sched_process_exec`, `security_file_open` and `shared_object_loaded`, which tell where a
path led; system calls tell what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from careen.profile.importers.importer import Filter, Filters, Item, Origin, Unread
from careen.profile.importers.log import Log
from careen.profile.importers.records import Record, at, items, number, objects, text, texts
from careen.profile.observed import Event, How

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("container", "image", "process")

_EXECUTES = ("sched_process_exec", "security_bprm_check", "execve", "execveat")
_OPENS = (
    *("security_file_open", "shared_object_loaded", "security_mmap_file", "vfs_read"),
    *("open", "openat", "openat2", "magic_write"),
)
_EXAMINES = (
    *("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat"),
)
_MAKES = (
    *("security_inode_unlink", "security_inode_mknod", "security_inode_rename"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rename", "renameat", "renameat2"),
)
_EVENTS: Mapping[str, How] = {
    **dict.fromkeys(_EXECUTES, "executed"),
    **dict.fromkeys(_OPENS, "opened"),
    **dict.fromkeys(_EXAMINES, "examined"),
    **dict.fromkeys(_MAKES, "made"),
}
_NOT_FOLLOWED = frozenset(["lstat", "readlink", "readlinkat"])
_ABSENT = (-2, -20)  # -ENOENT, -ENOTDIR


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """What was used, made, or not there."""
    for record in objects(log):
        if isinstance(record, Unread):
            yield record
            continue
        name = text(record, "eventName") or text(record, "name")
        if not name:
            yield Unread("no `eventName` and no `name`: not an event of Tracee's")
            continue
        how = _EVENTS.get(name)
        origin, processes = _origin(record), _processes(record)
        if how is not None and filters.admit(origin, *processes):
            yield origin
            yield from _event(record, name, how, processes[0])


def _origin(record: Record) -> Origin:
    container = at(record, "container") or at(record, "workload", "container")
    image = at(container, "image")
    named = next(iter(texts(image, "repo_digests")), "")
    digest = text(container, "imageDigest") or text(image, "digest") or named
    return Origin(
        container=text(container, "name"),
        id=text(container, "id") or text(record, "containerId"),
        image=image if isinstance(image, str) else text(image, "name"),
        digest=digest.rpartition("@")[2],
    )


def _processes(record: Record) -> tuple[str, str]:
    """The program's name, and its path."""
    process = at(record, "workload", "process")
    return (
        text(record, "processName") or text(process, "thread", "name"),
        text(record, "executable", "path") or text(process, "executable", "path"),
    )


def _event(record: Record, name: str, how: How, process: str) -> Iterator[Item]:
    values = _arguments(record)
    path, asked = values.get("pathname", ""), values.get("syscall_pathname", "")
    if not path:
        return
    result = number(record, "returnValue") or number(values, "returnValue")
    if result in _ABSENT and how != "made":
        yield Event("missing", path, "", process, name not in _NOT_FOLLOWED)
    elif result >= 0:
        begin, led = (asked, path) if asked.startswith("/") else (path, "")
        yield Event(how, begin, led, process, name not in _NOT_FOLLOWED)
        interpreter = values.get("interpreter_pathname", "")
        if how == "executed" and interpreter.startswith("/"):
            yield Event("opened", interpreter, "", process)


def _arguments(record: Record) -> Mapping[str, str]:
    """The event's arguments that are text, by name: `value` (old), `str` (new)."""
    found = {}
    for argument in items(record, "args") + items(record, "data"):
        value: Any = text(argument, "value") or text(argument, "str")
        found[text(argument, "name")] = value
    return found
