"""The merged view of an image: every path of the root file system, and the inode it names.

A `Rootfs` is what a container runtime would mount: `careen.rootfs.scan` builds it bottom-up from
the layers. Two paths that are hard links of each other map to one `Inode` object. Content stays
in the spools (one uncompressed tar a layer); an inode says where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

import msgspec

from careen.errors import FormatError, SourceError
from careen.formats.tar import Entry
from careen.rootfs.path import ROOT, Path, absolute, join, name, normal, parent

__all__ = ["Inode", "Resolution", "Rootfs", "Spool"]

_HOPS = 40  # Linux gives up after 40 symlinks (path_resolution(7))
Kind = Literal["file", "directory", "symlink", "char", "block", "fifo"]


class Spool(Protocol):
    """Random access to one layer's uncompressed tar."""

    def pread(self, length: int, offset: int) -> bytes:
        """Exactly `length` bytes at `offset`."""
        ...


class Inode(msgspec.Struct, frozen=True, eq=False):
    """One file, directory, symlink or device: its attributes (`entry`) and where its bytes lie.

    Identity is what makes two paths hard links of each other. `layer` indexes `Rootfs.spools`.
    The entry's `header_offset` is negative when no header in the layer says the same: for a
    directory that no layer wrote, only its children (0755 root:root, mtime 0), or when a later
    hard link changed the attributes.
    """

    layer: int
    entry: Entry

    @property
    def kind(self) -> Kind:
        """The file type; a hard link's is its target's."""
        return self.entry.kind  # type: ignore[return-value]  # scan resolved every "link" entry

    @property
    def is_implicit(self) -> bool:
        """Whether this is a directory of which no layer says anything."""
        return not self.entry.name


class Resolution(msgspec.Struct, frozen=True):
    """Where a path leads: `path` is None for nowhere; `hops` are the symlinks on the way."""

    path: Path | None
    hops: tuple[Path, ...] = ()


class Rootfs:
    """Path → inode, in `path.order`; the root directory itself is at "" (`path.ROOT`).

    `links` holds, for each path that a layer wrote as a hard link, that layer and the link's own
    entry.
    """

    def __init__(
        self,
        nodes: dict[Path, Inode],
        spools: tuple[Spool, ...],
        links: Mapping[Path, tuple[int, Entry]] | None = None,
    ) -> None:
        self.nodes = nodes
        self.spools = spools
        self.links = links or {}
        self._children: dict[Path, list[Path]] | None = None

    def __contains__(self, path: Path) -> bool:
        return path in self.nodes

    def children(self, directory: Path) -> list[Path]:
        """The paths directly inside `directory`, sorted; [] when there is none."""
        if self._children is None:
            self._children = {}
            for path in self.nodes:
                if path != ROOT:
                    self._children.setdefault(parent(path), []).append(path)
        return self._children.get(directory, [])

    def below(self, directory: Path) -> Iterator[Path]:
        """Every path under `directory`, parents first, without `directory` itself."""
        waiting = [directory]
        while waiting:
            for child in self.children(waiting.pop()):
                yield child
                waiting.append(child)

    def resolve(self, text: str, *, follow_last: bool = True) -> Resolution:
        """Walk `text` from the root as a chroot would, following symlinks inside the root.

        `..` above the root stays at the root. With `follow_last` off, the last component is not
        followed. A loop or a path through a non-directory leads nowhere.
        """
        waiting = [part for part in reversed(text.split("/")) if part not in ("", ".")]
        here = ROOT
        hops: list[Path] = []
        while waiting:
            part = waiting.pop()
            if part == "..":
                here = parent(here)
                continue
            path = join(here, part)
            inode = self.nodes.get(path)
            if inode is None or (waiting and inode.kind not in ("directory", "symlink")):
                return Resolution(None, tuple(hops))
            if inode.kind != "symlink" or (not waiting and not follow_last):
                here = path
                continue
            hops.append(path)
            if len(hops) > _HOPS:
                return Resolution(None, tuple(hops))
            target = inode.entry.linkname
            if target.startswith("/"):
                here = ROOT
            waiting += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        return Resolution(here, tuple(hops))

    def is_road(self, text: str) -> bool:
        """Whether a directory is at `text`, or at the end of the link there."""
        end = self.resolve(text).path
        return end is not None and self.nodes[end].kind == "directory"

    def end(self, text: str, *, follow_last: bool = True) -> Path:
        """Where `text` leads, links followed; of what is absent its canonical name."""
        found = self.resolve(text, follow_last=follow_last).path
        return self.canonical(text) if found is None else found

    def canonical(self, text: str) -> Path:
        """`text` with every directory symlink on its way resolved; the last component as it is.

        `bin/ls` becomes `usr/bin/ls` where /bin is a link to usr/bin. Nothing need be there: what
        is absent keeps its name below the deepest directory that exists.
        """
        path = normal(text)
        if path in self.nodes:  # stored names never lead through a link
            return path
        there, absent = parent(path), [name(path)]
        while (directory := self.resolve(there).path) is None:
            absent.append(name(there))
            there = parent(there)
        return join(directory, "/".join(reversed(absent)))

    def read(self, path: Path, *, ceiling: int = 64 << 20) -> bytes:
        """A regular file's content; SourceError when absent, not a file or over `ceiling` bytes."""
        inode = self.nodes.get(path)
        if inode is None or inode.kind != "file":
            raise SourceError("no such regular file in the image", at=absolute(path))
        if inode.entry.size > ceiling:
            raise FormatError(
                f"{inode.entry.size} bytes is over the limit of {ceiling}", at=absolute(path)
            )
        return self.pread(inode, inode.entry.size, 0)

    def pread(self, inode: Inode, length: int, offset: int) -> bytes:
        """Up to `length` bytes of a regular file's content from `offset`, holes as zeros."""
        entry, spool = inode.entry, self.spools[inode.layer]
        length = max(0, min(length, entry.size - offset))
        if entry.sparse is None:
            return spool.pread(length, entry.data_offset + offset)
        content, stored = bytearray(length), entry.data_offset
        for start, size in entry.sparse:
            first, last = max(start, offset), min(start + size, offset + length)
            if first < last:
                part = spool.pread(last - first, stored + first - start)
                content[first - offset : last - offset] = part
            stored += size
        return bytes(content)

    def content(self, inode: Inode, *, block: int = 1 << 20) -> Iterator[bytes]:
        """A regular file's content in blocks of at most `block` bytes, none empty."""
        entry, spool = inode.entry, self.spools[inode.layer]
        regions = entry.sparse if entry.sparse is not None else ((0, entry.size),)
        stored, here = entry.data_offset, 0
        for start, size in (*regions, (entry.size, 0)):
            for offset in range(here, start, block):
                yield bytes(min(block, start - offset))
            for offset in range(0, size, block):
                yield spool.pread(min(block, size - offset), stored + offset)
            stored, here = stored + size, start + size
