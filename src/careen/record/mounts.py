"""What of a run is the image's, and what a volume's: files below a mount are not the image's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from careen.profile.observed import Event
from careen.record.invocation import Volume
from careen.rootfs.path import ROOT, absolute
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.rootfs import Rootfs

__all__ = ["of_image"]


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
