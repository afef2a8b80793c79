"""pax extended headers: `LENGTH KEY=VALUE\\n` records (POSIX.1-2017, pax, "pax Extended Header")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.errors import FormatError

__all__ = ["check_global", "pack", "parse"]

_NAMES = ("path", "linkpath", "uname", "gname")
_TELLING = (
    "path",
    "linkpath",
    "size",
)  # an empty value: some readers keep the field, some empty it
_HARMLESS = ("comment", "atime", "ctime")
_MEANT = ("GNU.", "SCHILY.", "LIBARCHIVE.", "RHT.", "SUN.")


def parse(data: bytes) -> dict[str, bytes]:
    """The records, the last of equal keys counting; sparse 0.0 pairs gathered into one map.

    Keys are UTF-8 with surrogateescape. FormatError for what Go refuses, or others read otherwise.
    """
    records: dict[str, bytes] = {}
    pairs: list[bytes] = []
    for key, value in _records(data):
        if key in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            expected = ("GNU.sparse.offset", "GNU.sparse.numbytes")[len(pairs) % 2]
            if key != expected or b"," in value:
                raise FormatError("sparse records out of order")
            pairs.append(value)
        else:
            records[key] = value
    if pairs:
        records["GNU.sparse.map"] = b",".join(pairs)
    return records


def check_global(records: Mapping[str, bytes]) -> None:
    """A global header that means something for later entries: Go ignores it, others obey."""
    for key in records:
        if key not in _HARMLESS and (key.islower() or key.startswith(_MEANT)):
            raise FormatError(f"a global pax header sets {key!r}, which readers treat differently")


def pack(records: Mapping[str, bytes]) -> bytes:
    """The records as bytes, sorted by key, each length counting itself."""
    return b"".join(_record(key, records[key]) for key in sorted(records))


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise FormatError("a pax record without a length")
        end = at + int(digits)
        record = data[space + 1 : end]
        if end > len(data) or end - at < 5 or record[-1:] != b"\n":
            raise FormatError("a pax record whose length is wrong")
        key, equals, value = record[:-1].partition(b"=")
        if not key or not equals or b"\0" in key:
            raise FormatError("a pax record without a key")
        text = key.decode("utf-8", "surrogateescape")
        if text in _NAMES and b"\0" in value:
            raise FormatError(f"a NUL in pax {text}")
        if text in _TELLING and not value:
            raise FormatError(f"an empty pax {text}, which readers treat differently")
        yield text, value
        at = end


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode("ascii") + body
