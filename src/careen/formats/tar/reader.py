"""The strict, streaming reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from careen.errors import FormatError
from careen.formats.tar import pax, sparse
from careen.formats.tar.block import Header, decode, text
from careen.formats.tar.entry import Entry, Kind
from careen.formats.tar.special import NONE, Special
from careen.formats.tar.window import BLOCK, Window

__all__ = ["Limits", "Reader"]

_ZERO = bytes(BLOCK)
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
_LINKS = ("link", "symlink")
_DEVICES = ("char", "block")
_NOTHING: dict[str, bytes] = {}
_LAST_ID = (1 << 32) - 2  # that chown(2) can set
_LAST_DEVICE = (1 << 21) - 1  # that a header can say in octal; Linux stops at 2^20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings: entries; bytes of a pax or long-name header, of a name, of a file with its holes.

    The longest name is what a path may have (PATH_MAX less its NUL); the largest pax or long-name
    header is what Go and libarchive accept. `holes` are the bytes in the holes of all sparse files
    together: they cost the archive nothing, and are written out as zeros.
    """

    entries: int = 4_000_000
    special: int = 1 << 20
    name: int = 4095
    file: int = 1 << 40
    holes: int = 64 << 30


class Reader:
    """The entries of the archive in `chunks` (bytes of any cut), in order, in one pass.

    Iterate once. FormatError names the byte where the archive is broken or ambiguous. After the
    last entry the chunks are drained, and `warnings` says what was odd but harmless.
    """

    def __init__(self, chunks: Iterable[bytes], limits: Limits | None = None) -> None:
        self.warnings: list[str] = []
        self._limits = limits or Limits()
        self._window = Window(chunks)
        self._holes = 0

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
        special = NONE
        first = at = self._window.offset
        try:
            while (block := self._window.block()) is not None and block != _ZERO:
                header = decode(block)
                if header.flag not in b"xgLK":
                    return self._entry(block, header, special, first)
                special = self._special(header, special)
                at = self._window.offset
                if header.flag == b"g":
                    first = at  # it belongs to no entry
            special.check_used()
            self._check_end(block)
        except FormatError as error:
            error.at = error.at or f"tar header at byte {at}"
            raise
        return None

    def _check_end(self, block: bytes | None) -> None:
        """Two zero blocks end an archive; to end without is odd, to go on after one refused."""
        if block is None:
            self.warnings.append("the archive has no end blocks")
            return
        second = self._window.block()
        if second is None:
            self.warnings.append("the archive ends after one zero block instead of two")
        elif second != _ZERO:
            raise FormatError("one zero block with more after it, where readers stop or go on")

    def _special(self, header: Header, before: Special) -> Special:
        """A header that belongs to the next entry, as do those `before` it, or to none (`g`)."""
        if header.size > self._limits.special:
            raise FormatError(f"an extended header of {header.size} bytes")
        data = self._window.take(header.size)
        if self._window.take(-header.size % BLOCK).strip(b"\0"):
            raise FormatError("an extended header with more after its end, which some readers read")
        if header.flag == b"x":
            return before.with_pax(pax.parse(data))
        if header.flag == b"g":
            before.check_used()
            pax.check_global(pax.parse(data))
            return before
        return before.with_long(header.flag, data)

    def _entry(self, block: bytes, header: Header, special: Special, first: int) -> Entry:
        """The entry itself: its header's fields, as the special headers before it overrule them."""
        if special is not NONE:
            header = special.overrule(header)
        records = special.pax or _NOTHING
        kind = _kind(header)
        name = header.name
        size = stored = header.size if kind == "file" else _no_size(kind, header, special)
        regions = None
        if (records or header.flag == b"S") and sparse.is_sparse(header.flag, records):
            if kind != "file":
                raise FormatError("a sparse entry that is no file")
            found = sparse.read(block, header, records, self._window)
            regions, size, stored = found.regions, found.size, found.stored
            name = records.get("GNU.sparse.name", name)
        self._check(kind, header, name, max(size, stored))
        if regions is not None:
            self._count_holes(size - stored)
        entry = Entry(  # what most have; with over 15 keywords CPython takes a much slower way
            kind=kind,
            name=text(name),
            linkname=text(header.linkname) if kind in _LINKS else "",
            mode=header.mode & 0o7777,
            uid=header.uid,
            gid=header.gid,
            uname=header.uname,
            gname=header.gname,
            size=size,
            mtime=header.mtime,
            xattrs=pax.xattrs(records) or _NOTHING if records else _NOTHING,
            pax=pax.others(records) or _NOTHING if records else _NOTHING,
            header_offset=first,
            data_offset=self._window.offset,
        )
        if kind in _DEVICES:
            major, minor = header.device
            entry = msgspec.structs.replace(entry, devmajor=major, devminor=minor)
        elif regions is not None:
            entry = msgspec.structs.replace(entry, sparse=regions)
        if not self._window.skip(stored, -stored % BLOCK):
            self.warnings.append("the archive ends inside the padding of its last entry")
        return entry

    def _count_holes(self, size: int) -> None:
        self._holes += size
        if self._holes > self._limits.holes:
            raise FormatError(f"sparse files with more than {self._limits.holes} bytes of holes")

    def _check(self, kind: Kind, header: Header, name: bytes, size: int) -> None:
        """FormatError for what no file system can hold, or what readers take for another kind."""
        limits = self._limits
        if not 0 < len(name) <= limits.name:
            raise FormatError("an empty name" if not name else f"a name of {len(name)} bytes")
        if not 0 <= size <= limits.file:
            raise FormatError(f"a file of {size} bytes")
        if not (0 <= header.uid <= _LAST_ID and 0 <= header.gid <= _LAST_ID):
            raise FormatError(f"an owner of uid {header.uid} and gid {header.gid}")
        if kind == "file":
            if name.endswith(b"/"):
                raise FormatError("a file whose name ends in a slash: a directory to some readers")
        elif kind in _LINKS:
            if not 0 < len(header.linkname) <= limits.name:
                raise FormatError(f"a link target of {len(header.linkname)} bytes")
        elif kind in _DEVICES and not all(0 <= n <= _LAST_DEVICE for n in header.device):
            raise FormatError(f"a device of the impossible numbers {header.device}")


def _kind(header: Header) -> Kind:
    kind = _KINDS.get(header.flag)
    if kind is None:
        raise FormatError(f"an entry of the unknown type {header.flag!r}")
    if header.flag == b"\0" and header.name.endswith(b"/"):
        return "directory"  # as V7 wrote them
    return kind


def _no_size(kind: Kind, header: Header, special: Special) -> int:
    """Go sees no data after what is no file, whatever its size says.

    Others agree on directories only: after a pax header anywhere before it, libarchive takes the
    size of a hard link for that of data.
    """
    agreed = header.flag == b"5" and special.pax is None
    if header.size != 0 and not (agreed and header.size > 0):
        raise FormatError(f"a {kind} with data, which some readers pass over and others read")
    return 0
