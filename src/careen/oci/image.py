"""An image in a store: its manifest and config, checked to belong together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from careen.errors import FormatError, SourceError, within
from careen.finding import Finding
from careen.oci import config as configs
from careen.oci import manifest as manifests
from careen.oci import media_type as media_types
from careen.oci.config import Config
from careen.oci.descriptor import Descriptor
from careen.oci.index import Index
from careen.oci.manifest import Manifest
from careen.oci.platform import Platform
from careen.oci.store import Store

__all__ = ["Image", "load", "select"]

_DEPTH = 4  # of indexes within indexes; more is a cycle or a joke


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """`notes` are what is odd about it but no reason to refuse."""

    manifest: Manifest
    config: Config
    notes: tuple[Finding, ...] = ()


def select(
    top: Descriptor, wanted: Platform | None, read: Callable[[Descriptor], bytes]
) -> Descriptor:
    """The image manifest that `top` means, through as many indexes as it takes.

    `read` gives the checked bytes of a manifest. SourceError when an index needs `wanted` to
    choose by, or has no such image.
    """
    descriptor = top
    for _ in range(_DEPTH):
        if descriptor.media_type not in media_types.INDEXES:
            return descriptor
        raw = read(descriptor)
        with within(descriptor.digest):
            descriptor = Index.parse(raw, descriptor.media_type).select(wanted)
    raise FormatError(f"indexes nested more than {_DEPTH} deep", at=top.digest)


def load(store: Store, descriptor: Descriptor, wanted: Platform | None = None) -> Image:
    """Read and check manifest and config; the layers' bytes are not looked at.

    `wanted` is what the user asked for; an image that says it is for something else is refused.
    """
    raw = store.read(descriptor, ceiling=manifests.CEILING)
    with within(descriptor.digest):
        manifest = Manifest.parse(raw, descriptor.media_type)
        for i, layer in enumerate(manifest.layers):
            with within(f"layers[{i}]"):
                media_types.codec(layer.media_type)
                if media_types.is_foreign(layer.media_type) and not store.has(layer.digest):
                    raise FormatError(
                        "a foreign layer whose blob is not in the image; its urls are not followed"
                    )
    raw = store.read(manifest.config, ceiling=configs.CEILING)
    with within(manifest.config.digest):
        config = Config.parse(raw)
        _check_platform(config.platform, wanted)
        if len(config.diff_ids) != len(manifest.layers):
            raise FormatError(
                f"{len(config.diff_ids)} diff_ids for {len(manifest.layers)} layers",
                at="rootfs.diff_ids",
            )
    return Image(manifest=manifest, config=config, notes=_history(config))


def _check_platform(found: Platform, wanted: Platform | None) -> None:
    if found.os != "linux":
        raise SourceError(f"an image for {found}; careen reads Linux images only", at="os")
    if wanted is not None and not found.matches(wanted):
        raise SourceError(f"the image is for {found}, not for --platform {wanted}")


def _history(config: Config) -> tuple[Finding, ...]:
    written = sum(not item.get("empty_layer") for item in config.history)
    if not config.history or written == len(config.diff_ids):
        return ()
    message = f"history tells of {written} layers, the image has {len(config.diff_ids)}"
    return (Finding(rule="history-length", severity="note", message=message),)
