"""One header block: its checksum, and the fields that differ between V7, ustar, star and GNU."""

from __future__ import annotations

import functools
import struct
import zlib

import msgspec

from careen.errors import FormatError
from careen.formats.tar.number import numeric, octal

__all__ = ["FIELDS", "Tail", "check_sum", "owner", "tail", "text"]

FIELDS = struct.Struct("100s24s12s12s8sc100s255s")
"""name; mode, uid and gid together; size; mtime; checksum; flag; linkname; what V7 did not have."""

_TAIL = struct.Struct("8s32s32s8s8s155s")  # magic uname gname devmajor devminor prefix
_STAR_PREFIX = 131  # bytes; star keeps times in the rest of ustar's prefix
_STAR_TIMES = (219, 231)  # where they are in the tail
_ID_CEILING = (1 << 32) - 2  # the last id that chown(2) can set
_SUN_BIAS = 256  # what a byte over 127 counts less when bytes are taken as signed


class Tail(msgspec.Struct, frozen=True):
    """What only formats newer than V7 say. `devices` are the raw fields of major and minor."""

    uname: str = ""
    gname: str = ""
    devices: tuple[bytes, bytes] = (bytes(8), bytes(8))
    prefix: bytes = b""
    is_gnu: bool = False


def check_sum(block: bytes, field: bytes) -> None:
    """FormatError unless `field` gives the sum of the block's bytes, with itself as spaces.

    The lower half of adler32 is 1 + the sum modulo 65521, which no half block reaches: exact, at
    a sixth of the time of `sum`. Sun's tar summed signed bytes, and all readers accept that too.
    """
    halves = zlib.adler32(block[:256]), zlib.adler32(block[256:])
    total = (halves[0] & 0xFFFF) + (halves[1] & 0xFFFF) - 2
    claimed = _claimed(field)
    if total != claimed and total - _SUN_BIAS * sum(byte > 127 for byte in block) != claimed:
        raise FormatError("not a tar header: its checksum is wrong")


@functools.lru_cache(1 << 12)
def owner(fields: bytes) -> tuple[int, int, int]:
    """mode (12 bits), uid and gid."""
    mode = numeric(fields[:8], "mode") & 0o7777
    return mode, _id(fields[8:16], "uid"), _id(fields[16:], "gid")


@functools.lru_cache(1 << 10)  # one owner and one prefix for many files
def tail(raw: bytes) -> Tail:
    """ustar, star and GNU share these fields, from the magic on, but for what is in the prefix."""
    magic, uname, gname, major, minor, prefix = _TAIL.unpack_from(raw)
    is_gnu = magic == b"ustar  \0"
    if not is_gnu and magic[:6] != b"ustar\0":
        if magic[:5] == b"ustar" and prefix[0]:
            raise FormatError(f"a prefix under the magic {magic!r}, which only some readers use")
        return Tail()
    if is_gnu:
        prefix = _gnu_prefix(prefix)
    elif raw.endswith(b"tar\0"):
        prefix = _star_prefix(raw, prefix)
    for field in (major, minor):
        numeric(field, "device number")
    return Tail(
        uname=text(uname.partition(b"\0")[0]),
        gname=text(gname.partition(b"\0")[0]),
        devices=(major, minor),
        prefix=prefix.partition(b"\0")[0],
        is_gnu=is_gnu,
    )


def text(raw: bytes) -> str:
    """A name as careen keeps it: bytes that are not UTF-8 as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


@functools.lru_cache(1 << 12)  # sums repeat: they lie within a few thousand
def _claimed(field: bytes) -> int:
    """The checksum less its eight spaces plus its own bytes: the plain sum of the whole block."""
    return octal(field, "checksum") + sum(field) - 8 * ord(" ")


def _id(field: bytes, what: str) -> int:
    value = numeric(field, what)
    if not 0 <= value <= _ID_CEILING:
        raise FormatError(f"a {what} of {value}")
    return value


def _gnu_prefix(prefix: bytes) -> bytes:
    """GNU headers hold times there; Go once wrote a ustar prefix instead, and reads it as such."""
    try:
        for field in (prefix[:12], prefix[12:24]):
            if field[0]:
                numeric(field, "time")
    except FormatError:
        return prefix if prefix.partition(b"\0")[0].isascii() else b""
    return b""


def _star_prefix(raw: bytes, prefix: bytes) -> bytes:
    for at in _STAR_TIMES:
        numeric(raw[at : at + 12], "time")
    if prefix[_STAR_PREFIX - 1]:
        raise FormatError("a prefix that runs into star's times")
    return prefix[:_STAR_PREFIX]
