"""Tar archives by hand: a header is its fields, so that a test can say exactly what is wrong.

    block(b"a", size=5) + padded(b"hello") + END

Written from POSIX.1-2017 (pax, ustar interchange format) and the GNU tar manual, without careen.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen.formats.tar import Entry, Limits, Reader

END = bytes(1024)
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
_DEFAULTS = {
    "mode": b"0000644\0",
    "uid": b"0000000\0",
    "gid": b"0000000\0",
    "size": b"00000000000\0",
    "mtime": b"00000000000\0",
    "checksum": b"        ",
    "flag": b"0",
    "linkname": b"",
    "magic": USTAR,
    "uname": b"",
    "gname": b"",
    "devmajor": b"0000000\0",
    "devminor": b"0000000\0",
    "prefix": b"",
}
_WIDTHS = (8, 8, 8, 12, 12, 8, 1, 100, 8, 32, 32, 8, 8, 167)


def block(name: bytes = b"f", *, checksum: bytes | None = None, **fields: bytes | int) -> bytes:
    """One header of 512 bytes with the right checksum, unless it is given.

    Numbers are written in octal, bytes as they are; `prefix` may fill all that follows it.
    """
    parts = [name.ljust(100, b"\0")]
    for (key, default), width in zip(_DEFAULTS.items(), _WIDTHS, strict=True):
        value = fields.pop(key, default)
        raw = b"%0*o\0" % (width - 1, value) if isinstance(value, int) else value
        parts.append(raw.ljust(width, b"\0"))
    assert not fields, f"no such fields: {fields}"
    return summed(b"".join(parts), checksum)


def summed(header: bytes, checksum: bytes | None = None) -> bytes:
    """The header with its checksum made right."""
    assert len(header) == 512
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + (checksum or b"%06o\0 " % sum(blank)) + blank[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def record(key: bytes, value: bytes) -> bytes:
    """One pax record, its length counting itself."""
    body = b" " + key + b"=" + value + b"\n"
    return next(
        b"%d" % length + body
        for length in range(len(body), len(body) + 20)
        if len(b"%d" % length) + len(body) == length
    )


def pax(*records: tuple[bytes, bytes], flag: bytes = b"x") -> bytes:
    """A pax header with these records."""
    return raw_pax(b"".join(record(key, value) for key, value in records), flag)


def raw_pax(data: bytes, flag: bytes = b"x") -> bytes:
    return block(b"PaxHeaders/f", flag=flag, size=len(data)) + padded(data)


def long(text: bytes, flag: bytes = b"L") -> bytes:
    """GNU's long name, or with `K` long link target."""
    return block(b"././@LongLink", flag=flag, size=len(text), magic=GNU) + padded(text)


def old_sparse(regions: bytes, real_size: bytes, *, extended: bool = False) -> bytes:
    """What follows the device numbers of GNU's old sparse header: times, map, real size."""
    return bytes(41) + regions.ljust(96, b"\0") + (b"\1" if extended else b"\0") + real_size


def cut(archive: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(archive), size):
        yield archive[start : start + size]


def read(archive: bytes, *, chunk: int = 1 << 20, limits: Limits | None = None) -> list[Entry]:
    return list(Reader(cut(archive, chunk), limits))


def names(archive: bytes) -> list[str]:
    return [entry.name for entry in read(archive)]


def content(archive: bytes, entry: Entry) -> bytes:
    """The file's bytes, its holes filled with zeros."""
    if entry.sparse is None:
        return archive[entry.data_offset : entry.data_offset + entry.size]
    whole, at = bytearray(entry.size), entry.data_offset
    for offset, length in entry.sparse:
        whole[offset : offset + length] = archive[at : at + length]
        at += length
    return bytes(whole)
