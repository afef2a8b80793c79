"""What differs between two images: packages, paths, config. Pure, but for reading the spools.

Both merged views are walked side by side; what is equal leaves nothing behind, so memory grows
with the differences alone. The names of packages are those of each database by itself: an image
that has gained a second database has no other packages for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from careen import capability
from careen.finding import Finding
from careen.formats.digest import Digest
from careen.oci.difference import Field, config_fields, fields, is_time
from careen.packages import catalog as catalogs
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.packages.qualified import family, own_id
from careen.plan import shells
from careen.plan.closure import Scene
from careen.rootfs.content import same_content
from careen.rootfs.path import Path, absolute
from careen.rootfs.rootfs import Inode, Rootfs
from careen.verify.judge import Sight

__all__ = [
    "Aspect",
    "Change",
    "Counts",
    "Difference",
    "PackageChange",
    "PackageSide",
    "Packages",
    "PathChange",
    "PathSide",
    "Paths",
    "Side",
    "compare",
]

Aspect = Literal[
    "type", "content", "link target", "device", "mode", "owner",
    "capabilities", "xattr", "hard link", "mtime",
]  # fmt: skip
_DEVICES = ("char", "block")


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two images, in numbers.

    `files` are the names in the merged tree without directories, `bytes` what they hold, each inode
    once; `compressed` are the bytes of all layers as stored. `setuid` counts setuid and setgid
    files, `history` the entries of that list. `notes` are what reading it found odd.
    """

    digest: Digest
    media_type: str
    platform: str
    system: str
    layers: int
    compressed: int
    history: int
    packages: int
    files: int
    bytes: int
    shells: int
    setuid: int
    notes: tuple[Finding, ...]


class PackageSide(msgspec.Struct, frozen=True, kw_only=True):
    """A package as one image has it: `files` and `bytes` are what is there, `status` is dpkg's."""

    database: str
    version: str
    architecture: str
    status: str
    files: int
    bytes: int


class PackageChange(msgspec.Struct, frozen=True, kw_only=True):
    """A package by its id; None where the image does not have it."""

    id: str
    before: PackageSide | None
    after: PackageSide | None


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """Sorted by database and id. `changed` is on record in both, `refilled` among them with the
    same version: other files or bytes alone.
    """

    added: tuple[PackageChange, ...]
    removed: tuple[PackageChange, ...]
    changed: tuple[PackageChange, ...]
    refilled: tuple[PackageChange, ...]


class PathSide(msgspec.Struct, frozen=True, kw_only=True):
    """A path that one image alone has. `package` is its owner, "" for none.

    `bytes` is 0 for all but regular files, and for a hard link's later names.
    """

    path: str
    kind: str
    bytes: int
    package: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What of a path changed, None for what one side lacks.

    `content` has the sizes in bytes, `owner` is `UID:GID`, `mode` octal, `device` `MAJOR:MINOR`;
    `capabilities` are as getcap prints them; `name` is an xattr's. `hard link` is the first other
    name of the same inode that both images have.
    """

    what: Aspect
    before: str | int | None
    after: str | int | None
    name: str = ""


class PathChange(msgspec.Struct, frozen=True, kw_only=True):
    """A path that both images have. `kind` is the later one's."""

    path: str
    kind: str
    package: str
    changes: tuple[Change, ...]


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """In path order. `touched` differ in their mtime alone, and are not among `changed`."""

    added: tuple[PathSide, ...]
    removed: tuple[PathSide, ...]
    changed: tuple[PathChange, ...]
    touched: tuple[PathChange, ...]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each there are."""

    packages_added: int
    packages_removed: int
    packages_changed: int
    packages_refilled: int
    paths_added: int
    paths_removed: int
    paths_changed: int
    paths_touched: int
    config: int
    annotations: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`before` against `after`. `shared_layers` counts equal layers from the bottom."""

    before: Side
    after: Side
    shared_layers: int
    counts: Counts
    packages: Packages
    config: tuple[Field, ...]
    annotations: tuple[Field, ...]
    paths: Paths

    @property
    def differs(self) -> bool:
        """Whether a container would find anything different, or who reads its annotations.

        How the same is packed does not count: layers, their compression, history.
        """
        return any(msgspec.structs.astuple(self.counts))


def compare(before: Sight, after: Sight, *, ignore_times: bool = False) -> Difference:
    """Everything that differs; FormatError for a config too large to be compared.

    With `ignore_times`, mtimes and the times of creation that config, labels and annotations tell
    play no part.
    """
    packages = _packages(before.scene, after.scene)
    paths = _paths(before, after, ignore_times=ignore_times)
    config = config_fields(before.image.config.document, after.image.config.document)
    annotations = fields(before.image.manifest.annotations, after.image.manifest.annotations)
    if ignore_times:
        config = [item for item in config if not is_time(item)]
        annotations = [item for item in annotations if not is_time(item)]
    return Difference(
        before=_side(before),
        after=_side(after),
        shared_layers=_shared(before, after),
        counts=_counts(packages, paths, len(config), len(annotations)),
        packages=packages,
        config=tuple(config),
        annotations=tuple(annotations),
        paths=paths,
    )


def _side(sight: Sight) -> Side:
    image, scene = sight.image, sight.scene
    named = [inode for inode in scene.rootfs.nodes.values() if inode.kind != "directory"]
    inodes = set(named)
    return Side(
        digest=image.manifest.digest,
        media_type=image.manifest.media_type,
        platform=str(image.config.platform),
        system=scene.facts.os_release.title,
        layers=len(image.manifest.layers),
        compressed=sum(layer.size for layer in image.manifest.layers),
        history=len(image.config.history),
        packages=len(scene.catalog.packages),
        files=len(named),
        bytes=sum(inode.entry.size for inode in inodes),
        shells=len(shells.find(scene)),
        setuid=sum(inode.kind == "file" and bool(inode.entry.mode & 0o6000) for inode in inodes),
        notes=(*sight.notes, *catalogs.notes(scene.catalog)),
    )


def _shared(before: Sight, after: Sight) -> int:
    pairs = zip(before.image.config.diff_ids, after.image.config.diff_ids, strict=False)
    return next(
        (i for i, (one, other) in enumerate(pairs) if one != other),
        min(len(before.image.config.diff_ids), len(after.image.config.diff_ids)),
    )


def _counts(packages: Packages, paths: Paths, config: int, annotations: int) -> Counts:
    return Counts(
        packages_added=len(packages.added),
        packages_removed=len(packages.removed),
        packages_changed=len(packages.changed),
        packages_refilled=len(packages.refilled),
        paths_added=len(paths.added),
        paths_removed=len(paths.removed),
        paths_changed=len(paths.changed),
        paths_touched=len(paths.touched),
        config=config,
        annotations=annotations,
    )


# -- packages


def _packages(before: Scene, after: Scene) -> Packages:
    old, new = _sides(before), _sides(after)
    changes = [
        PackageChange(id=key[1], before=old.get(key), after=new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    both = [item for item in changes if item.before and item.after]
    return Packages(
        added=tuple(item for item in changes if item.before is None),
        removed=tuple(item for item in changes if item.after is None),
        changed=tuple(item for item in both if not _is_refilled(item)),
        refilled=tuple(item for item in both if _is_refilled(item)),
    )


def _sides(scene: Scene) -> dict[tuple[str, str], PackageSide]:
    return {
        (family(package), own_id(package)): _package_side(package, scene.rootfs)
        for package in scene.catalog.packages.values()
    }


def _package_side(package: Package, rootfs: Rootfs) -> PackageSide:
    files, size = catalogs.footprint(package, rootfs)
    return PackageSide(
        database=package.database,
        version=package.version,
        architecture=package.architecture,
        status=package.status,
        files=files,
        bytes=size,
    )


def _is_refilled(item: PackageChange) -> bool:
    if item.before is None or item.after is None:
        return False
    same = msgspec.structs.replace(item.before, files=item.after.files, bytes=item.after.bytes)
    return same == item.after


# -- paths


def _paths(before: Sight, after: Sight, *, ignore_times: bool) -> Paths:
    old, new = before.scene, after.scene
    changed: list[PathChange] = []
    touched: list[PathChange] = []
    for item in _changed(_Pair(before, after, ignore_times=ignore_times), old, new):
        is_touched = [change.what for change in item.changes] == ["mtime"]
        (touched if is_touched else changed).append(item)
    return Paths(
        added=tuple(_only(new.rootfs, old.rootfs, new.catalog)),
        removed=tuple(_only(old.rootfs, new.rootfs, old.catalog)),
        changed=tuple(changed),
        touched=tuple(touched),
    )


def _only(rootfs: Rootfs, other: Rootfs, catalog: Catalog) -> Iterator[PathSide]:
    """The paths of `rootfs` that `other` does not have."""
    first = _first_names(rootfs, rootfs)
    for path, inode in rootfs.nodes.items():
        if path not in other:
            yield PathSide(
                path=absolute(path),
                kind=inode.kind,
                bytes=inode.entry.size if first.get(inode, path) == path else 0,
                package=_owner(path, catalog),
            )


def _changed(pair: _Pair, before: Scene, after: Scene) -> Iterator[PathChange]:
    for path, new in after.rootfs.nodes.items():
        old = before.rootfs.nodes.get(path)
        changes = () if old is None else tuple(pair.changes(path, old, new))
        if changes:
            owner = _owner(path, after.catalog) or _owner(path, before.catalog)
            yield PathChange(path=absolute(path), kind=new.kind, package=owner, changes=changes)


def _owner(path: Path, catalog: Catalog) -> str:
    ids = catalog.owners.get(path, ())
    return ", ".join(own_id(catalog.packages[id]) for id in ids)


class _Pair:
    """Two trees, and what it takes to tell their inodes apart."""

    def __init__(self, before: Sight, after: Sight, *, ignore_times: bool) -> None:
        self._ignore_times = ignore_times
        self._old, self._new = before.scene.rootfs, after.scene.rootfs
        self._old_layers = before.image.config.diff_ids
        self._new_layers = after.image.config.diff_ids
        self._old_first = _first_names(self._old, self._new)
        self._new_first = _first_names(self._new, self._old)

    def changes(self, path: Path, old: Inode, new: Inode) -> Iterator[Change]:
        """What is different at `path`, its mtime last."""
        if old.kind != new.kind:
            yield Change(what="type", before=old.kind, after=new.kind)
        elif old.kind == "file" and not self._same_file(old, new):
            yield Change(what="content", before=old.entry.size, after=new.entry.size)
        for what, one, other in _attributes(old, new):
            if one != other:
                yield Change(what=what, before=one, after=other)
        yield from _xattrs(old, new)
        one, other = self._old_first.get(old, path), self._new_first.get(new, path)
        if one != other:
            yield Change(what="hard link", before=_other(one, path), after=_other(other, path))
        if not self._ignore_times:
            yield from _mtime(old, new)

    def _same_file(self, old: Inode, new: Inode) -> bool:
        """Whether the bytes are equal; those of one place in one layer need no reading."""
        one, other = old.entry, new.entry
        if self._old_layers[old.layer] == self._new_layers[new.layer]:
            places = ((item.data_offset, item.size, item.sparse) for item in (one, other))
            if next(places) == next(places):
                return True
        return same_content(old, self._old, new, self._new)


def _first_names(rootfs: Rootfs, other: Rootfs) -> dict[Inode, Path]:
    """Of each inode with several names, the first that `other` has too.

    So a name that went is told as such, and is no change of the others.
    """
    linked = {rootfs.nodes[path] for path in rootfs.links if path in rootfs.nodes}
    found: dict[Inode, Path] = {}
    for path, inode in rootfs.nodes.items() if linked else ():
        if inode in linked and path in other:
            found.setdefault(inode, path)
    return found


def _mtime(old: Inode, new: Inode) -> Iterator[Change]:
    """A directory that no layer wrote has the time of whoever unpacks the image."""
    one, other = old.entry.mtime, new.entry.mtime
    if one != other and not (old.is_implicit or new.is_implicit):
        yield Change(what="mtime", before=_time(one), after=_time(other))


def _other(first: Path, path: Path) -> str | None:
    return None if first == path else absolute(first)


def _attributes(old: Inode, new: Inode) -> Iterator[tuple[Aspect, str | None, str | None]]:
    """What both sides may have; nothing keeps a symlink's own mode (symlink(7))."""
    yield "link target", _target(old), _target(new)
    yield "device", _device(old), _device(new)
    if "symlink" not in (old.kind, new.kind):
        yield "mode", f"{old.entry.mode & 0o7777:04o}", f"{new.entry.mode & 0o7777:04o}"
    yield "owner", f"{old.entry.uid}:{old.entry.gid}", f"{new.entry.uid}:{new.entry.gid}"


def _target(inode: Inode) -> str | None:
    return inode.entry.linkname if inode.kind == "symlink" else None


def _device(inode: Inode) -> str | None:
    entry = inode.entry
    return f"{entry.devmajor}:{entry.devminor}" if inode.kind in _DEVICES else None


def _xattrs(old: Inode, new: Inode) -> Iterator[Change]:
    one, other = old.entry.xattrs, new.entry.xattrs
    if one == other:
        return
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) == other.get(name):
            continue
        if name == capability.XATTR:
            before, after = _capabilities(one), _capabilities(other)
            if before != after:
                yield Change(what="capabilities", before=before, after=after)
                continue
        yield Change(what="xattr", name=name, before=_value(one, name), after=_value(other, name))


def _capabilities(xattrs: Mapping[str, bytes]) -> str | None:
    raw = xattrs.get(capability.XATTR)
    return None if raw is None else capability.text(raw)


def _value(xattrs: Mapping[str, bytes], name: str) -> str | None:
    """As `getfattr` prints it: text where it is text, else hexadecimal after `0x`."""
    raw = xattrs.get(name)
    if raw is None:
        return None
    text = raw.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() else f"0x{raw.hex()}"


def _time(nanoseconds: int) -> str:
    """RFC 3339 to the nanosecond; `@SECONDS` for a year that it cannot write."""
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}{fraction}"
