"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["count", "size"]

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def size(number: int) -> str:
    """Bytes in powers of 1000, as registries and disks count: `11.5 MB`."""
    value = float(number)
    for unit in _UNITS:
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `12,345 files`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
