"""Fresh headers: the same entry gives the same bytes, on every machine.

ustar where everything fits, else the same with a pax header before it (POSIX.1-2017, pax). Used
for entries that cannot be carried through as they were: under another name, as a hard link, with
replaced content.
"""

from __future__ import annotations

from careen.formats.tar import pax
from careen.formats.tar.entry import Entry
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
_PAX_NAME = b"PaxHeaders/entry"  # no reader uses it
_SECOND = 10**9


def padding(size: int) -> int:
    """How many zero bytes follow `size` bytes of data."""
    return -size % BLOCK


def header(entry: Entry) -> bytes:
    """The blocks that stand before the entry's data; offsets and sparse regions play no part."""
    records = {f"SCHILY.xattr.{key}": value for key, value in entry.xattrs.items()} | entry.pax
    name, prefix = _split(_bytes(entry.name))
    linkname = _bytes(entry.linkname)
    if name is None:
        records["path"] = _bytes(entry.name)
        name = _bytes(entry.name)[:100]
    if len(linkname) > 100 or not linkname.isascii():
        records["linkpath"] = linkname
    for key, value in (("uname", entry.uname), ("gname", entry.gname)):
        if len(_bytes(value)) > 32 or not _bytes(value).isascii():
            records[key] = _bytes(value)
    for key, number, digits in (
        ("uid", entry.uid, 7),
        ("gid", entry.gid, 7),
        ("size", _size(entry), 11),
    ):
        if number >= 8**digits:
            records[key] = str(number).encode("ascii")
    if entry.mtime % _SECOND or not 0 <= entry.mtime < 8**11 * _SECOND:
        records["mtime"] = _time(entry.mtime)
    block = _block(entry, name, prefix, linkname[:100], _FLAGS[entry.kind])
    if not records:
        return block
    data = pax.pack(records)
    about = Entry(kind="file", name="", size=len(data))
    return _block(about, _PAX_NAME, b"", b"", b"x") + data + bytes(padding(len(data))) + block


def _block(entry: Entry, name: bytes, prefix: bytes, linkname: bytes, flag: bytes) -> bytes:
    """One ustar header; numbers that do not fit are 0 here and told by pax."""
    device = entry.kind in ("char", "block")
    parts = [
        name.ljust(100, b"\0"),
        _octal(entry.mode & 0o7777, 7),
        _octal(entry.uid, 7),
        _octal(entry.gid, 7),
        _octal(_size(entry), 11),
        _octal(max(entry.mtime // _SECOND, 0), 11),
        b"        ",
        flag,
        linkname.ljust(100, b"\0"),
        b"ustar\x0000",
        _bytes(entry.uname)[:32].ljust(32, b"\0"),
        _bytes(entry.gname)[:32].ljust(32, b"\0"),
        _octal(entry.devmajor if device else 0, 7),
        _octal(entry.devminor if device else 0, 7),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(parts)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _split(name: bytes) -> tuple[bytes | None, bytes]:
    """Name and prefix for a ustar header; None where only pax can say it."""
    if not name.isascii():
        return None, b""
    if len(name) <= 100:
        return name, b""
    cut = name.find(b"/", max(len(name) - 101, 0))
    if 0 < cut <= 155 and cut + 1 < len(name):
        return name[cut + 1 :], name[:cut]
    return None, b""


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
