"""Squash a hand-made image in this process, and let umoci judge: the same tree before and after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from careen import workflow
from careen.formats import tar
from careen.formats.compression import Encoding
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.tree import Tree
from careen.transport.access import Access
from careen.transport.reference import parse
from careen.workflow import Outcome, Settings, Target
from tests.builders import MTIME, Node, image_layout, tar_layer
from tests.judges import Snapshot, differences, hard_links, snapshot, umoci_unpack
from tests.rootfs.hand_made import Memory

Layer = list[Node] | bytes
Layers = list[Layer]


class Unwatched:
    """Nobody is told how far the work is."""

    @contextlib.contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda _: None


def raw(layer: Layer) -> bytes:
    return layer if isinstance(layer, bytes) else tar_layer(layer)


def merged(layers: Layers) -> Rootfs:
    """The merged view, in memory."""
    return merged_with_notes(layers)[0]


def merged_with_notes(layers: Layers) -> tuple[Rootfs, Tree]:
    tree = Tree()
    spools = [Memory(raw(layer)) for layer in layers]
    for number, spool in enumerate(spools):
        tree.apply(number, tar.Reader([spool.content]))
    nodes, links = tree.finish()
    return Rootfs(nodes, tuple(spools), links), tree


def squash(
    source: Path, target: Path, *, compression: str = "gzip", jobs: int = 2, **options: Any
) -> Outcome:
    """`oci:SOURCE:x` to `oci:TARGET:x`; asserts that careen's own proof found nothing."""
    settings = Settings(jobs=jobs, progress=Unwatched(), source=Access(), destination=Access())
    aim = Target(
        destination=parse(f"oci:{target}:x"),
        encoding=Encoding.parse(compression),
        debug_tag=None,
        **options,
    )
    outcome = workflow.squash(parse(f"oci:{source}:x"), aim, settings)
    assert [item for item in outcome.findings if item.severity != "note"] == []
    return outcome


def judged(folder: Path, layers: Layers) -> tuple[Snapshot, list[str]]:
    """The source as umoci unpacks it, and what it finds different in the squashed image."""
    image_layout(folder / "source", [raw(layer) for layer in layers], tag="x")
    squash(folder / "source", folder / "target")
    before = umoci_unpack(folder / "source", "x", folder / "before")
    after = umoci_unpack(folder / "target", "x", folder / "after")
    found = snapshot(before)
    lines = differences(found, snapshot(after), ignore_mtime=dated_by_umoci(found))
    if hard_links(before) != hard_links(after):
        lines.append(f"hard links: {hard_links(before)} != {hard_links(after)}")
    return found, lines


def dated_by_umoci(found: Snapshot) -> frozenset[bytes]:
    """Directories that got the time of umoci's own run.

    Those that no layer has an entry for, and those that a whiteout took something out of after
    their entry: umoci does not set their time again.
    """
    limit = (MTIME + 365 * 86400) * 10**9
    return frozenset(path for path, one in found.items() if one.kind == "d" and one.mtime > limit)
