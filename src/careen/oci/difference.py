"""What differs between two configs, or two sets of annotations: field by field, by dotted name.

`config.Labels.KEY`, `config.Env.NAME`, `config.Cmd`: objects are compared key by key, Env by the
names of its variables, other lists as one. A field of the config that is null, empty, 0 or false
is as good as none: so runtimes read it, and builders differ in what they write. History and
diff_ids tell of layers, not of what runs: they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from careen.errors import FormatError
from careen.formats.strict_json import Object

__all__ = ["Field", "config_fields", "fields", "is_time"]

_ABOUT_LAYERS = (("history",), ("rootfs", "diff_ids"))
_ENV = ("config", "Env")
_FIELDS = 2  # steps to a field of the config; what is deeper people have named
_BUDGET = 64 << 20  # characters and steps of all names; an ordinary document has far less
_TIMES = ("created", "org.opencontainers.image.created", "org.label-schema.build-date")

Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar | None, ...] | dict[str, str] | None
Steps = tuple[str | int, ...]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field that is not the same: its dotted name; None where there is none.

    `{}` is an object without keys, as the value of a volume or a port is one.
    """

    name: str
    before: Value
    after: Value


def config_fields(before: Object, after: Object) -> list[Field]:
    """What differs between two image configs, by name; FormatError when one is too large."""
    return _compared(dict(_leaves(before)), dict(_leaves(after)))


def fields(before: Mapping[str, str], after: Mapping[str, str]) -> list[Field]:
    """What differs between two plain objects, by key."""
    one, other = (_stepped(found) for found in (before, after))
    return _compared(one, other)


def _stepped(found: Mapping[str, str]) -> dict[Steps, str]:
    return {(key,): value for key, value in found.items()}


def is_time(field: Field) -> bool:
    """Whether the field only says when an image was made."""
    return field.name in _TIMES or field.name.removeprefix("config.Labels.") in _TIMES[1:]


def _compared(before: Mapping[Steps, Any], after: Mapping[Steps, Any]) -> list[Field]:
    found = (
        Field(name=_name(steps), before=before.get(steps), after=after.get(steps))
        for steps in before.keys() | after.keys()
        if _typed(before.get(steps)) != _typed(after.get(steps))
    )
    return sorted(found, key=lambda field: field.name)


def _typed(value: Value) -> tuple[Any, ...]:
    """A value that equals another only of its own type: JSON's true is not 1."""
    items = value if isinstance(value, tuple) else (value,)
    return type(value), *((type(item), item) for item in items)


def _name(steps: Steps) -> str:
    """Where keys hold dots, two fields may have one name: both are told."""
    words = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return "".join(words).removeprefix(".")


def _leaves(document: Object) -> Iterator[tuple[Steps, Value]]:
    """Every field with the keys that lead there. No recursion, for a document may be deep."""
    waiting: list[tuple[Steps, Any]] = [((), document)]
    budget = _BUDGET
    while waiting:
        steps, value = waiting.pop()
        budget -= sum(len(step) + 1 if isinstance(step, str) else 8 for step in steps)
        if budget < 0:
            raise FormatError("an image config of too many and too long names to compare")
        if steps in _ABOUT_LAYERS or value is None or (len(steps) <= _FIELDS and not value):
            continue
        if steps == _ENV and isinstance(value, list):
            yield from _variables(value)
        elif isinstance(value, dict) and value:
            waiting += [((*steps, key), item) for key, item in value.items()]
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            waiting += [((*steps, i), item) for i, item in enumerate(value)]
        else:
            yield steps, tuple(value) if isinstance(value, list) else value


def _variables(items: list[str]) -> Iterator[tuple[Steps, Value]]:
    """Each variable with its value; the last one of a name wins, as in runtimes."""
    for item in items:
        name, _, value = item.partition("=")
        yield (*_ENV, name), value
