"""The images that a command line names, and what is named there by mistake."""

from __future__ import annotations

import os
from collections.abc import Sequence

from careen.errors import UsageError
from careen.transport import reference as references
from careen.transport.reference import Reference

__all__ = ["check_file", "misplaced", "named"]

_OPTIONS = {".yaml": "--profile", ".yml": "--profile", ".json": "--plan"}
_TRANSPORTS = ("docker://", "oci:", "oci-dir:", "oci-archive:", "docker-archive:")


def named(text: str) -> Reference:
    """The image that `text` names; UsageError for a profile's or a plan's file in its place."""
    option = _option(text)
    if option:
        problem = f"a file here, not an image; write {option} {text}, or docker://{text}"
        raise UsageError(problem, at=repr(text))
    return references.parse(text)


def check_file(name: str) -> None:
    """UsageError for an image where a file is asked for."""
    if name.startswith(_TRANSPORTS) and not os.path.exists(name):
        raise UsageError("an image, and a file is asked for here", at=repr(name))


def misplaced(words: Sequence[str]) -> str:
    """What to do about a file that stands among images: `write --profile app.yaml`; or ""."""
    before = ("", *words)
    for word, former in zip(words, before, strict=False):
        if not former.startswith("-") and (option := _option(word)):
            return f"write {option} {word}"
    return ""


def _option(text: str) -> str:
    """The option by which a file of such a name is given, "" for none, or when it is not there."""
    option = _OPTIONS.get(os.path.splitext(text)[1].lower(), "")
    return option if option and os.path.isfile(text) else ""
