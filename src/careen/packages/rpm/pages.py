"""Pages of an SQLite database, less what earlier contents left in them.

SQLite builds a page where others stood, and leaves the room between the pointers to its cells and
the cells as it was: which bytes those are differs from one version to the next (SQLite, "Database
File Format", B-tree Pages).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

__all__ = ["cleared"]

_INTERIOR = (2, 5)  # kinds of page that lead to others: of an index, of a table


def cleared(content: bytes, size: int, roots: Iterable[int]) -> bytes:
    """A sound database of pages of `size` bytes, the unused room of its b-trees as zeros."""
    result = bytearray(content)
    waiting = list(roots)
    while waiting:
        number = waiting.pop()
        start = (number - 1) * size
        page = content[start : start + size]
        head = 100 if number == 1 else 0  # the file's own header
        cells = head + (12 if page[head] in _INTERIOR else 8)
        count, used = struct.unpack_from(">HH", page, head + 3)
        end, used = cells + 2 * count, used or 65536
        result[start + end : start + used] = bytes(used - end)
        if page[head] in _INTERIOR:
            waiting += _children(page, head, cells, count)
    return bytes(result)


def _children(page: bytes, head: int, cells: int, count: int) -> Iterator[int]:
    """The pages that an interior page leads to: each cell's, and one behind the last."""
    for place in (head + 8, *struct.unpack_from(f">{count}H", page, cells)):
        yield struct.unpack_from(">I", page, place)[0]
