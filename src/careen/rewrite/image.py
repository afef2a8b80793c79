"""A plan applied: one new layer, config and manifest, written to a layout.

Nothing is decided here. What the config and manifest said stays, unknown fields too; what the
squash makes false is rewritten: diff_ids, history, base annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from careen.formats import compression, strict_json
from careen.formats.compression import Encoding
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci import media_type as media_types
from careen.oci.config import Config
from careen.oci.descriptor import Descriptor
from careen.oci.image import Image
from careen.oci.layout import Layout
from careen.plan.plan import Plan
from careen.rewrite.layer import Blocks
from careen.rewrite.merge import merge
from careen.rootfs.rootfs import Rootfs

__all__ = ["Form", "Work", "apply"]

_BASE = "org.opencontainers.image.base."
_SOURCE_BASE = "io.careen.source.base."


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

    SourceError when the plan does not fit the tree; CareenError when the disk is full.
    """
    family = "oci" if form.oci_manifest else image.manifest.family
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
        annotations=_annotations(image, form) if family == "oci" else image.manifest.annotations,
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
            "comment": strict_json.dump({"history": list(config.history)}).decode(),
        }
    ]
    inner = dict(document.get("config") or {})
    inner["Labels"] = _without_base(inner.get("Labels") or {}) | form.facts
    document["config"] = inner
    if not inner["Labels"]:
        del inner["Labels"]
    return document


def _annotations(image: Image, form: Form) -> dict[str, str]:
    own = {**form.facts, "io.careen.encoder": form.encoding.name}
    return _without_base(image.manifest.annotations) | own


def _without_base(texts: dict[str, str]) -> dict[str, str]:
    """`image.base.*` promises shared lower layers; after a squash it tells of the source alone."""
    return {
        _SOURCE_BASE + key.removeprefix(_BASE) if key.startswith(_BASE) else key: value
        for key, value in texts.items()
    }
