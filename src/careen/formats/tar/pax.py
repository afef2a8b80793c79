"""pax extended headers: `LENGTH KEY=VALUE\\n` records (POSIX.1-2017, pax, extended header)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.errors import FormatError
from careen.formats.tar.number import nanoseconds

__all__ = ["XATTR", "check_global", "others", "pack", "parse", "xattrs"]

XATTR = "SCHILY.xattr."
_SPARSE = "GNU.sparse."
_NAMES = ("path", "linkpath", "uname", "gname", "GNU.sparse.name")
_TIMES = ("atime", "ctime")  # mtime is read where it is used
_TELLING = ("path", "linkpath", "size", "GNU.sparse.name", "GNU.sparse.size")
_CHECKED = frozenset([*_NAMES, *_TIMES, *_TELLING, "SCHILY.realsize"])
_PAIR = ("GNU.sparse.offset", "GNU.sparse.numbytes")
_HARMLESS = ("comment", "atime", "ctime")
_MEANT = ("GNU.", "SCHILY.", "LIBARCHIVE.", "RHT.", "SUN.")
_MODELLED = frozenset(["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime"])


def parse(data: bytes) -> dict[str, bytes]:
    """The records, the last of equal keys counting; sparse 0.0 pairs gathered into one map.

    Keys are UTF-8 with surrogateescape. FormatError for what Go refuses, or others read otherwise.
    """
    records: dict[str, bytes] = {}
    pairs: list[bytes] = []
    for key, value in _records(data):
        if key in _PAIR:
            if key != _PAIR[len(pairs) % 2] or b"," in value:
                raise FormatError("sparse records out of order")
            pairs.append(value)
        else:
            if key in _CHECKED:
                _check(key, value)
            records[key] = value
    if pairs:
        if "GNU.sparse.map" in records:
            raise FormatError("two sparse maps for one entry")
        records["GNU.sparse.map"] = b",".join(pairs)
    return records


def check_global(records: Mapping[str, bytes]) -> None:
    """A global header that means something for later entries: Go ignores it, others obey."""
    for key in records:
        if key not in _HARMLESS and (key.islower() or key.startswith(_MEANT)):
            raise FormatError(f"a global pax header sets {key!r}, which readers treat differently")


def xattrs(records: Mapping[str, bytes]) -> dict[str, bytes]:
    """The extended attributes, by name."""
    return {k.removeprefix(XATTR): v for k, v in records.items() if k.startswith(XATTR)}


def others(records: Mapping[str, bytes]) -> dict[str, bytes]:
    """What an Entry has no field for."""
    return {
        key: value
        for key, value in records.items()
        if key not in _MODELLED and not key.startswith((XATTR, _SPARSE))
    }


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
        if end > len(data) or record[-1:] != b"\n":
            raise FormatError("a pax record whose length is wrong")
        key, equals, value = record[:-1].partition(b"=")
        if not key or not equals or b"\0" in key:
            raise FormatError("a pax record without a key")
        yield key.decode("utf-8", "surrogateescape"), value
        at = end


def _check(key: str, value: bytes) -> None:
    if key in _NAMES and b"\0" in value:
        raise FormatError(f"a NUL in pax {key}")
    if key in _TELLING and not value:  # some readers keep the header's field, some empty it
        raise FormatError(f"an empty pax {key}, which readers treat differently")
    if key in _TIMES and value:
        nanoseconds(value, f"pax {key}")
    if key == "SCHILY.realsize":
        raise FormatError("star's sparse file, which most readers take for a plain one")


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode("ascii") + body
