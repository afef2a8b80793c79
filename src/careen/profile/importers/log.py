"""A log as a stream: lines of bounded length, or one document of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from careen.errors import FormatError

__all__ = ["CEILING", "Log"]

CEILING = 64 << 20  # bytes of a document that must be read whole
_LINE = 4 << 20  # bytes; an event with a process' whole environment has some hundred thousand


class Log:
    """`name` is for messages; `line` the number of the line or record that is being read."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.line = 0
        self._file = file

    def lines(self) -> Iterator[bytes]:
        """Each line without its end; of one that is longer than 4 MiB, only the beginning."""
        while line := self._file.readline(_LINE):
            self.line += 1
            rest = line
            while not rest.endswith(b"\n"):
                rest = self._file.readline(_LINE)
                if not rest:
                    break
            yield line.rstrip(b"\r\n")

    def document(self) -> bytes:
        """All of it; FormatError over the ceiling."""
        raw = self._file.read(CEILING + 1)
        if len(raw) > CEILING:
            raise FormatError(f"over the limit of {CEILING} bytes", at=self.name)
        return raw

    def records(self, items: list[object]) -> Iterator[object]:
        """The items of a document, counted as lines are."""
        for item in items:
            self.line += 1
            yield item
