"""Sparse files: the old GNU map in header blocks, and pax formats 0.0, 0.1 and 1.0.

GNU tar manual, "Storing Sparse Files". The data regions come back as `(offset, length)`, checked:
in order, apart, inside the file, and together exactly what the archive stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from careen.errors import FormatError
from careen.formats.tar.number import decimal, numeric
from careen.formats.tar.window import BLOCK, Window

__all__ = ["Regions", "check", "is_sparse", "old_gnu", "pax_map"]

Regions = tuple[tuple[int, int], ...]
_MOST = 1 << 17  # regions; a map of more is longer than the special headers may be


def is_sparse(records: Mapping[str, bytes]) -> bool:
    """Whether pax records make the entry a sparse file, as Go decides it."""
    version = (records.get("GNU.sparse.major", b""), records.get("GNU.sparse.minor", b""))
    if version == (b"", b""):
        return bool(records.get("GNU.sparse.map"))
    if version not in ((b"0", b"0"), (b"0", b"1"), (b"1", b"0")):
        raise FormatError("an unknown version of sparse file")
    return True


def pax_map(records: Mapping[str, bytes], window: Window) -> tuple[Regions, int]:
    """The regions, and how many bytes of the entry's data the map itself took."""
    if records.get("GNU.sparse.major") == b"1":
        return _inline(window)
    numbers = [
        decimal(n, "sparse map") for n in records.get("GNU.sparse.map", b"").split(b",") if n
    ]
    count = decimal(records.get("GNU.sparse.numblocks", b"x"), "GNU.sparse.numblocks")
    if len(numbers) != 2 * count:
        raise FormatError("a sparse map of another length than it says")
    return _paired(numbers), 0


def old_gnu(header: bytes, window: Window) -> tuple[Regions, int]:
    """The regions and the real size, from the header and the blocks that extend it."""
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
        following = window.block()
        if following is None:
            raise FormatError("the archive ends inside a sparse map")
        block, first, count, extended = following, 0, 21, following[504]


def check(regions: Regions, size: int, stored: int) -> None:
    """FormatError unless the regions fit the file of `size` bytes and the `stored` ones."""
    end = total = 0
    for offset, length in regions:
        if offset < end or length < 0 or offset + length > size:
            raise FormatError("a sparse map that does not fit its file")
        end = offset + length
        total += length
    if total != stored:
        raise FormatError(f"a sparse map of {total} bytes over {stored} stored ones")


def _inline(window: Window) -> tuple[Regions, int]:
    """Format 1.0: decimal lines at the start of the data, padded to whole blocks."""
    numbers: list[int] = []
    text, taken, wanted = b"", 0, 1
    while len(numbers) < wanted:
        block = window.block()
        if block is None:
            raise FormatError("the archive ends inside a sparse map")
        taken += BLOCK
        *lines, text = (text + block).split(b"\n")
        for line in lines:
            if len(numbers) < wanted:
                numbers.append(decimal(line, "sparse map"))
                wanted = 1 + 2 * numbers[0]
        if not 0 <= wanted // 2 <= _MOST or len(text) > BLOCK:
            raise FormatError("a sparse map that is too long")
    return _paired(numbers[1:]), taken


def _paired(numbers: Sequence[int]) -> Regions:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
