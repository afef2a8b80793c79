"""Deleting what a program made: however deep it is, whatever it shut, and no link followed.

Standard library alone, so that the source also runs by itself, in a user namespace.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator

__all__ = ["erase"]

_ENTRY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


def erase(folder: str | os.PathLike[str]) -> None:
    """Delete a folder and all in it, as far as this user may; other devices are not entered.

    What lies deep is moved up, level by level: neither a descent nor a path grows with the depth.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, _ENTRY)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(folder)


def _empty(top: int) -> None:
    stuck: set[str] = set()
    _open_up(top)
    taken = itertools.count()
    while names := [name for name in _names(top) if name not in stuck]:
        stuck.update(name for name in names if not _gone(name, top, taken))


def _gone(name: str, top: int, taken: Iterator[int]) -> bool:
    """Delete a file, or a folder whose own folders are moved to `top`; whether that worked."""
    if _unlinked(name, top):
        return True
    try:
        with _entered(name, top) as folder:
            if os.fstat(folder).st_dev != os.fstat(top).st_dev:
                return False
            _open_up(folder)
            for inside in _names(folder):
                if not _unlinked(inside, folder):
                    _lift(inside, folder, top, taken)
        os.rmdir(name, dir_fd=top)
    except OSError:
        return False
    return True


def _lift(name: str, folder: int, top: int, taken: Iterator[int]) -> None:
    with _entered(name, folder) as inner:
        _open_up(inner)  # a rename writes its `..`
    free = next(f".careen-{n}" for n in taken if not _is_there(f".careen-{n}", top))
    os.rename(name, free, src_dir_fd=folder, dst_dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _entered(name: str, folder: int) -> Iterator[int]:
    handle = os.open(name, _ENTRY, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _open_up(folder: int) -> None:
    """Its owner may have shut it. A descriptor of the path alone needs no permission."""
    with contextlib.suppress(OSError):
        os.chmod(f"/proc/self/fd/{folder}", 0o700)


def _names(folder: int) -> list[str]:
    return os.listdir(f"/proc/self/fd/{folder}")


if __name__ == "__main__":
    erase(sys.argv[1])
