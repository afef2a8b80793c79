"""Whether two files of two images hold the same bytes."""

from __future__ import annotations

from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["same_content"]

_BLOCK = 1 << 20  # bytes of each file in memory at a time


def same_content(inode: Inode, rootfs: Rootfs, other: Inode, others: Rootfs) -> bool:
    """Compare two regular files block by block; both were hashed when their layers were read."""
    size = inode.entry.size
    if other.entry.size != size:
        return False
    return all(
        rootfs.pread(inode, _BLOCK, offset) == others.pread(other, _BLOCK, offset)
        for offset in range(0, size, _BLOCK)
    )
