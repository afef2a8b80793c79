"""YAML as far as a profile needs it: maps, lists and text, with one meaning or refused.

Every plain scalar is text, whatever it looks like: a revision `1234567`, a time stamp, `no`. Only
an empty one, `~` and `null` are nothing. Anchors, aliases, tags, duplicate keys and second
documents are refused: they are where readers differ, and where a small file grows large.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from careen.errors import FormatError

__all__ = ["Node", "parse"]

Node = str | list["Node"] | dict[str, "Node"] | None

_DEPTH = 16  # a profile needs 5; the bound keeps the descent shallow
_NOTHING = ("", "~", "null", "Null", "NULL")
_LOADER = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader


def parse(raw: bytes, *, ceiling: int, depth: int = _DEPTH) -> Node:
    """The one document in `raw` (UTF-8, at most `ceiling` bytes), map keys in their order.

    Maps and lists stand at most `depth` deep in one another. FormatError, with line and column
    where it has them.
    """
    if len(raw) > ceiling:
        raise FormatError(f"document of {len(raw)} bytes is over the limit of {ceiling}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start}") from error
    try:  # from events: composing them into nodes would be recursive, and half of the time
        return _document(yaml.parse(raw, Loader=_LOADER), depth)
    except yaml.MarkedYAMLError as error:
        at = _shown(error.problem_mark or error.context_mark)
        raise FormatError(f"not YAML: {error.problem or error.context}", at=at) from error
    except yaml.reader.ReaderError as error:
        raise FormatError(f"not YAML at position {error.position}: {error.reason}") from error


def _document(events: Iterator[yaml.Event], depth: int) -> Node:
    next(events)  # the stream's start
    if not isinstance(next(events), yaml.DocumentStartEvent):
        return None
    node = _node(next(events), events, depth)
    next(events)  # the document's end
    following = next(events)
    if isinstance(following, yaml.DocumentStartEvent):
        raise FormatError("a second document; a file holds one", at=_place(following))
    return node


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    if not isinstance(event, yaml.NodeEvent) or event.anchor is not None:
        raise FormatError("anchors and aliases are not read; write it out", at=_place(event))
    if getattr(event, "tag", None) is not None:
        raise FormatError("tags are not read; leave the '!…' out", at=_place(event))
    if depth < 0:
        raise FormatError("nested too deeply", at=_place(event))
    if isinstance(event, yaml.ScalarEvent):
        plain, _ = event.implicit
        return None if plain and event.value in _NOTHING else str(event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, depth - 1)
    return _mapping(events, depth - 1)


def _sequence(events: Iterator[yaml.Event], depth: int) -> list[Node]:
    items = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        items.append(_node(event, events, depth))
    return items


def _mapping(events: Iterator[yaml.Event], depth: int) -> dict[str, Node]:
    found: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth)
        if not isinstance(key, str):
            raise FormatError("a key that is not text", at=_place(event))
        if key in found:
            raise FormatError(f"duplicate key {key[:100]!r}", at=_place(event))
        found[key] = _node(next(events), events, depth)
    return found


def _place(event: yaml.Event) -> str:
    return _shown(event.start_mark)


def _shown(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
