"""From a rootfs and a plan's paths to the entries of one layer, in their final order.

Every winner is known before the first byte is written: parents first, each inode's first
surviving name as the file, its other names as hard links, and no `.wh.` name anywhere. An entry
whose header in the source says exactly what is to be said is carried through as raw bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from careen.errors import SourceError
from careen.formats import tar
from careen.formats.tar import Entry
from careen.plan.plan import PathDecision, Plan
from careen.rootfs.path import ROOT, Path, absolute, normal
from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["Expanded", "Extent", "Piece", "merge"]


class Extent(msgspec.Struct, frozen=True):
    """Bytes to copy from the spool of layer `layer`."""

    layer: int
    offset: int
    length: int


class Expanded(msgspec.Struct, frozen=True):
    """A sparse file's content, its holes to be written as zeros."""

    inode: Inode


Piece = bytes | Extent | Expanded


def merge(rootfs: Rootfs, plan: Plan) -> Iterator[Piece]:
    """The pieces that make up the tar, its end blocks included.

    SourceError when the plan names a path that the image does not have, or would leave a path
    without its parent: such a plan was not drawn for this image.
    """
    decisions = _decisions(rootfs, plan)
    first: dict[int, Path] = {}  # id of an inode → the name that carries its content
    kept: set[Path] = {ROOT}
    for path, inode in rootfs.nodes.items():
        decision = decisions.get(path)
        if decision is not None and decision.decision == "drop":
            continue
        _check_parent(path, kept)
        if inode.kind == "directory":
            kept.add(path)
        if decision is not None:
            yield from _replaced(path, inode, decision)
        elif id(inode) in first:
            yield _link(rootfs, path, inode, first[id(inode)])
        else:
            first[id(inode)] = path
            yield from _node(path, inode)
    yield tar.END


def _decisions(rootfs: Rootfs, plan: Plan) -> Mapping[Path, PathDecision]:
    found = {normal(item.path): item for item in plan.paths}
    for path, item in found.items():
        if path not in rootfs.nodes or path == ROOT:
            raise SourceError(f"the plan decides on {item.path!r}, which the image does not have")
        if item.decision == "replace" and rootfs.nodes[path].kind != (
            "file" if item.target is None else "symlink"
        ):
            raise SourceError(f"the plan replaces {item.path!r}, which is no such file or symlink")
    return found


def _check_parent(path: Path, kept: set[Path]) -> None:
    folder = Path(path.rpartition("/")[0])
    if folder not in kept:
        raise SourceError(f"the plan keeps {absolute(path)!r} and drops the directory it is in")


def _node(path: Path, inode: Inode) -> Iterator[Piece]:
    entry = inode.entry
    if path == ROOT and inode.is_implicit:
        return  # no layer wrote the root directory, so this one does not either
    size = entry.size + tar.padding(entry.size) if entry.kind == "file" else 0
    if entry.header_offset >= 0 and entry.sparse is None and _spells(entry.name, path):
        yield Extent(
            inode.layer, entry.header_offset, entry.data_offset - entry.header_offset + size
        )
        return
    yield tar.header(_named(entry, path))
    if entry.sparse is not None:
        yield Expanded(inode)
        yield bytes(tar.padding(entry.size))
    elif size:
        yield Extent(inode.layer, entry.data_offset, entry.size)
        yield bytes(tar.padding(entry.size))


def _link(rootfs: Rootfs, path: Path, inode: Inode, target: Path) -> Piece:
    """A hard link's entry repeats the inode's attributes: runtimes apply them once more."""
    layer, entry = rootfs.links.get(path, (-1, inode.entry))
    carried = entry.kind == "link" and _says_the_same(entry, inode.entry)
    if carried and _spells(entry.name, path) and _spells(entry.linkname, target):
        return Extent(layer, entry.header_offset, entry.data_offset - entry.header_offset)
    link = msgspec.structs.replace(
        _named(inode.entry, path), kind="link", linkname=target, size=0, sparse=None
    )
    return tar.header(link)


def _spells(name: str, path: Path) -> bool:
    """Whether a header may go on saying `name`. Not with `..`: some readers follow links there."""
    return normal(name) == path and "/../" not in f"/{name}/"


def _says_the_same(link: Entry, target: Entry) -> bool:
    return link.header_offset >= 0 and all(
        getattr(link, key) == getattr(target, key)
        for key in ("mode", "uid", "gid", "mtime", "xattrs")
    )


def _replaced(path: Path, inode: Inode, decision: PathDecision) -> Iterator[Piece]:
    """New content under the old attributes, as a file of its own: its other names keep theirs."""
    if decision.target is not None:
        yield tar.header(
            msgspec.structs.replace(_named(inode.entry, path), linkname=decision.target)
        )
        return
    data = decision.data()
    yield tar.header(
        msgspec.structs.replace(_named(inode.entry, path), size=len(data), sparse=None)
    )
    yield data + bytes(tar.padding(len(data)))


def _named(entry: Entry, path: Path) -> Entry:
    name = path or "."
    return msgspec.structs.replace(entry, name=f"{name}/" if entry.kind == "directory" else name)
