"""Numbers in tar headers: octal text and GNU's base-256, as Go's archive/tar parses them."""

from __future__ import annotations

import functools

from careen.errors import FormatError

__all__ = ["decimal", "nanoseconds", "numeric", "octal"]

_OCTAL = frozenset(b"01234567")
_BIGGEST = (1 << 63) - 1


def octal(field: bytes, what: str) -> int:
    """Octal digits, padded with spaces or NULs on both sides; nothing at all is 0."""
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not _OCTAL.issuperset(digits):
        raise FormatError(f"{what} is not an octal number: {bytes(field)!r}")
    return int(digits, 8)


@functools.lru_cache(1 << 14)  # modes, owners and times repeat
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
    """A pax record's integer; a sign is allowed, as in Go's ParseInt, and nothing else."""
    digits = value[1:] if value[:1] in (b"-", b"+") else value
    if not digits.isdigit() or len(digits) > 19:
        raise FormatError(f"{what} is not a number: {value[:40]!r}")
    number = int(value)
    if abs(number) > _BIGGEST:
        raise FormatError(f"{what} does not fit in 64 bits")
    return number


def nanoseconds(value: bytes, what: str) -> int:
    """A pax time, `seconds[.fraction]`, cut to nanoseconds."""
    whole, _, fraction = value.partition(b".")
    seconds = decimal(whole, what)
    if fraction and not fraction.isdigit():
        raise FormatError(f"{what} is not a time: {value[:40]!r}")
    nanos = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    return seconds * 10**9 + (-nanos if whole.startswith(b"-") else nanos)
