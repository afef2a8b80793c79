"""JSON as registries and runtimes must agree on it: one meaning, or refused.

Duplicate keys, NaN, lone documents that are not objects and nesting past the parser's depth are
where JSON readers differ, and a difference is a hole: a digest would cover two meanings.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from careen.errors import FormatError

__all__ = ["Object", "dump", "parse", "parse_list"]

Object = dict[str, Any]


def parse(raw: bytes, *, ceiling: int) -> Object:
    """The JSON object in `raw` (UTF-8, at most `ceiling` bytes), key order kept."""
    document = _load(raw, ceiling)
    if not isinstance(document, dict):
        raise FormatError("not a JSON object")
    return document


def parse_list(raw: bytes, *, ceiling: int) -> list[Any]:
    """The same for the one document of ours that is a list, `docker save`'s manifest.json."""
    document = _load(raw, ceiling)
    if not isinstance(document, list):
        raise FormatError("not a JSON list")
    return document


def dump(document: Object) -> bytes:
    """Compact UTF-8 (ASCII escapes), keys in the order given: the same value, the same bytes."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def _load(raw: bytes, ceiling: int) -> Any:
    if len(raw) > ceiling:
        raise FormatError(f"document of {len(raw)} bytes is over the limit of {ceiling}")
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise FormatError("JSON is nested too deeply") from error
    except ValueError as error:
        raise FormatError(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found: Object = {}
    for key, value in pairs:
        if key in found:
            raise FormatError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise FormatError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise FormatError(f"number out of range: {text[:40]}")
    return number
