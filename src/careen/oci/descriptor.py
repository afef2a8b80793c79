"""A descriptor: what a blob is, how large, and its digest (image-spec, descriptor.md)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from careen.errors import FormatError, within
from careen.formats import digest as digests
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci.fields import text, texts
from careen.oci.platform import Platform

__all__ = ["Descriptor"]


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is in bytes. `document` is the JSON object as read, unknown fields and all."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    artifact_type: str = ""
    document: Object = {}

    @classmethod
    def parse(cls, document: Any) -> Descriptor:
        """From a parsed JSON object; FormatError with a breadcrumb when a field is wrong."""
        if not isinstance(document, dict):
            raise FormatError("not a descriptor object")
        with within("digest"):
            digest = digests.parse(document.get("digest"))
        size = document.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise FormatError(f"not a size: {size!r}", at="size")
        if "data" in document:
            _check_data(document["data"], digest, size)
        platform = document.get("platform")
        return cls(
            media_type=text(document, "mediaType"),
            digest=digest,
            size=size,
            annotations=texts(document, "annotations"),
            platform=Platform.parse(platform) if platform is not None else None,
            artifact_type=text(document, "artifactType"),
            document=document,
        )

    @classmethod
    def of(cls, media_type: str, raw: bytes) -> Descriptor:
        """The descriptor of `raw` itself."""
        return cls(media_type=media_type, digest=digests.of(raw), size=len(raw))

    def to_document(self) -> Object:
        """The JSON object: the fields as read, with those that careen models brought up to date."""
        document = {k: v for k, v in self.document.items() if k not in ("data", "platform")}
        document |= {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            document["annotations"] = self.annotations
        if self.platform is not None:
            document["platform"] = self.platform.document
        return document


def _check_data(data: Any, digest: Digest, size: int) -> None:
    """An embedded copy must be the blob it stands for, or two readers would see two blobs."""
    try:
        content = base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise FormatError("not base64", at="data") from error
    hashed = digests.hasher(digest)
    hashed.update(content)
    if len(content) != size or hashed.hexdigest() != digests.encoded(digest):
        raise FormatError("embedded data does not match the digest", at="data")
