"""What an ELF file says to the kernel and to the dynamic loader: its interpreter, its libraries.

A plain `struct` reader of the program headers and the dynamic section (System V ABI, chapters 4
and 5; section headers are not needed to run a program, and stripped files lie about them). It
reads a few blocks through a `pread`, never the whole file, and believes no offset or size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import msgspec

from careen.errors import FormatError

__all__ = ["MAGIC", "Elf", "Pread", "read"]

MAGIC = b"\x7fELF"

Pread = Callable[[int, int], bytes]
"""`pread(length, offset)`: exactly that many bytes; only ever asked for what the file has."""

_EXECUTABLE, _SHARED = 2, 3  # e_type: only these two can be loaded
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3  # p_type
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29  # d_tag
_FLAGS_1, _AUXILIARY, _FILTER = 0x6FFFFFFB, 0x7FFFFFFD, 0x7FFFFFFF
_NAMES = (_NEEDED, _FILTER, _AUXILIARY, _SONAME, _RPATH, _RUNPATH)  # tags that name a text
_NODEFLIB, _PIE = 0x800, 0x8000000  # bits of DT_FLAGS_1

_SEGMENTS = 1 << 16  # bytes of program headers that Linux accepts (fs/binfmt_elf.c)
_PATH = 4096  # bytes of an interpreter's path that Linux accepts, with its NUL
_DYNAMICS = 1 << 16  # bytes of a dynamic section; real ones hold some dozens of 16-byte entries
_TEXTS = 1 << 16  # bytes of all names together
_TABLE = 1 << 16  # bytes of a string table that is read at one go; a larger one by blocks
_BLOCK = 256


class Elf(msgspec.Struct, frozen=True, kw_only=True):
    """One ELF file; numbers are the specification's (`machine` 62 is x86-64, `type` 3 ET_DYN).

    `interpreter` is the path in PT_INTERP, "" when there is none. `needed` are the DT_NEEDED
    names in order, `filters` those of DT_FILTER, `auxiliary` those of DT_AUXILIARY (loaded when
    they are there). `rpath` and `runpath` are None when absent. `dynamic` is whether a dynamic
    section exists: a static program has none, a static-pie one has it without an interpreter.
    """

    bits: int
    little: bool
    machine: int
    type: int
    interpreter: str = ""
    dynamic: bool = False
    needed: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    soname: str = ""
    rpath: str | None = None
    runpath: str | None = None
    nodeflib: bool = False
    pie: bool = False

    @property
    def abi(self) -> tuple[int, bool, int]:
        """What must be equal for one file to load another: class, byte order, machine."""
        return (self.bits, self.little, self.machine)


class _Segment(msgspec.Struct, frozen=True):
    type: int
    offset: int
    address: int
    size: int


class _Layout(msgspec.Struct, frozen=True):
    """How one class and byte order lays out its tables; `fields` picks a `_Segment` of a header."""

    header: struct.Struct
    segment: struct.Struct
    fields: tuple[int, int, int, int]
    entry: struct.Struct


def _layout(bits: int, order: str) -> _Layout:
    header, segment, fields, entry = {
        64: ("HHIQQQIHHH", "IIQQQQQQ", (0, 2, 3, 5), "QQ"),
        32: ("HHIIIIIHHH", "IIIIIIII", (0, 1, 2, 4), "II"),
    }[bits]
    return _Layout(
        struct.Struct(order + header), struct.Struct(order + segment), fields,
        struct.Struct(order + entry),
    )  # fmt: skip


_LAYOUTS = {
    (mark, data): _layout(bits, order)
    for mark, bits in ((1, 32), (2, 64))
    for data, order in ((1, "<"), (2, ">"))
}


def read(pread: Pread, size: int) -> Elf:
    """The facts of an ELF file of `size` bytes; FormatError when it breaks the format."""
    ident = _part(pread, size, 16, 0, "the ELF identification")
    layout = _LAYOUTS.get((ident[4], ident[5]))
    if ident[:4] != MAGIC or layout is None:
        raise FormatError("not an ELF file of a known class and byte order")
    raw = _part(pread, size, layout.header.size, 16, "the ELF header")
    kind, machine, _, _, offset, _, _, _, entry, count = layout.header.unpack(raw)
    elf = Elf(bits=32 * ident[4], little=ident[5] == 1, machine=machine, type=kind)
    if kind not in (_EXECUTABLE, _SHARED) or not count:
        return elf  # an object file or a core: nothing loads it
    if entry != layout.segment.size or count * entry > _SEGMENTS:
        raise FormatError(f"{count} program headers of {entry} bytes")
    table = _part(pread, size, count * entry, offset, "the program headers")
    segments = _segments(layout, table)
    changes = _dynamic(pread, size, layout, segments)
    changes["interpreter"] = _interpreter(pread, size, segments)
    return msgspec.structs.replace(elf, **changes)


def _part(pread: Pread, size: int, length: int, offset: int, what: str) -> bytes:
    if offset + length > size:
        raise FormatError(f"{what} would lie past the end of the file")
    return pread(length, offset)


def _segments(layout: _Layout, table: bytes) -> list[_Segment]:
    kind, offset, address, size = layout.fields
    return [
        _Segment(header[kind], header[offset], header[address], header[size])
        for header in layout.segment.iter_unpack(table)
        if header[kind] in (_LOAD, _DYNAMIC, _INTERP)
    ]


def _first(segments: list[_Segment], kind: int) -> _Segment | None:
    # A file of split-off debug symbols keeps the segments of its program, emptied.
    return next((part for part in segments if part.type == kind and part.size), None)


def _interpreter(pread: Pread, size: int, segments: list[_Segment]) -> str:
    segment = _first(segments, _INTERP)
    if segment is None:
        return ""
    if segment.size > _PATH:
        raise FormatError(f"an interpreter path of {segment.size} bytes")
    raw = _part(pread, size, segment.size, segment.offset, "the interpreter path")
    path, end, _ = raw.partition(b"\0")
    if not end:
        raise FormatError("the interpreter path has no end")
    return path.decode("utf-8", "surrogateescape")


def _dynamic(
    pread: Pread, size: int, layout: _Layout, segments: list[_Segment]
) -> dict[str, object]:
    """The fields of `Elf` that the dynamic section gives."""
    segment = _first(segments, _DYNAMIC)
    if segment is None:
        return {}
    if segment.size > _DYNAMICS:
        raise FormatError(f"a dynamic section of {segment.size} bytes")
    length = segment.size - segment.size % layout.entry.size
    raw = _part(pread, size, length, segment.offset, "the dynamic section")
    tags = _tags(layout, raw)
    last = dict(tags)  # of a tag that stands twice, loaders take the last
    texts: dict[int, list[str]] = {tag: [] for tag in _NAMES}
    names = [(tag, offset) for tag, offset in tags if tag in texts]
    if names:
        table = _table(pread, size, segments, last)
        for (tag, _), text in zip(names, _strings(table, last[_STRSZ], names), strict=True):
            texts[tag].append(text)
    return {
        "dynamic": True,
        "needed": tuple(texts[_NEEDED]),
        "filters": tuple(texts[_FILTER]),
        "auxiliary": tuple(texts[_AUXILIARY]),
        "soname": next(reversed(texts[_SONAME]), ""),
        "rpath": next(reversed(texts[_RPATH]), None),
        "runpath": next(reversed(texts[_RUNPATH]), None),
        "nodeflib": bool(last.get(_FLAGS_1, 0) & _NODEFLIB),
        "pie": bool(last.get(_FLAGS_1, 0) & _PIE),
    }


def _tags(layout: _Layout, raw: bytes) -> list[tuple[int, int]]:
    tags: list[tuple[int, int]] = []
    for tag, value in layout.entry.iter_unpack(raw):
        if tag == 0:  # DT_NULL
            break
        tags.append((tag, value))
    return tags


def _table(pread: Pread, size: int, segments: list[_Segment], last: dict[int, int]) -> Pread:
    """Random access to the dynamic string table; a small one is read at one go."""
    if _STRTAB not in last or _STRSZ not in last:
        raise FormatError("the dynamic section has no string table")
    start, length = _offset(segments, last[_STRTAB]), last[_STRSZ]
    if start + length > size:
        raise FormatError("the dynamic string table would lie past the end of the file")
    if length > _TABLE:
        return lambda count, offset: pread(count, start + offset)
    table = pread(length, start)
    return lambda count, offset: table[offset : offset + count]


def _strings(table: Pread, length: int, names: list[tuple[int, int]]) -> Iterator[str]:
    """The text of each of `names`, (tag, offset in the string table of `length` bytes)."""
    total = 0
    for _, offset in names:
        name = _string(table, length, offset)
        total += len(name)
        if total > _TEXTS:
            raise FormatError(f"the names of the dynamic section exceed {_TEXTS} bytes")
        yield name.decode("utf-8", "surrogateescape")


def _string(table: Pread, length: int, offset: int) -> bytes:
    text = b""
    for start in range(offset, min(length, offset + _TEXTS), _BLOCK):
        part, end, _ = table(min(_BLOCK, length - start), start).partition(b"\0")
        text += part
        if end:
            return text
    raise FormatError("a name has no end inside the dynamic string table")


def _offset(segments: list[_Segment], address: int) -> int:
    """Where the file holds what is loaded at `address`."""
    for part in segments:
        if part.type == _LOAD and part.address <= address < part.address + part.size:
            return part.offset + address - part.address
    raise FormatError("the dynamic string table is in no loaded segment")
