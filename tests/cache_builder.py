"""Caches as ldconfig writes them (glibc's elf/cache.c), by hand: either layout, either byte order.

cache([Lib("libz.so.1", "/lib/libz.so.1"), Lib("libz.so.1", "/lib/…/libz.so.1", "x86-64-v3")])
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GENERATOR = b"ldconfig by hand"
X86_64 = 0x0303


@dataclass(frozen=True)
class Lib:
    """One entry; `subdirectory` is that of glibc-hwcaps which it lies in."""

    name: str
    path: str
    subdirectory: str = ""


def cache(
    libs: Sequence[Lib],
    *,
    order: str = "<",
    compat: bool = False,
    shared: bool = True,
    extensions: bool = True,
) -> bytes:
    """`shared`: strings that end others are stored in them, as from glibc 2.33 on.

    Without `extensions`, as before that, no entry may have a subdirectory.
    """
    names = sorted({lib.subdirectory for lib in libs if lib.subdirectory})
    texts = [text for lib in libs for text in (lib.name, lib.path)] + names
    pool, places = _shared(texts) if shared else _apart(texts)
    base = 48 + 24 * len(libs)
    at = [base + place for place in places]
    older = b""
    if compat:
        rows = [
            struct.pack(f"{order}iII", X86_64, *at[2 * i : 2 * i + 2]) for i in range(len(libs))
        ]
        rows += rows[-1:] * (len(rows) % 2)
        older = b"ld.so-1.7.0\0" + struct.pack(f"{order}I", len(rows)) + b"".join(rows)
    end = len(older) + base + len(pool)
    offset = end + -end % 4 if extensions else 0
    mark = {"<": 2, ">": 3}[order] if extensions else 0
    body = older + struct.pack(
        f"{order}20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(libs), len(pool), mark, offset
    )
    for i, lib in enumerate(libs):
        hwcap = 1 << 62 | names.index(lib.subdirectory) if lib.subdirectory else 0
        body += struct.pack(f"{order}iIIIQ", X86_64, at[2 * i], at[2 * i + 1], 0, hwcap)
    if not extensions:
        return body + pool
    return (body + pool).ljust(offset, b"\0") + _extension(order, offset, at[2 * len(libs) :])


def _extension(order: str, offset: int, names: Sequence[int]) -> bytes:
    count = 2 if names else 1
    place = offset + 8 + 16 * count
    listed = struct.pack(f"{order}{len(names)}I", *names)
    head = struct.pack(f"{order}II", 0xEAA42174, count)
    head += struct.pack(f"{order}IIII", 0, 0, place + len(listed), len(GENERATOR))
    if names:
        head += struct.pack(f"{order}IIII", 1, 0, place, len(listed))
    return head + listed + GENERATOR


def _apart(texts: Iterable[str]) -> tuple[bytes, list[int]]:
    pool, places = b"", []
    for text in texts:
        places.append(len(pool))
        pool += text.encode() + b"\0"
    return pool, places


def _shared(texts: Sequence[str]) -> tuple[bytes, list[int]]:
    """Sorted from their ends, the longer first; each in the one before it where that ends so."""
    pool, places = b"", dict[str, int]()
    for text in sorted({*texts}, key=_from_its_end):
        whole = text.encode() + b"\0"
        if not pool.endswith(whole):
            pool += whole
        places[text] = len(pool) - len(whole)
    return pool, [places[text] for text in texts]


def _from_its_end(text: str) -> bytes:
    return text.encode()[::-1] + b"\xff"
