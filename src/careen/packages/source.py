"""The database's files as they are read: where each really is, its bytes, what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from careen.errors import FormatError, SourceError, within
from careen.rootfs.path import Path, join
from careen.rootfs.rootfs import Rootfs

__all__ = ["Source"]

T = TypeVar("T")


class Source:
    """Reads from the directory `home`, and remembers.

    `paths` maps a name (`triggers/File`, from the database's directory, or given with `at`) to
    its real path, `contents` that to its bytes; `hops` are the symlinks that led there.
    `troubles` are reasons not to edit anything, `notes` what is merely odd.
    """

    def __init__(self, rootfs: Rootfs, home: Path) -> None:
        self.rootfs = rootfs
        self.home = home
        self.paths: dict[str, Path] = {}
        self.contents: dict[Path, bytes] = {}
        self.hops: set[Path] = set()
        self.troubles: list[str] = []
        self.notes: list[str] = []

    def locate(self, name: str, *, at: str | None = None) -> Path | None:
        """Where `name` is, None when it is absent or leads nowhere."""
        found = self.rootfs.resolve(join(self.home, name) if at is None else at)
        self.hops |= set(found.hops)
        return found.path

    def read(self, name: str, *, at: str | None = None) -> bytes:
        """The content of `name`, b"" when it is absent; SourceError when it is no regular file."""
        path = self.locate(name, at=at)
        if path is None:
            return b""
        try:
            content = self.rootfs.read(path)
        except SourceError as error:
            error.at = ""  # who asks says where
            raise
        self.paths[name] = path
        self.contents[path] = content
        return content

    def attempt(self, name: str, read: Callable[[], T], otherwise: T) -> T:
        """What `read` gives, or `otherwise` and one trouble more."""
        try:
            with within(name):
                return read()
        except (FormatError, SourceError) as error:
            self.troubles.append(str(error))
            return otherwise

    def children(self, name: str) -> list[Path]:
        """The paths in the directory `name`, [] when there is none."""
        directory = self.locate(name)
        return [] if directory is None else self.rootfs.children(directory)
