"""Archives for tests, made with the standard library alone."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from careen.oci.descriptor import Descriptor
from careen.oci.layout import Layout
from careen.oci.manifest import Manifest
from careen.oci.platform import Platform
from careen.transport import copy
from careen.transport import reference as references
from careen.transport.access import Access
from careen.transport.copy import Fetched, Watch
from tests.builders import Dir, Lnk, Node, Reg, compressed, digest, tar_layer

Files = dict[str, bytes]

LAYERS = [
    tar_layer([Dir("etc"), Reg("etc/a", b"a" * 5000)]),
    tar_layer([Reg("b", b"b" * 700)]),
]


def files_of(folder: Path) -> Files:
    """A folder's files by name, as `tar -C folder .` would find them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def packed(path: Path, files: Files, *more: Node, codec: str = "plain") -> Path:
    """A tar of these files in this order, and of other nodes after them."""
    nodes = [Reg(name, data) for name, data in files.items()]
    path.write_bytes(compressed(tar_layer([*nodes, *more]), codec))
    return path


def fetch(text: str, room: Path, wanted: str | None = None) -> Fetched:
    """What careen reads at a reference, brought into `room` if need be."""
    platform = None if wanted is None else Platform.from_text(wanted)
    return copy.fetch(references.parse(text), Access(), platform, Layout(room), Watch())


def manifest_of(found: Fetched) -> Manifest:
    raw = found.layout.read(found.descriptor, ceiling=1 << 20)
    return Manifest.parse(raw, found.descriptor.media_type)


def whole(found: Fetched) -> list[Descriptor]:
    """Every blob of an image, all read and checked."""
    manifest = manifest_of(found)
    blobs = [found.descriptor, manifest.config, *manifest.layers]
    for blob in blobs:
        for _ in found.layout.stream(blob):
            pass
    return blobs


def config(layers: list[bytes], marker: str = "") -> bytes:
    """The config of an image of these uncompressed layers."""
    document: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"marker": marker}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(document, indent=2).encode()


def hex_of(data: bytes) -> str:
    return digest(data).removeprefix("sha256:")


def old_save(path: Path, layers: list[bytes], tags: list[str] | None) -> Path:
    """As Docker before 25 saves: a folder a layer, a symbolic link for a layer that came before."""
    document, files, links = config(layers), Files(), list[Node]()
    names, seen = list[str](), dict[bytes, str]()
    for i, layer in enumerate(layers):
        folder = hex_of(b"layer %d" % i)
        names.append(f"{folder}/layer.tar")
        files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": b"{}"}
        if layer in seen:
            links.append(Lnk(f"{folder}/layer.tar", f"../{seen[layer]}/layer.tar"))
        else:
            files[f"{folder}/layer.tar"] = layer
            seen[layer] = folder
    name = f"{hex_of(document)}.json"
    files |= {name: document, "manifest.json": listing((name, tags, names))}
    return packed(path, files, *links)


def new_save(path: Path, layers: list[bytes], tags: list[str] | None, codec: str = "plain") -> Path:
    """As Docker since 25 saves: an OCI layout with a manifest.json; since 29, compressed layers."""
    document, blobs = config(layers), [compressed(layer, codec) for layer in layers]
    files = {f"blobs/sha256/{hex_of(blob)}": blob for blob in [document, *blobs]}
    names = [f"blobs/sha256/{hex_of(blob)}" for blob in blobs]
    files |= {
        "index.json": b'{"schemaVersion":2,"manifests":[]}',
        "manifest.json": listing((f"blobs/sha256/{hex_of(document)}", tags, names)),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "repositories": b"{}",
    }
    return packed(path, files)


def listing(*images: tuple[str, list[str] | None, list[str]]) -> bytes:
    """manifest.json."""
    items = [
        {"Config": config, "RepoTags": tags, "Layers": names} for config, tags, names in images
    ]
    return json.dumps(items).encode()


def members(path: Path) -> dict[str, bytes]:
    """What the standard library reads."""
    with tarfile.open(path) as archive:
        return {
            info.name: file.read()
            for info in archive.getmembers()
            if (file := archive.extractfile(info)) is not None
        }
