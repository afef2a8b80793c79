"""Scratch folders: gone when the work ends, and swept up by the next run when it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from careen.erase import erase
from careen.errors import CareenError

__all__ = ["scratch"]

_PREFIX = "careen-scratch-"
_YOUNG = 60.0  # seconds: a folder may not be locked yet


@contextlib.contextmanager
def scratch(parent: Path | None) -> Iterator[Path]:
    """A folder in `parent` (default TMPDIR) for the block, locked for as long as it is in use.

    What killed runs of this user left there is removed first. CareenError when there is no space.
    """
    place = parent or Path(tempfile.gettempdir())
    try:
        for stale in place.glob(f"{_PREFIX}*"):
            _sweep(stale)
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place)
    except OSError as error:
        raise CareenError(f"no scratch space: {error.strerror}", at=str(place)) from error
    with folder as path:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(path).resolve()  # as /proc shows it, whatever TMPDIR leads through
        finally:
            os.close(handle)


def _sweep(stale: Path) -> None:
    """Remove a folder that nobody has locked; one that is another user's stays."""
    with contextlib.suppress(OSError):
        status = stale.lstat()
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not ours or time.time() - status.st_mtime < _YOUNG:
            return
        handle = os.open(stale, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            erase(stale)
        finally:
            os.close(handle)
