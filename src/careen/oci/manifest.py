"""An image manifest, OCI or Docker schema 2 (image-spec, manifest.md).

The raw bytes are the identity: `digest` is theirs. A changed manifest is a new value.
"""

from __future__ import annotations

import msgspec

from careen.errors import FormatError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.oci.fields import objects, text, texts
from careen.oci.media_type import Family

__all__ = ["CEILING", "Manifest"]

CEILING = 4 << 20  # bytes; distribution-spec asks registries to take manifests up to this size


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the JSON as read; the fields beside it are its typed view."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str]
    document: Object

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Manifest:
        """From raw bytes; `media_type` is what a descriptor or registry called it."""
        document = strict_json.parse(raw, ceiling=CEILING)
        found = media_types.declared(document, media_type)
        if found not in media_types.MANIFESTS:
            media_types.family(found)  # refuses what is no manifest at all, by name
            raise FormatError(f"an index, where an image manifest was expected: {found}")
        if text(document, "artifactType") or "config" not in document:
            raise FormatError("an artifact, not an image: it has no image config")
        with within("config"):
            config = Descriptor.parse(document["config"])
        layers = []
        for i, item in enumerate(objects(document, "layers")):
            with within(f"layers[{i}]"):
                layers.append(Descriptor.parse(item))
        return cls(
            raw=raw,
            media_type=found,
            config=config,
            layers=tuple(layers),
            annotations=texts(document, "annotations"),
            document=document,
        )

    @property
    def digest(self) -> Digest:
        """Of the raw bytes."""
        return digests.of(self.raw)

    @property
    def family(self) -> Family:
        """Whose media types it speaks."""
        return media_types.family(self.media_type)

    @property
    def descriptor(self) -> Descriptor:
        """Of the manifest itself."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))

    def replaced(
        self,
        *,
        media_type: str,
        config: Descriptor,
        layers: tuple[Descriptor, ...],
        annotations: dict[str, str],
    ) -> Manifest:
        """A manifest with these parts; every other field stays as it was."""
        document = dict(self.document)
        document["mediaType"] = media_type
        document["config"] = config.to_document()
        document["layers"] = [layer.to_document() for layer in layers]
        document.pop("annotations", None)
        if annotations:
            document["annotations"] = annotations
        return Manifest.parse(strict_json.dump(document), media_type)
