"""Layers applied one over another: the changeset rules of image-spec, layer.md.

Entries are applied in the order in which they stand. A whiteout hits only what this layer has not
written, so its place in the stream does not matter; a hard link finds its target among the
earlier entries of its own layer or in the tree below, never later.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from careen.errors import FormatError
from careen.finding import Finding
from careen.formats.tar import Entry
from careen.rootfs.path import ROOT, Path, absolute, join, normal
from careen.rootfs.rootfs import Inode

__all__ = ["Tree"]

_HOPS = 40
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."  # aufs' own bookkeeping: in old images, never part of the tree
_LONGEST = 4095  # bytes of a path that Linux takes (PATH_MAX without its NUL)
_IMPLICIT = Entry(kind="directory", name="", mode=0o755, header_offset=-1)
_FORBIDDEN_XATTR = "security.selinux"  # the host's label, which no runtime applies from a layer


class _Cell:
    """What hard links share: the attributes, until the last layer has spoken."""

    __slots__ = ("entry", "layer")

    def __init__(self, layer: int, entry: Entry) -> None:
        self.layer = layer
        self.entry = entry


class _Node:
    """A name in the tree. `touched` is the last layer that wrote it or something below it."""

    __slots__ = ("cell", "children", "link", "touched", "written")

    def __init__(self, cell: _Cell, touched: int) -> None:
        self.cell = cell
        self.children: dict[str, _Node] | None = {} if cell.entry.kind == "directory" else None
        self.link: tuple[int, Entry] | None = None
        self.touched = touched
        self.written = -1  # the last layer with an entry of this very name


class Tree:
    """A merged tree under construction; `notes` says what was odd, a kind at its first path."""

    def __init__(self) -> None:
        self._odd: dict[str, Finding] = {}
        self._root = _Node(_Cell(0, _IMPLICIT), -1)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """One for each rule, with the number of its entries."""
        return tuple(self._odd.values())

    def apply(self, layer: int, entries: Iterable[Entry]) -> None:
        """Lay one layer's entries over the tree; FormatError when runtimes would not agree."""
        self._root.touched = layer
        for entry in entries:
            try:
                self._apply(layer, entry)
            except FormatError as error:  # `within` would cost each entry a context manager
                error.at = f"entry {entry.name!r}"
                raise

    def finish(self) -> tuple[dict[Path, Inode], dict[Path, tuple[int, Entry]]]:
        """The nodes in `path.order`, and the entries of hard links.

        FormatError for a path that Linux could not name: symlinks can lead entries that deep.
        """
        nodes: dict[Path, Inode] = {}
        links: dict[Path, tuple[int, Entry]] = {}
        inodes: dict[int, Inode] = {}
        waiting = [(ROOT, self._root)]
        while waiting:
            path, node = waiting.pop()
            _check_length(path)
            cell = node.cell
            inode = inodes.get(id(cell))
            if inode is None:
                inode = inodes[id(cell)] = Inode(cell.layer, cell.entry)
            nodes[path] = inode
            if node.link is not None:
                links[path] = node.link
            if node.children:
                names = sorted(node.children, reverse=True)
                waiting += [(join(path, name), node.children[name]) for name in names]
        return nodes, links

    def _apply(self, layer: int, entry: Entry) -> None:
        path = normal(_inside(entry.name))
        if path == ROOT:
            return self._apply_root(layer, entry)
        folder, _, name = path.rpartition("/")
        if f"/{_AUFS}" in f"/{path}" and name != _OPAQUE:
            return self._note("aufs-metadata", path, "aufs' own file is dropped")
        if name.startswith(_WHITEOUT):
            return self._whiteout(layer, folder, name)
        siblings = self._children(layer, folder)
        existing = siblings.get(name)
        if existing is not None and existing.written == layer:
            self._note("duplicate-entry", path, "stands twice in a layer; the later one counts")
        entry = self._without_label(path, entry)
        if entry.kind == "link":
            siblings.pop(name, None)  # runtimes unlink it before they look for the target
            node = self._link(layer, entry)
        elif entry.kind == "directory" and existing is not None and existing.children is not None:
            node = existing
            node.cell = _Cell(layer, entry)
        else:
            node = _Node(_Cell(layer, entry), layer)
        node.touched = node.written = layer
        siblings[name] = node
        return None

    def _apply_root(self, layer: int, entry: Entry) -> None:
        if entry.kind != "directory":
            raise FormatError("the root of the image must stay a directory")
        self._root.cell = _Cell(layer, self._without_label(ROOT, entry))

    def _link(self, layer: int, entry: Entry) -> _Node:
        """A new name for the target's inode, to which runtimes apply the link's attributes."""
        target = normal(_inside(entry.linkname))
        node = self._find(target)
        if node is None:
            raise FormatError(f"hard link to {absolute(target)!r}, which is not there before it")
        if node.children is not None:
            raise FormatError(f"hard link to a directory, {absolute(target)!r}")
        cell = node.cell
        if cell.entry.kind != "symlink":
            _share(cell, entry)
        linked = _Node(cell, layer)
        linked.link = (layer, entry)
        return linked

    def _whiteout(self, layer: int, folder: str, name: str) -> None:
        target = name[len(_WHITEOUT) :]
        if name != _OPAQUE and target in ("", ".", ".."):
            raise FormatError("a whiteout of no name")
        directory = self._trail(folder)[-1][1]
        if directory is None or directory.children is None:
            return
        if name == _OPAQUE:
            _clear(directory, layer)
        else:
            _remove(directory.children, target, layer)

    def _find(self, path: Path) -> _Node | None:
        """The node at `path`, directory symlinks on the way followed, the last one not."""
        folder, _, name = path.rpartition("/")
        if not name:
            return self._root
        parent = self._trail(folder)[-1][1]
        if parent is None or parent.children is None:
            return None
        return parent.children.get(name)

    def _children(self, layer: int, folder: str) -> dict[str, _Node]:
        """What is in the real directory that `folder` leads to, which is made where it is missing.

        Every directory on the real way there is marked as touched by `layer`.
        """
        children = self._root.children
        for name, step in self._trail(folder)[1:]:
            node = step
            if node is None and children is not None:
                if name.startswith(_WHITEOUT):
                    raise FormatError(f"{name!r}, a whiteout's name, is used as a directory's")
                node = children[name] = _Node(_Cell(layer, _IMPLICIT), layer)
            if node is None:
                break
            node.touched = layer
            children = node.children
        if children is None:
            raise FormatError(f"its parent {absolute(Path(folder))!r} is not a directory")
        return children

    def _trail(self, folder: str) -> list[tuple[str, _Node | None]]:
        """Name and node of each step from the root to where `folder` leads, symlinks followed.

        The node is None where nothing is. `..` leads back by text alone, also from there, and
        never above the root: so do the runtimes (securejoin, RootPath).
        """
        trail: list[tuple[str, _Node | None]] = [("", self._root)]
        waiting = folder.split("/")[::-1]
        hops = 0
        while waiting:
            name = waiting.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del trail[max(1, len(trail) - 1) :]
                continue
            above = trail[-1][1]
            node = above.children.get(name) if above is not None and above.children else None
            if node is None or node.cell.entry.kind != "symlink":
                trail.append((name, node))
                continue
            hops += 1
            if hops > _HOPS:
                raise FormatError("a loop of symlinks")
            target = node.cell.entry.linkname
            if target.startswith("/"):
                del trail[1:]
            waiting += target.split("/")[::-1]
        return trail

    def _without_label(self, path: Path, entry: Entry) -> Entry:
        if _FORBIDDEN_XATTR not in entry.xattrs:
            return entry
        message = "host labels (security.selinux) are not carried; no runtime applies them"
        self._note("selinux-label", path, message)
        xattrs = {key: value for key, value in entry.xattrs.items() if key != _FORBIDDEN_XATTR}
        return msgspec.structs.replace(entry, xattrs=xattrs, header_offset=-1)

    def _note(self, rule: str, path: Path, message: str) -> None:
        first = self._odd.get(rule)
        if first is not None:
            self._odd[rule] = msgspec.structs.replace(first, count=first.count + 1)
            return
        self._odd[rule] = Finding(rule=rule, severity="note", path=absolute(path), message=message)


def _check_length(path: Path) -> None:
    if len(path) > _LONGEST // 4 and len(path.encode("utf-8", "surrogateescape")) > _LONGEST:
        raise FormatError(f"a path of more than {_LONGEST} bytes: {path[:60]!r}…")


def _inside(name: str) -> str:
    """A name whose `..` would lead out of the image is refused, not clamped: readers differ."""
    depth = 0
    if ".." in name:
        for part in name.split("/"):
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0:
                raise FormatError("leads out of the image")
    return name


def _share(cell: _Cell, link: Entry) -> None:
    """Give the inode what the link's header says, as chown, chmod and utimes through it would."""
    old = cell.entry
    changed = (link.mode, link.uid, link.gid, link.mtime) != (old.mode, old.uid, old.gid, old.mtime)
    xattrs = old.xattrs | link.xattrs
    if changed or xattrs != old.xattrs:
        cell.entry = msgspec.structs.replace(
            old,
            mode=link.mode,
            uid=link.uid,
            gid=link.gid,
            mtime=link.mtime,
            xattrs=xattrs,
            header_offset=-1,
        )


def _remove(children: dict[str, _Node], name: str, layer: int) -> None:
    """A whiteout: the name goes, but for what this layer wrote in it."""
    node = children.get(name)
    if node is None:
        return
    if node.touched != layer:
        del children[name]
    elif node.children is not None:
        _clear(node, layer)


def _clear(directory: _Node, layer: int) -> None:
    """Everything below goes, but for what this layer wrote; without recursion."""
    waiting = [directory]
    while waiting:
        children = waiting.pop().children or {}
        for name, node in list(children.items()):
            if node.touched != layer:
                del children[name]
            else:
                waiting.append(node)
