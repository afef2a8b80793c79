"""Inspektor Gadget's `trace_open` and `trace_exec` as JSON, one event a line, old and new shape.

Without `--paths` a gadget tells the name that was asked for, cut at 255 bytes; a name that may be
cut is not taken.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen.profile.importers.importer import Filter, Filters, Item, Origin, Unread
from careen.profile.importers.log import Log
from careen.profile.importers.records import Record, at, number, objects, text, texts
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("container", "image", "process")

_LONGEST = 254  # bytes of `fname`, a char[NAME_MAX] with its NUL
_CUT = "a name that may be cut short; run the gadget with --paths"
_ABSENT = ("ENOENT", "ENOTDIR", "No such file or directory", "Not a directory")


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """What was opened or executed, or was not there."""
    for record in objects(log):
        if isinstance(record, Unread):
            yield record
            continue
        origin = _origin(record)
        comm = text(record, "proc", "comm") or text(record, "comm")
        if filters.admit(origin, comm, text(record, "exepath")):
            yield origin
            yield from _event(record, comm)


def _origin(record: Record) -> Origin:
    runtime, k8s = at(record, "runtime"), at(record, "k8s")
    return Origin(
        container=text(k8s, "containerName")
        or text(k8s, "container")
        or text(runtime, "containerName")
        or text(record, "container"),
        id=text(runtime, "containerId"),
        image=text(runtime, "containerImageName"),
        digest=text(runtime, "containerImageDigest"),
    )


def _event(record: Record, comm: str) -> Iterator[Item]:
    failed, absent = _failure(record)
    names = "fname", "path", "fpath", "fullPath"
    if any(text(record, name) for name in names):
        asked, led = (text(record, a) or text(record, b) for a, b in (names[:2], names[2:]))
        if not led and len(asked.encode("utf-8", "surrogatepass")) >= _LONGEST:
            yield Unread(_CUT)
        elif not failed:
            yield Event("opened", asked if asked.startswith("/") else led or asked, led, comm)
        elif absent:
            yield Event("missing", asked, "", comm)
    elif not failed:
        exe = text(record, "exepath")
        asked = text(record, "file") or next(iter(_arguments(record)), "")
        if exe or asked:
            yield Event("executed", asked if asked.startswith("/") else exe or asked, exe, comm)


def _arguments(record: Record) -> tuple[str, ...]:
    """A list, or (new) one text in which spaces stand between them."""
    return texts(record, "args") or tuple(text(record, "args").split(" ")[:1])


def _failure(record: Record) -> tuple[bool, bool]:
    """Whether the call failed, and whether for what is not there."""
    error = text(record, "error")
    code = next(
        (n for key in ("err", "ret", "retval", "error_raw") if (n := number(record, key))), 0
    )
    return bool(error) or code != 0, error in _ABSENT or abs(code) in (2, 20)
