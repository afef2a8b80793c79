"""Where a name that a package lists really is: diversions, and links among its directories."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from careen.errors import FormatError
from careen.packages.text import lines, text
from careen.rootfs.path import Path, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["Diversion", "Names", "diversions"]

_NO_NAMES = ("", ".", "..")  # a last component that names no entry of its directory


class Diversion(msgspec.Struct, frozen=True, kw_only=True):
    """Every package's `path` but `package`'s lies at `to`; no package (""): a local diversion.

    Both are as written, relative; `record` is the three lines.
    """

    path: str
    to: str
    package: str
    record: bytes


def diversions(content: bytes) -> tuple[Diversion, ...]:
    """Read dpkg's `diversions`: from, to and package, a line each."""
    rows = lines(content)
    if len(rows) % 3 or (rows and not rows[-1].endswith(b"\n")):
        raise FormatError("not three lines a diversion")
    triples = [rows[start : start + 3] for start in range(0, len(rows), 3)]
    return tuple(_diversion(*triple) for triple in triples)


def _diversion(path: bytes, to: bytes, package: bytes) -> Diversion:
    fields = [text(line.removesuffix(b"\n")) for line in (path, to, package)]
    if not (fields[0].startswith("/") and fields[1].startswith("/") and fields[2]):
        raise FormatError("a diversion needs two absolute paths and a package")
    return Diversion(
        path=fields[0].lstrip("/"),
        to=fields[1].lstrip("/"),
        package="" if fields[2] == ":" else fields[2],
        record=path + to + package,
    )


class Names:
    """From listed names to canonical paths; remembers each directory, for lists repeat them."""

    def __init__(self, rootfs: Rootfs, diverted: tuple[Diversion, ...]) -> None:
        self._rootfs = rootfs
        self._diverted = {f"/{diversion.path}": diversion for diversion in diverted}
        self._directories: dict[str, str] = {}  # as listed → canonical, with a slash after it

    def of(self, listed: str) -> Path:
        """The path of a name that no package lists."""
        return self._rootfs.canonical(listed)

    def owned(self, listed: Iterable[str], package: str) -> list[Path]:
        """The path of each name that `package` lists, in the same order.

        dpkg compares a diversion with the name as listed, before any link: a diverted /bin/sh
        leaves a listed /usr/bin/sh alone. A name with others below it is a directory to the
        package: where the image has a link there (/bin, once /usr is merged), it is the link's
        target that the package shares.
        """
        names = tuple(listed)
        folders = {name.rpartition("/")[0] for name in names}
        paths = []
        for name in names:
            if name in folders:
                paths.append(self._folder(name))
                continue
            if name in self._diverted:
                name = self._really(name, package)  # noqa: PLW2901
            directory, _, base = name.rpartition("/")
            prefix = self._directories.get(directory)
            if prefix is None or base in _NO_NAMES:
                paths.append(self._canonical(name, directory))
            else:
                paths.append(Path(prefix + base))
        return paths

    def _folder(self, listed: str) -> Path:
        return self._rootfs.end(listed)

    def _really(self, listed: str, package: str) -> str:
        diversion = self._diverted[listed]
        return listed if diversion.package == package else f"/{diversion.to}"

    def _canonical(self, listed: str, directory: str) -> Path:
        path = self._rootfs.canonical(listed)
        if listed.rpartition("/")[2] not in _NO_NAMES:
            above = parent(path)
            self._directories[directory] = f"{above}/" if above else ""
        return path

    def present(self, path: Path) -> bool:
        """Whether anything is at `path`."""
        return path in self._rootfs
