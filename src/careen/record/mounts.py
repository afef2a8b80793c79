"""Volumes over an image's files: where they are mounted, and what of a run is not the image's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from careen.profile.observed import Event
from careen.record.invocation import Volume
from careen.rootfs.extract import beneath, put
from careen.rootfs.path import ROOT, absolute
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.rootfs import Rootfs

__all__ = ["make_points", "of_image"]


def make_points(rootfs: Rootfs, root: Path, volumes: Iterable[Volume]) -> None:
    """Below `root`, the copy of the image, what volumes are mounted on where the image has nothing.

    Container runtimes make it too, in an image that cannot be written as well.
    """
    for volume in volumes:
        end = _end(rootfs, volume.inside)
        if end in rootfs:
            continue
        if Path(volume.host).is_dir():
            with beneath(root, end):
                pass
        else:
            put(root, end, b"")


def of_image(events: Iterable[Event], rootfs: Rootfs, volumes: Iterable[Volume]) -> Iterator[Event]:
    """The events without those of files that lie in a volume, whatever the image has there.

    Of the image are still: the links that lead into a volume, examined as such, and what a
    volume's own link led to, where the tracer says that.
    """
    mounts = {_end(rootfs, volume.inside) for volume in volumes}
    if not mounts:
        yield from events
        return
    for event in events:
        if _is_below(_end(rootfs, event.path, follow_last=event.follows), mounts):
            yield from _beside(event, rootfs, mounts)
        else:
            yield event


def _beside(event: Event, rootfs: Rootfs, mounts: set[ImagePath]) -> Iterator[Event]:
    """What the use of a volume's file uses of the image."""
    if event.how == "made":
        return
    for hop in rootfs.resolve(event.path, follow_last=event.follows).hops:
        yield Event("examined", absolute(hop), process=event.process, follows=False)
    if event.led_to.startswith("/") and not _is_below(_end(rootfs, event.led_to), mounts):
        yield Event(event.how, event.led_to, process=event.process)


def _end(rootfs: Rootfs, text: str, *, follow_last: bool = True) -> ImagePath:
    """Where a path ends, as a mount there does: links followed, what is absent by its name."""
    end = rootfs.resolve(text, follow_last=follow_last).path
    return rootfs.canonical(text) if end is None else end


def _is_below(path: ImagePath, mounts: set[ImagePath]) -> bool:
    """Whether the path is one of the mounts or below it."""
    return any(one in (path, ROOT) or path.startswith(f"{one}/") for one in mounts)
