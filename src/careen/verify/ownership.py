"""Whose an image's files are, by its package databases alone: without its source."""

from __future__ import annotations

from collections.abc import Iterator

from careen.finding import Finding, Severity
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan.closure import Scene
from careen.plan.rules import is_documentation
from careen.rootfs.path import Path, order, parent
from careen.rootfs.rootfs import Rootfs
from careen.verify.counted import counted

__all__ = ["databases", "files_on_record", "files_owned"]


def databases(catalog: Catalog) -> Iterator[Finding]:
    """Which databases there are, what is odd about each, and where one contradicts itself."""
    if not catalog.databases:
        yield _about("package-database", "note", "the image has no package database")
    kinds = sorted({package.database for package in catalog.packages.values()})
    if len(catalog.databases) > 1:
        message = f"the image has {len(catalog.databases)} package databases: {', '.join(kinds)}"
        yield _about("package-database", "note", message)
    for message in catalog.unsupported:
        yield _about("database-unsupported", "warning", message)
    for database in catalog.databases:
        for message in database.notes:
            yield _about("package-database", "note", message)
        for message in database.faults:
            yield _about("database-fault", "warning", message)


def files_on_record(scene: Scene) -> Iterator[Finding]:
    """Packages on record of which nothing is there, which a scanner counts in vain; then what is
    listed and absent, by database. Documents stand apart: slim images are made without them.
    """
    rootfs, packages = scene.rootfs, scene.catalog.packages.values()
    for package in packages:
        if _is_empty(package, rootfs):
            message = f"{package.id} is on record, and none of its files is there"
            yield _about("record-without-file", "warning", message)
    absent: dict[tuple[str, bool], set[Path]] = {}
    for package in packages:
        for path in package.paths:
            if path not in rootfs:
                absent.setdefault((package.database, is_documentation(path)), set()).add(path)
    for (kind, are_documents), paths in sorted(absent.items()):
        rule, what = _ABSENT[are_documents]
        message = f"{what} that {kind} has on record and the image has not"
        yield counted(rule, "note", sorted(paths, key=order), message)


_ABSENT = {
    False: ("listed-file-absent", "files"),
    True: ("listed-document-absent", "documents, man pages and message catalogues"),
}


def _is_empty(package: Package, rootfs: Rootfs) -> bool:
    """Whether it lists something else than documents, and nothing of it all is there.

    Of directories only those count that it lists nothing in.
    """
    folders = {parent(path) for path in package.paths}
    files = [path for path in package.paths if path not in folders]
    return not all(map(is_documentation, files)) and not any(path in rootfs for path in files)


def files_owned(scene: Scene) -> Iterator[Finding]:
    """Programs and libraries of no package, as one: no scanner of packages knows of them.

    The databases' own scripts are not meant, nor an image without packages.
    """
    catalog = scene.catalog
    if not catalog.packages:
        return
    own = {path for database in catalog.databases for path in database.files}
    programs = {*scene.facts.elf, *scene.facts.scripts} - catalog.owners.keys() - own
    if programs:
        message = "programs and libraries of no package"
        yield counted("unowned-program", "note", sorted(programs, key=order), message)


def _about(rule: str, severity: Severity, message: str) -> Finding:
    return Finding(rule=rule, severity=severity, message=message)
