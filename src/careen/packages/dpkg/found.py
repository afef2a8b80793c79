"""The packages of a database as it records them: each stanza with what the package lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from careen.errors import FormatError
from careen.packages.dpkg.listing import Listing, assign, groups, listing, sums
from careen.packages.dpkg.record import Record, record
from careen.packages.dpkg.stanza import Fields, cut, parse
from careen.packages.source import Source
from careen.packages.text import text
from careen.rootfs.path import Path, name

__all__ = [
    "Found",
    "fields_of",
    "from_status",
    "from_status_d",
    "identified",
    "native_of",
    "stanzas_of",
]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A record and its listing; `file` is its own file in `status.d`, None for one in `status`.

    `id` is "" for what is no package: selected but not installed, or recorded a second time.
    """

    record: Record
    listing: Listing
    file: Path | None = None
    id: str = ""


def from_status(
    source: Source, stanzas: Sequence[bytes], fields: Mapping[bytes, Fields]
) -> list[Found]:
    """The packages of `status` in its order, as far as `fields` has their stanzas."""
    records = []
    for number, stanza in enumerate(stanzas, 1):
        if stanza in fields:
            read = partial(record, stanza, fields[stanza])
            one = source.attempt(f"status: stanza {number}", read, None)
            records += [one] if one is not None else []
    lists = groups(source)
    present = [one for one in records if one.installed]
    bases = dict(zip((id(one) for one in present), assign(present, lists), strict=True))
    return [
        Found(record=one, listing=listing(source, lists.get(bases.get(id(one), ""), {})))
        for one in records
    ]


def from_status_d(source: Source) -> list[Found]:
    """The packages of `status.d`: a file each, whatever its name, and FILE.md5sums beside it."""
    children = source.children("status.d")
    digests = {path for path in children if path.endswith(".md5sums")}
    stanzas = [path for path in children if path not in digests]
    found = []
    for path in stanzas:
        one = source.attempt(f"status.d/{name(path)}", partial(_alone, source, path), None)
        if one is not None:
            beside = Path(f"{path}.md5sums")
            listed = sums(source, beside if beside in digests else None, _documents(source, one))
            found.append(Found(record=one, listing=listed, file=path))
    if found:
        source.notes.append(
            "status.d/ lists neither symlinks nor configuration files: those of a package that "
            "goes stay, but for links that then lead nowhere"
        )
    return found


def _documents(source: Source, record: Record) -> tuple[str, ...]:
    """/usr/share/doc/NAME where that is a link, to where the package's copyright is.

    Digests do not list it; by its name it is NAME's (Debian Policy 12.5).
    """
    path = Path(f"usr/share/doc/{record.name}")
    inode = source.rootfs.nodes.get(path)
    return (f"/{path}",) if inode is not None and inode.kind == "symlink" else ()


def _alone(source: Source, path: Path) -> Record:
    content = source.rootfs.read(path)
    stanzas = cut(content if content.endswith(b"\n") else content + b"\n")
    if len(stanzas) != 1:
        raise FormatError(f"{len(stanzas)} stanzas in place of one")
    source.contents[path] = content
    return record(content, parse(stanzas)[0], status_field=False)


def stanzas_of(source: Source, name: str, *, at: str | None = None) -> tuple[bytes, ...]:
    """The stanzas of a file of the database, () when it is absent or cannot be cut."""
    return source.attempt(name, lambda: cut(source.read(name, at=at)), ())


def fields_of(
    source: Source, name: str, stanzas: Sequence[bytes], known: Mapping[bytes, Fields]
) -> dict[bytes, Fields]:
    """The fields of each stanza that can be read; of all, or there is one trouble more."""
    fresh = [stanza for stanza in dict.fromkeys(stanzas) if stanza not in known]
    try:
        read = dict(zip(fresh, parse(fresh), strict=True))
    except FormatError as error:
        source.troubles.append(f"{name}{'' if error.at else ': '}{error}")
        read = _each(fresh)
    return {**known, **read}


def _each(stanzas: Sequence[bytes]) -> dict[bytes, Fields]:
    """The fields of those stanzas that can be read alone."""
    fields = {}
    for stanza in stanzas:
        try:
            fields[stanza] = parse([stanza])[0]
        except FormatError:
            continue
    return fields


def identified(found: Sequence[Found], native: str, source: Source) -> list[Found]:
    """Each with its id: the name, `NAME:ARCH` for a foreign architecture's, as dpkg prints it.

    So an id depends on no other package, and is the same after an edit.
    """
    given: list[Found] = []
    seen: set[str] = set()
    for one in found:
        record = one.record
        id = record.name
        if record.architecture not in (native, "all"):
            id += f":{record.architecture}"
        if not record.installed:
            given.append(one)
        elif id in seen:
            source.troubles.append(f"{id} is recorded twice")
        else:
            seen.add(id)
            given.append(msgspec.structs.replace(one, id=id))
    return given


def native_of(source: Source, found: Sequence[Found], known: str) -> str:
    """The first line of `arch`, kept since a foreign one was added; else what is `known`.

    Where neither says it: dpkg's own, which has the native one compiled in; else the commonest.
    """
    names = text(source.attempt("arch", lambda: source.read("arch"), b"")).split()
    present = [one.record for one in found if one.record.installed]
    own = [one.architecture for one in present if one.name == "dpkg" and one.architecture != "all"]
    counted = Counter(one.architecture for one in present if one.architecture != "all")
    commonest = [architecture for architecture, _ in counted.most_common(1)]
    return next(filter(None, (*names[:1], known, *own, *commonest)), "all")
