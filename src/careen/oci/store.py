"""What an image is read from and written to: blobs by digest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, Protocol

from careen.formats.digest import Digest
from careen.oci.descriptor import Descriptor

__all__ = ["Store"]


class Store(Protocol):
    """Blobs by digest. Whoever reads a stream checks it; `read` and `write` check for you."""

    def has(self, digest: Digest) -> bool:
        """Whether a blob of that name is there (its bytes are not looked at)."""
        ...

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, unchecked; SourceError when absent or of another size."""
        ...

    def read(self, descriptor: Descriptor, *, ceiling: int) -> bytes:
        """The whole blob, its size and digest checked; FormatError when they differ."""
        ...

    def write(self, chunks: Iterable[bytes], expected: Descriptor | None = None) -> Descriptor:
        """Store a blob atomically; with `expected`, only if size and digest are those."""
        ...
