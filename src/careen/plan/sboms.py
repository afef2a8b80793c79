"""SBOM documents that describe what is gone: scanners would go on counting it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.finding import Finding, Severity
from careen.packages.package import Package
from careen.plan.drops import Drops
from careen.rootfs.path import Path, absolute
from careen.rootfs.sbom import Described

__all__ = ["drop", "findings"]

_DATABASES = {
    "": frozenset(["apk", "dpkg", "dpkg-status.d", "rpm"]),
    "apk": frozenset(["apk"]),
    "deb": frozenset(["dpkg", "dpkg-status.d"]),
    "rpm": frozenset(["rpm"]),
}


def drop(drops: Drops) -> None:
    """Documents about a package whose record goes; not those that are used or asked for.

    One that a package on record owns stays with it. Follows the last change of `drops.removed`.
    """
    for path, id in _stale(drops).items():
        if not _held(drops, path):
            drops.drop(path, _reason(id))


def findings(drops: Drops) -> Iterator[Finding]:
    """How many documents went; which stay though they describe what goes, or were not read."""
    documents, stale = drops.scene.facts.sboms, _stale(drops)
    gone = [path for path, id in stale.items() if drops.reasons.get(path) == _reason(id)]
    if gone:
        message = "SBOM documents go, since they describe packages that go"
        yield _finding("sbom-dropped", "note", gone[0], message, count=len(gone))
    for path, id in stale.items():
        if drops.stays(path):
            message = f"describes {id}, which goes; scanners may count it: {_held(drops, path)}"
            yield _finding("sbom-stale", "warning", path, message)
    unread = [path for path, one in documents.items() if one.unreadable and drops.stays(path)]
    if unread and drops.removed:
        message = f"may describe what goes, and stays unread: {documents[unread[0]].unreadable}"
        yield _finding("sbom-unread", "note", unread[0], message, count=len(unread))


def _stale(drops: Drops) -> dict[Path, str]:
    """The documents that describe a package of which the record goes, each with the first."""
    by_name: dict[str, list[Package]] = {}
    for package in drops.scene.catalog.packages.values():
        by_name.setdefault(package.name, []).append(package)
    found: dict[Path, str] = {}
    for path, document in drops.scene.facts.sboms.items():
        meant = (id for one in document.packages for id in _meant(one, by_name))
        id = next((id for id in meant if id in drops.removed), None)
        if id is not None:
            found[path] = id
    return found


def _meant(one: Described, by_name: Mapping[str, list[Package]]) -> list[str]:
    """The packages on record that a document means by one of its own, by id.

    Its architecture tells apart packages of one name; alone it decides nothing, since documents
    write the image's where a package has `all`.
    """
    found = [
        package
        for package in by_name.get(one.name, ())
        if package.database in _DATABASES[one.type] and _same_version(one, package.version)
    ]
    exact = [package for package in found if package.architecture == one.architecture]
    return [package.id for package in exact or found]


def _same_version(one: Described, version: str) -> bool:
    """Some documents leave the epoch out, or have it apart."""
    if one.epoch:
        return version == f"{one.epoch}:{one.version}"
    return one.version in ("", version, version.partition(":")[2])


def _held(drops: Drops, path: Path) -> str:
    """Why the document stays all the same, "" when it may go."""
    because = drops.closure.paths.get(path)
    if because is not None:
        return because.phrase
    owners = drops.keepers(path)
    return f"{owners[0]} owns it" if owners else ""


def _reason(id: str) -> str:
    return f"describes {id}, which goes"


def _finding(rule: str, severity: Severity, path: Path, message: str, *, count: int = 1) -> Finding:
    return Finding(rule=rule, severity=severity, path=absolute(path), message=message, count=count)
