"""Checksums as apk writes them: the identity of a package, or what a file holds.

`Q1` and base64, or `X1` and hexadecimal, for SHA-1; `Q2` and `X2` for SHA-256; 32 hexadecimal
digits alone for MD5 (Alpine wiki, Apk spec). `installed` spells an identity the first way, and
names in `scripts.tar` either way, by apk's version.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from careen.errors import FormatError

__all__ = ["identity"]

_SHA1, _SHA256, _MD5 = 20, 32, 16  # bytes


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_SPELLINGS: Mapping[str, tuple[Callable[[str], bytes], tuple[int, ...]]] = {
    "Q1": (_base64, (_SHA1, _SHA256)),  # apk 3 reads a SHA-256 behind either digit
    "X1": (binascii.unhexlify, (_SHA1, _SHA256)),
    "Q2": (_base64, (_SHA256,)),
    "X2": (binascii.unhexlify, (_SHA256,)),
}


def identity(text: str) -> bytes:
    """What apk tells packages apart by, however it is spelt: at most 20 bytes of the checksum.

    FormatError for anything that is no checksum.
    """
    prefix = text[:2]
    decode, sizes = _SPELLINGS.get(prefix, (binascii.unhexlify, (_MD5,)))
    try:
        checksum = decode(text[2:] if prefix in _SPELLINGS else text)
    except ValueError:
        checksum = b""
    if len(checksum) not in sizes:
        raise FormatError(f"{text!r} is not a checksum")
    return checksum[:_SHA1]
