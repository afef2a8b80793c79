"""This machine's own file system as a `Rootfs` and its `Facts`, looked up as they are asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from careen.formats.tar import Entry, Kind
from careen.rootfs import elf, etc, ld_cache
from careen.rootfs.elf import Elf
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, join
from careen.rootfs.rootfs import Inode, Rootfs


class Nodes(dict[Path, Inode]):
    """Inodes by lstat."""

    def __missing__(self, path: Path) -> Inode:
        try:
            status = os.lstat(f"/{path}")
        except OSError:
            raise KeyError(path) from None
        target = os.readlink(f"/{path}") if stat.S_ISLNK(status.st_mode) else ""
        kind: Kind = "directory" if stat.S_ISDIR(status.st_mode) else "file"
        kind = "symlink" if target else kind
        return Inode(0, Entry(kind=kind, name=path, linkname=target, size=status.st_size))

    def get(self, path: Path, default: Inode | None = None) -> Inode | None:  # type: ignore[override]
        try:
            return self[path]
        except KeyError:
            return default


class Elves(Mapping[Path, Elf]):
    """Each ELF file, read when it is asked for; iterating gives none."""

    def __getitem__(self, path: Path) -> Elf:
        if not os.path.isfile(f"/{path}"):
            raise KeyError(path)
        descriptor = os.open(f"/{path}", os.O_RDONLY)
        try:
            if os.pread(descriptor, 4, 0) != elf.MAGIC:
                raise KeyError(path)
            size = os.fstat(descriptor).st_size
            return elf.read(lambda length, offset: os.pread(descriptor, length, offset), size)
        finally:
            os.close(descriptor)

    def __iter__(self) -> Iterator[Path]:
        return iter(())

    def __len__(self) -> int:
        return 0


class MachineRootfs(Rootfs):
    """The real root directory, nothing of it read beforehand."""

    def __init__(self) -> None:
        super().__init__(Nodes(), ())

    def children(self, directory: Path) -> list[Path]:
        return [join(directory, child) for child in sorted(os.listdir(f"/{directory}"))]

    def pread(self, inode: Inode, length: int, offset: int) -> bytes:
        with open(f"/{inode.entry.name}", "rb") as file:
            return os.pread(file.fileno(), length, offset)


def facts() -> Facts:
    """What the loaders on this machine go by."""
    machine = MachineRootfs()
    path = machine.resolve("/etc/ld.so.cache").path
    return Facts(
        elf=Elves(),
        ld_cache=ld_cache.read(machine.read(path)) if path else {},
        ld_paths=etc.ld_paths(machine),
        musl_paths=etc.musl_paths(machine),
    )
