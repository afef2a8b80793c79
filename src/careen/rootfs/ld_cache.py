"""`/etc/ld.so.cache`: where ldconfig found each library, the first place glibc's loader looks.

The layout is glibc's sysdeps/generic/dl-cache.h: a header, entries of 24 bytes, and strings whose
offsets count from that header. Up to glibc 2.31 an older table stands before it.
"""

from __future__ import annotations

import struct

from careen.errors import FormatError

__all__ = ["read"]

_OLD_MAGIC = b"ld.so-1.7.0\0"
_OLD_HEADER, _OLD_ENTRY = 16, 12  # bytes
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = 48, 24  # bytes
_SHARING = 8  # a name is the end of its path and may serve several entries, but not all of them
_BIG = 3  # of the flags byte at 28; 2 is little-endian, 0 a ldconfig before glibc 2.33


def read(raw: bytes) -> dict[str, tuple[str, ...]]:
    """Library name → the paths recorded for it, best first; FormatError when it is no such file."""
    start = _start(raw)
    if raw[start : start + len(_MAGIC)] != _MAGIC or len(raw) < start + _HEADER:
        raise FormatError("not a cache in glibc's format")
    order = _order(raw, start)
    count = int(struct.unpack_from(f"{order}I", raw, start + 20)[0])
    first = start + _HEADER
    if first + count * _ENTRY > len(raw):
        raise FormatError(f"{count} entries would lie past the end of the file")
    table = raw[first : first + count * _ENTRY]
    places: dict[str, list[str]] = {}
    total = 0
    for _, key, value, _, _ in struct.iter_unpack(f"{order}iIIIQ", table):
        library, path = _text(raw, start + key), _text(raw, start + value)
        places.setdefault(library, []).append(path)
        total += len(library) + len(path)
        if total > _SHARING * len(raw):
            raise FormatError("entries that share their strings over and over")
    return {name: tuple(paths) for name, paths in places.items()}


def _start(raw: bytes) -> int:
    """Where the header is: at 0, or behind the older table, aligned as on the writing machine."""
    if not raw.startswith(_OLD_MAGIC[:-1]):
        return 0
    for order in "<>":
        count = int(struct.unpack(f"{order}I", raw[12:16].ljust(4, b"\0"))[0])
        end = _OLD_HEADER + count * _OLD_ENTRY
        for start in (end, end + 4):
            if raw[start : start + len(_MAGIC)] == _MAGIC:
                return start
    raise FormatError("a cache in the format of libc5 alone")


def _order(raw: bytes, start: int) -> str:
    if raw[start + 28] & 3:
        return ">" if raw[start + 28] & 3 == _BIG else "<"
    count = int(struct.unpack_from("<I", raw, start + 20)[0])
    return "<" if start + _HEADER + count * _ENTRY <= len(raw) else ">"


def _text(raw: bytes, offset: int) -> str:
    end = raw.find(b"\0", offset, offset + 4096)
    if end < 0:
        raise FormatError("a string has no end")
    return raw[offset:end].decode("utf-8", "surrogateescape")
