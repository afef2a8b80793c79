"""What removed packages leave behind without owning it: each kind a named rule."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from careen.plan.drops import Drops
from careen.plan.rules import CACHES, LASTING_DIRECTORIES, TOOL_CACHES
from careen.rootfs.path import ROOT, Path, absolute, name, normal, parent

__all__ = ["bytecode", "caches", "directories", "links"]


def bytecode(drops: Drops) -> None:
    """`__pycache__/X.*.pyc` whose `X.py` goes, where no package owns it."""
    for path in drops.scene.rootfs.nodes:
        if not path.endswith(".pyc") or name(parent(path)) != "__pycache__":
            continue
        module = Path(f"{parent(parent(path))}/{name(path).partition('.')[0]}.py")
        if module in drops.reasons and not drops.keepers(path):
            drops.drop(path, f"bytecode of {absolute(module)}, which goes")


def caches(drops: Drops) -> None:
    """Lists, archives and logs of package managers, and caches that only a removed tool reads."""
    names = {drops.scene.catalog.packages[id].name for id in drops.removed}
    globs = dict.fromkeys(CACHES, "a package manager's cache, list or log")
    for package, patterns in TOOL_CACHES.items():
        if package in names:
            globs |= dict.fromkeys(patterns, f"a cache of {package}, which goes")
    for path in drops.scene.rootfs.nodes:
        for pattern, reason in globs.items():
            covered = fnmatch.fnmatchcase(path, pattern) and not drops.is_directory(path)
            if covered and not drops.keepers(path):
                drops.drop(path, reason)


def links(drops: Drops) -> None:
    """Symlinks that led somewhere and now lead nowhere, where no package on record owns them."""
    rootfs = drops.scene.rootfs
    for path, inode in rootfs.nodes.items():
        if inode.kind != "symlink" or path in drops.reasons or drops.keepers(path):
            continue
        found = rootfs.resolve(path)
        if found.path is None:
            continue
        gone = next((step for step in (*found.hops, found.path) if not drops.stays(step)), None)
        if gone is not None:
            drops.drop(path, f"leads to {absolute(gone)}, which goes")


def directories(drops: Drops) -> None:
    """Directories left empty that only removed packages own, and emptied `__pycache__` ones."""
    rootfs, catalog = drops.scene.rootfs, drops.scene.catalog
    lasting = set(_lasting(drops))
    for path in reversed(rootfs.nodes):
        if not drops.is_directory(path) or path in drops.reasons or path in lasting:
            continue
        children = rootfs.children(path)
        if any(drops.stays(child) for child in children):
            continue
        owned = path in catalog.owners and not drops.keepers(path)
        if owned or (children and name(path) == "__pycache__"):
            drops.drop(path, "empty once its packages are gone")


def _lasting(drops: Drops) -> Iterator[Path]:
    """Directories that something outside the file system counts on."""
    execution, rootfs = drops.scene.execution, drops.scene.rootfs
    yield ROOT
    yield from LASTING_DIRECTORIES
    yield from (path for path in drops.closure.paths if drops.is_directory(path))
    texts = [*execution.volumes, execution.working_dir]
    user = execution.user.partition(":")[0]
    texts += [u.home for u in drops.scene.facts.users if user in (u.name, str(u.uid))]
    for text in texts:
        yield rootfs.resolve(text).path or normal(text)
