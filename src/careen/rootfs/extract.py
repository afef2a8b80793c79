"""The merged tree on disk, to run a program in: what an ordinary user may write of it.

Safe by construction: in the merged tree every parent is a directory, so no name leads through a
link, and nothing is written but below the folder. Devices stay out; owners too, unless asked for
(which takes root), and whoever writes can always change and delete what was written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path as FilePath

from careen.errors import CareenError
from careen.rootfs.path import ROOT, Path, absolute
from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["beneath", "extract", "owners", "put"]

_OURS = 0o600  # whoever extracts reads and writes every file,
_OURS_INSIDE = 0o700  # and goes into every directory
_PERMISSIONS = 0o777


def extract(rootfs: Rootfs, folder: FilePath, *, owned: bool = False) -> None:
    """Write every path below `folder`, an empty directory: content, mode, mtime, hard links.

    With `owned`, as root, uids, gids and setuid bits too. CareenError names what cannot be written;
    a time that no file here can have is left out.
    """
    base = os.fsencode(folder)
    first: dict[Inode, bytes] = {}
    for path, inode in rootfs.nodes.items():
        target = os.path.join(base, os.fsencode(path)) if path else base
        with _told(folder, path):
            if inode in first:
                os.link(first[inode], target, follow_symlinks=False)
            elif _write(rootfs, path, inode, target):
                first[inode] = target
                if owned:
                    os.chown(target, inode.entry.uid, inode.entry.gid, follow_symlinks=False)
    _finish(rootfs, folder, owned=owned)


@contextlib.contextmanager
def beneath(folder: FilePath, path: str) -> Iterator[int]:
    """A descriptor of the directory at `path` below `folder`, made where it is absent.

    No link is followed on the way: an image may have one to anywhere on the host. CareenError where
    something else than a directory is in the way.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    handle = os.open(folder, flags)
    try:
        for part in filter(None, path.split("/")):
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=handle)
            try:
                deeper = os.open(part, flags, dir_fd=handle)
            except OSError as error:
                raise CareenError("is no directory in the image", at=f"/{path}") from error
            os.close(handle)
            handle = deeper
        yield handle
    finally:
        os.close(handle)


def put(folder: FilePath, path: str, content: bytes, mode: int = 0o644) -> None:
    """Write a new file at `path` below `folder`, in the place of any other that is there."""
    parent, _, name = path.rpartition("/")
    with beneath(folder, parent) as handle:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=handle)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(name, flags, mode, dir_fd=handle), "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
        except OSError as error:
            raise CareenError(f"cannot be written: {error.strerror}", at=f"/{path}") from error


def owners(rootfs: Rootfs) -> Iterator[tuple[Path, int, int]]:
    """Path, uid and gid of everything that is not root's."""
    for path, inode in rootfs.nodes.items():
        if inode.entry.uid or inode.entry.gid:
            yield path, inode.entry.uid, inode.entry.gid


def _write(rootfs: Rootfs, path: Path, inode: Inode, target: bytes) -> bool:
    """Make one inode; False for a device, which only root could make."""
    kind = inode.kind
    if kind == "directory":
        if path != ROOT:
            os.mkdir(target, _OURS_INSIDE)
    elif kind == "symlink":
        os.symlink(os.fsencode(inode.entry.linkname), target)
    elif kind == "fifo":
        os.mkfifo(target, _OURS)
    elif kind == "file":
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _OURS)
        with os.fdopen(handle, "wb") as file:
            for block in rootfs.content(inode):
                file.write(block)
    return kind not in ("char", "block")


@contextlib.contextmanager
def _told(folder: FilePath, path: Path) -> Iterator[None]:
    """What the system refuses, as a CareenError."""
    try:
        yield
    except OSError as error:
        raise CareenError(
            f"cannot be written to {folder}: {error.strerror}", at=absolute(path)
        ) from error


def _finish(rootfs: Rootfs, folder: FilePath, *, owned: bool) -> None:
    """Modes and times, children before their directories: writing changes a directory's time."""
    base = os.fsencode(folder)
    for path in reversed(rootfs.nodes):
        inode = rootfs.nodes[path]
        if inode.kind in ("symlink", "char", "block"):
            continue
        target = os.path.join(base, os.fsencode(path)) if path else base
        mode = inode.entry.mode & (0o7777 if owned else _PERMISSIONS)
        with _told(folder, path):
            os.chmod(target, mode | (_OURS_INSIDE if inode.kind == "directory" else _OURS))
        with contextlib.suppress(OSError, OverflowError):
            os.utime(target, ns=(inode.entry.mtime, inode.entry.mtime))
