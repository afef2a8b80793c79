"""JSON as registries and runtimes must agree on it: one meaning, or refused.

Duplicate keys, NaN, lone documents that are not objects and nesting past the parser's depth are
where JSON readers differ, and a difference is a hole: a digest would cover two meanings.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from careen.errors import FormatError

__all__ = ["Object", "dump", "parse"]

Object = dict[str, Any]


def parse(raw: bytes, *, ceiling: int) -> Object:
    """The JSON object in `raw` (UTF-8, at most `ceiling` bytes), key order kept."""
    if len(raw) > ceiling:
        raise FormatError(f"document of {len(raw)} bytes is over the limit of {ceiling}")
    try:
        document = json.loads(
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
    if not isinstance(document, dict):
        raise FormatError("not a JSON object")
    return document


def dump(document: Object) -> bytes:
    """Compact UTF-8 (ASCII escapes), keys in the order given: the same value, the same bytes."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise FormatError(f"duplicate key {twice!r}")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise FormatError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise FormatError(f"number out of range: {text[:40]}")
    return number
