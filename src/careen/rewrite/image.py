"""A plan applied: one new layer, config and manifest, written to a layout.

Nothing is decided here. What the config and manifest said stays, unknown fields too; what the
squash makes false is rewritten: diff_ids, history, base annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from careen.errors import FormatError, UsageError
from careen.formats import compression, strict_json
from careen.formats.compression import Encoding
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci import media_type as media_types
from careen.oci.config import CEILING, Config
from careen.oci.descriptor import Descriptor
from careen.oci.image import Image
from careen.oci.layout import Layout
from careen.oci.media_type import Family
from careen.plan.plan import Plan
from careen.rewrite.layer import Blocks
from careen.rewrite.merge import merge
from careen.rootfs.rootfs import Rootfs

__all__ = ["Form", "Work", "apply"]

_BASE = "org.opencontainers.image.base."
_SOURCE_BASE = "io.careen.source.base."
_OWN = "io.careen."


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How the new image is to look: what is not in the plan.

    `command` goes into the history (`careen harden 1.0`); `facts` become config labels and, in
    an OCI manifest, annotations; `created` is an RFC 3339 time, "" for the source's own.
    """

    encoding: Encoding
    command: str
    facts: dict[str, str] = {}
    created: str = ""
    oci_manifest: bool = False


def apply(
    image: Image, rootfs: Rootfs, plan: Plan, layout: Layout, form: Form, work: Work
) -> Image:
    """Write layer, config and manifest of the new image into `layout`, untagged.

    UsageError for zstd in a Docker manifest; SourceError when the plan does not fit the tree;
    CareenError when the disk is full.
    """
    family: Family = "oci" if form.oci_manifest else image.manifest.family
    if family == "docker" and form.encoding.codec == "zstd":
        raise UsageError("a Docker manifest has no zstd layers; add --manifest-format oci")
    blocks = Blocks(rootfs, merge(rootfs, plan))
    packed = compression.compress(work.watched(blocks), form.encoding, jobs=work.jobs)
    blob = layout.write(packed)
    layer = Descriptor(
        media_type=media_types.layer(family, form.encoding.codec),
        digest=blob.digest,
        size=blob.size,
    )
    config = Config.parse(strict_json.dump(_config(image.config, blocks.diff_id, form)))
    config_type = (
        media_types.config(family) if form.oci_manifest else image.manifest.config.media_type
    )
    config_blob = layout.write([config.raw], Descriptor.of(config_type, config.raw))
    manifest = image.manifest.replaced(
        media_type=media_types.manifest(family),
        config=config_blob,
        layers=(layer,),
        annotations=_annotations(image, form, family),
    )
    layout.write([manifest.raw], manifest.descriptor)
    return Image(manifest=manifest, config=config)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """How to work: `jobs` compressing threads; `on_bytes` hears of uncompressed bytes written."""

    jobs: int
    on_bytes: Callable[[int], None] = lambda _: None

    def watched(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, counted as they pass."""
        for block in blocks:
            yield block
            self.on_bytes(len(block))


def _config(config: Config, diff_id: Digest, form: Form) -> Object:
    document = dict(config.document)
    created = form.created or document.get("created")
    if created is not None:
        document["created"] = created
    document["rootfs"] = {
        **(document.get("rootfs") or {}),
        "type": "layers",
        "diff_ids": [diff_id],
    }
    step = {"created": created} if created is not None else {}
    document["history"] = [
        {
            **step,
            "created_by": form.command,
            "comment": strict_json.dump({"history": _told(config)}).decode(),
        }
    ]
    inner = dict(document.get("config") or {})
    inner["Labels"] = _still_true(inner.get("Labels") or {}) | form.facts
    document["config"] = inner
    if not inner["Labels"]:
        del inner["Labels"]
    return document


def _told(config: Config) -> list[Object]:
    """The source's history, with what an earlier squash had put into a comment taken out again.

    A comment within a comment would double its escapes each time.
    """
    steps: list[Object] = []
    for step in config.history:
        earlier, rest = _unpacked(step)
        steps += [*earlier, rest]
    return steps


def _unpacked(step: Object) -> tuple[list[Object], Object]:
    """The steps in the comment of a step of careen's own, and that step without them."""
    comment = step.get("comment")
    if not str(step.get("created_by")).startswith("careen ") or not isinstance(comment, str):
        return [], step
    try:
        inside = strict_json.parse(comment.encode(), ceiling=CEILING)
    except (FormatError, UnicodeEncodeError):
        return [], step
    earlier = inside.get("history")
    if list(inside) != ["history"] or not isinstance(earlier, list):
        return [], step
    return earlier, {key: value for key, value in step.items() if key != "comment"}


def _annotations(image: Image, form: Form, family: Family) -> dict[str, str]:
    kept = _still_true(image.manifest.annotations)
    if family == "docker":  # which has no annotations of its own
        return kept
    return kept | form.facts | {"io.careen.encoder": form.encoding.name}


def _still_true(texts: dict[str, str]) -> dict[str, str]:
    """The source's labels or annotations, less what the squash makes false.

    `image.base.*` promises shared lower layers: now it tells of the source alone. Facts of an
    earlier careen are the source's, which stays reachable by its digest.
    """
    kept, base = {}, {}
    for key, value in texts.items():
        if key.startswith(_BASE):
            base[_SOURCE_BASE + key.removeprefix(_BASE)] = value
        elif not key.startswith(_OWN) or key.startswith(_SOURCE_BASE):
            kept[key] = value
    return kept | base
