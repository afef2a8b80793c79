"""What removed packages leave behind without owning it: each kind a named rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.plan.drops import Drops
from careen.plan.rules import CACHES, LASTING_DIRECTORIES, TOOL_CACHES
from careen.profile import glob
from careen.rootfs.path import ROOT, Path, absolute, name, normal, parent

__all__ = [
    "alternatives",
    "bytecode",
    "caches",
    "directories",
    "links",
    "lost_step",
    "tool_caches",
]


def alternatives(drops: Drops) -> None:
    """Links of which a choice goes: to the best that stays, or away with the last."""
    targets: dict[Path, str] = {}
    for database in drops.scene.catalog.databases:
        for path, target in database.relinked(frozenset(drops.reasons)).items():
            inode = drops.scene.rootfs.nodes.get(path)
            if inode is None or inode.kind != "symlink":
                continue
            if target is None:
                drops.drop(path, "the alternative that it stands for goes")
            elif inode.entry.linkname != target:
                targets[path] = target
    drops.targets = targets


def bytecode(drops: Drops) -> None:
    """`__pycache__/X.*.pyc` whose `X.py` goes, where no package owns it."""
    for path in drops.scene.rootfs.nodes:
        if not path.endswith(".pyc") or name(parent(path)) != "__pycache__":
            continue
        module = normal(f"{parent(parent(path))}/{name(path).partition('.')[0]}.py")
        if drops.gone(module) and not drops.keepers(path) and not _asked_to_keep(drops, path):
            drops.drop(path, f"bytecode of {absolute(module)}, which goes")


def caches(drops: Drops) -> None:
    """Lists, archives and logs of package managers."""
    _drop_covered(drops, dict.fromkeys(CACHES, "a package manager's cache, list or log"))


def tool_caches(drops: Drops) -> None:
    """Caches that only one tool reads, once it is known that its package goes whole."""
    packages = drops.scene.catalog.packages.items()
    staying = {package.name for id, package in packages if id not in drops.removed}
    going = {package.name for _, package in packages} - staying
    reasons = {
        text: f"a cache of {package}, which goes"
        for package, texts in TOOL_CACHES.items()
        for text in texts
        if package in going
    }
    _drop_covered(drops, reasons)


def _drop_covered(drops: Drops, reasons: Mapping[str, str]) -> None:
    """What a glob of `reasons` covers and nothing uses."""
    rules = [(glob.parse(text), reason) for text, reason in reasons.items()]
    folders = {pattern.text.partition("*")[0].rpartition("/")[0] for pattern, _ in rules}
    for folder in sorted(folders):
        for path in drops.scene.rootfs.below(normal(folder)):
            reason = next((reason for pattern, reason in rules if pattern.covers(path)), None)
            used = bool(drops.keepers(path)) or path in drops.closure.paths
            if reason is not None and not used and not drops.is_directory(path):
                drops.drop(path, reason)


def links(drops: Drops) -> None:
    """Symlinks that led somewhere and now lead nowhere.

    A package on record that owns one becomes partial. The closure keeps what its links lead to,
    so that happens only where people or a shell's removal took the target.
    """
    for path, inode in drops.scene.rootfs.nodes.items():
        if inode.kind == "symlink" and drops.stays(path) and not _asked_to_keep(drops, path):
            lost = lost_step(drops, path)
            if lost is not None:
                drops.drop(path, f"leads to {absolute(lost)}, which goes")


def lost_step(drops: Drops, path: str) -> Path | None:
    """The first step on the way of `path` that goes.

    None where it still leads somewhere, or never did. A step that is turned elsewhere leads to
    what stays.
    """
    found = drops.scene.rootfs.resolve(path)
    if found.path is None:
        return None
    for step in (*found.hops, found.path):
        if step in drops.targets:
            return None
        if not drops.stays(step):
            return step
    return None


def directories(drops: Drops) -> None:
    """Directories left empty that only removed packages own, and emptied `__pycache__` ones."""
    rootfs, catalog = drops.scene.rootfs, drops.scene.catalog
    lasting = set(_lasting(drops))
    for path in reversed(rootfs.nodes):
        if not drops.is_directory(path) or not drops.stays(path) or path in lasting:
            continue
        children = rootfs.children(path)
        if drops.keepers(path) or any(drops.stays(child) for child in children):
            continue
        if path in catalog.owners or (children and name(path) == "__pycache__"):
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
        found = rootfs.resolve(text)
        yield found.path or normal(text)


def _asked_to_keep(drops: Drops, path: Path) -> bool:
    because = drops.closure.paths.get(path)
    return because is not None and because.rule == "keep"
