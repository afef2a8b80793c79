"""Images between references and layouts. A layout is where every image meets.

`fetch` brings one image manifest with its blobs within reach as a layout; `deliver` carries image
manifests to a destination in the order that keeps every promise: blobs, manifests by digest, tags
last. Stopped anywhere, no tag names an image that is not whole; run again, it goes on. An archive
is written whole or not at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from careen.errors import FormatError, UsageError, within
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.layout import Layout
from careen.oci.manifest import CEILING, Manifest
from careen.oci.platform import Platform
from careen.transport import archive as archives
from careen.transport import docker_archive, oci_archive
from careen.transport.access import Access
from careen.transport.archive import Parcel
from careen.transport.reference import Reference, with_tag

if TYPE_CHECKING:
    from careen.transport.repository import Repository

__all__ = ["Delivery", "Fetched", "Watch", "check_destination", "deliver", "fetch"]

_T = TypeVar("_T")
_TRANSFERS = 4  # at once: a registry is waited for more than it is worked for


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears of the work: `start(total)` once, then `on_bytes(n)` from any thread."""

    start: Callable[[int], None] = lambda _: None
    on_bytes: Callable[[int], None] = lambda _: None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An image manifest whose blobs are all in `layout`."""

    layout: Layout
    descriptor: Descriptor


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An image manifest to be carried from `layout`, under `tag` if there is one.

    `linkable` says that nobody else writes to that layout, so that a blob may be hard-linked.
    """

    layout: Layout
    descriptor: Descriptor
    tag: str | None
    linkable: bool = False


def fetch(
    source: Reference, access: Access, wanted: Platform | None, room: Layout, watch: Watch
) -> Fetched:
    """The one image that `source` means, with all its blobs.

    What is not in a layout yet, in a registry or an archive, is brought into `room`.

    An index needs `wanted` to choose by. SourceError when it is missing or refused, RegistryError
    when the registry, the login or the network fails.
    """
    if source.transport == "docker":
        return _pull(source, access, wanted, room, watch)
    if source.transport != "oci":
        return _unpack(source, wanted, room, watch)
    layout = Layout(Path(source.path))

    def read(descriptor: Descriptor) -> bytes:
        return layout.read(descriptor, ceiling=CEILING)

    descriptor = images.select(layout.find(source.ref), wanted, read)
    return Fetched(layout=layout, descriptor=descriptor)


def check_destination(destination: Reference, access: Access) -> None:
    """UsageError for a destination that nothing can be delivered to, before the work is done."""
    if destination.transport == "docker" and access.offline:
        raise UsageError(f"{destination}: a registry, and the network is off (--offline)")
    if destination.transport in ("oci-archive", "docker-archive"):
        archives.check_absent(Path(destination.path))
    if destination.transport == "oci":
        Layout(Path(destination.path)).check_usable()
    if destination.ref is not None and destination.ref.startswith("@"):
        raise UsageError(f"{destination}: a new archive has names, not numbers; write NAME:TAG")


def deliver(
    deliveries: Sequence[Delivery],
    destination: Reference,
    access: Access,
    watch: Watch,
    *,
    origin: Reference | None = None,
) -> None:
    """Carry images to `destination`: a repository or layout in the given order, but for tags.

    Tags are set last, and in reverse: the first image's tag is the last to appear. Blobs that the
    destination has are not sent; those at `origin`, if that is on the same registry, are mounted.
    An archive is written anew; UsageError when something is there.
    """
    check_destination(destination, access)
    parts = [(delivery, _manifest(delivery)) for delivery in deliveries]
    blobs = {
        (blob.digest, blob.size): (delivery, blob)
        for delivery, manifest in parts
        for blob in (manifest.config, *manifest.layers)
    }
    watch.start(sum(blob.size for _, blob in blobs.values()))
    if destination.transport in ("oci-archive", "docker-archive"):
        parcels = [_parcel(delivery, manifest, destination) for delivery, manifest in parts]
        pack = (oci_archive if destination.transport == "oci-archive" else docker_archive).pack
        pack(Path(destination.path), parcels, watch.on_bytes)
        return
    with _sink(destination, access, origin) as sink:
        _each(list(blobs.values()), lambda pair: sink.put_blob(*pair, watch.on_bytes))
        for _, manifest in parts:
            sink.put_manifest(manifest)
        for delivery, manifest in reversed(parts):
            sink.set_tag(manifest, delivery.tag)


class _Sink(Protocol):
    """Where deliveries go."""

    def put_blob(
        self, delivery: Delivery, blob: Descriptor, on_bytes: Callable[[int], None]
    ) -> None: ...

    def put_manifest(self, manifest: Manifest) -> None: ...

    def set_tag(self, manifest: Manifest, tag: str | None) -> None: ...


class _LayoutSink:
    """A layout on disk."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put_blob(
        self, delivery: Delivery, blob: Descriptor, on_bytes: Callable[[int], None]
    ) -> None:
        if not _is_whole(self._layout, blob) and not (
            delivery.linkable and self._layout.link(blob, delivery.layout)
        ):
            self._layout.write(delivery.layout.stream(blob), blob)
        on_bytes(blob.size)

    def put_manifest(self, manifest: Manifest) -> None:
        self._layout.write([manifest.raw], manifest.descriptor)

    def set_tag(self, manifest: Manifest, tag: str | None) -> None:
        self._layout.tag(manifest.descriptor, tag)


class _RepositorySink:
    """A repository; blobs may be mounted from `mountable`, another one of its registry."""

    def __init__(self, repository: Repository, mountable: str | None) -> None:
        self._repository = repository
        self._mountable = mountable

    def put_blob(
        self, delivery: Delivery, blob: Descriptor, on_bytes: Callable[[int], None]
    ) -> None:
        if self._mountable is not None and not delivery.linkable:
            present = self._repository.has_blob(blob) or self._repository.mount_blob(
                blob, self._mountable
            )
            if present:
                on_bytes(blob.size)
                return
        sent = self._repository.push_blob(
            blob, lambda: delivery.layout.open(blob), on_bytes=on_bytes
        )
        if not sent:
            on_bytes(blob.size)

    def put_manifest(self, manifest: Manifest) -> None:
        if self._repository.has_manifest(manifest.digest) is None:
            self._push(manifest.digest, manifest)

    def set_tag(self, manifest: Manifest, tag: str | None) -> None:
        if tag is not None and self._repository.has_manifest(tag) != manifest.digest:
            self._push(tag, manifest)

    def _push(self, reference: str, manifest: Manifest) -> None:
        self._repository.push_manifest(reference, manifest.raw, manifest.media_type)


@contextlib.contextmanager
def _sink(destination: Reference, access: Access, origin: Reference | None) -> Iterator[_Sink]:
    if destination.transport == "oci":
        yield _LayoutSink(Layout(Path(destination.path)))
        return
    with _repository(destination, access) as repository:
        yield _RepositorySink(repository, _mountable(origin, destination))


def _parcel(delivery: Delivery, manifest: Manifest, destination: Reference) -> Parcel:
    """What is packed, under the whole name that an archive of that kind lists."""
    name = None if delivery.tag is None else with_tag(destination, delivery.tag).ref
    return Parcel(layout=delivery.layout, manifest=manifest, name=name)


def _unpack(source: Reference, wanted: Platform | None, room: Layout, watch: Watch) -> Fetched:
    opened = archives.opened(
        Path(source.path), scratch=room.folder, start=watch.start, on_bytes=watch.on_bytes
    )
    with within(str(source)), opened as archive:
        if source.transport == "oci-archive":
            descriptor = oci_archive.unpack(archive, source.ref, wanted, room)
        else:
            descriptor = docker_archive.unpack(archive, source.ref, room)
    return Fetched(layout=room, descriptor=descriptor)


def _pull(
    source: Reference, access: Access, wanted: Platform | None, room: Layout, watch: Watch
) -> Fetched:
    with _repository(source, access) as repository:

        def read(descriptor: Descriptor) -> bytes:
            raw, _ = repository.manifest(descriptor.digest)
            room.write([raw], descriptor)
            return raw

        raw, media_type = repository.manifest(source.digest or source.tag or "latest")
        top = Descriptor.of(media_type, raw)
        room.write([raw], top)
        descriptor = images.select(top, wanted, read)
        manifest = Manifest.parse(
            raw if descriptor is top else read(descriptor), descriptor.media_type
        )
        distinct = {blob.digest: blob for blob in (manifest.config, *manifest.layers)}
        blobs = list(distinct.values())
        watch.start(sum(blob.size for blob in blobs))
        _each(blobs, lambda blob: _pull_blob(repository, room, blob, watch.on_bytes))
    return Fetched(layout=room, descriptor=descriptor)


def _pull_blob(
    repository: Repository, room: Layout, blob: Descriptor, on_bytes: Callable[[int], None]
) -> None:
    if _is_whole(room, blob):
        on_bytes(blob.size)
    else:
        room.write(repository.blob(blob, on_bytes=on_bytes), blob)


def _is_whole(layout: Layout, blob: Descriptor) -> bool:
    """Whether the layout holds the blob; one that was there before us is not believed unread."""
    if not layout.has(blob.digest):
        return False
    with contextlib.suppress(FormatError):
        for _ in layout.stream(blob):
            pass
        return True
    return False


def _manifest(delivery: Delivery) -> Manifest:
    raw = delivery.layout.read(delivery.descriptor, ceiling=CEILING)
    return Manifest.parse(raw, delivery.descriptor.media_type)


def _each(items: Sequence[_T], work: Callable[[_T], None]) -> None:
    """Several transfers at once; the first failure stops those that have not begun."""
    with ThreadPoolExecutor(_TRANSFERS, "transfer") as workers:
        futures = [workers.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        finally:
            workers.shutdown(wait=True, cancel_futures=True)


def _mountable(origin: Reference | None, destination: Reference) -> str | None:
    if origin is None or origin.transport != "docker" or origin.host != destination.host:
        return None
    return None if origin.repository == destination.repository else origin.repository


def _repository(reference: Reference, access: Access) -> Repository:
    if access.offline:
        raise UsageError(f"{reference}: a registry, and the network is off (--offline)")
    from careen.transport.repository import Repository  # noqa: PLC0415  # oras costs 0.2 s

    return Repository(reference.host, reference.repository, access)
