"""Records of `installed`: cut as bytes, kept as bytes, their fields read beside them.

A record is a block of lines `LETTER:VALUE` that an empty line ends. The package's own fields come
first, then its directories (`F`, their owner and mode in `M`), each with its files (`R`, likewise
`a`, and the checksum `Z`) (Alpine wiki, Apk spec). Letters that are not known stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from careen.errors import FormatError
from careen.packages.apk.checksum import identity
from careen.packages.text import lines, text
from careen.rootfs.path import ROOT, Path, join

__all__ = ["Record", "cut", "name_of", "parse", "without"]

_RECORD = re.compile(rb"\n*(?:[^\n]+\n)+\n*")
_ROW = re.compile(r"([A-Za-z]):([^\0]*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9+._,:/-]+")  # what people may call a virtual package, too
_VISIBLE = re.compile(r"[!-~]+")
_OWNER = re.compile(r"[0-9]+:[0-9]+:[0-7]+(?::(?P<xattrs>.+))?")  # user:group:mode
_NAME_ENDS = re.compile(r"[<>=~@]")  # in `name@tag>=version`
_ONCE = frozenset("CPVASITULomtcDpirqsfkg")  # the package's own fields
_FILES = frozenset("FMRaZ")
_AFTER = {"M": "F", "R": "F", "a": "R", "Z": "R"}

Files = Mapping[str, tuple[str, ...]]  # directory as listed → the names of the files in it


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A package as recorded: `raw` are its bytes with the empty lines around them.

    `checksum` is its identity to apk. `depends` and `provides` are names without versions, as
    listed (`musl`, `so:libz.so.1`, `cmd:ls`, `/bin/sh`), conflicts left out. `flags` are letters
    for what went wrong when it was installed.
    """

    raw: bytes
    name: str
    version: str
    checksum: bytes
    architecture: str
    origin: str
    depends: tuple[str, ...]
    provides: tuple[str, ...]
    flags: str
    files: Files


def cut(content: bytes) -> tuple[bytes, ...]:
    """Each record with the empty lines around it; joined, they are `content` again.

    The end of the file ends the last one as well as an empty line does. FormatError when it has no
    newline: apk loses that package.
    """
    if not content.strip(b"\n"):
        return ()
    if not content.endswith(b"\n"):
        raise FormatError("the last line has no newline")
    return tuple(_RECORD.findall(content))


def parse(raw: bytes) -> Record:
    """Read one record; FormatError when apk would refuse it, or it can be taken in two ways."""
    fields: dict[str, str] = {}
    files: dict[str, list[str]] = {}
    standing: frozenset[str] = frozenset()
    directory = ""
    for letter, value in _rows(raw):
        if letter in _FILES:
            standing = _follow(standing, letter, value)
            _check(letter, value)
        elif letter in fields and letter in _ONCE:
            raise FormatError(f"the field {letter} stands twice")
        if letter == "R":
            files[directory].append(value)
        elif letter == "F":
            if "P" not in fields:
                raise FormatError(f"F:{value} stands before the package's name")
            directory = value
            files.setdefault(directory, [])
        elif letter not in _FILES:
            fields[letter] = value
    return _record(raw, fields, {key: _distinct(key, names) for key, names in files.items()})


def _rows(raw: bytes) -> Iterator[tuple[str, str]]:
    for line in raw.strip(b"\n").split(b"\n"):
        row = _ROW.fullmatch(text(line))
        if row is None:
            raise FormatError(f"malformed line {text(line)!r}")
        yield row[1], row[2]


def _follow(standing: frozenset[str], letter: str, value: str) -> frozenset[str]:
    """What stands in a directory's section once `letter` follows; each belongs to what is before.

    apk would give an `a` or `Z` that follows `F` to the last file of the section before.
    """
    if letter == "F":
        return frozenset("F")
    if _AFTER[letter] not in standing:
        raise FormatError(f"{letter}:{value} stands before the {_AFTER[letter]} it belongs to")
    if letter == "R":
        return standing - {"a", "Z"} | {"R"}
    if letter in standing:
        raise FormatError(f"the field {letter} stands twice ({letter}:{value})")
    return standing | {letter}


def _check(letter: str, value: str) -> None:
    """FormatError when the value has not the shape that its letter asks for."""
    if letter == "Z":
        identity(value)
    elif letter in "Ma":
        owner = _OWNER.fullmatch(value)
        if owner is None:
            raise FormatError(f"{letter}:{value} is not user:group:mode")
        if owner["xattrs"] is not None:
            identity(owner["xattrs"])
    elif letter == "R" and (value in ("", ".", "..") or "/" in value):
        raise FormatError(f"R:{value} is not the name of a file")
    elif letter == "F" and ".." in value.split("/"):
        raise FormatError(f"F:{value} is a name with ..")


def _distinct(directory: str, names: list[str]) -> tuple[str, ...]:
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) != len(names):
        raise FormatError(f"a file of {directory}/ stands twice")
    return distinct


def _record(raw: bytes, fields: Mapping[str, str], files: Files) -> Record:
    return Record(
        raw=raw,
        name=_required(fields, "P", _NAME),
        version=_required(fields, "V", _VISIBLE),
        checksum=identity(_required(fields, "C", _VISIBLE)),
        architecture=fields.get("A", ""),
        origin=fields.get("o", ""),
        depends=_names(fields.get("D", "")),
        provides=_names(fields.get("p", "")),
        flags=fields.get("f", ""),
        files=files,
    )


def _required(fields: Mapping[str, str], letter: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(letter, "")
    if not pattern.fullmatch(value):
        raise FormatError(f"{letter}:{value} names nothing" if value else f"no {letter}")
    return value


def _names(value: str) -> tuple[str, ...]:
    """The names in a field of dependencies, once each; `!name` is a conflict."""
    words = [word for word in value.split(" ") if word]
    for word in words:
        if not name_of(word.removeprefix("!")):
            raise FormatError(f"{word!r} names no package")
    return tuple(dict.fromkeys(name_of(word) for word in words if not word.startswith("!")))


def name_of(word: str) -> str:
    """The name in `name@tag>=version`, which apk calls a dependency."""
    return _NAME_ENDS.split(word, maxsplit=1)[0]


def without(raw: bytes, directories: Mapping[str, Path], dropped: frozenset[Path]) -> bytes:
    """`raw` less the lines of paths that are dropped; `directories` says where each really is.

    With a directory all its lines go: a file on record that was absent anyway would stand alone.
    """
    kept = []
    directory = file = ROOT
    for line in lines(raw):
        letter, value = line[:1], text(line[2:-1])
        if letter == b"F":
            directory = directories[value]
        elif letter == b"R":
            file = join(directory, value)
        gone = letter in b"FMRaZ" and directory in dropped
        if not gone and not (letter in b"RaZ" and file in dropped):
            kept.append(line)
    return b"".join(kept)
