"""What every importer is, and the values that pass between them and who gathers.

An importer takes a log and yields what it finds there, in the log's order: uses of files, what the
log says of the run, and whatever could not be read. It keeps no counts and raises only for a log
that is not of its format at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import msgspec

from careen.finding import Finding
from careen.profile.importers.log import Log
from careen.profile.importers.pattern import Pattern
from careen.profile.observed import Event

__all__ = ["Filter", "Filters", "Importer", "Item", "Link", "Origin", "Started", "Unread"]

Filter = Literal["container", "image", "process"]

_COMM = 15  # bytes of a program's name that the kernel keeps (TASK_COMM_LEN less the NUL)
_ID = 12  # characters of a container's id that tools show


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which records count: shell patterns, "" for all.

    A container is meant by its name or the beginning of its id, a process by its program's name,
    also where the kernel cut that, or by its path.
    """

    container: str = ""
    image: str = ""
    process: str = ""

    def admit(self, origin: Origin, *processes: str) -> bool:
        """Whether a record from there, of a process by these names, counts."""
        return (
            (not self.container or _is_container(self.container, origin))
            and (not self.image or _matches(self.image, (origin.image, origin.digest)))
            and (not self.process or self.admits_process(*processes))
        )

    def admits_process(self, *names: str) -> bool:
        """The same for formats that know no containers."""
        if not self.process:
            return True
        cut = [name for name in names if len(name) == _COMM]
        short = [name.rpartition("/")[2] for name in names]
        return _matches(self.process, (*names, *short)) or self.process[:_COMM] in cut


class Origin(msgspec.Struct, frozen=True):
    """Where a record comes from, as far as the log says: a container, and its image.

    `digest` is as the log has it: of a manifest, an index or a config, who knows.
    """

    container: str = ""
    id: str = ""
    image: str = ""
    digest: str = ""


class Link(msgspec.Struct, frozen=True):
    """A symbolic link that was followed, and where it leads, both absolute."""

    path: str
    target: str


class Started(msgspec.Struct, frozen=True):
    """The arguments that the application was started with."""

    command: tuple[str, ...]


class Unread(msgspec.Struct, frozen=True):
    """What is wrong with a line or record: `line`, or 0 for the one that the log is at."""

    problem: str
    line: int = 0


Item = Event | Link | Pattern | Origin | Started | Finding | Unread


class Importer(Protocol):
    """One format. A module is one: it has these two names."""

    @property
    def FILTERS(self) -> Sequence[Filter]:  # noqa: N802  # a module's constant
        """What its records can be chosen by."""

    def read(self, log: Log, filters: Filters) -> Iterator[Item]:
        """What the log says; SourceError when it is not of this format at all."""
        ...


def _is_container(pattern: str, origin: Origin) -> bool:
    if len(pattern) >= _ID and origin.id.startswith(pattern):
        return True
    return _matches(pattern, (origin.container, origin.id))


def _matches(pattern: str, names: Sequence[str]) -> bool:
    return any(name and fnmatchcase(name, pattern) for name in names)
