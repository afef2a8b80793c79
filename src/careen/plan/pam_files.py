"""The files of PAM's services in an image, by what tells whose they are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache

from careen.packages.catalog import Catalog
from careen.rootfs import pam
from careen.rootfs.path import Path, name
from careen.rootfs.rootfs import Rootfs

__all__ = ["PamFiles"]


class PamFiles:
    """Each way to ask costs what it finds, however many files there are.

    `present` is whether the image has one of PAM's directories at all.
    """

    def __init__(self, rootfs: Rootfs, catalog: Catalog) -> None:
        resolved = [rootfs.resolve(folder).path for folder in pam.DIRECTORIES]
        folders = dict.fromkeys(folder for folder in resolved if folder is not None)
        files = [file for folder in folders for file in rootfs.children(folder)]
        self.present = bool(folders)
        self.unknown = [it for it in files if it not in catalog.owners or name(it) == "other"]
        self._named = sorted((name(file), file) for file in files)
        self._owned: dict[str, list[Path]] = {}
        self.like = cache(self._like)
        for file in files:
            for id in catalog.owners.get(file, ()):
                self._owned.setdefault(id, []).append(file)

    def _like(self, program: str) -> list[Path]:
        """The services that bear a program's name: `su` and `su-l` are those of `su`."""
        return [*self._from(program, f"{program}\0"), *self._from(f"{program}-", f"{program}.")]

    def of(self, package: str) -> Sequence[Path]:
        """The services whose files a package, by its id, owns."""
        return self._owned.get(package, ())

    def _from(self, first: str, end: str) -> list[Path]:
        """Those whose names sort from `first` up to `end`: `.` is what comes after `-`."""
        start = bisect_left(self._named, (first,))
        return [file for _, file in self._named[start : bisect_left(self._named, (end,))]]
