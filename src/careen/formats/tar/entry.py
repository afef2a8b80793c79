"""One entry of an archive."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Entry", "Kind"]

Kind = Literal["file", "link", "symlink", "char", "block", "directory", "fifo"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry, as Go's archive/tar would report it.

    Names are `str` with surrogateescape, exactly as stored (not normalised). `mtime` is in
    nanoseconds since the epoch. `size` is the file's logical size in bytes, 0 for all but files;
    `linkname` is empty for all but links and symlinks, the device numbers 0 for all but devices.
    A sparse file's `sparse` lists its data regions `(offset, length)`, which lie one after
    another at `data_offset`. `header_offset` is where the first header block belonging to this
    entry lies (its pax or GNU long-name blocks come first), so `header_offset … data_offset` are
    the raw bytes that carry the entry through unchanged; it is negative where no header in the
    archive says what the entry says. `pax` holds the records that nothing else here models,
    `xattrs` those of `SCHILY.xattr.`.
    """

    kind: Kind
    name: str
    linkname: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    size: int = 0
    mtime: int = 0
    devmajor: int = 0
    devminor: int = 0
    xattrs: dict[str, bytes] = {}
    pax: dict[str, bytes] = {}
    sparse: tuple[tuple[int, int], ...] | None = None
    header_offset: int = 0
    data_offset: int = 0
