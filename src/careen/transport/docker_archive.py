"""`docker-archive:`: what `docker save` writes and `docker load` reads.

moby's image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format": manifest.json lists
for each image the files of its config, its names and its layers. What those files are called has
changed (`HEX/layer.tar`, with symbolic links for a layer that is there twice; since Docker 25
`blobs/sha256/HEX`, beside an OCI layout), and since Docker 29 layers may be compressed. So all is
found through manifest.json, and what a layer is, its bytes say.

There is no image manifest in it. careen makes one, of Docker's schema 2, from the config and the
layers as they are stored, field for field as containerd's importer does: the same content has the
same digest, whoever packed it and however often. That digest is the source's, and it is not the one
that the image had in a registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from careen.errors import FormatError, SourceError, UsageError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.compression import Codec, Decompressor
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci import config as configs
from careen.oci import media_type as media_types
from careen.oci.config import Config
from careen.oci.descriptor import Descriptor
from careen.oci.fields import objects, text
from careen.oci.layout import Layout
from careen.oci.manifest import CEILING, Manifest
from careen.transport.archive import Archive, Content, Parcel, create
from careen.transport.reference import qualified

__all__ = ["pack", "unpack"]

_LIST = "manifest.json"
_BLOB = re.compile("blobs/sha256/([0-9a-f]{64})")
# The config's file is called after its digest by docker, podman (HEX.json), and crane (sha256:HEX).
_CONFIG = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")
_SHOWN = 20  # choices in a message


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """One item of manifest.json: the archive's names for an image's parts."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


def unpack(archive: Archive, ref: str | None, room: Layout) -> Descriptor:
    """Bring the one image that `ref` names into `room`, under a manifest made for it.

    `ref` is a `qualified` name or `@INDEX`. The config is kept byte for byte, and so are layers;
    names that are digests are checked, diff_ids are the reader's to check. SourceError when there
    is not one such image, or a part of it is missing or damaged.
    """
    saved = _chosen(_saved(archive), ref)
    if archive.file(saved.config).size > configs.CEILING:
        raise FormatError(f"a config over the limit of {configs.CEILING} bytes", at=saved.config)
    config = _bring(archive, saved.config, _CONFIG, room, media_types.DOCKER_CONFIG)
    brought: dict[str, Descriptor] = {}
    for name in (archive.resolved(layer) for layer in saved.layers):
        if name not in brought:
            kind = media_types.layer("docker", _codec(archive, name))
            brought[name] = _bring(archive, name, _BLOB, room, kind)
    layers = [brought[archive.resolved(layer)] for layer in saved.layers]
    manifest = Manifest.parse(_document(config, layers), media_types.DOCKER_MANIFEST)
    room.write([manifest.raw], manifest.descriptor)
    return manifest.descriptor


def pack(path: Path, parcels: Sequence[Parcel], on_bytes: Callable[[int], None]) -> None:
    """Write a new archive of these images, in the shape that every `docker load` reads.

    Layers are stored as plain tars, each once. UsageError when something is at `path`; FormatError
    when a layer does not match its diff_id. `on_bytes` hears of blobs' bytes as they are read.
    """
    contents: dict[str, Content] = {}
    listed = []
    for parcel in parcels:
        config = _config(parcel)
        for layer, diff_id in zip(parcel.manifest.layers, config.diff_ids, strict=True):
            chunks = partial(_plain, parcel, layer, diff_id, on_bytes)
            contents[_layer(diff_id)] = Content(chunks=chunks)
        name = f"{digests.encoded(parcel.manifest.config.digest)}.json"
        contents[name] = Content.of(config.raw)
        on_bytes(len(config.raw))
        item = {
            "Config": name,
            "RepoTags": None if parcel.name is None else [parcel.name],
            "Layers": [_layer(diff_id) for diff_id in config.diff_ids],
        }
        listed.append(strict_json.dump(item))
    contents[_LIST] = Content.of(b"[" + b",".join(listed) + b"]")
    create(path, contents)


def _saved(archive: Archive) -> list[_Saved]:
    if not archive.has(_LIST):
        problem = f"no {_LIST} in it; write oci-archive:FILE for an OCI layout"
        raise SourceError(f"not what `docker save` writes: {problem}")
    with within(_LIST):
        raw = archive.read(_LIST, ceiling=CEILING)
        items = strict_json.parse_list(raw, ceiling=CEILING)
    saved = []
    for i, item in enumerate(items):
        with within(f"{_LIST}[{i}]"):
            saved.append(_parse(item))
    return saved


def _parse(item: Any) -> _Saved:
    if not isinstance(item, dict) or not text(item, "Config"):
        raise FormatError("not an image: it has no `Config`")
    return _Saved(
        config=text(item, "Config"), names=_texts(item, "RepoTags"), layers=_texts(item, "Layers")
    )


def _texts(item: Object, key: str) -> tuple[str, ...]:
    found = objects(item, key)
    if not all(isinstance(entry, str) for entry in found):
        raise FormatError("not a list of strings", at=key)
    return tuple(found)


def _chosen(saved: Sequence[_Saved], ref: str | None) -> _Saved:
    if ref is None:
        found = list(saved)
    elif ref.startswith("@"):
        found = list(saved[int(ref[1:]) :][:1])
    else:
        found = [item for item in saved if ref in map(_qualified, item.names)]
    if len(found) == 1:
        return found[0]
    choices = [name for i, item in enumerate(saved) for name in item.names or (f"@{i}",)]
    more = ", …" if len(choices) > _SHOWN else ""
    shown = (", ".join(choices[:_SHOWN]) or "none") + more
    if ref is None:
        raise SourceError(f"{len(found)} images; name one as docker-archive:FILE:REF, of: {shown}")
    problem = "no image" if not found else "several images"
    raise SourceError(f"{problem} named {ref!r}; there are: {shown}")


def _qualified(name: str) -> str | None:
    """As a REF is written out; None for what could not be one."""
    try:
        return qualified(name)
    except (FormatError, UsageError):
        return None


def _bring(
    archive: Archive, name: str, called: re.Pattern[str], room: Layout, media_type: str
) -> Descriptor:
    """One file as a blob; a name that `called` reads a digest from must be telling the truth."""
    entry = archive.file(name)
    blob = room.write(archive.chunks(entry))
    match = called.fullmatch(name)
    if match is not None and match[1] != digests.encoded(blob.digest):
        raise FormatError(f"its bytes have the digest {blob.digest}", at=name)
    return msgspec.structs.replace(blob, media_type=media_type)


def _codec(archive: Archive, name: str) -> Codec:
    with within(name):
        return Decompressor(archive.chunks(archive.file(name)), declared="plain").codec


def _document(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    return strict_json.dump(
        {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": config.to_document(),
            "layers": [layer.to_document() for layer in layers],
        }
    )


def _config(parcel: Parcel) -> Config:
    described = parcel.manifest.config
    raw = parcel.layout.read(described, ceiling=configs.CEILING)
    with within(described.digest):
        config = Config.parse(raw)
        layers = len(parcel.manifest.layers)
        if len(config.diff_ids) != layers:
            raise FormatError(f"{len(config.diff_ids)} diff_ids for {layers} layers")
    return config


def _layer(diff_id: Digest) -> str:
    return f"{digests.encoded(diff_id)}/layer.tar"


def _plain(
    parcel: Parcel, layer: Descriptor, diff_id: Digest, on_bytes: Callable[[int], None]
) -> Iterator[bytes]:
    """The layer's tar, its blob's digest and its diff_id checked at the end."""
    hashed = digests.hasher(diff_id)
    declared = media_types.codec(layer.media_type)
    for chunk in Decompressor(parcel.stream(layer, on_bytes), declared=declared):
        hashed.update(chunk)
        yield chunk
    if hashed.hexdigest() != digests.encoded(diff_id):
        raise FormatError(f"unpacked layer does not match its diff_id {diff_id}", at=layer.digest)
