"""What SQLite's write-ahead log adds to the database beside it (SQLite, "WAL-mode File Format").

SQLite itself replays a log only from files on disk; this works on bytes. A log ends where SQLite
would stop reading it, at the first frame that is not of this log: that is no error, frames of
an earlier round lie behind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from careen.errors import FormatError

__all__ = ["replayed"]

_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # says in which byte order checksums are computed
_VERSION = 3007000
_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")


def replayed(database: bytes, log: bytes) -> bytes:
    """`database` with every committed page of `log` in its place."""
    header = _header(log)
    if header is None:
        return database
    order, size, salt, checksum = header
    if size != _page_size(database):
        raise FormatError(f"its log has pages of {size} bytes, it has others")
    pages: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    total = 0
    for number, count, page in _frames(log, order, size, salt, checksum):
        waiting[number] = page
        if count:  # a commit, of a database that has so many pages
            pages |= waiting
            waiting, total = {}, count
    return _applied(database, pages, size, total) if total else database


def _page_size(database: bytes) -> int:
    size = int.from_bytes(database[16:18], "big")
    return 65536 if size == 1 else size


def _header(log: bytes) -> tuple[str, int, bytes, tuple[int, int]] | None:
    """Byte order, page size, salt and first checksum; None for a log that SQLite ignores."""
    if len(log) < _HEADER.size:
        return None
    magic, version, size, _, _, _, *written = _HEADER.unpack_from(log)
    order = _MAGIC.get(magic)
    if order is None or not 512 <= size <= 65536 or size & (size - 1):
        return None
    checksum = _checksum(log[:24], order, (0, 0))
    if checksum != tuple(written):
        return None
    if version != _VERSION:
        raise FormatError(f"its log is of version {version}")
    return order, size, log[16:24], checksum


def _frames(
    log: bytes, order: str, size: int, salt: bytes, checksum: tuple[int, int]
) -> Iterator[tuple[int, int, bytes]]:
    """Page number, pages after the commit (0 when none) and content of each valid frame."""
    step = _FRAME.size + size
    for start in range(_HEADER.size, len(log) - step + 1, step):
        head, page = log[start : start + 24], log[start + 24 : start + step]
        number, count, *_, one, two = _FRAME.unpack(head)
        if head[8:16] != salt or number == 0:
            return
        checksum = _checksum(head[:8], order, checksum)
        checksum = _checksum(page, order, checksum)
        if checksum != (one, two):
            return
        yield number, count, page


def _checksum(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _applied(database: bytes, pages: dict[int, bytes], size: int, total: int) -> bytes:
    known = len(database) // size
    if total > known + len(pages):
        raise FormatError(f"its log leaves it with {total} pages, more than there are")
    result = bytearray(database[: total * size].ljust(total * size, b"\0"))
    for number, page in pages.items():
        if number <= total:
            result[(number - 1) * size : number * size] = page
    return bytes(result)
