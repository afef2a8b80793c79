"""A platform, `os/architecture[/variant]` (image-spec, image-index.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from careen.errors import FormatError, UsageError
from careen.formats.strict_json import Object

__all__ = ["Platform"]


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """`document` keeps os.version, features and whatever else stood beside the three parts."""

    os: str
    architecture: str
    variant: str = ""
    document: Object = {}

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, document: Any) -> Platform:
        """From a descriptor's `platform` or an image config, which name the parts alike."""
        if not isinstance(document, dict):
            raise FormatError("not a platform object", at="platform")
        parts = [document.get(key) or "" for key in ("os", "architecture", "variant")]
        if not all(isinstance(part, str) for part in parts):
            raise FormatError("os, architecture and variant must be strings", at="platform")
        return cls(os=parts[0], architecture=parts[1], variant=parts[2], document=document)

    @classmethod
    def from_text(cls, text: str) -> Platform:
        """From `--platform linux/arm64/v8`."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise UsageError(f"not a platform: {text!r}; write OS/ARCH or OS/ARCH/VARIANT")
        document = dict(zip(("os", "architecture", "variant"), parts, strict=False))
        return cls(
            os=parts[0], architecture=parts[1], variant="/".join(parts[2:]), document=document
        )

    def matches(self, wanted: Platform) -> bool:
        """Whether this image runs where `wanted` says; a variant counts only when wanted."""
        same = (self.os, self.architecture) == (wanted.os, wanted.architecture)
        return same and wanted.variant in ("", self.variant)
