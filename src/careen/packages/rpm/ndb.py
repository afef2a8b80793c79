"""rpm's own `Packages.db` (ndb): pages of slots, each of which says where a header lies.

All numbers are 32 bits, little-endian; slots and blobs count in blocks of 16 bytes.
"""

from __future__ import annotations

import struct
import zlib

from careen.errors import FormatError

__all__ = ["headers"]

_PAGE, _BLOCK = 4096, 16
_HEADER = 2  # slots that the file's header takes


def headers(content: bytes) -> list[tuple[int, bytes]]:
    """Each package's number and header, in the order of the numbers."""
    if len(content) < _PAGE or content[:8] != b"RpmP\0\0\0\0":
        raise FormatError("no ndb database of a version that is known")
    (pages,) = struct.unpack_from("<I", content, 12)
    if not 1 <= pages <= len(content) // _PAGE:
        raise FormatError(f"{pages} pages of slots in {len(content)} bytes")
    found: dict[int, bytes] = {}
    slots = list(struct.iter_unpack("<4sIII", content[: pages * _PAGE]))[_HEADER:]
    end = pages * _PAGE // _BLOCK
    for magic, number, start, count in sorted(slots, key=lambda slot: slot[2]):
        if magic != b"Slot":
            raise FormatError("a slot is none")
        if start == 0:  # free
            continue
        if start < end or number == 0 or number in found:
            raise FormatError(f"the slot of package {number} is taken twice")
        end = start + count
        found[number] = _blob(content[start * _BLOCK : end * _BLOCK], number, count)
    return sorted(found.items())


def _blob(raw: bytes, number: int, count: int) -> bytes:
    at = f"package {number}"
    if len(raw) != count * _BLOCK or count < 2:
        raise FormatError("its header is cut short", at=at)
    magic, owner, _, size = struct.unpack_from("<4sIII", raw)
    checksum, again, end = struct.unpack_from("<II4s", raw, len(raw) - 12)
    if (magic, owner, end) != (b"BlbS", number, b"BlbE") or size != again:
        raise FormatError("its header is not where its slot says", at=at)
    if count != -(-(16 + size + 12) // _BLOCK) or zlib.adler32(raw[:-12]) != checksum:
        raise FormatError("its header is damaged", at=at)
    return raw[16 : 16 + size]
