"""All proofs together, over one finished image: alone, or against its source and a plan."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from careen import linkage
from careen.finding import Finding
from careen.oci.image import Image
from careen.packages import catalog
from careen.plan.closure import Scene, view
from careen.plan.plan import Plan
from careen.rootfs.path import absolute
from careen.verify.integrity import config_kept, facts_true, one_layer
from careen.verify.promise import tree_kept
from careen.verify.records import records_true
from careen.verify.working import still_working

__all__ = ["Sight", "against", "alone"]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """A finished image as read from its bytes; `notes` are what the reading found odd."""

    image: Image
    scene: Scene
    notes: tuple[Finding, ...] = ()


def against(after: Sight, before: Sight, plan: Plan) -> Iterator[Finding]:
    """What the finished image owes its source: everything but what the plan drops."""
    yield from after.notes
    yield from one_layer(after.image)
    yield from config_kept(after.image, before.image)
    yield from facts_true(after.image, before.image, plan)
    yield from tree_kept(after.scene.rootfs, before.scene.rootfs, plan)
    if plan.packages or plan.paths:  # a squash decides nothing, and reads no more than the tree
        yield from records_true(after.scene, before.scene, plan)
        yield from still_working(after.scene, before.scene, plan)


def alone(sight: Sight) -> Iterator[Finding]:
    """What can be said of an image without its source: only what is wrong by itself."""
    yield from sight.notes
    yield from _missing(sight.scene)
    yield from _records(sight.scene)


def _missing(scene: Scene) -> Iterator[Finding]:
    for missing in linkage.missing(scene.facts.elf, view(scene)):
        yield Finding(
            rule="library-missing",
            severity="warning",
            path=absolute(missing.needed_by),
            message=f"needs {missing.name}, which is not in the image",
        )
    nodes = scene.rootfs.nodes
    dangling = [
        path
        for path, inode in nodes.items()
        if inode.kind == "symlink" and scene.rootfs.resolve(path).path is None
    ]
    if dangling:
        yield Finding(
            rule="dangling-link",
            severity="note",
            path=absolute(dangling[0]),
            message="symlinks lead nowhere",
            count=len(dangling),
        )


def _records(scene: Scene) -> Iterator[Finding]:
    """Packages on record of which nothing is there are what a scanner would count in vain."""
    for package in scene.catalog.packages.values():
        files = [p for p in package.paths if scene.rootfs.nodes.get(p) is None]
        if package.paths and len(files) == len(package.paths):
            yield Finding(
                rule="record-without-file",
                severity="warning",
                message=f"{package.id} is on record, and none of its files is there",
            )
    yield from catalog.notes(scene.catalog)
