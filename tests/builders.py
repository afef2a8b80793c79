"""Small hand-made images, written as tables of intent.

    layer = tar_layer([Dir("usr/lib"), Reg("usr/lib/a", b"x", mode=0o644), Lnk("lib", "usr/lib")])
    image_layout(tmp_path / "layout", [layer, …], config={"Entrypoint": ["/a"]})

Written with the standard library alone, so that careen's own writer never judges careen.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import zstandard

MTIME = 1_700_000_000


@dataclass(frozen=True)
class Node:
    """One tar entry; `pax` holds extra records, xattrs as `SCHILY.xattr.NAME`."""

    name: str
    data: bytes = b""
    mode: int = 0o644
    type: bytes = tarfile.REGTYPE
    linkname: str = ""
    uid: int = 0
    gid: int = 0
    mtime: float = MTIME
    pax: dict[str, str] = field(default_factory=dict)
    device: tuple[int, int] = (0, 0)


def Reg(name: str, data: bytes | str = b"", mode: int = 0o644, **more: Any) -> Node:  # noqa: N802
    return Node(name, data.encode() if isinstance(data, str) else data, mode, **more)


def Dir(name: str, mode: int = 0o755, **more: Any) -> Node:  # noqa: N802
    return Node(name, b"", mode, tarfile.DIRTYPE, **more)


def Lnk(name: str, target: str, **more: Any) -> Node:  # noqa: N802
    """A symbolic link."""
    return Node(name, b"", 0o777, tarfile.SYMTYPE, target, **more)


def Hard(name: str, target: str, **more: Any) -> Node:  # noqa: N802
    """A hard link."""
    return Node(name, type=tarfile.LNKTYPE, linkname=target, **more)


def Chr(name: str, major: int, minor: int, **more: Any) -> Node:  # noqa: N802
    return Node(name, b"", 0o600, tarfile.CHRTYPE, device=(major, minor), **more)


def Fifo(name: str, **more: Any) -> Node:  # noqa: N802
    return Node(name, b"", 0o600, tarfile.FIFOTYPE, **more)


def Wh(path: str) -> Node:  # noqa: N802
    """The whiteout of `path`."""
    folder, _, base = path.rpartition("/")
    return Reg(f"{folder}/.wh.{base}" if folder else f".wh.{base}")


def Opq(folder: str) -> Node:  # noqa: N802
    """The opaque whiteout of `folder`."""
    return Reg(f"{folder}/.wh..wh..opq" if folder else ".wh..wh..opq")


def tar_layer(nodes: list[Node], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An uncompressed tar of `nodes` in the order given."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form, errors="surrogateescape") as archive:
        for node in nodes:
            info = tarfile.TarInfo(node.name)
            info.size, info.mode, info.type, info.linkname = (
                len(node.data),
                node.mode,
                node.type,
                node.linkname,
            )
            info.uid, info.gid, info.mtime, info.pax_headers = (
                node.uid,
                node.gid,
                node.mtime,
                dict(node.pax),
            )
            info.devmajor, info.devminor = node.device
            archive.addfile(info, io.BytesIO(node.data))
    return target.getvalue()


def compressed(raw: bytes, codec: str) -> bytes:
    if codec == "gzip":
        return gzip.compress(raw, 6, mtime=0)
    if codec == "zstd":
        return zstandard.ZstdCompressor().compress(raw)
    return raw


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(layout: Path, data: bytes) -> dict[str, Any]:
    """Write a blob; its digest and size as the start of a descriptor."""
    target = layout / "blobs" / "sha256" / hashlib.sha256(data).hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return {"digest": digest(data), "size": len(data)}


def image_layout(
    layout: Path,
    layers: list[bytes],
    *,
    tag: str | None = "latest",
    config: dict[str, Any] | None = None,
    codec: str = "gzip",
    family: Literal["oci", "docker"] = "oci",
    platform: str = "linux/amd64",
    annotations: dict[str, str] | None = None,
    change_config: dict[str, Any] | None = None,
    change_manifest: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write an image of uncompressed `layers` into `layout`; returns the manifest's descriptor.

    `config` is the image config's inner `config`; `change_…` objects overwrite top-level fields.
    """
    docker = family == "docker"
    os_name, architecture, *variant = platform.split("/")
    suffix = {"gzip": "gzip", "zstd": "zstd", "plain": ""}[codec]
    if docker:
        base = "application/vnd.docker.image.rootfs.diff.tar"
        layer_type = f"{base}.{suffix}" if suffix else base
    else:
        base = "application/vnd.oci.image.layer.v1.tar"
        layer_type = f"{base}+{suffix}" if suffix else base
    document: dict[str, Any] = {
        "created": "2024-05-01T00:00:00Z",
        "architecture": architecture,
        "os": os_name,
        **({"variant": variant[0]} if variant else {}),
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": [digest(raw) for raw in layers]},
        "history": [
            {"created": "2024-05-01T00:00:00Z", "created_by": f"layer {i}"}
            for i, _ in enumerate(layers)
        ],
        **(change_config or {}),
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json"
        if docker
        else "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json"
            if docker
            else "application/vnd.oci.image.config.v1+json",
            **put(layout, json.dumps(document).encode()),
        },
        "layers": [
            {"mediaType": layer_type, **put(layout, compressed(raw, codec))} for raw in layers
        ],
        **({"annotations": annotations} if annotations else {}),
        **(change_manifest or {}),
    }
    descriptor = {
        "mediaType": manifest["mediaType"],
        **put(layout, json.dumps(manifest).encode()),
    }
    add_to_index(layout, descriptor, tag)
    return descriptor


def add_to_index(layout: Path, descriptor: dict[str, Any], tag: str | None) -> None:
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    path = layout / "index.json"
    index: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
    if path.exists():
        index = json.loads(path.read_text())
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
    index["manifests"].append({**descriptor, **named})
    path.write_text(json.dumps(index))


def blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", os.sep)).read_bytes()
