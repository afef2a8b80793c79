"""All proofs together, over one finished image: alone, or against its source and a plan."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from careen.finding import Finding
from careen.oci.image import Image
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.verify.integrity import config_kept, facts_true, one_layer, past_kept
from careen.verify.ownership import databases, files_on_record, files_owned
from careen.verify.promise import tree_kept
from careen.verify.records import records_true
from careen.verify.standing import claims, linked, links_lead, starts
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
    if after.image.manifest.digest != before.image.manifest.digest:  # a counterpart is the source
        yield from one_layer(after.image)
    yield from config_kept(after.image, before.image)
    yield from past_kept(after.image, before.image)
    yield from facts_true(after.image, before.image, plan)
    yield from tree_kept(after.scene.rootfs, before.scene.rootfs, plan)
    if plan.packages or plan.paths:  # a squash decides nothing, and reads no more than the tree
        yield from records_true(after.scene, before.scene, plan)
        yield from still_working(after.scene, before.scene, plan)


def alone(sight: Sight) -> Iterator[Finding]:
    """What can be said of an image without its source; errors are what keeps it from starting."""
    yield from sight.notes
    yield from claims(sight.image)
    yield from starts(sight.scene)
    yield from linked(sight.scene)
    yield from links_lead(sight.scene)
    yield from databases(sight.scene.catalog)
    yield from files_on_record(sight.scene)
    yield from files_owned(sight.scene)
