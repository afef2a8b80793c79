"""Typed reads of the JSON objects of the spec, with the field's name as breadcrumb."""

from __future__ import annotations

from careen.errors import FormatError
from careen.formats.strict_json import Object

__all__ = ["text", "texts"]


def text(document: Object, key: str) -> str:
    """The string at `key`, "" when absent; FormatError when it is something else."""
    value = document.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FormatError(f"not a string: {value!r}", at=key)
    return value


def texts(document: Object, key: str) -> dict[str, str]:
    """The object of strings at `key`, {} when absent or null."""
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise FormatError("not an object of strings", at=key)
    return value
