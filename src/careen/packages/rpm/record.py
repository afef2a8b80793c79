"""A package's header as a record: what careen needs to know of it, every list whole."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import msgspec

from careen.errors import FormatError
from careen.packages.rpm import header
from careen.packages.rpm.header import Header

__all__ = ["Record", "parse"]

# rpm's tags (rpmtag.h; the manual's "Package Tags")
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES = 1027, 1116, 1117, 1118
_FILE_MODES, _FILE_FLAGS, _SOURCE_RPM, _PROVIDES, _REQUIRES = 1030, 1037, 1044, 1047, 1049
_TAGS = frozenset(
    [
        *(_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE_RPM, _PROVIDES, _REQUIRES),
        *(_OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES, _FILE_MODES, _FILE_FLAGS),
    ]
)
_CONFIG, _GHOST = 1 << 0, 1 << 6  # file flags (rpmfiles.h)

_WORDS = frozenset(["and", "or", "if", "else", "unless", "with", "without"])
_COMPARISONS = frozenset(["<", "<=", "=", ">=", ">"])


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`row` is the header's number in the database, `version` `[EPOCH:]VERSION-RELEASE`.

    `files` are names as listed; `directories`, `config` and `ghosts` (listed, but not brought by
    the package) are among them. `requires` are the names and paths that the package asks for.
    """

    row: int
    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    files: tuple[str, ...] = ()
    directories: frozenset[str] = frozenset()
    config: frozenset[str] = frozenset()
    ghosts: frozenset[str] = frozenset()
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`NAME-VERSION-RELEASE.ARCH`, as `rpm -qa` prints it; a key has no architecture."""
        suffix = f".{self.architecture}" if self.architecture else ""
        return f"{self.name}-{self.version.rpartition(':')[2]}{suffix}"

    @property
    def is_key(self) -> bool:
        """Whether it is no package but a key that packages are checked with."""
        return self.name == "gpg-pubkey"


def parse(row: int, blob: bytes) -> Record:
    """Read a header; FormatError when it is malformed, or its lists do not fit each other."""
    read = header.parse(blob, _TAGS)
    name, version, release = (read.text(tag) for tag in (_NAME, _VERSION, _RELEASE))
    if not (name and version and release):
        raise FormatError("a package without name, version or release")
    epoch = read.numbers(_EPOCH)
    if len(epoch) > 1:
        raise FormatError("several epochs", at=name)
    full = f"{epoch[0]}:{version}-{release}" if epoch else f"{version}-{release}"
    source, source_version = _source(read.text(_SOURCE_RPM))
    files = _files(read, name)
    flags = _each(read, _FILE_FLAGS, files)
    modes = _each(read, _FILE_MODES, files)
    return Record(
        row=row,
        name=name,
        version=full,
        architecture=read.text(_ARCH),
        source=source or name,
        source_version=source_version or full,
        files=files,
        directories=frozenset(file for file, mode in modes if stat.S_ISDIR(mode)),
        config=frozenset(file for file, flag in flags if flag & _CONFIG),
        ghosts=frozenset(file for file, flag in flags if flag & _GHOST),
        provides=tuple(dict.fromkeys(read.texts(_PROVIDES))),
        requires=tuple(dict.fromkeys(_required(read.texts(_REQUIRES)))),
    )


def _source(file: str) -> tuple[str, str]:
    """Name and version of `NAME-VERSION-RELEASE.src.rpm`."""
    stem = file.removesuffix(".rpm").removesuffix(".src").removesuffix(".nosrc")
    parts = stem.rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else ("", "")


def _files(read: Header, name: str) -> tuple[str, ...]:
    """Names as listed: a directory and a base name each, or whole in the oldest packages."""
    bases, folders = read.texts(_BASE_NAMES), read.texts(_DIR_NAMES)
    indexes = read.numbers(_DIR_INDEXES)
    if len(bases) != len(indexes):
        raise FormatError(f"{len(bases)} names in {len(indexes)} directories", at=name)
    if indexes and max(indexes) >= len(folders):
        raise FormatError(f"a file in directory {max(indexes)} of {len(folders)}", at=name)
    if not bases:
        return read.texts(_OLD_FILE_NAMES)
    return tuple(folders[index] + base for index, base in zip(indexes, bases, strict=True))


def _each(read: Header, tag: int, files: tuple[str, ...]) -> list[tuple[str, int]]:
    """Each file with its number under `tag`, 0 where the header has none."""
    numbers = read.numbers(tag) or (0,) * len(files)
    if len(numbers) != len(files):
        raise FormatError(f"{len(numbers)} values for {len(files)} files", at=f"tag {tag}")
    return list(zip(files, numbers, strict=True))


def _required(names: tuple[str, ...]) -> Iterator[str]:
    """What is asked for, less what rpm itself answers to.

    A rich dependency (`(a >= 1 or b)`) counts as asking for everything that it names: the more
    is kept.
    """
    for name in names:
        if name.startswith("("):
            yield from _rich(name)
        elif not name.startswith("rpmlib("):
            yield name


def _rich(text: str) -> Iterator[str]:
    words = iter(text.split())
    for word in words:
        name = word.lstrip("(")
        while name.count(")") > name.count("("):
            name = name.removesuffix(")") if name.endswith(")") else ""
        if name in _COMPARISONS:
            next(words, None)
        elif name and name not in _WORDS:
            yield name
