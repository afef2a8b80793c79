"""An rpm header, as a database stores it: an index of tagged entries, and the store they point at.

    il, dl    two counts, 32 bits, big-endian, as is all that follows
    index     il entries: tag, type, offset into the store, count (of values)
    store     dl bytes

The first entry of what a package file brought is a region: its data, 16 bytes that close the
region in the store, say how many entries belong to it (they carry the package's digests and
signature). What the installation added follows the region, and replaces what stands in it
(rpm's format manual, "RPM V4 Package format", Header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from careen.errors import FormatError

__all__ = ["Header", "parse"]

_REGIONS = (61, 63)  # of headers in the oldest packages, and since
_FIRST_TAG = 100  # smaller ones are regions and signatures
_STRING, _BIN = 6, 7
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, _BIN: 1}  # characters, integers, bytes
_NUMBERS = {3: "H", 4: "I"}
_TEXTS = (_STRING, 8, 9)  # and lists of strings, translated or not
_ENTRY = struct.Struct(">IIiI")


class _Entry(NamedTuple):
    tag: int
    kind: int
    offset: int
    values: int  # how many


class Header(msgspec.Struct, frozen=True):
    """The entries by tag: type, count of values, and the bytes that hold them.

    Each reader gives nothing for a tag that is absent, and raises FormatError for one of another
    type than it reads.
    """

    entries: dict[int, tuple[int, int, bytes]]

    def texts(self, tag: int) -> tuple[str, ...]:
        """A list of strings; bytes that are no UTF-8 by surrogateescape."""
        if tag not in self.entries:
            return ()
        kind, count, data = self.entries[tag]
        if kind not in _TEXTS:
            raise FormatError("no string", at=f"tag {tag}")
        return tuple(
            part.decode("utf-8", "surrogateescape") for part in data.split(b"\0", count)[:count]
        )

    def text(self, tag: int) -> str:
        """One string, "" when it is absent."""
        texts = self.texts(tag)
        if len(texts) > 1:
            raise FormatError(f"{len(texts)} strings where one is meant", at=f"tag {tag}")
        return texts[0] if texts else ""

    def numbers(self, tag: int) -> tuple[int, ...]:
        """A list of numbers of 16 or 32 bits, without a sign."""
        if tag not in self.entries:
            return ()
        kind, count, data = self.entries[tag]
        if kind not in _NUMBERS:
            raise FormatError("no numbers", at=f"tag {tag}")
        return struct.unpack(f">{count}{_NUMBERS[kind]}", data)


def parse(blob: bytes, tags: frozenset[int]) -> Header:
    """Read one header, keeping the entries of `tags`; FormatError when anything in it is untrue.

    All entries are checked as rpm does: known types, aligned, in the order of their data, which
    may not overlap. So the work is linear in the blob's size whatever the counts say.
    """
    index, store = _parts(blob)
    inside = 0  # how many entries are the region's
    if index[0].tag in _REGIONS:
        inside = _region(index[0], store, len(index))
    kept: dict[int, tuple[int, int, bytes]] = {}
    closing = index[0].offset if inside else 0
    for part, start, end in (
        (index[1:inside], 0, closing),
        (index[inside:], closing + 16 if inside else 0, len(store)),
    ):
        kept |= _kept(part, store, (start, end), tags)
    return Header(kept)


def _parts(blob: bytes) -> tuple[list[_Entry], bytes]:
    if len(blob) < 8:
        raise FormatError(f"a header of {len(blob)} bytes")
    count, size = struct.unpack_from(">II", blob)
    if count == 0 or 8 + 16 * count + size != len(blob):
        raise FormatError(f"{count} entries and {size} bytes do not make {len(blob)}")
    start = 8 + 16 * count
    return [_Entry(*entry) for entry in _ENTRY.iter_unpack(blob[8:start])], blob[start:]


def _region(entry: _Entry, store: bytes, entries: int) -> int:
    """The number of entries in the region that `entry` opens, itself included."""
    fits = 0 <= entry.offset <= len(store) - 16
    if entry.kind != _BIN or entry.values != 16 or not fits:
        raise FormatError("its region has no end in the store")
    tag, kind, back, count = _ENTRY.unpack_from(store, entry.offset)
    if tag != entry.tag or kind != _BIN or count != 16 or back % 16:
        raise FormatError("its region's end is none")
    inside = -back // 16
    if not 1 <= inside <= entries:
        raise FormatError(f"its region has {inside} of {entries} entries")
    return int(inside)


def _kept(
    index: list[_Entry], store: bytes, span: tuple[int, int], tags: frozenset[int]
) -> dict[int, tuple[int, int, bytes]]:
    """The entries of `tags` among `index`, whose data fill the `span` of the store."""
    kept: dict[int, tuple[int, int, bytes]] = {}
    for entry, data in _checked(index, store, span):
        if entry.tag in tags:
            if entry.tag in kept:
                raise FormatError("stands twice", at=f"tag {entry.tag}")
            kept[entry.tag] = (entry.kind, entry.values, data)
    return kept


def _checked(
    index: list[_Entry], store: bytes, span: tuple[int, int]
) -> Iterator[tuple[_Entry, bytes]]:
    """Each entry with its data: up to where the next one's begin, for strings."""
    end, last = span
    bounds = [*(entry.offset for entry in index[1:]), last][: len(index)]
    for entry, bound in zip(index, bounds, strict=True):
        if entry.tag < _FIRST_TAG or not end <= entry.offset < bound <= last:
            raise FormatError("its data are out of place", at=f"tag {entry.tag}")
        data = store[entry.offset : bound]
        if entry.kind in _TEXTS:
            whole = data.count(b"\0") >= entry.values
            if not whole or entry.values == 0 or (entry.kind == _STRING and entry.values != 1):
                raise FormatError("strings without an end", at=f"tag {entry.tag}")
            end = bound
        else:
            size = _size(entry, len(data))
            data = data[:size]
            end = entry.offset + size
        yield entry, data


def _size(entry: _Entry, room: int) -> int:
    width = _WIDTHS.get(entry.kind)
    if width is None:
        raise FormatError(f"unknown type {entry.kind}", at=f"tag {entry.tag}")
    size = width * entry.values
    if entry.offset % width or not 0 < size <= room:
        raise FormatError("its data are out of place", at=f"tag {entry.tag}")
    return size
