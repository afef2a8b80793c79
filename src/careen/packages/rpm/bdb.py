"""rpm's `Packages` as a Berkeley DB hash: a header for each package's number.

Pages are found by their types rather than through the buckets (Berkeley DB's db_page.h names the
fields). Key and value stand side by side on a hash page; a value that does not fit, as few headers
do, is a chain of pages of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from careen.errors import FormatError

__all__ = ["headers"]

_MAGIC = 0x061561
_VERSIONS = (8, 9, 10)
_HASH = (2, 13)  # unsorted, and sorted since Berkeley DB 4.6
_OVERFLOW = 7
_HEAD = 26  # bytes of a page before its entries
_ONPAGE, _OFFPAGE = 1, 3


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """`order` is the byte order of the machine that made it, as `struct` writes it."""

    content: bytes
    order: str
    size: int  # of a page

    def u16(self, at: int) -> int:
        return int(struct.unpack_from(f"{self.order}H", self.content, at)[0])

    def u32(self, at: int) -> int:
        return int(struct.unpack_from(f"{self.order}I", self.content, at)[0])


def headers(content: bytes) -> list[tuple[int, bytes]]:
    """Each package's number and header, in the order of the numbers."""
    file = _opened(content)
    found: dict[int, bytes] = {}
    budget = len(content)  # of values together: chains that share pages would be more
    for number, value in _values(file):
        at = f"package {number}"
        if number in found:
            raise FormatError("stands in it twice", at=at)
        if value[0] == _ONPAGE:
            found[number] = value[1:]
            continue
        if len(value) != 12 or value[0] != _OFFPAGE:
            raise FormatError("has a header that is none", at=at)
        first, length = struct.unpack_from(f"{file.order}II", value, 4)
        budget -= length
        if budget < 0:
            raise FormatError("has a header longer than the file", at=at)
        found[number] = _chain(file, first, length)
    return sorted(found.items())


def _opened(content: bytes) -> _File:
    if len(content) < 512:
        raise FormatError("no Berkeley DB")
    order = next((o for o in "<>" if struct.unpack_from(f"{o}I", content, 12)[0] == _MAGIC), None)
    if order is None:
        raise FormatError("no Berkeley DB hash")
    version, size = struct.unpack_from(f"{order}II", content, 16)
    whole = 512 <= size <= 65536 and not size & (size - 1) and not len(content) % size
    if version not in _VERSIONS or not whole or content[24]:  # 24: encrypted
        raise FormatError("no Berkeley DB hash of a kind that is known")
    return _File(content=content, order=order, size=size)


def _values(file: _File) -> Iterator[tuple[int, bytes]]:
    """The number of each package, and the entry that holds its header or says where it is."""
    for page in range(file.size, len(file.content), file.size):
        if file.content[page + 25] not in _HASH:
            continue
        for key, value in _entries(file, page):
            if len(key) != 5 or key[0] != _ONPAGE:
                raise FormatError("a key is no number", at=f"page {page // file.size}")
            (number,) = struct.unpack(f"{file.order}I", key[1:])
            if number:  # 0 holds the number that the next package will have
                yield number, value


def _entries(file: _File, page: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a hash page; each reaches to where the one before begins."""
    count = file.u16(page + 20)
    floor = _HEAD + 2 * count
    if count % 2 or floor > file.size:
        raise FormatError(f"{count} entries", at=f"page {page // file.size}")
    items, end = [], file.size
    for start in struct.unpack_from(f"{file.order}{count}H", file.content, page + _HEAD):
        if not floor <= start < end:
            raise FormatError("entries out of place", at=f"page {page // file.size}")
        items.append(file.content[page + start : page + end])
        end = start
    yield from zip(items[::2], items[1::2], strict=True)


def _chain(file: _File, number: int, length: int) -> bytes:
    """`length` bytes from overflow pages, each of which names the next."""
    parts, left = [], length
    while left:
        page = number * file.size
        if not 0 < page < len(file.content) or file.content[page + 25] != _OVERFLOW:
            raise FormatError("is no page of a header", at=f"page {number}")
        size = file.u16(page + 22)
        if not 0 < size <= min(left, file.size - _HEAD):
            raise FormatError("holds more than it can", at=f"page {number}")
        parts.append(file.content[page + _HEAD : page + _HEAD + size])
        left -= size
        number = file.u32(page + 16)
    return b"".join(parts)
