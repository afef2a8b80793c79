"""Media types of the two manifest families, OCI and Docker (image-spec, media-types.md)."""

from __future__ import annotations

from typing import Literal

from careen.errors import FormatError
from careen.formats.compression import Codec
from careen.formats.strict_json import Object

__all__ = [
    "DOCKER_CONFIG",
    "DOCKER_INDEX",
    "DOCKER_MANIFEST",
    "INDEXES",
    "MANIFESTS",
    "OCI_CONFIG",
    "OCI_INDEX",
    "OCI_LAYER",
    "OCI_MANIFEST",
    "Codec",
    "Family",
    "codec",
    "config",
    "declared",
    "family",
    "is_foreign",
    "layer",
    "manifest",
]

Family = Literal["oci", "docker"]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
_DOCKER_SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)

_SUFFIXES: dict[str, Codec] = {
    "": "plain",
    "+gzip": "gzip",
    "+zstd": "zstd",
    ".gzip": "gzip",
    ".zstd": "zstd",
}


def family(media_type: str) -> Family:
    """Which family a manifest or index belongs to; FormatError for what careen does not read."""
    if media_type in (OCI_MANIFEST, OCI_INDEX):
        return "oci"
    if media_type in (DOCKER_MANIFEST, DOCKER_INDEX):
        return "docker"
    if media_type in _DOCKER_SCHEMA1:
        raise FormatError("a Docker schema 1 manifest; push the image again with a current client")
    raise FormatError(f"not an image manifest or index: {media_type!r}")


def declared(document: Object, outer: str) -> str:
    """The media type of a manifest or index: its own word, which must agree with `outer`'s.

    `outer` is what a descriptor or a Content-Type says, "" when nobody said. A document that could
    be read both as manifest and as index is refused (CVE-2021-41190).
    """
    if document.get("schemaVersion") == 1:
        return family(_DOCKER_SCHEMA1[0])
    if "manifests" in document and ("layers" in document or "config" in document):
        raise FormatError("both a manifest and an index: it has `manifests` and `layers`")
    inner = document.get("mediaType") or ""
    if inner and outer and inner != outer:
        raise FormatError(f"called {outer!r} outside and {inner!r} inside")
    if inner or outer:
        return str(inner or outer)
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def codec(media_type: str) -> Codec:
    """How a layer's media type says it is compressed; FormatError for no layer type."""
    if media_type.endswith("+encrypted"):
        raise FormatError("the layer is encrypted; decrypt the image first")
    for base in (OCI_LAYER, _OCI_FOREIGN, _DOCKER_LAYER, _DOCKER_FOREIGN):
        if media_type.startswith(base) and media_type[len(base) :] in _SUFFIXES:
            return _SUFFIXES[media_type[len(base) :]]
    raise FormatError(f"unknown layer type {media_type!r}")


def is_foreign(media_type: str) -> bool:
    """Whether the layer's blob may lie outside the registry (its `urls` are never followed)."""
    return media_type.startswith((_OCI_FOREIGN, _DOCKER_FOREIGN))


def manifest(of: Family) -> str:
    """The media type of an image manifest in a family."""
    return OCI_MANIFEST if of == "oci" else DOCKER_MANIFEST


def config(of: Family) -> str:
    """The media type of an image config in a family."""
    return OCI_CONFIG if of == "oci" else DOCKER_CONFIG


def layer(of: Family, codec: Codec) -> str:
    """The media type of a layer in a family. Docker's has no zstd (the caller has refused it)."""
    if of == "oci":
        return {"plain": OCI_LAYER, "gzip": f"{OCI_LAYER}+gzip", "zstd": f"{OCI_LAYER}+zstd"}[codec]
    return {
        "plain": _DOCKER_LAYER,
        "gzip": f"{_DOCKER_LAYER}.gzip",
        "zstd": f"{_DOCKER_LAYER}.zstd",
    }[codec]
