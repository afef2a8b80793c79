"""Images between references and layouts. A layout is where every image meets.

`fetch` brings one image manifest with its blobs within reach as a layout; `deliver` carries image
manifests to a destination in the order that keeps every promise: blobs, manifests by digest, tags
last. Stopped anywhere, no tag names an image that is not whole; run again, it goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from careen.errors import FormatError, UsageError
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.layout import Layout
from careen.oci.manifest import CEILING, Manifest
from careen.oci.platform import Platform
from careen.transport.access import Access
from careen.transport.reference import Reference

if TYPE_CHECKING:
    from careen.transport.repository import Repository

__all__ = ["Delivery", "Fetched", "Watch", "deliver", "fetch"]

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
    """The one image that `source` means, with all its blobs; a remote one is pulled into `room`.

    An index needs `wanted` to choose by. SourceError when it is missing or refused, RegistryError
    when the registry, the login or the network fails.
    """
    if source.transport == "docker":
        return _pull(source, access, wanted, room, watch)
    layout = _layout(source)

    def read(descriptor: Descriptor) -> bytes:
        return layout.read(descriptor, ceiling=CEILING)

    descriptor = images.select(layout.find(source.ref), wanted, read)
    return Fetched(layout=layout, descriptor=descriptor)


def deliver(
    deliveries: Sequence[Delivery],
    destination: Reference,
    access: Access,
    watch: Watch,
    *,
    origin: Reference | None = None,
) -> None:
    """Carry images to the repository or layout of `destination`, in the given order but for tags.

    Tags are set last, and in reverse: the first image's tag is the last to appear. Blobs that the
    destination has are not sent; those at `origin`, if that is on the same registry, are mounted.
    """
    with contextlib.ExitStack() as stack:
        sink: _Sink
        if destination.transport == "docker":
            repository = stack.enter_context(_repository(destination, access))
            sink = _RepositorySink(repository, _mountable(origin, destination))
        else:
            sink = _LayoutSink(_layout(destination))
        manifests = [_manifest(delivery) for delivery in deliveries]
        blobs = [
            (delivery, blob)
            for delivery, manifest in zip(deliveries, manifests, strict=True)
            for blob in (manifest.config, *manifest.layers)
        ]
        watch.start(sum(blob.size for _, blob in blobs))
        _each(blobs, lambda pair: sink.put_blob(*pair, watch.on_bytes))
        for manifest in manifests:
            sink.put_manifest(manifest)
        for delivery, manifest in reversed(list(zip(deliveries, manifests, strict=True))):
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
        if not self._layout.holds(blob) and not (
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
        blobs = [manifest.config, *manifest.layers]
        watch.start(sum(blob.size for blob in blobs))
        _each(blobs, lambda blob: _pull_blob(repository, room, blob, watch.on_bytes))
    return Fetched(layout=room, descriptor=manifest.descriptor)


def _pull_blob(
    repository: Repository, room: Layout, blob: Descriptor, on_bytes: Callable[[int], None]
) -> None:
    """A cached blob is read again before it is believed."""
    if room.has(blob.digest):
        with contextlib.suppress(FormatError):
            for _ in room.stream(blob):
                pass
            on_bytes(blob.size)
            return
    room.write(repository.blob(blob, on_bytes=on_bytes), blob)


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


def _layout(reference: Reference) -> Layout:
    if reference.transport != "oci":
        raise UsageError(
            f"{reference}: archives are not read by this version; unpack it and name oci:DIR:REF"
        )
    return Layout(Path(reference.path))
