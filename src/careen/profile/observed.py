"""What a tracer saw, event by event, gathered into a scenario.

Tracers differ in what they know: some give the path that was asked for, some the one that it led
to, some both. With the image's tree at hand every path is resolved in it, hop by hop; without it
both are kept, and the plan resolves them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from careen.profile.schema import Image, Scenario
from careen.rootfs.path import Path, absolute, normal, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["Event", "How", "Observed", "Run", "is_of_images"]

How = Literal["executed", "opened", "examined", "missing", "made"]

# Not the image's: other file systems, and what is made afresh for each container.
_ELSEWHERE = ("dev", "proc", "run", "sys", "tmp")


class Event(msgspec.Struct, frozen=True):
    """One use of a file. `path` is absolute, as it was asked for where the tracer knows that.

    `led_to` is where it ended, "" where the tracer does not say; `process` the program's name.
    `missing` was looked for and is not there; `made` is what the run itself created, renamed or
    removed. `follows`: whether a link as the last component is followed.
    """

    how: How
    path: str
    led_to: str = ""
    process: str = ""
    follows: bool = True


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a run beside its events: the fields of `Scenario` of the same names."""

    name: str
    image: Image = Image()
    command: tuple[str, ...] = ()
    exercise: str = ""
    tool: str = ""
    recorded: str = ""
    revision: str = ""
    answered: tuple[str, ...] = ()


class Observed:
    """Gathers events. `skipped` counts those whose path is relative or has no place in an image.

    `present` and `absent` count those whose path the image has, or has not.
    """

    def __init__(self, rootfs: Rootfs | None = None) -> None:
        self.skipped = self.present = self.absent = 0
        self._rootfs = rootfs
        self._found: dict[How, dict[str, None]] = {}
        self._links: dict[str, str] = {}
        self._known: set[Event] = set()

    def take(self, events: Iterable[Event]) -> Observed:
        """Add every event; itself, for chaining."""
        for event in events:
            self.add(event)
        return self

    def add(self, event: Event) -> None:
        """One more; the same again costs nothing."""
        seen = event if not event.process else Event(*_bare(event))
        if seen in self._known:
            return
        self._known.add(seen)
        if not event.path.startswith("/") or "\0" in event.path:
            self.skipped += 1
        elif self._rootfs is not None:
            self._resolved(event, self._rootfs)
        else:
            for text in (event.path, event.led_to):
                if text:
                    self._note(event.how, absolute(normal(text)))

    def link(self, path: str, target: str) -> None:
        """A symbolic link that was followed, where the tracer tells of links; both absolute."""
        if self._rootfs is not None:
            self._resolved(Event("examined", path), self._rootfs)
        else:
            self._links.setdefault(absolute(normal(path)), absolute(normal(target)))

    def _resolved(self, event: Event, rootfs: Rootfs) -> None:
        place = rootfs.resolve(event.path, follow_last=event.follows)
        if event.how != "made":
            for hop in place.hops:
                self._links.setdefault(absolute(hop), _target(hop, rootfs))
        if place.path is not None:
            self.present += 1
            if event.how != "missing":
                self._note(event.how, absolute(place.path))
        elif event.how == "missing":
            self._note("missing", absolute(rootfs.canonical(event.path)))
        else:  # it is not in the image, so the run made it
            self.absent += is_of_images(f"/{normal(event.path)}")
            self._note("made", absolute(rootfs.canonical(event.path)))
        self._ended(event, rootfs)

    def _ended(self, event: Event, rootfs: Rootfs) -> None:
        """Where the tracer says it ended, as the run may have made the link that leads there."""
        end = normal(event.led_to)
        if event.how != "made" and end in rootfs and event.led_to.startswith("/"):
            self._note(event.how, absolute(end))

    def _note(self, how: How, path: str) -> None:
        if path != "/" and is_of_images(path):
            self._found.setdefault(how, {})[path] = None

    def scenario(self, run: Run) -> Scenario:
        """All of it as a scenario in normal form.

        What was executed or opened is not listed as examined too, and what the run made is not
        missing.
        """
        executed, opened = self._of("executed"), self._of("opened")
        used = executed | opened
        return Scenario(
            name=run.name,
            image=run.image,
            command=run.command,
            exercise=run.exercise,
            tool=run.tool,
            recorded=run.recorded,
            revision=run.revision,
            executed=tuple(sorted(executed)),
            opened=tuple(sorted(opened)),
            examined=tuple(sorted(self._of("examined") - used)),
            links={link: self._links[link] for link in sorted(self._links) if is_of_images(link)},
            missing=tuple(sorted(self._of("missing") - self._of("made") - used)),
            answered=run.answered,
        )

    def _of(self, how: How) -> set[str]:
        return set(self._found.get(how, ()))


def is_of_images(path: str) -> bool:
    """Whether an absolute path can be an image's: not the kernel's, nor made for each run."""
    return path[1:].partition("/")[0] not in _ELSEWHERE


def _bare(event: Event) -> tuple[How, str, str, str, bool]:
    return event.how, event.path, event.led_to, "", event.follows


def _target(link: Path, rootfs: Rootfs) -> str:
    """Where a link points, as an absolute path."""
    text = rootfs.nodes[link].entry.linkname
    return absolute(normal(text if text.startswith("/") else f"{parent(link)}/{text}"))
