"""The paths that go, gathered rule by rule, each with the reason that first took it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from careen.plan.asked import untouchable
from careen.plan.closure import Closure, Scene
from careen.rootfs.path import Path

__all__ = ["Drops"]


class Drops:
    """`reasons` has every path that goes; `removed` the packages that go whole, by id.

    `partial` are packages that were to go and of which something stays; `targets` the symlinks
    that stay and lead elsewhere. What is `untouchable`, a database's own files too, never goes
    from here: their edit decides on those. Nor does what is `bound` to a package on record.
    """

    def __init__(self, scene: Scene, closure: Closure, removed: dict[str, str]) -> None:
        self.scene = scene
        self.closure = closure
        self.removed = removed
        self.partial: dict[str, str] = {}
        self.reasons: dict[Path, str] = {}
        self.targets: Mapping[Path, str] = {}
        self._indivisible = scene.catalog.indivisible

    def drop(self, path: Path, reason: str) -> None:
        """A path goes, if it is there and may go."""
        may_go = not untouchable(path, self.scene.catalog) and not self.bound(path)
        if self.stays(path) and may_go:
            self.reasons[path] = reason

    def bound(self, path: Path) -> str:
        """The package that stays on record and keeps every path, this one too; "" for none."""
        return next((id for id in self.keepers(path) if id in self._indivisible), "")

    def stays(self, path: Path) -> bool:
        """Whether the path is there now and will be afterwards."""
        return path in self.scene.rootfs and path not in self.reasons

    def gone(self, path: Path) -> bool:
        """Whether the path goes."""
        return path in self.reasons

    def is_directory(self, path: Path) -> bool:
        """Whether a directory is at `path`."""
        return self.scene.rootfs.nodes[path].kind == "directory"

    def keepers(self, path: Path) -> list[str]:
        """The packages that own the path and stay on record."""
        return [id for id in self.scene.catalog.owners.get(path, ()) if id not in self.removed]

    def own_files(self, id: str) -> list[Path]:
        """What a package alone keeps in the image: its paths but directories and shared ones."""
        return [
            path
            for path in self.scene.catalog.packages[id].paths
            if path in self.scene.rootfs and not self.is_directory(path) and not self.keepers(path)
        ]

    def settle(self, rules: Iterable[Callable[[Drops], None]]) -> None:
        """Apply rules that feed one another until nothing more goes."""
        rules = tuple(rules)
        before = -1
        while before != len(self.reasons):
            before = len(self.reasons)
            for rule in rules:
                rule(self)
