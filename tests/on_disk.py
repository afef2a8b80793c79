"""A root directory on disk as a merged view."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.rootfs.hand_made import rootfs


def merged(root: Path) -> Rootfs:
    """The root on disk as a merged view."""

    def nodes() -> Iterable[Node]:
        for file in sorted(root.rglob("*")):
            name, mode = str(file.relative_to(root)), file.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield Lnk(name, os.readlink(file))
            elif stat.S_ISDIR(mode):
                yield Dir(name)
            else:
                yield Reg(name, file.read_bytes())

    return rootfs(list(nodes()))
