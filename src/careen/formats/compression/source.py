"""Chunks of any size, taken as pieces of the size that a decoder wants, rarely copied."""

from __future__ import annotations

from collections.abc import Iterable

from careen.errors import FormatError

__all__ = ["Source"]


class Source:
    """`taken` is the number of bytes fetched from `chunks` so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = memoryview(b"")
        self._at = 0
        self.taken = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end, without moving on. For small sizes."""
        while len(self._chunk) - self._at < size:
            rest = self._chunk[self._at :]
            if not self._fetch():
                self._chunk, self._at = rest, 0
                break
            if rest:
                self._chunk = memoryview(b"".join((rest, self._chunk)))
        return bytes(self._chunk[self._at : self._at + size])

    def upto(self, size: int) -> memoryview:
        """At least one byte and at most `size`; empty at the end."""
        if self._at == len(self._chunk):
            self._fetch()
        piece = self._chunk[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def some(self, size: int) -> memoryview:
        """As `upto`, but the end is a FormatError."""
        piece = self.upto(size)
        if not piece:
            raise FormatError("the compressed data is cut short")
        return piece

    def exactly(self, size: int) -> bytes | memoryview:
        """The next `size` bytes; FormatError when there are fewer."""
        piece = self.upto(size)
        if len(piece) == size:
            return piece
        parts = [piece]
        missing = size - len(piece)
        while missing:
            parts.append(self.some(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes; FormatError when there are fewer."""
        while size:
            size -= len(self.some(size))

    def give_back(self, size: int) -> None:
        """Undo the last `size` bytes of the last `upto` or `some`."""
        self._at -= size

    def _fetch(self) -> bool:
        """Replace the chunk, which is used up, by the next that is not empty."""
        self._chunk, self._at = memoryview(b""), 0
        for chunk in self._chunks:
            if chunk:
                self._chunk = memoryview(chunk)
                self.taken += len(chunk)
                return True
        return False
