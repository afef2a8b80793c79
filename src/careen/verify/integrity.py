"""The first proof: the finished image is well-formed and is what the source was.

Digests, sizes and diff_ids are checked as the bytes are read (`rootfs.scan` raises, and notes what
is odd); what is left to compare here are the documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from careen.errors import FormatError
from careen.finding import Finding
from careen.formats import strict_json
from careen.formats.strict_json import Object
from careen.oci.config import CEILING
from careen.oci.image import Image
from careen.plan.plan import Plan

__all__ = ["config_kept", "facts_true", "one_layer", "past_kept"]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_REWRITTEN = ("rootfs", "history", "created", "config")  # of an image config


def one_layer(image: Image) -> Iterator[Finding]:
    """One layer, and one step of history that tells of it."""
    if len(image.manifest.layers) != 1:
        yield _error("layer-count", f"{len(image.manifest.layers)} layers after a squash")
    written = [step for step in image.config.history if not step.get("empty_layer")]
    if len(written) != len(image.manifest.layers):
        yield _error(
            "history-length",
            f"history tells of {len(written)} layers, the image has {len(image.manifest.layers)}",
        )


def facts_true(image: Image, source: Image, plan: Plan) -> Iterator[Finding]:
    """What careen's own labels say of the source and the plan, where they say it."""
    true = {"io.careen.source.digest": source.manifest.digest}
    if plan.profile:  # a squash has neither profile nor plan to name
        true["io.careen.plan.digest"] = plan.digest
    labels = image.config.execution.labels
    for key, value in true.items():
        if labels.get(key, value) != value:
            yield _error("label-untrue", f"label {key} is {_short(labels[key])}, not {value}")


def config_kept(image: Image, source: Image) -> Iterator[Finding]:
    """Every field of the source's config and manifest is there; only careen's own are new."""
    yield from _same(image.config.document, source.config.document, "config", _REWRITTEN)
    inner, before = (one.config.document.get("config") or {} for one in (image, source))
    yield from _same(inner, before, "config.config", ("Labels",))
    yield from _texts_kept(image.config.execution.labels, source.config.execution.labels, "label")
    skip = ("config", "layers", "annotations", "mediaType")
    yield from _same(image.manifest.document, source.manifest.document, "manifest", skip)
    yield from _texts_kept(image.manifest.annotations, source.manifest.annotations, "annotation")


def past_kept(image: Image, source: Image) -> Iterator[Finding]:
    """When and how it came to be: `created`, and every step of the source's history.

    A squash moves the steps into its own one's comment, `{"history": [...]}`; steps that an
    earlier squash had moved so come out of its comment, for such comments do not nest.
    """
    created, was = (one.config.document.get("created") for one in (image, source))
    if created != was and not _is_time(created):
        yield _error("created-malformed", f"created is {_short(created)}, was {_short(was)}")
    steps, before = image.config.history, source.config.history
    if steps == before:  # nothing was squashed
        return
    moved = _moved(steps[0]) if steps else None
    if moved not in (list(before), _unpacked(before)):
        yield _error(
            "history-lost", f"not all {len(before)} steps of the source's history are kept"
        )


def _unpacked(history: Sequence[Object]) -> list[Object]:
    """Each step, after those in its comment."""
    steps: list[Object] = []
    for step in history:
        moved = _moved(step)
        if moved is not None:
            steps += moved
            step = {key: value for key, value in step.items() if key != "comment"}  # noqa: PLW2901
        steps.append(step)
    return steps


def _moved(step: Object) -> list[Object] | None:
    """The steps in the comment of a step of careen's own, None for any other."""
    comment = step.get("comment")
    if not str(step.get("created_by")).startswith("careen ") or not isinstance(comment, str):
        return None
    try:
        inside = strict_json.parse(comment.encode(), ceiling=CEILING)
    except (FormatError, UnicodeEncodeError):
        return None
    history = inside.get("history")
    return history if list(inside) == ["history"] and isinstance(history, list) else None


def _is_time(text: Any) -> bool:
    """Whether it is what RFC 3339 and a calendar allow."""
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    except ValueError:
        return False
    return True


def _same(after: Object, before: Object, name: str, skip: tuple[str, ...]) -> Iterator[Finding]:
    for key in sorted({*after, *before} - {*skip}):
        if after.get(key) != before.get(key):
            yield _error(
                "config-changed",
                f"{name}.{key} is {_short(after.get(key))}, was {_short(before.get(key))}",
            )


def _texts_kept(after: dict[str, str], before: dict[str, str], what: str) -> Iterator[Finding]:
    for name, value in before.items():
        if name.startswith("io.careen."):
            continue
        key = name.replace("org.opencontainers.image.base.", "io.careen.source.base.")
        if after.get(key) != value:
            yield _error(
                "config-changed", f"{what} {key} is {_short(after.get(key))}, was {_short(value)}"
            )
    for key in sorted({*after} - {*before}):
        if not key.startswith("io.careen."):
            yield _error("config-changed", f"{what} {key} is new")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _error(rule: str, message: str) -> Finding:
    return Finding(rule=rule, severity="error", message=message)
