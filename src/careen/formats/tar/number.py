"""Numbers in tar headers: octal text, GNU's base-256, and the decimals of pax records.

Each is read as Go's archive/tar reads it. Where GNU tar or libarchive would read another number
from the same bytes, it is refused.
"""

from __future__ import annotations

import functools

from careen.errors import FormatError

__all__ = ["decimal", "is_number", "nanoseconds", "numeric", "octal"]

_BIGGEST = (1 << 63) - 1


def octal(field: bytes, what: str) -> int:
    """Octal digits, padded with spaces or NULs; nothing at all is 0."""
    number = _octal(field)
    if number is None:
        raise FormatError(f"{what} is not an octal number: {field!r}")
    if number and field.lstrip(b" ")[0] == 0:  # Go reads on, others are done and have read 0
        raise FormatError(f"{what} begins with a NUL: {field!r}")
    return number


@functools.lru_cache(1 << 14)  # sizes and times repeat
def numeric(field: bytes, what: str) -> int:
    """Octal, or base-256 when the first bit is set."""
    if not field[0] & 0x80:
        return octal(field, what)
    number = _base256(field)
    if number is None:
        raise FormatError(f"{what} is not a number of 64 bits: {field!r}")
    return number


def is_number(field: bytes) -> bool:
    """Whether Go reads a number here."""
    return (_base256(field) if field[0] & 0x80 else _octal(field)) is not None


def decimal(value: bytes, what: str) -> int:
    """A pax record's integer: digits after at most a minus (Go alone would read a plus)."""
    digits = value.removeprefix(b"-")
    if not digits.isdigit():
        raise FormatError(f"{what} is not a number: {value[:40]!r}")
    digits = digits.lstrip(b"0") or b"0"
    number = int(digits) if len(digits) < 20 else _BIGGEST + 1
    if number > _BIGGEST:
        raise FormatError(f"{what} does not fit in 64 bits")
    return -number if value.startswith(b"-") else number


def nanoseconds(value: bytes, what: str) -> int:
    """A pax time, `seconds[.fraction]`, cut to nanoseconds."""
    whole, _, fraction = value.partition(b".")
    seconds = decimal(whole, what)
    if fraction and not fraction.isdigit():
        raise FormatError(f"{what} is not a time: {value[:40]!r}")
    nanos = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    return seconds * 10**9 + (-nanos if whole.startswith(b"-") else nanos)


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else None  # int() takes signs and underscores
    except ValueError:  # 8 or 9
        return None


def _base256(field: bytes) -> int | None:
    """GNU's two forms of the first byte; with any other, only Go would see a number."""
    if field[0] not in (0x80, 0xFF):
        return None
    is_negative = field[0] == 0xFF
    number = int.from_bytes(field if is_negative else field[1:], "big", signed=is_negative)
    return number if -_BIGGEST - 1 <= number <= _BIGGEST else None
