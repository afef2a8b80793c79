"""Where the new image goes and in which form, from what the user wrote."""

from __future__ import annotations

from careen.cli import images
from careen.cli.choice import chosen
from careen.cli.options import HardenedImage, NewImage
from careen.errors import UsageError
from careen.formats.compression import Encoding
from careen.transport import reference as references
from careen.transport.reference import Reference
from careen.workflow import Target

__all__ = ["destination", "target"]

_YEAR_9999 = 253_402_300_799  # the last second that RFC 3339 can write


def destination(text: str) -> Reference:
    """DST; UsageError for a digest, which nobody can choose."""
    found = images.named(text)
    if found.digest is not None:
        raise UsageError("a destination has a tag, not a digest", at=text)
    return found


def target(found: Reference, new: NewImage) -> Target:
    """What workflow is told; only a hardened image has a debug counterpart."""
    hardened = new if isinstance(new, HardenedImage) else None
    if new.source_date_epoch is not None and not 0 <= new.source_date_epoch <= _YEAR_9999:
        problem = f"seconds since 1970, not {new.source_date_epoch}"
        raise UsageError(problem, at="--source-date-epoch")
    form = chosen("--manifest-format", new.manifest_format, ("keep", "oci"))
    return Target(
        destination=found,
        encoding=Encoding.parse(new.compression),
        oci_manifest=form == "oci",
        debug_tag=None if hardened is None else _debug_tag(found, hardened),
        source_name=new.source_name,
        source_date_epoch=new.source_date_epoch,
        dry_run=hardened is not None and hardened.dry_run,
    )


def _debug_tag(found: Reference, new: HardenedImage) -> str | None:
    if new.no_debug:
        if new.debug_tag is not None:
            raise UsageError("say --debug-tag or --no-debug, not both", at="--no-debug")
        return None
    tag = new.debug_tag
    if tag is None:
        return references.debug_tag(found)
    if references.with_tag(found, tag) == found:
        raise UsageError("the hardened image has this tag; choose another", at="--debug-tag")
    return tag
