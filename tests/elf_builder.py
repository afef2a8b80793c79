"""Small ELF files, written by hand from the System V ABI: any class, byte order and machine.

elf(needed=["libc.so.6"], runpath="$ORIGIN/../lib", interpreter="/lib64/ld-linux-x86-64.so.2")
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

X86_64, I386, AARCH64, S390 = 62, 3, 183, 22
EXEC, DYN, REL = 2, 3, 1
BASE = 0x400000  # the address that the one loaded segment is mapped to
INTERP = {"glibc": "/lib64/ld-linux-x86-64.so.2", "musl": "/lib/ld-musl-x86_64.so.1"}


def elf(
    *,
    bits: int = 64,
    order: str = "<",
    machine: int = X86_64,
    kind: int = DYN,
    interpreter: str = "",
    needed: Sequence[str] = (),
    filters: Sequence[str] = (),
    auxiliary: Sequence[str] = (),
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    flags_1: int = 0,
    static: bool = False,
    padding: int = 0,
) -> bytes:
    """One file; `static` leaves the dynamic section out, `padding` swells the string table."""
    names = [
        *((1, text) for text in needed),
        *((0x7FFFFFFF, text) for text in filters),
        *((0x7FFFFFFD, text) for text in auxiliary),
        *((tag, text) for tag, text in ((14, soname), (15, rpath), (29, runpath)) if text),
    ]
    strings, tags = bytearray(b"\0" * (padding + 1)), []
    for tag, text in names:
        tags.append((tag, len(strings)))
        strings += text.encode("utf-8", "surrogateescape") + b"\0"
    header_size, segment_size, word = {64: (64, 56, "Q"), 32: (52, 32, "I")}[bits]
    interp = interpreter.encode() + b"\0" if interpreter else b""
    segments = 1 + bool(interp) + (not static)
    interp_at = header_size + segments * segment_size
    strings_at = interp_at + len(interp)
    dynamic_at = strings_at + len(strings)
    tags += [(5, BASE + strings_at), (10, len(strings)), (0x6FFFFFFB, flags_1), (0, 0)]
    dynamic = b"".join(struct.pack(f"{order}{word}{word}", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)
    table = _segment(bits, order, 1, 0, size)
    if interp:
        table += _segment(bits, order, 3, interp_at, len(interp))
    if not static:
        table += _segment(bits, order, 2, dynamic_at, len(dynamic))
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + b"\0" * 9
    fields = (kind, machine, 1, 0, header_size, 0, 0, header_size, segment_size, segments, 0, 0, 0)
    header = ident + struct.pack(f"{order}HHI{word}{word}{word}IHHHHHH", *fields)
    return header + table + interp + bytes(strings) + dynamic


def _segment(bits: int, order: str, kind: int, offset: int, size: int) -> bytes:
    place = (offset, BASE + offset, BASE + offset, size, size)
    if bits == 64:
        return struct.pack(f"{order}IIQQQQQQ", kind, 5, *place, 1)
    return struct.pack(f"{order}IIIIIIII", kind, *place, 5, 1)
