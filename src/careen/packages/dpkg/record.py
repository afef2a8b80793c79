"""One package's stanza, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from careen.errors import FormatError
from careen.packages.dpkg.stanza import Fields

__all__ = ["Record", "conffile_lines", "record", "relation", "source_of"]

_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_CONFFILE = re.compile(
    r" (?P<path>\S.*?) (?:[0-9a-f]{32}|newconffile)(?: obsolete)?(?: remove-on-upgrade)?"
)
_SOURCE = re.compile(r"(?P<name>[^\s()]+)(?:\s+\((?P<version>[^\s()]+)\))?")
# dpkg(1), INFORMATION ABOUT PACKAGES: selection, flag and state, in the order of the field
_WORDS: tuple[frozenset[str], ...] = (
    frozenset({"unknown", "install", "hold", "deinstall", "purge"}),
    frozenset({"ok", "reinstreq"}),
    frozenset(
        {
            "not-installed",
            "config-files",
            "half-installed",
            "unpacked",
            "half-configured",
            "triggers-awaited",
            "triggers-pending",
            "installed",
        }
    ),
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A stanza as it stands, and what careen reads from it.

    `status` is the field itself; `selection`, `flag` and `state` are its words, of a package that
    is just there ("", "ok", "installed") in status.d, which has no such field. `conffiles` maps
    each line of that field to the path that it names.
    """

    stanza: bytes
    fields: Fields
    name: str
    architecture: str
    version: str
    status: str
    selection: str
    flag: str
    state: str
    conffiles: Mapping[bytes, str]

    @property
    def installed(self) -> bool:
        """Whether anything of it may be in the image, be it configuration files alone."""
        return self.state != "not-installed"


def record(stanza: bytes, fields: Fields, *, status_field: bool = True) -> Record:
    """The record in a stanza; FormatError when a field is missing or is not what dpkg allows."""
    status = _required(fields, "Status") if status_field else ""
    selection, flag, state = _words(status) if status_field else ("", "ok", "installed")
    # dpkg too asks no version of a package that may never have been unpacked
    version = fields.get("Version", "")
    if not version and state not in ("not-installed", "half-installed"):
        raise FormatError("no Version")
    return Record(
        stanza=stanza,
        fields=fields,
        name=_matching(_NAME, _required(fields, "Package"), "Package"),
        architecture=""
        if state == "not-installed"
        else _matching(_ARCHITECTURE, _required(fields, "Architecture"), "Architecture"),
        version=version,
        status=status,
        selection=selection,
        flag=flag,
        state=state,
        conffiles=conffile_lines(fields.get("Conffiles", "")),
    )


def _required(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise FormatError(f"no {name}")
    return value


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    if not pattern.fullmatch(value):
        raise FormatError(f"{value!r} cannot be a {name}")
    return value


def _words(status: str) -> tuple[str, str, str]:
    words = status.split()
    if len(words) != 3 or any(word not in known for word, known in zip(words, _WORDS, strict=True)):
        raise FormatError(f"{status!r} is not a status that dpkg knows")
    return words[0], words[1], words[2]


def conffile_lines(value: str) -> dict[bytes, str]:
    """The lines of a Conffiles field, as written, and the path that each names."""
    found = {}
    for line in value.split("\n"):
        if not line:
            continue
        match = _CONFFILE.fullmatch(line)
        if match is None:
            raise FormatError(f"{line!r} is not a conffile's line")
        found[line.encode("utf-8", "surrogateescape")] = match["path"]
    return found


def relation(value: str) -> tuple[tuple[str, ...], ...]:
    """Depends and its like as groups of alternatives, names only (deb-control(5))."""
    groups = []
    for part in value.split(","):
        names = [_NAME.match(alternative.strip()) for alternative in part.split("|")]
        groups.append(tuple(name[0] for name in names if name))
    return tuple(group for group in groups if group)


def source_of(record: Record) -> tuple[str, str]:
    """The source package's name and version: the package's own where the field is silent."""
    match = _SOURCE.fullmatch(record.fields.get("Source", ""))
    if match is None:
        return record.name, record.version
    return match["name"], match["version"] or record.version
