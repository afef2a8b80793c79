r"""How text that is not UTF-8 is spelt in a manifest, which must be UTF-8.

`\xNN` stands for the byte NN where that is 80 to ff, or 5c, the backslash itself. Any other
backslash is a backslash, so that systemd's `system-systemd\x2dcryptsetup.slice` reads as it is
named. Inside careen such text is `str` with surrogateescape.
"""

from __future__ import annotations

import re

from careen.errors import FormatError

__all__ = ["meant", "spelt"]

_NUMBER = "(?:[89a-fA-F][0-9a-fA-F]|5[cC])"
_ESCAPE = re.compile(rf"\\x({_NUMBER})")
_LOOKS_ESCAPED = re.compile(rf"\\(?=x{_NUMBER})")
_BYTE = re.compile("[\udc80-\udcff]")


def meant(text: str) -> str:
    """The text that a manifest's `text` stands for; FormatError for a surrogate that is no byte."""
    if "\\x" in text:
        text = _ESCAPE.sub(_unescaped, text)
    if text.isascii():
        return text
    try:  # bytes that are UTF-8 once they stand together have one spelling, the characters
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise FormatError(f"half a surrogate pair: {text[:100]!r}") from error


def spelt(text: str) -> str:
    """The inverse of `meant`."""
    if "\\x" in text:
        text = _LOOKS_ESCAPED.sub(r"\\x5c", text)
    return text if text.isascii() else _BYTE.sub(lambda m: f"\\x{ord(m[0]) - 0xDC00:02x}", text)


def _unescaped(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(0xDC00 + number) if number >= 0x80 else chr(number)
