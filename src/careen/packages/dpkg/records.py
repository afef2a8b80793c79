"""A dpkg database, read from an image: its packages, and what it says after an edit.

`status` (or `status.d`, one file a package) says which packages there are, `info/` what each
owns (dpkg(1), FILES). A database that cannot be read in full is read as far as it goes and
refused for editing: its packages stay, whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from careen.errors import CareenError, within
from careen.finding import some
from careen.packages import shells
from careen.packages.dpkg import alternatives, edit, faults
from careen.packages.dpkg.alternatives import Alternative
from careen.packages.dpkg.database import Database, Row
from careen.packages.dpkg.found import (
    Found,
    fields_of,
    from_status,
    from_status_d,
    identified,
    native_of,
    stanzas_of,
)
from careen.packages.dpkg.listing import groups
from careen.packages.dpkg.names import Diversion, Names, diversions
from careen.packages.dpkg.record import relation, source_of
from careen.packages.dpkg.stanza import Fields, cut, parse
from careen.packages.package import Package
from careen.packages.source import Source
from careen.rootfs.path import ROOT, Path, name, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["DpkgRecords", "read"]

_HOME = "var/lib/dpkg"
_BESIDE = ("diversions-old", "statoverride", "statoverride-old")
_EXTENDED_STATES = "var/lib/apt/extended_states"


class DpkgRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What a dpkg database records. `refused` says why it is not to be edited, "" when it may be.

    `alternatives` are the records of update-alternatives, with the symlinks that stand for each.
    `native` is the architecture whose packages' ids do not name it.
    """

    packages: tuple[Package, ...]
    files: frozenset[Path]
    notes: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    refused: str
    native: str
    database: Database

    @property
    def faults(self) -> tuple[str, ...]:
        """See `careen.packages.catalog.Records`."""
        return tuple(faults.found(self.database, self.packages))

    @property
    def whole(self) -> bool:
        """See `careen.packages.catalog.Records`: a list of files may lose single ones."""
        return False

    def relinked(self, dropped: frozenset[Path]) -> Mapping[Path, str | None]:
        """See `careen.packages.catalog.Records`: the links of alternatives whose choice goes."""
        changes: dict[Path, str | None] = {}
        for alternative in () if self.refused else self.alternatives:
            changes |= alternatives.relinked(alternative, dropped, self.database.names)
        return changes

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """See `careen.packages.catalog.Records`; ids of other databases are passed over.

        ValueError for a package that is `unreadable`: no plan may remove one.
        """
        for package in self.packages:
            if package.unreadable and package.id in removed:
                raise ValueError(f"{package.id} must stay: {package.unreadable}")
        if self.refused:
            return {}
        return edit.edited(self.database, self.packages, removed, dropped)


def read(rootfs: Rootfs, *, native: str = "") -> DpkgRecords | None:
    """The image's dpkg database, None when there is none.

    `native` is the native architecture where the database does not say it: that of the image that
    this one was made of, so that both have the same ids.
    """
    home = rootfs.resolve(_HOME)
    if home.path is None:
        return None
    source = Source(rootfs, home.path)
    source.hops |= set(home.hops)
    # an empty one counts: what an edit leaves is the same database
    if source.locate("status") is None and source.locate("status.d") is None:
        return None
    return _records(source, native)


def _records(source: Source, native: str) -> DpkgRecords:
    names = Names(source.rootfs, _diversions(source))
    stanzas = stanzas_of(source, "status")
    fields = fields_of(source, "status", stanzas, {})
    recorded = [*from_status(source, stanzas, fields), *from_status_d(source)]
    native = native_of(source, recorded, native)
    found = identified(recorded, native, source)
    rows = {
        "status": tuple(_row(one, names) for one in found if one.file is None),
        **_repeated(source, fields),
    }
    choices = _alternatives(source, names)
    _remember(source)
    _refuse_unsettled(source)
    refused = f"its database is not sound: {source.troubles[0]}" if source.troubles else ""
    packages = tuple(_package(one, names, refused) for one in found if one.id)
    _note(source, packages)
    return DpkgRecords(
        packages=packages,
        files=frozenset(_files(source)),
        notes=tuple(source.notes),
        alternatives=choices,
        refused=refused,
        native=native,
        database=Database(
            paths=source.paths,
            contents=source.contents,
            names=names,
            rows={file: table for file, table in rows.items() if table},
            standalone={one.file: _row(one, names) for one in found if one.file is not None},
            info={one.id: one.listing.files for one in found if one.id},
            strays=tuple(_strays(source, found)),
            alternatives=choices,
        ),
    )


def _strays(source: Source, found: Sequence[Found]) -> Iterator[str]:
    """What stands in `info/`, and the digests in `status.d`, of no package on record."""
    known = {path for one in found for path in one.listing.files.values()}
    for base, files in sorted(groups(source).items()):
        if known.isdisjoint(files.values()):
            yield f"info/{base}.*"
    for path in source.children("status.d"):
        if path.endswith(".md5sums") and path not in known:
            yield f"status.d/{name(path)}"


def _diversions(source: Source) -> tuple[Diversion, ...]:
    return source.attempt("diversions", lambda: diversions(source.read("diversions")), ())


def _row(found: Found, names: Names) -> Row:
    record = found.record
    return Row(
        stanza=record.stanza,
        name=record.name,
        architecture=record.architecture,
        id=found.id,
        conffiles=dict(
            zip(
                record.conffiles,
                names.owned(record.conffiles.values(), record.name),
                strict=True,
            )
        ),
    )


def _repeated(source: Source, known: Mapping[bytes, Fields]) -> dict[str, tuple[Row, ...]]:
    """The stanzas of the files that repeat `status`, and of apt's marks beside it."""
    rows = {}
    for file in ("status-old", "available"):
        stanzas = stanzas_of(source, file)
        rows[file] = _named(stanzas, fields_of(source, file, stanzas, known))
    try:
        stanzas = cut(source.read(_EXTENDED_STATES, at=_EXTENDED_STATES))
        fields = dict(zip(stanzas, parse(stanzas), strict=True))
        rows[_EXTENDED_STATES] = _named(stanzas, fields)
    except CareenError as error:  # not dpkg's own: dpkg's files can be edited all the same
        source.notes.append(f"/{_EXTENDED_STATES} is left as it is: {error}")
    return rows


def _named(stanzas: Sequence[bytes], fields: Mapping[bytes, Fields]) -> tuple[Row, ...]:
    read = [(stanza, fields.get(stanza, {})) for stanza in stanzas]
    return tuple(
        Row(stanza=stanza, name=of.get("Package", ""), architecture=of.get("Architecture", ""))
        for stanza, of in read
    )


def _alternatives(source: Source, names: Names) -> tuple[Alternative, ...]:
    """update-alternatives' records; one that is not understood stays as it is."""
    found = []
    for path in source.children("alternatives"):
        generic = name(path)
        link = source.rootfs.nodes.get(Path(f"etc/alternatives/{generic}"))
        current = link.entry.linkname if link is not None and link.kind == "symlink" else ""
        try:
            with within(f"alternatives/{generic}"):
                content = source.read(f"alternatives/{generic}")
                found.append(alternatives.parse(generic, content, names, current))
        except CareenError as error:
            source.notes.append(f"left as it is: {error}")
    return tuple(found)


def _remember(source: Source) -> None:
    """Read the files whose lines follow packages or paths."""
    triggers = [f"triggers/{name(path)}" for path in source.children("triggers")]
    for file in (*_BESIDE, *triggers):
        source.attempt(file, partial(source.read, file), b"")
    shells.remember(source)


def _refuse_unsettled(source: Source) -> None:
    """A journal that dpkg would merge first, or a layout of `info/` that is not known."""
    if any(name(path).isdigit() for path in source.children("updates")):
        source.troubles.append("updates/ holds changes that dpkg has not merged")
    layout = source.attempt("info/format", lambda: source.read("info/format"), b"")
    if layout.strip() not in (b"", b"0", b"1"):
        source.troubles.append("info/format names a layout that is not known")


def _package(found: Found, names: Names, refused: str) -> Package:
    record, listing = found.record, found.listing
    listed = dict.fromkeys(names.owned(listing.paths or (), record.name))
    written = (*record.conffiles.values(), *listing.conffiles)
    conffiles = dict.fromkeys(names.owned(written, record.name))
    paths = {**listed, **conffiles}
    if found.file is not None:
        paths |= dict.fromkeys(_folders(paths, names))
    paths.pop(ROOT, None)  # every package lists it
    origin, origin_version = source_of(record)
    return Package(
        id=found.id,
        name=record.name,
        version=record.version,
        architecture=record.architecture,
        database="dpkg" if found.file is None else "dpkg-status.d",
        source=origin,
        source_version=origin_version,
        essential=record.fields.get("Essential") == "yes",
        status=record.status,
        paths=tuple(paths),
        conffiles=tuple(conffiles),
        provides=tuple(group[0] for group in relation(record.fields.get("Provides", ""))),
        depends=tuple(
            group
            for field in ("Pre-Depends", "Depends")
            for group in relation(record.fields.get(field, ""))
        ),
        unreadable=refused or _unreadable(found),
        partly_listed=_partly_listed(found),
    )


def _folders(paths: Iterable[Path], names: Names) -> Iterator[Path]:
    """The directories of what is there: its package brought them, and digests do not list them."""
    seen: set[Path] = set()
    for path in filter(names.present, paths):
        folder = parent(path)
        while folder not in seen:
            seen.add(folder)
            yield folder
            folder = parent(folder)


def _unreadable(found: Found) -> str:
    """Why what is on record of the package is not all that it owns."""
    record, listing = found.record, found.listing
    if listing.trouble:
        return listing.trouble
    if record.state == "half-installed" or record.flag != "ok":
        return f"its installation broke off ({record.status})"
    # dpkg keeps no list of a removed package without configuration files
    if listing.paths is None and record.state != "config-files":
        return "it has no list of files"
    return ""


def _partly_listed(found: Found) -> str:
    """Why the record may not tell what of the package is in use.

    netbase is /etc/protocols and its like; they are configuration files, which no digests list.
    """
    documents = f"/usr/share/doc/{found.record.name}"
    paths = [path for path in found.listing.paths or () if path != documents]
    beside = (f"{documents}/", "/usr/share/lintian/")
    if found.file is None or not all(path.startswith(beside) for path in paths):
        return ""
    return "status.d/ lists no file of it beside documentation"


def _note(source: Source, packages: Sequence[Package]) -> None:
    """Say once, for all packages alike, what is odd about some."""
    groups = defaultdict(list)
    for package in packages:
        words = package.status.split()
        if package.unreadable:
            groups[f"cannot be edited, {package.unreadable}"].append(package.id)
        elif words and words[2] not in ("installed", "config-files"):
            groups[f"not configured ({words[2]})"].append(package.id)
        if words and words[0] == "hold":
            groups["on hold"].append(package.id)
    source.notes += [f"{what}: {some(names)}" for what, names in groups.items()]


def _files(source: Source) -> set[Path]:
    """The database's directory, all in it, the links that lead there, and where its own lead."""
    # these follow the packages without being dpkg's own: a rule may take them with their tool
    outside = {*shells.FILES, _EXTENDED_STATES}
    linked = {path for file, path in source.paths.items() if file not in outside}
    inside = {source.home, *source.rootfs.below(source.home)}
    return inside | linked | source.hops
