"""JSON records, one a line, and their fields: whatever is not as expected is simply not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from careen.profile.importers.importer import Unread
from careen.profile.importers.log import Log

__all__ = ["Record", "at", "decoded", "items", "number", "objects", "text", "texts"]

Record = dict[str, Any]


def objects(log: Log) -> Iterator[Record | Unread]:
    """Each line's object, or each object of a line that is a list of them; empty lines aside."""
    for line in log.lines():
        if line.strip():
            yield from _line(line)


def decoded(line: bytes) -> Any:
    """The line's JSON value, bytes that are not UTF-8 kept; an Unread when it is none."""
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"))
    except RecursionError:
        return Unread("JSON is nested too deeply")
    except ValueError as error:  # not JSON, or a number of thousands of digits
        return Unread(f"not JSON: {error}")


def at(record: Any, *keys: str) -> Any:
    """What stands under `keys`, one inside the other; None where a step is missing."""
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def text(record: Any, *keys: str) -> str:
    """The same where it is text, else ""."""
    value = at(record, *keys)
    return value if isinstance(value, str) else ""


def number(record: Any, *keys: str) -> int:
    """The same where it is a whole number, or text that spells one; else 0."""
    value = at(record, *keys)
    if isinstance(value, str):
        value = int(value) if value.removeprefix("-").isdecimal() and len(value) < 20 else 0
    return value if isinstance(value, int) else 0


def items(record: Any, *keys: str) -> list[Any]:
    """The same where it is a list, else []."""
    value = at(record, *keys)
    return value if isinstance(value, list) else []


def texts(record: Any, *keys: str) -> tuple[str, ...]:
    """Those of a list that are text."""
    return tuple(item for item in items(record, *keys) if isinstance(item, str))


def _line(line: bytes) -> Iterator[Record | Unread]:
    value = decoded(line)
    for record in value if isinstance(value, list) else [value]:
        if isinstance(record, dict | Unread):
            yield record
        else:
            yield Unread("not a JSON object")
