"""`oci-archive:`: an OCI image layout in a tar (image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from careen.errors import SourceError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.strict_json import Object
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.index import Index
from careen.oci.layout import REF_NAME, Layout, check_version, named
from careen.oci.manifest import CEILING, Manifest
from careen.oci.media_type import OCI_INDEX
from careen.oci.platform import Platform
from careen.transport.archive import Archive, Content, Parcel, create

__all__ = ["pack", "unpack"]

_INDEX_CEILING = 64 << 20  # bytes


def unpack(archive: Archive, ref: str | None, wanted: Platform | None, room: Layout) -> Descriptor:
    """Bring the one image that `ref` names, digests checked, into `room`; its manifest.

    An index needs `wanted` to choose by. SourceError when there is not one such image, or a part
    of it is missing or damaged.
    """

    def bring(descriptor: Descriptor) -> None:
        with within(descriptor.digest):
            chunks = archive.chunks(archive.file(_blob(descriptor)))
        room.write(chunks, descriptor)

    def read(descriptor: Descriptor) -> bytes:
        bring(descriptor)
        return room.read(descriptor, ceiling=CEILING)

    top = named(_index(archive), ref, form="oci-archive:FILE:REF")
    descriptor = images.select(top, wanted, read)
    manifest = Manifest.parse(read(descriptor), descriptor.media_type)
    for blob in (manifest.config, *manifest.layers):
        bring(blob)
    return descriptor


def pack(path: Path, parcels: Sequence[Parcel], on_bytes: Callable[[int], None]) -> None:
    """Write a new layout of these images in a tar; the same images give the same bytes.

    UsageError when something is at `path`. `on_bytes` hears of blobs' bytes as they are written.
    """
    index: Object = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_listed(parcel) for parcel in parcels],
    }
    contents = {
        "oci-layout": Content.of(b'{"imageLayoutVersion":"1.0.0"}'),
        "index.json": Content.of(strict_json.dump(index)),
    }
    for parcel in parcels:
        manifest = parcel.manifest
        contents[_blob(manifest.descriptor)] = Content.of(manifest.raw)
        for blob in (manifest.config, *manifest.layers):
            chunks = partial(parcel.stream, blob, on_bytes)
            contents[_blob(blob)] = Content(chunks=chunks, size=blob.size)
    create(path, contents)


def _index(archive: Archive) -> Index:
    if not archive.has("oci-layout"):
        problem = "no oci-layout in it; write docker-archive:FILE for what `docker save` wrote"
        raise SourceError(f"not an OCI layout: {problem}")
    with within("oci-layout"):
        check_version(_document(archive, "oci-layout"))
    with within("index.json"):
        return Index.of(_document(archive, "index.json"), OCI_INDEX)


def _document(archive: Archive, name: str) -> Object:
    raw = archive.read(name, ceiling=_INDEX_CEILING)
    return strict_json.parse(raw, ceiling=_INDEX_CEILING)


def _blob(descriptor: Descriptor) -> str:
    digest = descriptor.digest
    return f"blobs/{digests.algorithm(digest)}/{digests.encoded(digest)}"


def _listed(parcel: Parcel) -> Object:
    annotations = {} if parcel.name is None else {REF_NAME: parcel.name}
    descriptor = parcel.manifest.descriptor
    return msgspec.structs.replace(descriptor, annotations=annotations).to_document()
