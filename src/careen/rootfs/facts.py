"""What the files of an image say of themselves, read once and kept as plain values.

`read` looks at the head of every regular file, in the order of the spools; whoever decides or
checks later (linkage, plan, verify) needs no further I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from careen.errors import FormatError
from careen.rootfs import elf, etc, gconv, ld_cache, nsswitch, pam, sbom, script
from careen.rootfs.elf import Elf
from careen.rootfs.etc import Group, OsRelease, User
from careen.rootfs.gconv import Gconv
from careen.rootfs.pam import Pam
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Inode, Rootfs
from careen.rootfs.sbom import Sbom
from careen.rootfs.script import Script

__all__ = ["Facts", "read"]

_HEAD = 1024  # bytes: an ELF header, its program headers and, as linkers lay it, the interpreter
_LD_CACHE = "/etc/ld.so.cache"
_LD_CACHE_CEILING = 4 << 20  # bytes; that of a full desktop has a few hundred kilobytes


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`elf`, `scripts` and `unreadable` have every name of a file, hard links included.

    `unreadable` says why a file that begins as an ELF file, or /etc/ld.so.cache, cannot be read
    further. `ld_cache` maps a library's name to the paths ldconfig recorded, empty without a
    cache, and `ld_cache_raw` has that cache's bytes. `musl_paths` maps each /etc/ld-musl-ARCH.path
    to its directories. `name_services` is what /etc/nsswitch.conf says; `pam`, `gconv` and `sboms`
    have each file of theirs. Directories and paths inside all those are texts as written, not
    yet resolved.
    """

    elf: Mapping[Path, Elf] = {}
    scripts: Mapping[Path, Script] = {}
    unreadable: Mapping[Path, str] = {}
    ld_cache: Mapping[str, tuple[str, ...]] = {}
    ld_cache_raw: bytes = b""
    ld_paths: tuple[str, ...] = ()
    musl_paths: Mapping[Path, tuple[str, ...]] = {}
    preloads: tuple[str, ...] = ()
    name_services: Mapping[str, tuple[str, ...]] = {}
    pam: Mapping[Path, Pam] = {}
    gconv: Mapping[Path, Gconv] = {}
    sboms: Mapping[Path, Sbom] = {}
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    shells: tuple[str, ...] = ()
    os_release: OsRelease = OsRelease()


def read(rootfs: Rootfs) -> Facts:
    """The facts of every file; FormatError when a text file under /etc is absurdly large."""
    elves: dict[Path, Elf] = {}
    scripts: dict[Path, Script] = {}
    unreadable: dict[Path, str] = {}
    for inode, paths, head in _heads(rootfs):
        if head.startswith(elf.MAGIC):
            fact = _elf(rootfs, inode, head)
            if isinstance(fact, Elf):
                elves.update(dict.fromkeys(paths, fact))
            else:
                unreadable.update(dict.fromkeys(paths, fact))
        elif head.startswith(script.MAGIC) and (parsed := script.parse(head)):
            scripts.update(dict.fromkeys(paths, parsed))
    cache, cache_raw = _cache(rootfs, unreadable)
    return Facts(
        elf=elves,
        scripts=scripts,
        unreadable=unreadable,
        ld_cache=cache,
        ld_cache_raw=cache_raw,
        ld_paths=etc.ld_paths(rootfs),
        musl_paths=etc.musl_paths(rootfs),
        preloads=etc.preloads(rootfs),
        name_services=nsswitch.read(rootfs),
        pam=pam.read(rootfs),
        gconv=gconv.read(rootfs),
        sboms=sbom.read(rootfs),
        users=etc.users(rootfs),
        groups=etc.groups(rootfs),
        shells=etc.shells(rootfs),
        os_release=etc.os_release(rootfs),
    )


def _heads(rootfs: Rootfs) -> Iterator[tuple[Inode, list[Path], bytes]]:
    """Each regular file once, with all its names and its first bytes, in spool order."""
    names: dict[Inode, list[Path]] = {}
    for path, inode in rootfs.nodes.items():
        if inode.entry.kind == "file" and inode.entry.size >= len(elf.MAGIC):
            names.setdefault(inode, []).append(path)
    for inode in sorted(names, key=lambda inode: (inode.layer, inode.entry.data_offset)):
        yield inode, names[inode], rootfs.pread(inode, _HEAD, 0)


def _elf(rootfs: Rootfs, inode: Inode, head: bytes) -> Elf | str:
    """The ELF file, or why it cannot be read."""

    def pread(length: int, offset: int) -> bytes:
        if offset + length <= len(head):
            return head[offset : offset + length]
        return rootfs.pread(inode, length, offset)

    try:
        return elf.read(pread, inode.entry.size)
    except FormatError as error:
        return str(error)


def _cache(rootfs: Rootfs, unreadable: dict[Path, str]) -> tuple[dict[str, tuple[str, ...]], bytes]:
    path = rootfs.resolve(_LD_CACHE).path
    if path is None or rootfs.nodes[path].kind != "file":
        return {}, b""
    try:
        raw = rootfs.read(path, ceiling=_LD_CACHE_CEILING)
        return ld_cache.read(raw), raw
    except FormatError as error:  # the loader ignores such a cache too
        unreadable[path] = str(error)
        return {}, b""
