"""The strict, streaming reader."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from careen.errors import FormatError
from careen.formats.tar import pax, sparse
from careen.formats.tar.entry import Entry, Kind
from careen.formats.tar.number import decimal, nanoseconds, numeric, octal
from careen.formats.tar.window import BLOCK, Window

__all__ = ["Limits", "Reader"]

_ZERO = bytes(BLOCK)
_HEAD = struct.Struct("100s8s8s8s12s12s8sc100s")  # name mode uid gid size mtime chksum flag link
_TAIL = struct.Struct("8s32s32s8s8s")  # magic uname gname devmajor devminor; then the prefix
_MAGIC = 257  # where the tail begins
_PREFIX = 88  # where the prefix begins in it
_KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"S": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "directory",
    b"6": "fifo",
}
_USTAR, _GNU = b"ustar\0", b"ustar  \0"
_NOTHING: dict[str, bytes] = {}
_XATTR = "SCHILY.xattr."
_MODELLED = frozenset(["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime"])
_ID_CEILING = (1 << 32) - 2  # the last id that chown(2) can set


_ONE_END = "the archive ends after one zero block instead of two"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings: entries; bytes of a pax or long-name header, of a name, of a sparse file."""

    entries: int = 4_000_000
    special: int = 1 << 20
    name: int = 4096
    sparse: int = 1 << 40


class Reader:
    """The entries of the archive in `chunks` (bytes of any cut), in order, in one pass.

    Iterate once. FormatError names the byte where the archive is broken or ambiguous. After the
    last entry the chunks are drained, and `warnings` says what was odd but harmless.
    """

    def __init__(self, chunks: Iterable[bytes], limits: Limits | None = None) -> None:
        self.warnings: list[str] = []
        self._limits = limits or Limits()
        self._window = Window(chunks)

    def __iter__(self) -> Iterator[Entry]:
        count = 0
        while (entry := self._next()) is not None:
            count += 1
            if count > self._limits.entries:
                raise FormatError(f"more than {self._limits.entries} entries in one layer")
            yield entry
        self._window.drain()

    def _next(self) -> Entry | None:
        """The next entry, its data passed over; None at the end."""
        special = _Special(self._window.offset)
        while True:
            start = self._window.offset
            header = self._window.block()
            try:
                if header is None or (not header[0] and header == _ZERO):
                    special.check_used()
                    self._check_end(header)
                    return None
                fields = _HEAD.unpack_from(header)
                _check_sum(header, fields[6])
                if fields[7] in b"xgLK":
                    self._special(fields, special)
                else:
                    return self._entry(header, fields, special)
            except FormatError as error:
                error.at = error.at or f"tar header at byte {start}"
                raise

    def _check_end(self, header: bytes | None) -> None:
        """Two zero blocks end an archive; to end without is odd, to go on after one refused."""
        second = self._window.block() if header is not None else None
        if second is None:
            self.warnings.append("the archive has no end blocks" if header is None else _ONE_END)
        elif second != _ZERO:
            raise FormatError("one zero block with more after it, where readers stop or go on")

    def _special(self, fields: tuple[bytes, ...], special: _Special) -> None:
        """A header that belongs to the next entry."""
        kind, size = fields[7], numeric(fields[4], "size")
        if not 0 <= size <= self._limits.special:
            raise FormatError(f"an extended header of {size} bytes")
        data = self._window.take(size)
        if kind == b"g":
            special.check_used()
            pax.check_global(pax.parse(data))
            special.start = self._window.offset
        elif kind == b"x":
            special.set_pax(pax.parse(data))
        else:
            special.set_long(kind, data.partition(b"\0")[0])

    def _entry(self, header: bytes, fields: tuple[bytes, ...], special: _Special) -> Entry:
        """The entry itself: its header's fields, as the special headers before it overrule them."""
        flag, records = fields[7], special.pax
        if flag not in _KINDS:
            raise FormatError(f"an entry of the unknown type {flag!r}")
        owner = _owner(header[_MAGIC:])
        stored = _number(records, "size", fields[4])
        if stored < 0:
            raise FormatError(f"a size of {stored} bytes")
        regions, size, stored = self._sparse(header, flag, records, stored)
        name, linkname = special.names(owner.prefix, fields)
        if regions is not None:
            name = records.get("GNU.sparse.name") or name
        kind = _kind(flag, name)
        if kind != "file":  # Go's isHeaderOnlyType: whatever the size says, no data follows
            if regions is not None:
                raise FormatError("a sparse entry that is no file")
            size = stored = 0
        entry = Entry(
            kind=kind,
            name=self._name(name, "name"),
            linkname=self._name(linkname, "link target") if kind in ("link", "symlink") else "",
            mode=numeric(fields[1], "mode") & 0o7777,
            uid=_id(_number(records, "uid", fields[2]), "uid"),
            gid=_id(_number(records, "gid", fields[3]), "gid"),
            uname=_text(records["uname"]) if records.get("uname") else owner.uname,
            gname=_text(records["gname"]) if records.get("gname") else owner.gname,
            size=size,
            mtime=_time(records, fields[5]),
            devmajor=owner.device[0],
            devminor=owner.device[1],
            xattrs=_xattrs(records),
            pax=_others(records),
            sparse=regions,
            header_offset=special.start,
            data_offset=self._window.offset,
        )
        self._window.skip(stored + -stored % BLOCK)
        return entry

    def _sparse(
        self, header: bytes, flag: bytes, records: dict[str, bytes], stored: int
    ) -> tuple[sparse.Regions | None, int, int]:
        """The regions (None: not sparse), the logical size, and the data bytes still ahead."""
        if flag == b"S":
            if header[_MAGIC : _MAGIC + 8] != _GNU:
                raise FormatError("an old sparse entry that is not GNU's")
            regions, size = sparse.old_gnu(header, self._window)
        elif records and sparse.is_sparse(records):
            text = records.get("GNU.sparse.size") or records.get("GNU.sparse.realsize")
            regions, taken = sparse.pax_map(records, self._window)
            stored -= taken
            size = decimal(text, "GNU.sparse.size") if text else stored
        else:
            return None, stored, stored
        if not 0 <= size <= self._limits.sparse:
            raise FormatError(f"a sparse file of {size} bytes")
        sparse.check(regions, size, stored)
        return regions, size, stored

    def _name(self, raw: bytes, what: str) -> str:
        if not raw:
            raise FormatError(f"an empty {what}")
        if len(raw) > self._limits.name:
            raise FormatError(f"a {what} of {len(raw)} bytes")
        return _text(raw)


class _Special:
    """The pax and long-name headers that stand before an entry; at most one of each, not both."""

    __slots__ = ("long", "pax", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.pax: dict[str, bytes] = _NOTHING
        self.long: dict[bytes, bytes] = {}

    def set_pax(self, records: dict[str, bytes]) -> None:
        """Of two headers Go takes the last and others the first: refused."""
        if self.pax is not _NOTHING or self.long:
            raise FormatError("several extended headers for one entry")
        self.pax = records

    def set_long(self, kind: bytes, text: bytes) -> None:
        """GNU's `L` (name) or `K` (link target)."""
        if self.pax is not _NOTHING or kind in self.long:
            raise FormatError("several extended headers for one entry")
        if not text:
            raise FormatError("an empty long name")
        self.long[kind] = text

    def check_used(self) -> None:
        """An extended header belongs to an entry that follows it."""
        if self.pax is not _NOTHING or self.long:
            raise FormatError("an extended header without its entry")

    def names(self, prefix: bytes, fields: tuple[bytes, ...]) -> tuple[bytes, bytes]:
        """Name and link target, from the best source of each."""
        name = fields[0].partition(b"\0")[0]
        if prefix:
            name = prefix + b"/" + name
        linkname = fields[8].partition(b"\0")[0]
        name = self.pax.get("path") or self.long.get(b"L") or name
        linkname = self.pax.get("linkpath") or self.long.get(b"K") or linkname
        if b"\0" in name or b"\0" in linkname:
            raise FormatError("a NUL in a name")
        return name, linkname


class _Owner(msgspec.Struct, frozen=True):
    """What only newer formats than V7 say."""

    uname: str = ""
    gname: str = ""
    device: tuple[int, int] = (0, 0)
    prefix: bytes = b""


@functools.lru_cache(1 << 10)  # one owner and one prefix for many files
def _owner(tail: bytes) -> _Owner:
    """ustar, star and GNU share these fields, from the magic on, but for where a prefix stands."""
    magic, uname, gname, major, minor = _TAIL.unpack_from(tail)
    if magic[:6] != _USTAR and magic != _GNU:
        return _Owner()
    if magic == _GNU:
        prefix = _gnu_prefix(tail)
    else:
        is_star = tail.endswith(b"tar\0")
        prefix = tail[_PREFIX : _PREFIX + (131 if is_star else 155)].partition(b"\0")[0]
    return _Owner(
        uname=_text(uname.partition(b"\0")[0]),
        gname=_text(gname.partition(b"\0")[0]),
        device=(numeric(major, "devmajor"), numeric(minor, "devminor")),
        prefix=prefix,
    )


def _gnu_prefix(tail: bytes) -> bytes:
    """GNU headers hold times there; Go once wrote a ustar prefix instead, and reads it as such."""
    try:
        for at in (_PREFIX, _PREFIX + 12):
            if tail[at]:
                numeric(tail[at : at + 12], "time")
    except FormatError:
        prefix = tail[_PREFIX : _PREFIX + 155].partition(b"\0")[0]
        if prefix.isascii():
            return prefix
    return b""


def _check_sum(header: bytes, field: bytes) -> None:
    """The sum of the header's bytes, its own field as spaces; some old writers summed signed.

    Summed by two remainders, which together are exact: adler32's lower half is the sum modulo
    65521, and as base-256 digits of one number the bytes sum to it modulo 255.
    """
    total = octal(field, "checksum") + sum(field) - 256  # 256: eight spaces
    remainders = (zlib.adler32(header) & 0xFFFF, int.from_bytes(header, "big") % 255)
    if remainders == ((total + 1) % 65521, total % 255):
        return
    if sum(header) - 256 * sum(byte > 127 for byte in header) == total:
        return
    raise FormatError("a header whose checksum is wrong")


def _kind(flag: bytes, name: bytes) -> Kind:
    if _KINDS[flag] == "file" and name.endswith(b"/"):
        if flag != b"\0":
            raise FormatError("a file whose name ends in a slash: a directory to some readers")
        return "directory"
    return _KINDS[flag]


def _number(records: dict[str, bytes], key: str, field: bytes) -> int:
    value = records.get(key)
    return decimal(value, f"pax {key}") if value else numeric(field, key)


def _id(value: int, what: str) -> int:
    if not 0 <= value <= _ID_CEILING:
        raise FormatError(f"a {what} of {value}")
    return value


def _time(records: dict[str, bytes], field: bytes) -> int:
    value = records.get("mtime")
    return nanoseconds(value, "pax mtime") if value else numeric(field, "mtime") * 10**9


def _xattrs(records: dict[str, bytes]) -> dict[str, bytes]:
    found = {k[len(_XATTR) :]: v for k, v in records.items() if k.startswith(_XATTR) and v}
    return found or _NOTHING


def _others(records: dict[str, bytes]) -> dict[str, bytes]:
    if not records:
        return _NOTHING
    modelled = (_XATTR, "GNU.sparse.")
    found = {k: v for k, v in records.items() if k not in _MODELLED and not k.startswith(modelled)}
    return found or _NOTHING


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
