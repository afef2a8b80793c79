"""strace's log (`careen.profile.strace`): of one file, or one file a process (-ff)."""

from __future__ import annotations

from collections.abc import Iterator

from careen.profile.importers.importer import Filter, Filters, Item, Unread
from careen.profile.importers.log import Log
from careen.profile.strace import Reader

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("process",)


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """What was used; what is said again in the same words may be left out."""
    reader, told = Reader(), 0
    for event in reader.events(line + b"\n" for line in log.lines()):
        if filters.admits_process(event.process):
            yield event
        for _ in range(told, reader.unread):
            yield _unread(reader, told)
            told += 1
    for number in range(told, reader.unread):
        yield _unread(reader, number)


def _unread(reader: Reader, number: int) -> Unread:
    """The number-th line that was not understood; of the first few the reader keeps the text."""
    if number >= len(reader.samples):
        return Unread("not a line of strace")
    line, text = reader.samples[number]
    return Unread(f"not a line of strace: {text[:60]!r}", line)
