"""One header block, decoded: checksum, numbers, and the fields that newer formats added."""

from __future__ import annotations

import functools
import struct
import zlib

import msgspec

from careen.errors import FormatError
from careen.formats.tar.number import is_number, numeric, octal

__all__ = ["GNU", "Header", "decode", "text"]

GNU = b"ustar  \0"
_USTAR = b"ustar\0"
# name; mode, uid, gid; size; mtime; checksum; type; linkname; all from the magic on
_FIELDS = struct.Struct("100s24s12s12s8sc100s255s")
_TAIL = struct.Struct("8s32s32s8s8s")  # magic uname gname devmajor devminor; then the prefix
_PREFIX = 88  # where the prefix begins in it


class Header(msgspec.Struct, frozen=True, gc=False):
    """What the block says by itself. Names are raw, the prefix joined; mtime is in nanoseconds."""

    flag: bytes
    name: bytes
    linkname: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    uname: str
    gname: str
    device: tuple[int, int]


def decode(block: bytes) -> Header:
    """FormatError where the checksum is wrong or a field is none, whether it is needed or not."""
    name, numbers, size, mtime, checksum, flag, linkname, tail = _FIELDS.unpack(block)
    _check_sum(block, checksum)
    bytes_of_data = numeric(size, "size")
    if bytes_of_data < 0:  # refused even where a pax size would overrule it, as Go does
        raise FormatError(f"a size of {bytes_of_data} bytes")
    uname, gname, device, prefix = _newer(tail)
    name = name.partition(b"\0")[0]
    return Header(
        flag,
        prefix + name if prefix else name,
        linkname.partition(b"\0")[0],
        *_mode_and_owner(numbers),
        bytes_of_data,
        numeric(mtime, "mtime") * 10**9,
        uname,
        gname,
        device,
    )


def text(raw: bytes) -> str:
    """Bytes that need not be UTF-8 as `str`, to be had back unchanged."""
    return raw.decode("utf-8", "surrogateescape")


def _check_sum(block: bytes, field: bytes) -> None:
    """The sum of the block's bytes, its own field as spaces; some old writers summed signed.

    adler32's lower half is 1 plus the sum modulo 65521, which half a block cannot reach.
    """
    halves = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF)
    if halves - 2 == _sum_with(field):
        return
    signed = sum(byte - 256 * (byte > 127) for byte in block[:148] + b" " * 8 + block[156:])
    if signed != octal(field, "checksum"):
        raise FormatError("a header whose checksum is wrong")


@functools.lru_cache(1 << 12)
def _sum_with(field: bytes) -> int:
    """The sum of a block that holds this right checksum, the field itself counted as it is."""
    return octal(field, "checksum") - 8 * ord(" ") + sum(field)


@functools.lru_cache(1 << 10)
def _mode_and_owner(fields: bytes) -> tuple[int, int, int]:
    return (
        numeric(fields[:8], "mode"),
        numeric(fields[8:16], "uid"),
        numeric(fields[16:], "gid"),
    )


@functools.lru_cache(1 << 10)  # one owner and one prefix for many files
def _newer(tail: bytes) -> tuple[str, str, tuple[int, int], bytes]:
    """Owner's names, device and prefix: what V7 lacks, and ustar, star and GNU share."""
    magic, uname, gname, major, minor = _TAIL.unpack_from(tail)
    device = (numeric(major, "devmajor"), numeric(minor, "devminor"))
    if magic[:6] != _USTAR and magic != GNU:
        if tail[_PREFIX]:
            raise FormatError("a prefix in a header of no known format, which readers may join")
        return "", "", (0, 0), b""
    prefix = _gnu_prefix(tail) if magic == GNU else _prefix(tail)
    return (
        text(uname.partition(b"\0")[0]),
        text(gname.partition(b"\0")[0]),
        device,
        prefix + b"/" if prefix else b"",
    )


def _prefix(tail: bytes) -> bytes:
    """ustar's, or star's that is shorter and followed by times."""
    prefix = tail[_PREFIX : _PREFIX + 155].partition(b"\0")[0]
    if tail.endswith(b"tar\0"):
        if len(prefix) > 130:
            raise FormatError("a prefix that ends where only some readers know it")
        numeric(tail[219:231], "atime")
        numeric(tail[231:243], "ctime")
    return prefix


def _gnu_prefix(tail: bytes) -> bytes:
    """None: GNU headers hold times there. But Go once wrote a prefix, and still reads it as one."""
    times = (tail[_PREFIX : _PREFIX + 12], tail[_PREFIX + 12 : _PREFIX + 24])
    prefix = tail[_PREFIX : _PREFIX + 155].partition(b"\0")[0]
    if prefix.isascii() and prefix and not all(is_number(time) for time in times if time[0]):
        raise FormatError("a prefix in a GNU header, which few readers join")
    return b""
