"""Typed reads of the JSON objects of the spec, with the field's name as breadcrumb."""

from __future__ import annotations

from typing import Any

from careen.errors import FormatError
from careen.formats.strict_json import Object

__all__ = ["nested", "objects", "text", "texts"]


def text(document: Object, key: str) -> str:
    """The string at `key`, "" when absent or null; FormatError when it is something else."""
    return _typed(document, key, str, "a string") or ""


def texts(document: Object, key: str) -> dict[str, str]:
    """The object of strings at `key`, {} when absent or null."""
    value: dict[str, str] = _typed(document, key, dict, "an object") or {}
    if not all(isinstance(item, str) for item in value.values()):
        raise FormatError("not an object of strings", at=key)
    return value


def nested(document: Object, key: str) -> Object:
    """The object at `key`, {} when absent or null."""
    return _typed(document, key, dict, "an object") or {}


def objects(document: Object, key: str) -> list[Any]:
    """The list at `key`, [] when absent or null; its items are the caller's to check."""
    return _typed(document, key, list, "a list") or []


def _typed(document: Object, key: str, kind: type, name: str) -> Any:
    value = document.get(key)
    if value is not None and not isinstance(value, kind):
        raise FormatError(f"not {name}: {str(value)[:60]!r}", at=key)
    return value
