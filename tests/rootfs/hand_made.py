"""A `Rootfs` straight from a table of builders' nodes: no tar, no layers, bytes in memory."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence

from careen.formats.tar import Entry, Kind
from careen.rootfs.path import ROOT, Path, ancestors, order
from careen.rootfs.rootfs import Inode, Rootfs
from tests.builders import Dir, Node

KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.FIFOTYPE: "fifo",
}


class Memory:
    """A spool that holds its bytes, and counts what it is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def pread(self, length: int, offset: int) -> bytes:
        self.asked.append((length, offset))
        assert 0 <= offset <= offset + length <= len(self.content)
        return self.content[offset : offset + length]


def rootfs(nodes: Sequence[Node]) -> Rootfs:
    """One layer of `nodes`; parents that are not named are made."""
    inodes: dict[Path, Inode] = {ROOT: _inode(Dir(""), 0)}
    content = bytearray()
    for node in nodes:
        path = Path(node.name)
        for parent in ancestors(path):
            inodes.setdefault(parent, _inode(Dir(parent), 0))
        if node.type == tarfile.LNKTYPE:
            inodes[path] = inodes[Path(node.linkname)]
        else:
            inodes[path] = _inode(node, len(content))
            content += node.data
    ordered = {path: inodes[path] for path in sorted(inodes, key=order)}
    return Rootfs(ordered, (Memory(bytes(content)),))


def _inode(node: Node, offset: int) -> Inode:
    entry = Entry(
        kind=KINDS[node.type],
        name=node.name,
        linkname=node.linkname,
        size=len(node.data),
        data_offset=offset,
    )
    return Inode(0, entry)
