"""What people ask to keep or drop: patterns of the profile and of the command line together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from careen.errors import within
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.profile import glob
from careen.profile.glob import Glob
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Selection", "of"]

_SPECIAL = frozenset("*?[")


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

    def unmatched(self, catalog: Catalog, rootfs: Rootfs) -> list[str]:
        """The patterns, as written, that name nothing in the image."""
        packages = catalog.packages.values()
        named = {
            pattern.text
            for pattern in self.package_globs
            if any(pattern.names(one.name) or pattern.names(one.id) for one in packages)
        }
        covered = {
            pattern.text
            for pattern in self.path_globs
            if any(pattern.covers(path) for path in rootfs.nodes)
        }
        texts = dict.fromkeys(one.text for one in (*self.package_globs, *self.path_globs))
        return [text for text in texts if text not in named | covered]


def of(texts: Iterable[str], place: str, rootfs: Rootfs) -> Selection:
    """From patterns as written; FormatError naming `place` for one that has no meaning.

    `/bin/*` also stands for `/usr/bin/*` where the image's /bin is a link there.
    """
    with within(place):
        globs = [glob.parse(text) for text in dict.fromkeys(texts)]
    paths = [pattern for pattern in globs if pattern.is_path]
    return Selection(
        package_globs=tuple(pattern for pattern in globs if not pattern.is_path),
        path_globs=tuple(one for pattern in paths for one in _spellings(pattern, rootfs)),
    )


def _spellings(pattern: Glob, rootfs: Rootfs) -> Iterator[Glob]:
    """The pattern, and the same with its leading directories as the image stores them."""
    yield pattern
    components = pattern.text[1:].split("/")
    plain = list(itertools.takewhile(lambda one: not _SPECIAL & {*one}, components[:-1]))
    folder = rootfs.resolve("/".join(plain)).path
    if folder is not None and folder != "/".join(plain):
        stored = folder.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
        spelled = glob.parse("/".join(["", *filter(None, [stored]), *components[len(plain) :]]))
        yield msgspec.structs.replace(spelled, text=pattern.text)
