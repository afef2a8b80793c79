"""Content digests: `algorithm:hex`, checked before use and where bytes are read.

image-spec, descriptor.md, "Digests". sha256 and sha512 are the registered algorithms; any other
spelling (md5, upper case, a path) is refused before it can become a file name or a URL.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType, Protocol

from careen.errors import FormatError

__all__ = ["Digest", "Hash", "algorithm", "encoded", "hasher", "of", "parse"]

Digest = NewType("Digest", str)

_LENGTHS = {"sha256": 64, "sha512": 128}
_SHAPE = re.compile(r"(sha256|sha512):([0-9a-f]+)")


class Hash(Protocol):
    """The part of a hashlib object that careen uses."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes in."""
        ...

    def hexdigest(self) -> str:
        """The digest so far."""
        ...


def parse(text: object) -> Digest:
    """The digest that `text` spells; FormatError when it is not a registered, lower-case one."""
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None or len(match[2]) != _LENGTHS[match[1]]:
        raise FormatError(f"not a sha256 or sha512 digest: {str(text)[:100]!r}")
    return Digest(match[0])


def algorithm(digest: Digest) -> str:
    """`sha256` or `sha512`."""
    return digest.partition(":")[0]


def encoded(digest: Digest) -> str:
    """The hexadecimal half."""
    return digest.partition(":")[2]


def hasher(digest: Digest) -> Hash:
    """A fresh hashlib object of the digest's algorithm."""
    return hashlib.new(algorithm(digest))


def of(data: bytes | bytearray | memoryview) -> Digest:
    """The sha256 digest of `data`."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
