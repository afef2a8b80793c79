"""The headers that stand before an entry and overrule its own: pax, GNU long name and long link."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from careen.errors import FormatError
from careen.formats.tar.block import Header, text
from careen.formats.tar.number import decimal, nanoseconds

__all__ = ["NONE", "Special"]


class Special(msgspec.Struct, frozen=True, kw_only=True):
    """At most one of each, and not both kinds: of two, Go takes the last and others the first."""

    pax: dict[str, bytes] | None = None
    name: bytes = b""
    linkname: bytes = b""

    def with_pax(self, records: dict[str, bytes]) -> Special:
        """FormatError when there is any other."""
        if self is not NONE:
            raise FormatError("several extended headers for one entry")
        return Special(pax=records)

    def with_long(self, flag: bytes, data: bytes) -> Special:
        """GNU's `L` (name) or `K` (link target): a C string."""
        key = "name" if flag == b"L" else "linkname"
        value = data.partition(b"\0")[0]
        if not value:
            raise FormatError("an empty long name")
        if self.pax is not None or getattr(self, key):
            raise FormatError("several extended headers for one entry")
        return msgspec.structs.replace(self, **{key: value})

    def check_used(self) -> None:
        """An extended header belongs to an entry that follows it."""
        if self is not NONE:
            raise FormatError("an extended header without its entry")

    def overrule(self, header: Header) -> Header:
        """The header as these change it; an empty value leaves it alone."""
        records = self.pax or {}
        mtime = records.get("mtime")
        return msgspec.structs.replace(
            header,
            name=records.get("path") or self.name or header.name,
            linkname=records.get("linkpath") or self.linkname or header.linkname,
            uid=_number(records, "uid", header.uid),
            gid=_number(records, "gid", header.gid),
            size=_number(records, "size", header.size),
            mtime=nanoseconds(mtime, "pax mtime") if mtime else header.mtime,
            uname=text(records.get("uname", b"")) or header.uname,
            gname=text(records.get("gname", b"")) or header.gname,
        )


NONE = Special()


def _number(records: Mapping[str, bytes], key: str, otherwise: int) -> int:
    value = records.get(key)
    return decimal(value, f"pax {key}") if value else otherwise
