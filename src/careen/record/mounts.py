"""Volumes over an image's files: what of a run is not the image's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from careen.profile.observed import Event
from careen.record.invocation import Volume
from careen.rootfs.path import ROOT, Path, absolute
from careen.rootfs.rootfs import Rootfs

__all__ = ["of_image"]


def of_image(events: Iterable[Event], rootfs: Rootfs, volumes: Iterable[Volume]) -> Iterator[Event]:
    """The events without those of files that lie in a volume, whatever the image has there.

    Of the image are still: the links that lead into a volume, examined as such, and what a
    volume's own link led to, where the tracer says that.
    """
    mounts = {rootfs.end(volume.inside) for volume in volumes}
    if not mounts:
        yield from events
        return
    for event in events:
        if _is_below(rootfs.end(event.path, follow_last=event.follows), mounts):
            yield from _beside(event, rootfs, mounts)
        else:
            yield event


def _beside(event: Event, rootfs: Rootfs, mounts: set[Path]) -> Iterator[Event]:
    """What the use of a volume's file uses of the image."""
    if event.how == "made":
        return
    for hop in rootfs.resolve(event.path, follow_last=event.follows).hops:
        yield Event("examined", absolute(hop), process=event.process, follows=False)
    if event.led_to.startswith("/") and not _is_below(rootfs.end(event.led_to), mounts):
        yield Event(event.how, event.led_to, process=event.process)


def _is_below(path: Path, mounts: set[Path]) -> bool:
    """Whether the path is one of the mounts or below it."""
    return any(one in (path, ROOT) or path.startswith(f"{one}/") for one in mounts)
