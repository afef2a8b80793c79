"""The bytes of a database as text, and as lines that are their bytes again."""

from __future__ import annotations

__all__ = ["lines", "text"]


def text(raw: bytes) -> str:
    """A name as the merged view holds it: UTF-8, other bytes by surrogateescape."""
    return raw.decode("utf-8", "surrogateescape")


def lines(content: bytes) -> list[bytes]:
    """The lines of `content` with their newlines; joined, they are `content` again."""
    parts = [part + b"\n" for part in content.split(b"\n")]
    last = parts.pop()[:-1]
    return [*parts, last] if last else parts
