"""`scripts.tar`: the installed packages' own scripts, members `NAME-VERSION.CHECKSUM.ACTION`.

Older versions of apk, and newer ones in some systems, gzip it as `scripts.tar.gz`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from careen.errors import FormatError
from careen.formats.compression import Decompressor, Encoding, Limits, compress
from careen.formats.tar import Entry, Reader, padding
from careen.packages.apk.checksum import identity

__all__ = ["FILES", "Archive", "Member", "parse", "without"]

FILES = ("scripts.tar", "scripts.tar.gz")
_MEMBER = re.compile(r"(?P<package>.+)\.(?P<checksum>[^.]+)\.[^.]+", re.DOTALL)
_LIMITS = Limits(unpacked=64 << 20)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A script at `start`:`end` of the plain tar, its headers included.

    `package` is `NAME-VERSION`, `checksum` the identity that follows; apk goes by that alone.
    Both are empty in a name of another form, which apk passes over.
    """

    start: int
    end: int
    package: str = ""
    checksum: bytes = b""


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The plain tar, and its members in their order."""

    plain: bytes
    members: tuple[Member, ...]
    gzipped: bool = False


def parse(content: bytes, *, gzipped: bool) -> Archive:
    """Read an archive; FormatError for one that is not a sound tar of plain files."""
    plain = _unpacked(content) if gzipped else content
    members = tuple(_member(entry) for entry in Reader([plain]))
    return Archive(plain=plain, members=members, gzipped=gzipped)


def _unpacked(content: bytes) -> bytes:
    reader = Decompressor([content], declared="gzip", limits=_LIMITS)
    if reader.codec != "gzip":
        raise FormatError("not compressed with gzip")
    return b"".join(reader)


def _member(entry: Entry) -> Member:
    if entry.kind != "file" or entry.sparse is not None:
        raise FormatError(f"{entry.name!r} is no plain file")
    end = entry.data_offset + entry.size + padding(entry.size)
    place = Member(start=entry.header_offset, end=end)
    name = _MEMBER.fullmatch(entry.name)
    if name is None:
        return place
    try:
        checksum = identity(name["checksum"])
    except FormatError:
        return place
    return msgspec.structs.replace(place, package=name["package"], checksum=checksum)


def without(archive: Archive, goes: Callable[[Member], bool]) -> bytes | None:
    """The archive's bytes without the members that go, None when none does.

    What stays keeps its bytes: other members, what stands between them, the end of the tar.
    """
    going = [member for member in archive.members if goes(member)]
    if not going:
        return None
    kept, position = [], 0
    for member in going:
        kept.append(archive.plain[position : member.start])
        position = member.end
    kept.append(archive.plain[position:])
    if archive.gzipped:
        return b"".join(compress(kept, Encoding.parse("gzip"), jobs=1))
    return b"".join(kept)
