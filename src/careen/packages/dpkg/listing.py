"""info/: a package's lists, told apart from those of its like for another architecture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from careen.errors import FormatError, SourceError, within
from careen.packages.dpkg.record import Record
from careen.packages.source import Source
from careen.packages.text import lines, text
from careen.rootfs.path import Path, name

__all__ = ["Listing", "assign", "digested", "groups", "listing", "sums"]

_READ = ("list", "md5sums", "conffiles")  # the files in info/ whose lines name paths
_DIGEST = re.compile(rb"[0-9a-f]{32} [ *](?:\./)?(?P<path>.+)\n?")

Groups = Mapping[str, Mapping[str, Path]]  # base name → extension → path


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a package lists, as written; None when it has no list. `trouble` says why not to edit.

    `files` are its files in `info/` by extension.
    """

    files: Mapping[str, Path]
    paths: tuple[str, ...] | None = None
    conffiles: tuple[str, ...] = ()
    trouble: str = ""


def groups(source: Source) -> Groups:
    """The files of `info/` by package; a name's last dot parts it (dpkg's infodb)."""
    found: dict[str, dict[str, Path]] = {}
    for path in source.children("info"):
        base, dot, extension = name(path).rpartition(".")
        if dot and base:
            found.setdefault(base, {})[extension] = path
    return found


def assign(records: Iterable[Record], found: Groups) -> list[str]:
    """The base name in `info/` of each record, in the same order.

    NAME:ARCH for `Multi-Arch: same`, NAME otherwise; the other form where only that is there and
    no other package's, as in databases from before dpkg 1.16.2.
    """
    expected = [_expected(record) for record in records]
    taken = set(expected)
    bases = []
    for record, base in zip(records, expected, strict=True):
        qualified = f"{record.name}:{record.architecture}"
        other = record.name if base == qualified else qualified
        usable = "list" not in found.get(base, {}) and "list" in found.get(other, {})
        bases.append(other if usable and other not in taken else base)
    return bases


def _expected(record: Record) -> str:
    same = record.fields.get("Multi-Arch") == "same"
    return f"{record.name}:{record.architecture}" if same else record.name


def listing(source: Source, files: Mapping[str, Path]) -> Listing:
    """Read one package's lists."""
    try:
        for path in files.values():
            with within(f"info/{name(path)}"):
                _read(source, path)
        return Listing(
            files=files,
            paths=_paths(files.get("list"), source),
            conffiles=_conffiles(files.get("conffiles"), source),
        )
    except (FormatError, SourceError) as error:
        return Listing(files=files, trouble=str(error))


def _read(source: Source, path: Path) -> None:
    """Keep the bytes of a list; any other file's content does not matter."""
    if path.rpartition(".")[2] in _READ:
        content = source.rootfs.read(path)
        if content and not content.endswith(b"\n"):
            raise FormatError("the last line has no newline")
        source.contents[path] = content


def _paths(path: Path | None, source: Source) -> tuple[str, ...] | None:
    if path is None:
        return None
    content = b"\n" + source.contents[path]
    if b"\n\n" in content or b"/../" in content or b"/..\n" in content:
        raise FormatError("an empty line, or a name with ..", at=f"info/{name(path)}")
    return tuple(text(content).split("\n")[1:-1])


def _conffiles(path: Path | None, source: Source) -> tuple[str, ...]:
    if path is None:
        return ()
    return tuple(
        text(line).rstrip("\n").removeprefix("remove-on-upgrade ")
        for line in lines(source.contents[path])
        if line.strip()
    )


def sums(source: Source, path: Path | None, beside: Iterable[str] = ()) -> Listing:
    """The listing of a package that has digests alone (`status.d`), and owns `beside` as well."""
    if path is None:
        return Listing(files={})
    try:
        with within(f"status.d/{name(path)}"):
            _read(source, path)
    except (FormatError, SourceError) as error:
        return Listing(files={}, trouble=str(error))
    listed = [text(digested(line)) for line in lines(source.contents[path])]
    return Listing(files={"md5sums": path}, paths=(*filter(None, listed), *beside))


def digested(line: bytes) -> bytes:
    """The path of a line of `md5sums`, from the root as lists write it; b"" when it is none."""
    match = _DIGEST.fullmatch(line)
    return b"/" + match["path"].lstrip(b"/") if match else b""
