"""Media types of the two manifest families, OCI and Docker schema 2 (image-spec, media-types.md)."""

from __future__ import annotations

from typing import Literal

from careen.errors import FormatError

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
    "family",
    "is_foreign",
    "layer",
]

Codec = Literal["plain", "gzip", "zstd"]
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

_SUFFIXES: dict[str, Codec] = {"": "plain", "+gzip": "gzip", "+zstd": "zstd", ".gzip": "gzip", ".zstd": "zstd"}


def family(media_type: str) -> Family:
    """Which family a manifest or index belongs to; FormatError for what careen does not read."""
    if media_type in (OCI_MANIFEST, OCI_INDEX):
        return "oci"
    if media_type in (DOCKER_MANIFEST, DOCKER_INDEX):
        return "docker"
    if media_type in _DOCKER_SCHEMA1:
        raise FormatError("Docker schema 1 manifests are not supported; push the image again with a current client")
    raise FormatError(f"not an image manifest or index: {media_type!r}")


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


def layer(of: Family, codec: Codec) -> str:
    """The media type of a layer in a family. Docker's has no zstd (the caller has refused it)."""
    if of == "oci":
        return {"plain": OCI_LAYER, "gzip": f"{OCI_LAYER}+gzip", "zstd": f"{OCI_LAYER}+zstd"}[codec]
    return {"plain": _DOCKER_LAYER, "gzip": f"{_DOCKER_LAYER}.gzip", "zstd": f"{_DOCKER_LAYER}.zstd"}[codec]
