"""The third proof: the package database tells the truth about the finished image.

Nothing of a removed package survives but what a package on record owns too; every path on record
is there, those that the source lacked aside; nothing that was owned and can run lost its owner.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen.finding import Finding
from careen.packages.catalog import Catalog
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.rootfs.path import Path, absolute

__all__ = ["records_true"]


def records_true(after: Scene, before: Scene, plan: Plan) -> Iterator[Finding]:
    """Findings where the finished image's database does not fit its files."""
    yield from _packages(after.catalog, plan)
    removed = {item.id for item in plan.packages if item.decision == "remove"}
    for path, inode in after.rootfs.nodes.items():
        owners = before.catalog.owners.get(path, ())
        if not owners or inode.kind == "directory" or path in after.catalog.owners:
            continue
        if set(owners) <= removed:
            yield _error(
                "file-of-removed-package", path, f"survives its package {', '.join(owners)}"
            )
        elif path in after.facts.elf or path in after.facts.scripts:
            yield _error("unowned-program", path, f"was of {', '.join(owners)}, now of no package")
    for path, owners in after.catalog.owners.items():
        if path not in after.rootfs and path in before.rootfs:
            yield _error("record-without-file", path, f"is on record of {', '.join(owners)}")


def _packages(catalog: Catalog, plan: Plan) -> Iterator[Finding]:
    planned = {item.id for item in plan.packages if item.decision != "remove"}
    for package in sorted(planned - set(catalog.packages)):
        yield Finding(
            rule="package-lost",
            severity="error",
            message=f"{package} should be on record and is not",
        )
    for package in sorted(set(catalog.packages) - planned):
        yield Finding(
            rule="package-extra",
            severity="error",
            message=f"{package} is on record and should not be",
        )


def _error(rule: str, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity="error", path=absolute(path), message=message)
