"""The third proof: the package database tells the truth about the finished image.

Nothing of a removed package survives but what a package on record owns too; every path on record
is there, those that the source lacked aside; nothing that was owned lost its owner; each record
that stays says what it said; and the database contradicts itself nowhere that the source's did
not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from careen.finding import Finding, Severity
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.rootfs.path import Path, absolute

__all__ = ["records_true"]

_SAID = (
    *("name", "version", "architecture", "source", "source_version", "status", "depends"),
    *("provides", "essential"),
)


def records_true(after: Scene, before: Scene, plan: Plan) -> Iterator[Finding]:
    """Findings where the finished image's database does not fit its files."""
    removed = {item.id for item in plan.packages if item.decision == "remove"}
    yield from _packages(after.catalog, plan)
    yield from _records(after, before, removed)
    yield from _faults(after.catalog, before.catalog)
    for path, inode in after.rootfs.nodes.items():
        owners = before.catalog.owners.get(path, ())
        if not owners or inode.kind == "directory" or path in after.catalog.owners:
            continue
        if set(owners) <= removed:
            yield _error(
                "file-of-removed-package", path, f"survives its package {', '.join(owners)}"
            )
        else:
            yield _error("unowned-file", path, f"was of {', '.join(owners)}, now of no package")
    for path, owners in after.catalog.owners.items():
        if path not in after.rootfs and path in before.rootfs:
            yield _error("record-without-file", path, f"is on record of {', '.join(owners)}")


def _packages(catalog: Catalog, plan: Plan) -> Iterator[Finding]:
    planned = {item.id for item in plan.packages if item.decision != "remove"}
    for package in sorted(planned - set(catalog.packages)):
        yield _about("package-lost", f"{package} should be on record and is not")
    for package in sorted(set(catalog.packages) - planned):
        yield _about("package-extra", f"{package} is on record and should not be")


def _records(after: Scene, before: Scene, removed: Collection[str]) -> Iterator[Finding]:
    """A record that stays is the source's, less the paths that went."""
    for id, package in after.catalog.packages.items():
        origin = before.catalog.packages.get(id)
        if origin is None or id in removed:
            continue
        changed = [key for key in _SAID if getattr(package, key) != getattr(origin, key)]
        if changed:
            yield _about("record-changed", f"{id}: its record has another {', '.join(changed)}")
        if package.unreadable and not origin.unreadable:
            yield _about("record-broken", f"{id}: its record cannot be read, {package.unreadable}")
        for path in _unlisted(package, origin, after):
            yield _error(
                "unlisted-file", path, f"is of {id}, whose record does not list it any more"
            )


def _faults(after: Catalog, before: Catalog) -> Iterator[Finding]:
    known = {fault for database in before.databases for fault in database.faults}
    for database in after.databases:
        for fault in database.faults:
            severity: Severity = "note" if fault in known else "error"
            yield Finding(rule="database-fault", severity=severity, message=fault)


def _unlisted(package: Package, origin: Package, after: Scene) -> Iterator[Path]:
    listed = set(package.paths)
    nodes = after.rootfs.nodes
    for path in origin.paths:
        if path not in listed and path in nodes and nodes[path].kind != "directory":
            yield path


def _about(rule: str, message: str) -> Finding:
    return Finding(rule=rule, severity="error", message=message)


def _error(rule: str, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity="error", path=absolute(path), message=message)
