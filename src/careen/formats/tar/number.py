"""Numbers in tar headers: octal text, GNU's base-256, and the decimals of pax records.

Each is read as Go's archive/tar reads it. Where GNU tar and libarchive would read another number
from the same bytes, it is refused.
"""

from __future__ import annotations

import functools

from careen.errors import FormatError

__all__ = ["decimal", "nanoseconds", "numeric", "octal"]

_BIGGEST = (1 << 63) - 1


def octal(field: bytes, what: str) -> int:
    """Octal digits, padded with spaces or NULs; nothing at all is 0."""
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if field.lstrip(b" ")[0] == 0:  # Go reads on, all others are done and have read 0
        raise FormatError(f"{what} begins with a NUL: {field!r}")
    try:
        if digits.isdigit():  # int() alone would take signs and underscores too
            return int(digits, 8)
    except ValueError:
        pass
    raise FormatError(f"{what} is not an octal number: {field!r}")


@functools.lru_cache(1 << 14)  # sizes and times repeat
def numeric(field: bytes, what: str) -> int:
    """Octal, or base-256 two's complement when the first bit is set."""
    if not field[0] & 0x80:
        return octal(field, what)
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    if field[0] & 0x40:
        value -= 1 << bits
    if not -_BIGGEST - 1 <= value <= _BIGGEST:
        raise FormatError(f"{what} does not fit in 64 bits")
    return value


def decimal(value: bytes, what: str) -> int:
    """A pax record's integer: digits after at most a minus (Go alone would read a plus)."""
    digits = value.removeprefix(b"-").lstrip(b"0")
    if not value[-1:].isdigit() or not (digits.isdigit() or not digits):
        raise FormatError(f"{what} is not a number: {value[:40]!r}")
    number = int(digits or b"0") if len(digits) < 20 else _BIGGEST + 1
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
