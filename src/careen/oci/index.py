"""An image index or Docker manifest list: several manifests under one name (image-index.md)."""

from __future__ import annotations

import msgspec

from careen.errors import FormatError, SourceError, within
from careen.formats import strict_json
from careen.formats.strict_json import Object
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.oci.fields import objects
from careen.oci.platform import Platform

__all__ = ["Index"]

_ATTESTATION = "vnd.docker.reference.type"  # BuildKit's children that describe another child


_CEILING = 4 << 20  # bytes, as for a manifest


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the JSON as read."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    document: Object

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Index:
        """From raw bytes; `media_type` is what a descriptor or registry called it."""
        return cls.of(strict_json.parse(raw, ceiling=_CEILING), media_type)

    @classmethod
    def of(cls, document: Object, media_type: str = "") -> Index:
        """From a parsed document."""
        found = media_types.declared(document, media_type)
        if found not in media_types.INDEXES:
            raise FormatError(f"not an image index: {found!r}")
        manifests = []
        for i, item in enumerate(objects(document, "manifests")):
            with within(f"manifests[{i}]"):
                manifests.append(Descriptor.parse(item))
        return cls(media_type=found, manifests=tuple(manifests), document=document)

    def images(self) -> tuple[Descriptor, ...]:
        """The children that are images or indexes of images, attestations left aside."""
        return tuple(
            child
            for child in self.manifests
            if _ATTESTATION not in child.annotations
            and (child.platform is None or child.platform.os != "unknown")
            and child.media_type in media_types.MANIFESTS + media_types.INDEXES
        )

    def select(self, wanted: Platform | None) -> Descriptor:
        """The one image for `wanted`; SourceError that lists the choices when there is not one."""
        choices = ", ".join(sorted(str(child.platform or "?") for child in self.images()))
        if wanted is None:
            raise SourceError(f"an index of several images; pick one with --platform: {choices}")
        found = [c for c in self.images() if c.platform is not None and c.platform.matches(wanted)]
        if len(found) != 1:
            problem = "no image" if not found else f"{len(found)} images"
            raise SourceError(f"{problem} for --platform {wanted}; the index has: {choices}")
        return found[0]
