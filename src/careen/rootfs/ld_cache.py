"""`/etc/ld.so.cache`: where ldconfig found each library, the first place glibc's loader looks.

The layout is glibc's sysdeps/generic/dl-cache.h: a header, entries of 24 bytes, strings whose
offsets count from that header, and from glibc 2.33 on extensions, whose offsets count from the
start of the file. Up to glibc 2.31 an older table stands before it, with the same strings.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from careen.errors import FormatError

__all__ = ["read", "without"]

_OLD_MAGIC = b"ld.so-1.7.0\0"
_OLD_HEADER, _OLD_ENTRY = 16, 12  # bytes
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = 48, 24  # bytes
_SHARING = 8  # a name is the end of its path and may serve several entries, but not all of them
_BIG = 3  # of the flags byte at 28; 2 is little-endian, 0 a ldconfig before glibc 2.33
_EXTENSION_MAGIC = 0xEAA42174
_GENERATOR, _HWCAPS = 0, 1  # tags: ldconfig's version; names of the glibc-hwcaps subdirectories
_BY_INDEX = 0x4000_0000  # the upper half of an entry's hwcap when the lower is an index of those


class _Layout(msgspec.Struct, frozen=True):
    """Where the header is, what byte order it has, its count of entries and bytes of strings."""

    start: int
    order: str
    count: int
    length: int

    @property
    def first(self) -> int:
        """Where the entries begin."""
        return self.start + _HEADER

    @property
    def strings(self) -> int:
        """Where the strings begin."""
        return self.first + self.count * _ENTRY


class _Entry(msgspec.Struct, frozen=True):
    """One library; `key` and `value` are where in the file its name and its path stand."""

    flags: int
    key: int
    value: int
    os_version: int = 0
    hwcap: int = 0

    @property
    def index(self) -> int | None:
        """Of the glibc-hwcaps subdirectory that it lies in."""
        return self.hwcap & 0xFFFF_FFFF if self.hwcap >> 32 == _BY_INDEX else None


class _Section(msgspec.Struct, frozen=True):
    """One extension and where its data stood."""

    tag: int
    flags: int
    offset: int
    data: bytes

    def begin(self) -> int:
        """Where its data stood."""
        return self.offset


def read(raw: bytes) -> dict[str, tuple[str, ...]]:
    """Library name → the paths recorded for it, best first; FormatError when it is no such file."""
    places: dict[str, list[str]] = {}
    total = 0
    for entry in _entries(raw, _layout(raw)):
        library, path = _text(raw, entry.key), _text(raw, entry.value)
        places.setdefault(library, []).append(path)
        total += len(library) + len(path)
        if total > _SHARING * len(raw):
            raise FormatError("entries that share their strings over and over")
    return {name: tuple(paths) for name, paths in places.items()}


def without(raw: bytes, gone: Collection[str]) -> bytes:
    """The same cache without the entries whose path, as `read` gives it, is in `gone`.

    What ldconfig would write without those files: their strings go too, and glibc-hwcaps
    subdirectories that had nothing else. The order stays, since the loader searches by halves.
    `raw` itself when no entry goes; FormatError when anything in it is not known.
    """
    if not any(path in gone for paths in read(raw).values() for path in paths):
        return raw
    layout = _layout(raw)
    sections = _sections(raw, layout)
    older = [one for one in _older(raw, layout) if _text(raw, one.value) not in gone]
    entries = [one for one in _entries(raw, layout) if _text(raw, one.value) not in gone]
    hwcaps = _hwcaps(sections, layout, entries)
    used = {place for one in (*older, *entries) for place in (one.key, one.value)}
    strings, moved = _packed(raw, layout, used | {place for place, _ in hwcaps.values()})
    base = _HEADER + len(entries) * _ENTRY  # offsets of strings count from the header
    moved = {place: base + offset for place, offset in moved.items()}
    front = _old_table(raw, layout, older, moved)
    end = len(front) + base + len(strings)
    extension = end + -end % 4 if sections else 0
    front += _header(raw, layout, len(entries), len(strings), extension)
    front += _table(layout.order, entries, moved, {old: new for old, (_, new) in hwcaps.items()})
    if not sections:
        return front + strings
    names = [moved[place] for place, _ in hwcaps.values()]
    return (front + strings).ljust(extension, b"\0") + _extension(
        layout.order, sections, names, extension
    )


def _layout(raw: bytes) -> _Layout:
    start = _start(raw)
    if raw[start : start + len(_MAGIC)] != _MAGIC or len(raw) < start + _HEADER:
        raise FormatError("not a cache in glibc's format")
    order = _order(raw, start)
    count, length = struct.unpack_from(f"{order}II", raw, start + 20)
    if start + _HEADER + count * _ENTRY > len(raw):
        raise FormatError(f"{count} entries would lie past the end of the file")
    return _Layout(start, order, count, length)


def _start(raw: bytes) -> int:
    """Where the header is: at 0, or behind the older table, aligned as on the writing machine."""
    if not raw.startswith(_OLD_MAGIC[:-1]):
        return 0
    for order in "<>":
        end = _old_end(raw, order)
        for start in (end, end + 4):
            if raw[start : start + len(_MAGIC)] == _MAGIC:
                return start
    raise FormatError("a cache in the format of libc5 alone")


def _old_end(raw: bytes, order: str) -> int:
    count = int(struct.unpack(f"{order}I", raw[12:16].ljust(4, b"\0"))[0])
    return _OLD_HEADER + count * _OLD_ENTRY


def _order(raw: bytes, start: int) -> str:
    if raw[start + 28] & 3:
        return ">" if raw[start + 28] & 3 == _BIG else "<"
    count = int(struct.unpack_from("<I", raw, start + 20)[0])
    return "<" if start + _HEADER + count * _ENTRY <= len(raw) else ">"


def _text(raw: bytes, offset: int) -> str:
    return raw[offset : _end(raw, offset) - 1].decode("utf-8", "surrogateescape")


def _end(raw: bytes, offset: int) -> int:
    """Behind the NUL of the string at `offset`."""
    end = raw.find(b"\0", offset, offset + 4096)
    if end < 0:
        raise FormatError("a string has no end")
    return end + 1


def _entries(raw: bytes, layout: _Layout) -> Iterator[_Entry]:
    table = raw[layout.first : layout.strings]
    for flags, key, value, version, hwcap in struct.iter_unpack(f"{layout.order}iIIIQ", table):
        yield _Entry(flags, layout.start + key, layout.start + value, version, hwcap)


def _older(raw: bytes, layout: _Layout) -> list[_Entry]:
    """The older table's entries, without the last one's copy that makes their number even."""
    if not layout.start:
        return []
    end = _old_end(raw, layout.order)
    if layout.start - end not in (0, 4):
        raise FormatError("an older table of another byte order")
    table = struct.iter_unpack(f"{layout.order}iII", raw[_OLD_HEADER:end])
    entries = [_Entry(flags, end + key, end + value) for flags, key, value in table]
    if len(entries) % 2 == 0 and entries[-2:] == entries[-1:] * 2:
        del entries[-1:]
    return entries


def _sections(raw: bytes, layout: _Layout) -> list[_Section]:
    """The extensions, of kinds that are known; [] where there are none."""
    offset = int(struct.unpack_from(f"{layout.order}I", raw, layout.start + 32)[0])
    end = layout.strings + layout.length
    sections: list[_Section] = []
    if offset:
        head = raw[offset : offset + 8].ljust(8, b"\0")
        magic, count = struct.unpack(f"{layout.order}II", head)
        if magic != _EXTENSION_MAGIC or offset < end or offset + 8 + 16 * count > len(raw):
            raise FormatError("extensions that are none")
        end = offset + 8 + 16 * count
        table = raw[offset + 8 : end]
        for tag, flags, place, size in struct.iter_unpack(f"{layout.order}IIII", table):
            sections.append(_Section(tag, flags, place, raw[place : place + size]))
            end = max(end, place + size)
    tags = [one.tag for one in sections]
    if not {*tags} <= {_GENERATOR, _HWCAPS} or len({*tags}) < len(tags):
        raise FormatError("extensions of a kind that is not known")
    if end != len(raw):
        raise FormatError("its strings or extensions do not end where the file does")
    return sections


def _hwcaps(
    sections: Sequence[_Section], layout: _Layout, entries: Sequence[_Entry]
) -> dict[int, tuple[int, int]]:
    """The glibc-hwcaps subdirectories that `entries` are in: index → (name's place, new index)."""
    data = next((one.data for one in sections if one.tag == _HWCAPS), b"")
    listed = [place for (place,) in struct.iter_unpack(f"{layout.order}I", data[: len(data) & ~3])]
    used = sorted({one.index for one in entries if one.index is not None})
    if used and used[-1] >= len(listed):
        raise FormatError("an entry in a glibc-hwcaps subdirectory that is not listed")
    return {old: (layout.start + listed[old], new) for new, old in enumerate(used)}


def _packed(raw: bytes, layout: _Layout, used: set[int]) -> tuple[bytes, dict[int, int]]:
    """The strings at `used` in their order, and where each is in them.

    One that was the end of another is again where it can be: ldconfig sorts them for that.
    """
    pool, moved = bytearray(), dict[int, int]()
    for place in sorted(used):
        end = _end(raw, place)
        if place < layout.strings or end > layout.strings + layout.length:
            raise FormatError("a string outside the strings")
        text = raw[place:end]
        shares = place > layout.strings and raw[place - 1] and pool.endswith(text)
        pool += b"" if shares else text
        moved[place] = len(pool) - len(text)
    return bytes(pool), moved


def _old_table(
    raw: bytes, layout: _Layout, entries: list[_Entry], moved: Mapping[int, int]
) -> bytes:
    if not layout.start:
        return b""
    entries = entries + entries[-1:] * (len(entries) % 2)  # what follows is aligned to 8
    table = [
        struct.pack(f"{layout.order}iII", one.flags, moved[one.key], moved[one.value])
        for one in entries
    ]
    return raw[:12] + struct.pack(f"{layout.order}I", len(table)) + b"".join(table)


def _header(raw: bytes, layout: _Layout, count: int, length: int, extension: int) -> bytes:
    """The source's but for what is counted in it."""
    header = bytearray(raw[layout.start : layout.first])
    struct.pack_into(f"{layout.order}II", header, 20, count, length)
    struct.pack_into(f"{layout.order}I", header, 32, extension)
    return bytes(header)


def _table(
    order: str, entries: Sequence[_Entry], moved: Mapping[int, int], indices: Mapping[int, int]
) -> bytes:
    table = bytearray()
    for one in entries:
        hwcap = one.hwcap if one.index is None else _BY_INDEX << 32 | indices[one.index]
        places = moved[one.key], moved[one.value]
        table += struct.pack(f"{order}iIIIQ", one.flags, *places, one.os_version, hwcap)
    return bytes(table)


def _extension(
    order: str, sections: Sequence[_Section], names: Sequence[int], offset: int
) -> bytes:
    """The extensions at `offset` of the file, their data in the order in which it stood."""
    listed = struct.pack(f"{order}{len(names)}I", *names)
    left = [one for one in sections if one.tag != _HWCAPS or names]
    place = offset + 8 + 16 * len(left)
    placed: dict[int, tuple[int, bytes]] = {}
    data = bytearray()
    for one in sorted(left, key=_Section.begin):
        content = listed if one.tag == _HWCAPS else one.data
        data += bytes(-(place + len(data)) % 4) if one.tag == _HWCAPS else b""
        placed[one.tag] = place + len(data), content
        data += content
    head = struct.pack(f"{order}II", _EXTENSION_MAGIC, len(left))
    for one in left:
        start, content = placed[one.tag]
        head += struct.pack(f"{order}IIII", one.tag, one.flags, start, len(content))
    return head + data
