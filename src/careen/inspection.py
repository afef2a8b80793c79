"""What an image is made of, for people: sizes, packages, shells, privileged files, tools. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from careen import capability, tools
from careen.finding import Finding
from careen.formats.digest import Digest
from careen.oci.image import Image
from careen.packages import catalog as catalogs
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan import shells
from careen.plan.applets import BINARIES
from careen.plan.closure import Scene
from careen.rootfs.path import Path, absolute, name, parent
from careen.rootfs.rootfs import Inode, Rootfs
from careen.rootfs.scan import Scan
from careen.tools import Kind

__all__ = [
    "Capability",
    "Inspection",
    "LayerUse",
    "PackageUse",
    "Privileged",
    "Shell",
    "Tool",
    "Unowned",
    "WorldWritable",
    "inspect",
]

_DATA = ("etc/", "usr/share/")  # scripts of cron and of bug reports bear their packages' names


class LayerUse(msgspec.Struct, frozen=True, kw_only=True):
    """A layer: `compressed` and `unpacked` bytes of it all; what of it is still to be seen.

    `files` (names) and `bytes` count what no later layer has replaced or deleted.
    """

    digest: Digest
    compressed: int
    unpacked: int
    files: int
    bytes: int
    created_by: str = ""


class PackageUse(msgspec.Struct, frozen=True, kw_only=True):
    """A package: its files in the image (no directories), and their bytes."""

    id: str
    version: str
    database: str
    files: int
    bytes: int


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """A path that starts a shell, the file that it leads to, and that file's package or ""."""

    path: str
    target: str
    package: str


class Privileged(msgspec.Struct, frozen=True, kw_only=True):
    """A setuid or setgid file; `mode` is octal (`4755`), `owner` is `UID:GID`."""

    path: str
    mode: str
    owner: str
    package: str


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """A file with capabilities, as `getcap` prints them."""

    path: str
    capabilities: str
    package: str


class WorldWritable(msgspec.Struct, frozen=True, kw_only=True):
    """A path that everybody may write; `mode` is octal, `owner` is `UID:GID`.

    `sticky` is a directory as /tmp: everybody may add to it, nobody may take others' files away.
    """

    path: str
    kind: str
    mode: str
    owner: str
    package: str
    sticky: bool


class Unowned(msgspec.Struct, frozen=True, kw_only=True):
    """A program or library (ELF or script) that no package owns."""

    path: str
    kind: str
    bytes: int


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """An interactive tool: a program by its name, the file that it leads to, that file's package.

    `target` differs from `path` where a file goes by another name, as busybox does.
    """

    kind: Kind
    path: str
    target: str
    package: str


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """One image. Paths are absolute; lists of files stand in path order, packages by size.

    `files` are the names in the merged tree, `bytes` what they hold, each inode once.
    `unowned_files` are the names that no package owns, `unowned_bytes` what has no other name.
    """

    digest: Digest
    platform: str
    system: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    files: int
    bytes: int
    unowned_files: int
    unowned_bytes: int
    layers: tuple[LayerUse, ...]
    packages: tuple[PackageUse, ...]
    shells: tuple[Shell, ...]
    privileged: tuple[Privileged, ...]
    capabilities: tuple[Capability, ...]
    writable: tuple[WorldWritable, ...]
    unowned: tuple[Unowned, ...]
    tools: tuple[Tool, ...]
    notes: tuple[Finding, ...]


def inspect(image: Image, scan: Scan, scene: Scene) -> Inspection:
    """Everything at once, from values that were read before; no I/O."""
    rootfs, catalog, execution = scene.rootfs, scene.catalog, scene.execution
    names = [path for path, inode in rootfs.nodes.items() if inode.kind != "directory"]
    inodes = _inodes(rootfs, names)
    unowned_names = [path for path in names if path not in catalog.owners]
    owned = {rootfs.nodes[path] for path in names if path in catalog.owners}
    unowned = {inode: path for inode, path in inodes.items() if inode not in owned}
    return Inspection(
        digest=image.manifest.digest,
        platform=str(image.config.platform),
        system=scene.facts.os_release.title,
        entrypoint=execution.entrypoint,
        command=execution.command,
        user=execution.user,
        files=len(names),
        bytes=_bytes(inodes),
        unowned_files=len(unowned_names),
        unowned_bytes=_bytes(unowned),
        layers=tuple(_layers(image, scan, names)),
        packages=tuple(_packages(rootfs, catalog)),
        shells=tuple(_shells(scene)),
        privileged=tuple(_privileged(inodes, catalog)),
        capabilities=tuple(_capabilities(inodes, catalog)),
        writable=tuple(_writable(rootfs, catalog)),
        unowned=tuple(_unowned(unowned, scene)),
        tools=tuple(_tools(rootfs, catalog)),
        notes=(*scan.notes, *catalogs.notes(catalog)),
    )


def _inodes(rootfs: Rootfs, names: Iterable[Path]) -> dict[Inode, Path]:
    """What has these names, each inode with its first."""
    found: dict[Inode, Path] = {}
    for path in names:
        found.setdefault(rootfs.nodes[path], path)
    return found


def _bytes(inodes: Mapping[Inode, Path]) -> int:
    return sum(inode.entry.size for inode in inodes)


def _layers(image: Image, scan: Scan, names: Iterable[Path]) -> Iterator[LayerUse]:
    """Bottom layer first; history tells only of layers that it does not call empty."""
    history = [item for item in image.config.history if not item.get("empty_layer")]
    told = len(history) == len(image.manifest.layers)
    inodes = [scan.rootfs.nodes[path] for path in names]
    for i, descriptor in enumerate(image.manifest.layers):
        seen = [inode for inode in inodes if inode.layer == i]
        yield LayerUse(
            digest=descriptor.digest,
            compressed=descriptor.size,
            unpacked=scan.sizes[i],
            files=len(seen),
            bytes=sum(inode.entry.size for inode in set(seen)),
            created_by=str(history[i].get("created_by") or "") if told else "",
        )


def _packages(rootfs: Rootfs, catalog: Catalog) -> Iterator[PackageUse]:
    uses = [_use(rootfs, package) for package in catalog.packages.values()]
    yield from sorted(uses, key=lambda use: (-use.bytes, use.id))


def _use(rootfs: Rootfs, package: Package) -> PackageUse:
    files, size = catalogs.footprint(package, rootfs)
    return PackageUse(
        id=package.id,
        version=package.version,
        database=package.database,
        files=files,
        bytes=size,
    )


def _shells(scene: Scene) -> Iterator[Shell]:
    for path, target in shells.find(scene).items():
        yield Shell(
            path=absolute(path), target=absolute(target), package=_owner(scene.catalog, target)
        )


def _privileged(inodes: Mapping[Inode, Path], catalog: Catalog) -> Iterator[Privileged]:
    for inode, path in inodes.items():
        if inode.kind == "file" and inode.entry.mode & 0o6000:
            yield Privileged(
                path=absolute(path),
                mode=f"{inode.entry.mode & 0o7777:04o}",
                owner=f"{inode.entry.uid}:{inode.entry.gid}",
                package=_owner(catalog, path),
            )


def _capabilities(inodes: Mapping[Inode, Path], catalog: Catalog) -> Iterator[Capability]:
    for inode, path in inodes.items():
        raw = inode.entry.xattrs.get(capability.XATTR)
        if raw is not None:
            yield Capability(
                path=absolute(path),
                capabilities=capability.text(raw),
                package=_owner(catalog, path),
            )


def _writable(rootfs: Rootfs, catalog: Catalog) -> Iterator[WorldWritable]:
    """Every name of such a file, for each is a way to it; a symlink's own mode means nothing.

    Devices in /dev are no matter: runtimes mount their own there (runtime-spec, config-linux.md).
    """
    for path, inode in rootfs.nodes.items():
        entry = inode.entry
        is_hidden = inode.kind in ("char", "block") and path.startswith("dev/")
        if entry.mode & stat.S_IWOTH and inode.kind != "symlink" and not is_hidden:
            yield WorldWritable(
                path=absolute(path),
                kind=inode.kind,
                mode=f"{entry.mode & 0o7777:04o}",
                owner=f"{entry.uid}:{entry.gid}",
                package=_owner(catalog, path),
                sticky=inode.kind == "directory" and bool(entry.mode & stat.S_ISVTX),
            )


def _unowned(inodes: Mapping[Inode, Path], scene: Scene) -> Iterator[Unowned]:
    """Without the maintainer scripts, which are the package database's own."""
    facts, databases = scene.facts, scene.catalog.databases
    for inode, path in inodes.items():
        if any(path in database.files for database in databases):
            continue
        if path in facts.elf or path in facts.scripts:
            kind = "ELF" if path in facts.elf else "script"
            yield Unowned(path=absolute(path), kind=kind, bytes=inode.entry.size)


def _tools(rootfs: Rootfs, catalog: Catalog) -> Iterator[Tool]:
    """Executable files by their names, and links whose file goes by the name of no such tool."""
    found = []
    for path, inode in rootfs.nodes.items():
        if path.startswith(_DATA) or (inode.kind != "symlink" and not _is_executable(inode)):
            continue
        kind = tools.of_program(name(path))
        target = path if kind is None or inode.kind == "file" else _program(rootfs, path)
        if kind is not None and target is not None and _is_executable(rootfs.nodes[target]):
            owner = _owner(catalog, target)
            found.append(
                Tool(kind=kind, path=absolute(path), target=absolute(target), package=owner)
            )
    yield from sorted(found, key=lambda tool: (tools.KINDS.index(tool.kind), tool.path))


def _program(rootfs: Rootfs, path: Path) -> Path | None:
    """Where a link leads that makes a tool of another program, as `vi` of busybox.

    None for what is no link in a directory of programs, and for one to a tool by its own name.
    """
    if rootfs.nodes[path].kind != "symlink" or name(parent(path)) not in BINARIES:
        return None
    target = rootfs.resolve(path).path
    return None if target is None or tools.of_program(name(target)) is not None else target


def _is_executable(inode: Inode) -> bool:
    return inode.kind == "file" and bool(inode.entry.mode & 0o111)


def _owner(catalog: Catalog, path: Path) -> str:
    return ", ".join(catalog.owners.get(path, ()))
