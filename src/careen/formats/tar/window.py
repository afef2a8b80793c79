"""A stream of chunks, read block by block: the reader's place in the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from careen.errors import FormatError

__all__ = ["BLOCK", "Window"]

BLOCK = 512


class Window:
    """One pass over chunks of any cut. Data that is skipped is never copied."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._chunk = b""
        self._at = 0
        self._before = 0  # bytes of all earlier chunks

    @property
    def offset(self) -> int:
        """The position in the whole stream."""
        return self._before + self._at

    def block(self) -> bytes | None:
        """The next 512 bytes; None at the end, FormatError inside a block."""
        start = self._at
        block = self._chunk[start : start + BLOCK]
        if len(block) == BLOCK:
            self._at = start + BLOCK
            return block
        return self._joined(block)

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        parts = []
        missing = size
        while missing:
            part = self._chunk[self._at : self._at + missing]
            if not part and not self._refill():
                raise FormatError("the archive ends inside an extended header")
            parts.append(part)
            self._at += len(part)
            missing -= len(part)
        return b"".join(parts)

    def skip(self, size: int, padding: int) -> bool:
        """Pass over `size` bytes of data and its padding; FormatError when the data is cut short.

        False when the stream ends inside the padding, which readers take for the archive's end.
        """
        at = self._at + size + padding
        while at > len(self._chunk):
            at -= len(self._chunk)
            self._at = len(self._chunk)
            if not self._refill():
                if at > padding:
                    problem = f"ends {at - padding} bytes before the end of the entry's data"
                    raise FormatError(f"the archive {problem}")
                return False
        self._at = at
        return True

    def drain(self) -> None:
        """Read what is left, so that whoever hashes the stream sees all of it."""
        while self._refill():
            pass

    def _joined(self, head: bytes) -> bytes | None:
        """A block over the border of two chunks (or more, when they are tiny)."""
        self._at = len(self._chunk)
        while len(head) < BLOCK:
            if not self._refill():
                if head:
                    raise FormatError("the archive ends inside a header")
                return None
            self._at = min(len(self._chunk), BLOCK - len(head))
            head += self._chunk[: self._at]
        return head

    def _refill(self) -> bool:
        """The next chunk that is not empty; False when there is none."""
        self._before += len(self._chunk)
        self._chunk, self._at = b"", 0
        for chunk in self._chunks:
            if chunk:
                self._chunk = chunk
                return True
        return False
