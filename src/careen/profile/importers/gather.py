"""Logs of one format gathered into a scenario: counts, doubts, and what the log says of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from careen.errors import SourceError, UsageError
from careen.finding import Finding, some
from careen.profile.importers.importer import (
    Filters,
    Importer,
    Link,
    Origin,
    Started,
    Unread,
)
from careen.profile.importers.log import Log
from careen.profile.importers.pattern import Pattern
from careen.profile.observed import Event, Observed, Run, is_of_images
from careen.profile.schema import Scenario
from careen.rootfs.rootfs import Rootfs

__all__ = ["Gathering", "Read", "Sample", "check"]

_SAMPLES = 3  # of what was not read, for each log
_ORIGINS = 1000  # containers of one log; more are a cluster's, and need a filter anyway
_NAMED = 5
_LONGEST = 4096  # bytes of a path (PATH_MAX)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A line or record that was not read, and why."""

    line: int
    problem: str


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one log.

    `lines` are its lines, or a document's records; `events` the uses that count; `relative` the
    distinct ones of them whose path is; `absent` those whose path the image lacks, 0 without an
    image; `unread` the lines that could not be read, of which `samples` are the first.
    """

    log: str
    lines: int
    events: int
    relative: int
    absent: int
    unread: int
    samples: tuple[Sample, ...]


class Gathering:
    """Takes logs. `reads` says what became of each.

    With `rootfs`, the image's tree, every path is resolved in it and patterns are expanded;
    without it patterns are `kept`, as globs for a manifest's `keep.paths`.
    """

    def __init__(self, rootfs: Rootfs | None = None) -> None:
        self.reads: list[Read] = []
        self.kept: dict[str, None] = {}
        self._rootfs = rootfs
        self._observed = Observed(rootfs)
        self._origins: dict[Origin, None] = {}
        self._patterns: set[Pattern] = set()
        self._command: tuple[str, ...] = ()
        self._findings: list[Finding] = []

    def take(self, importer: Importer, log: Log, filters: Filters) -> Read:
        """One more log, read to its end; SourceError when it is of another format.

        UsageError for a filter that the format has nothing for.
        """
        check(importer, filters)
        events, unread = 0, 0
        skipped, absent = self._observed.skipped, self._observed.absent
        samples: list[Sample] = []
        for item in importer.read(log, filters):
            unsound = _unsound(item)
            if unsound is None:
                events += self._add(item)
            else:
                unread += 1
                if len(samples) < _SAMPLES:
                    line = item.line if isinstance(item, Unread) else 0
                    samples.append(Sample(line=line or log.line, problem=unsound))
        read = Read(
            log=log.name,
            lines=log.line,
            events=events,
            relative=self._observed.skipped - skipped,
            absent=self._observed.absent - absent,
            unread=unread,
            samples=tuple(samples),
        )
        self.reads.append(read)
        return read

    def scenario(self, run: Run) -> Scenario:
        """What all logs say; SourceError when they tell of no use of a file.

        What the caller does not know of the run, the logs do: the command, and the image's name.
        """
        named = {_name(origin) for origin in self._origins} - {""}
        if not run.image.name and len(named) == 1:
            image = msgspec.structs.replace(run.image, name=named.pop())
            run = msgspec.structs.replace(run, image=image)
        if not run.command:
            run = msgspec.structs.replace(run, command=self._command)
        found = self._observed.scenario(run)
        if not (found.executed or found.opened or found.examined or found.links or self.kept):
            raise _nothing(self.reads)
        return found

    def findings(self, own: Collection[str] = ()) -> tuple[Finding, ...]:
        """What is doubtful. `own` are the digests of the image that the logs should be of."""
        return (
            *self._findings,
            *self._several(),
            *self._other_image(own),
            *self._elsewhere(),
        )

    def _add(self, item: object) -> int:
        """Take an item in; how many events it is."""
        if isinstance(item, Event):
            self._observed.add(item)
        elif isinstance(item, Link):
            self._observed.link(item.path, item.target)
        elif isinstance(item, Pattern):
            self._pattern(item)
        else:
            self._note(item)
            return 0
        return 1

    def _note(self, item: object) -> None:
        if isinstance(item, Origin) and len(self._origins) < _ORIGINS:
            self._origins[item] = None
        elif isinstance(item, Started):
            self._command = item.command
        elif isinstance(item, Finding):
            self._findings.append(item)

    def _pattern(self, pattern: Pattern) -> None:
        if pattern in self._patterns or not is_of_images(pattern.glob):
            return
        self._patterns.add(pattern)
        if self._rootfs is None:
            self.kept[pattern.glob] = None
        else:
            self._observed.take(Event("opened", path) for path in pattern.expanded(self._rootfs))

    def _several(self) -> Iterator[Finding]:
        names = sorted({origin.container or origin.id for origin in self._origins} - {""})
        if len(names) > 1:
            told = some([name[:80] for name in names], _NAMED)
            message = f"the log tells of {len(names)} containers, all were taken: {told}"
            message += "; choose one with --container"
            yield _warning("profile-several-containers", message, len(names))

    def _other_image(self, own: Collection[str]) -> Iterator[Finding]:
        others = sorted({origin.digest for origin in self._origins} - {"", *own})
        if own and others:
            told = some([digest[:80] for digest in others], _NAMED)
            message = f"the log names another image than --image: {told}"
            yield _warning("profile-other-image", message, len(others))

    def _elsewhere(self) -> Iterator[Finding]:
        """A run makes some files of its own; not most of those that it uses."""
        absent, present = self._observed.absent, self._observed.present
        if absent > present:
            message = f"{absent} of {absent + present} paths that the log tells of are not in"
            message += " --image; is it the image that ran?"
            yield _warning("profile-path-gone", message, absent)


def check(importer: Importer, filters: Filters) -> None:
    """UsageError for a filter that the format has nothing for."""
    options = {"container": "--container", "image": "--filter-image", "process": "--process"}
    for name, option in options.items():
        if getattr(filters, name) and name not in importer.FILTERS:
            known = [options[one] for one in importer.FILTERS]
            have = f"it has {' and '.join(known)}" if known else "it has no filter"
            raise UsageError(f"this format does not tell of it; {have}", at=option)


def _unsound(item: object) -> str | None:
    """Why an item cannot be taken, None when it can."""
    if isinstance(item, Unread):
        return item.problem
    if isinstance(item, Event):
        return _problem(item.path) or _problem(item.led_to)
    if isinstance(item, Link):
        return _problem(item.path) or _problem(item.target)
    return _problem(item.glob) if isinstance(item, Pattern) else None


def _problem(path: str) -> str | None:
    try:
        if len(path) <= _LONGEST and len(path.encode("utf-8", "surrogateescape")) <= _LONGEST:
            return None
    except UnicodeEncodeError:
        return f"half a surrogate pair in {path[:60]!r}"
    return f"a path of over {_LONGEST} bytes"


def _nothing(reads: list[Read]) -> SourceError:
    lines, unread = sum(read.lines for read in reads), sum(read.unread for read in reads)
    where = ", ".join(read.log for read in reads)
    sample = next((sample for read in reads for sample in read.samples), None)
    if not lines and not unread:
        return SourceError("empty", at=where)
    if sample is not None:
        problem = f"nothing could be read: line {sample.line}: {sample.problem}"
        return SourceError(f"{problem}; is it of this format?", at=where)
    problem = f"none of {lines} lines tells of a file of an image that was used"
    return SourceError(f"{problem}; are there filters, or other events in it?", at=where)


def _name(origin: Origin) -> str:
    """As in a reference: the digest informs there, and binds nothing."""
    if not origin.image or "@" in origin.image or not origin.digest:
        return origin.image
    return f"{origin.image}@{origin.digest}"


def _warning(rule: str, message: str, count: int) -> Finding:
    return Finding(rule=rule, severity="warning", message=message, count=count)
