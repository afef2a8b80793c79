"""What people ask to keep or drop: patterns of the profile and of the command line together."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from careen.errors import within
from careen.packages.package import Package
from careen.profile import glob
from careen.profile.glob import Glob
from careen.rootfs.path import Path

__all__ = ["Selection", "of"]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Patterns over package names and over paths."""

    package_globs: tuple[Glob, ...] = ()
    path_globs: tuple[Glob, ...] = ()

    def package(self, package: Package) -> str | None:
        """The pattern that names the package, as written; None when none does."""
        for pattern in self.package_globs:
            if pattern.names(package.name) or pattern.names(package.id):
                return pattern.text
        return None

    def path(self, path: Path) -> str | None:
        """The pattern that covers the path, as written; None when none does."""
        for pattern in self.path_globs:
            if pattern.covers(path):
                return pattern.text
        return None


def of(texts: Iterable[str], place: str) -> Selection:
    """From patterns as written; FormatError naming `place` for one that has no meaning."""
    with within(place):
        globs = [glob.parse(text) for text in texts]
    return Selection(
        package_globs=tuple(pattern for pattern in globs if not pattern.is_path),
        path_globs=tuple(pattern for pattern in globs if pattern.is_path),
    )
