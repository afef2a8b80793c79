"""Sparse files: the old GNU map in header blocks, and pax formats 0.0, 0.1 and 1.0.

GNU tar manual, "Storing Sparse Files". The data regions come back as `(offset, length)`, checked:
in order, apart, inside the file, and together exactly what the archive stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from careen.errors import FormatError
from careen.formats.tar.block import GNU, Header
from careen.formats.tar.number import decimal, numeric
from careen.formats.tar.window import BLOCK, Window

__all__ = ["Regions", "Sparse", "is_sparse", "read"]

Regions = tuple[tuple[int, int], ...]
_MOST = 1 << 17  # regions; a map of more is longer than the special headers may be
_VERSION = ("GNU.sparse.major", "GNU.sparse.minor")
_SIZES = ("GNU.sparse.size", "GNU.sparse.realsize")


class Sparse(msgspec.Struct, frozen=True):
    """The data regions, the whole file's size, and how many bytes of data are still ahead."""

    regions: Regions
    size: int
    stored: int


def is_sparse(flag: bytes, records: Mapping[str, bytes]) -> bool:
    """Whether the entry is a sparse file; FormatError where only some readers think so."""
    said = [key for key in records if key.startswith("GNU.sparse.")]
    if flag == b"S":
        if said:
            raise FormatError("a sparse file in two formats at once")
        return True
    if not said:
        return False
    version = tuple(records.get(key, b"") for key in _VERSION)
    if version not in ((b"", b""), (b"0", b"0"), (b"0", b"1"), (b"1", b"0")):
        raise FormatError("a sparse file of an unknown version")
    if bool(records.get("GNU.sparse.map")) == (version == (b"1", b"0")):
        raise FormatError("a sparse file whose map is not where its version says")
    return True


def read(block: bytes, header: Header, records: Mapping[str, bytes], window: Window) -> Sparse:
    """The map, wherever it stands, checked; the window is left where the data begins."""
    if header.flag == b"S":
        regions, size = _old_gnu(block, window)
        found = Sparse(regions, size, header.size)
    elif records.get("GNU.sparse.major") == b"1":
        regions, taken = _inline(window, header.size)
        found = Sparse(regions, _size(records), header.size - taken)
    else:
        found = Sparse(_listed(records), _size(records), header.size)
    _check(found)
    return found


def _check(found: Sparse) -> None:
    end = total = 0
    for offset, length in found.regions:
        if offset < end or length < 0 or offset + length > found.size:
            raise FormatError("a sparse map that does not fit its file")
        end = offset + length
        total += length
    if total != found.stored:
        raise FormatError(f"a sparse map of {total} bytes over {found.stored} stored ones")


def _size(records: Mapping[str, bytes]) -> int:
    said = {decimal(records[key], key) for key in _SIZES if key in records}
    if len(said) != 1:
        raise FormatError("a sparse file with no size, or two")
    return said.pop()


def _old_gnu(header: bytes, window: Window) -> tuple[Regions, int]:
    """The regions and the real size, from the header and the blocks that extend it."""
    if header[257:265] != GNU:
        raise FormatError("an old sparse entry that is not GNU's")
    regions: list[tuple[int, int]] = []
    block, first, count, extended = header, 386, 4, header[482]
    while True:
        for at in range(first, first + 24 * count, 24):
            if block[at] == 0:
                break
            offset = numeric(block[at : at + 12], "sparse offset")
            regions.append((offset, numeric(block[at + 12 : at + 24], "sparse length")))
        if len(regions) > _MOST:
            raise FormatError("a sparse map that is too long")
        if not extended:
            return tuple(regions), numeric(header[483:495], "real size")
        block, first, count = _map_block(window), 0, 21
        extended = block[504]


def _listed(records: Mapping[str, bytes]) -> Regions:
    """Formats 0.0 and 0.1: all in the records."""
    numbers = [decimal(n, "sparse map") for n in records["GNU.sparse.map"].split(b",")]
    if len(numbers) != 2 * decimal(records.get("GNU.sparse.numblocks", b""), "numblocks"):
        raise FormatError("a sparse map of another length than it says")
    return _paired(numbers)


def _inline(window: Window, stored: int) -> tuple[Regions, int]:
    """Format 1.0: decimal lines at the start of the data, padded to whole blocks.

    The regions, and how many of the `stored` bytes they took.
    """
    numbers: list[int] = []
    text, taken, wanted = b"", 0, 1
    while len(numbers) < wanted:
        taken += BLOCK
        if taken > stored:
            raise FormatError("a sparse map that is longer than its data")
        *lines, text = (text + _map_block(window)).split(b"\n")
        for line in lines:
            if len(numbers) < wanted:
                numbers.append(decimal(line, "sparse map"))
                wanted = 1 + 2 * numbers[0]
        if len(text) > BLOCK or (numbers and not 0 <= numbers[0] <= _MOST):
            raise FormatError("a sparse map that is too long")
    return _paired(numbers[1:]), taken


def _map_block(window: Window) -> bytes:
    block = window.block()
    if block is None:
        raise FormatError("the archive ends inside a sparse map")
    return block


def _paired(numbers: Sequence[int]) -> Regions:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
