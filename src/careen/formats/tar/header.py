"""Fresh headers: the same entry gives the same bytes, on every machine.

ustar where everything fits, else the same with a pax header before it (POSIX.1-2017, pax). Used
for entries that cannot be carried through as they were: under another name, as a hard link, with
replaced content.
"""

from __future__ import annotations

import struct

from careen.errors import FormatError
from careen.formats.tar import pax
from careen.formats.tar.entry import Entry
from careen.formats.tar.pax import XATTR
from careen.formats.tar.window import BLOCK

__all__ = ["END", "header", "padding"]

END = bytes(2 * BLOCK)
_FLAGS = {
    "file": b"0",
    "link": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "directory": b"5",
    "fifo": b"6",
}
_SECOND = 10**9
# name mode uid gid size mtime checksum type linkname magic uname gname devmajor devminor prefix
_BLOCK = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")  # pads, and cuts


def padding(size: int) -> int:
    """How many zero bytes follow `size` bytes of data."""
    return -size % BLOCK


def header(entry: Entry) -> bytes:
    """The blocks that stand before the entry's data; offsets and sparse regions play no part.

    FormatError for a name that no reader would read back.
    """
    if not entry.name or "\0" in entry.name + entry.linkname:
        raise FormatError("an empty name, or a NUL in one")
    records = pax.pack(_records(entry))
    block = _block(entry, _FLAGS[entry.kind])
    if not records:
        return block
    about = Entry(kind="file", name="PaxHeaders/entry", size=len(records))  # a name nobody reads
    return _block(about, b"x") + records + bytes(padding(len(records))) + block


def _records(entry: Entry) -> dict[str, bytes]:
    """What only pax can say of the entry."""
    records = {XATTR + key: value for key, value in entry.xattrs.items()} | entry.pax
    if _split(_bytes(entry.name)) is None:
        records["path"] = _bytes(entry.name)
    for key, text, width in (
        ("linkpath", entry.linkname, 100),
        ("uname", entry.uname, 32),
        ("gname", entry.gname, 32),
    ):
        if len(text) > width or not text.isascii():
            records[key] = _bytes(text)
    for key, number, digits in (
        ("uid", entry.uid, 7),
        ("gid", entry.gid, 7),
        ("size", _size(entry), 11),
    ):
        if number >= 8**digits:
            records[key] = str(number).encode("ascii")
    if entry.mtime % _SECOND or not 0 <= entry.mtime < 8**11 * _SECOND:
        records["mtime"] = _time(entry.mtime)
    return records


def _block(entry: Entry, flag: bytes) -> bytes:
    """One ustar header; numbers that do not fit are 0 here, names cut, and told by pax.

    Device numbers always fit: Linux's are smaller, and the reader refuses larger ones.
    """
    name, prefix = _split(_bytes(entry.name)) or (_bytes(entry.name), b"")
    is_device = entry.kind in ("char", "block")
    block = _BLOCK.pack(
        name,
        _octal(entry.mode & 0o7777, 7),
        _octal(entry.uid, 7),
        _octal(entry.gid, 7),
        _octal(_size(entry), 11),
        _octal(max(entry.mtime // _SECOND, 0), 11),
        b" " * 8,
        flag,
        _bytes(entry.linkname),
        b"ustar\x0000",
        _bytes(entry.uname),
        _bytes(entry.gname),
        _octal(entry.devmajor if is_device else 0, 7),
        _octal(entry.devminor if is_device else 0, 7),
        prefix,
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Name and prefix for a ustar header; None where only pax can say it."""
    if not name.isascii():
        return None
    if len(name) <= 100:
        return name, b""
    cut = name.find(b"/", len(name) - 101)
    if 0 < cut <= 155 and cut + 1 < len(name):
        return name[cut + 1 :], name[:cut]
    return None


def _size(entry: Entry) -> int:
    return entry.size if entry.kind == "file" else 0


def _octal(number: int, digits: int) -> bytes:
    if number >= 8**digits:
        number = 0
    return b"%0*o\0" % (digits, number)


def _time(nanoseconds: int) -> bytes:
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), _SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{sign}{seconds}{fraction}".encode("ascii")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
