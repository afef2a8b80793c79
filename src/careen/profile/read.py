"""A profile manifest from bytes: YAML or JSON, every field checked, misspelt keys named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

from careen.errors import FormatError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.profile import glob
from careen.profile.schema import (
    CALL,
    PACKAGE,
    PLATFORM,
    TIME,
    VERSION,
    Drop,
    Image,
    Keep,
    Profile,
    Scenario,
)
from careen.profile.spelling import meant
from careen.rootfs.path import normal

__all__ = ["CEILING", "parse"]

CEILING = 64 << 20  # bytes of a manifest: some thousand large scenarios

T = TypeVar("T")
Fields = dict[str, Any]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse(raw: bytes) -> Profile:
    """The manifest in `raw`, entries in the file's order; FormatError with a breadcrumb."""
    document = _document(raw)
    if not isinstance(document, dict):
        raise FormatError(f"not a profile; its first line should be `schema: {VERSION}`")
    version = document.get("schema")
    if version != VERSION:  # before the keys, which another version may have others of
        problem = "missing" if version is None else f"{_shown(version)} is not known"
        raise FormatError(f"{problem}; this careen reads {VERSION}", at="schema")
    fields = _known(document, Profile)
    return Profile(
        scenarios=_each(fields, "scenarios", _scenario),
        keep=_one(fields, "keep", _keep, Keep()),
        drop=_one(fields, "drop", _drop, Drop()),
    )


def _document(raw: bytes) -> Any:
    """YAML, or JSON when it begins as JSON does: YAML would refuse JSON's surrogate pairs."""
    if raw.lstrip()[:1] == b"{":
        return strict_json.parse(raw, ceiling=CEILING)
    from careen.profile import strict_yaml  # noqa: PLC0415  # PyYAML costs start-up time

    return strict_yaml.parse(raw, ceiling=CEILING)


def _scenario(document: Any) -> Scenario:
    fields = _known(document, Scenario)
    name = _one(fields, "name", _line, "")
    if not name:
        raise FormatError("no name; every scenario needs one")
    return Scenario(
        name=name,
        image=_one(fields, "image", _image, Image()),
        command=_each(fields, "command", _text),
        exercise=_one(fields, "exercise", _text, ""),
        tool=_one(fields, "tool", _line, ""),
        recorded=_one(fields, "recorded", _time, ""),
        revision=_one(fields, "revision", _line, ""),
        executed=_each(fields, "executed", _path),
        opened=_each(fields, "opened", _path),
        examined=_each(fields, "examined", _path),
        links=_one(fields, "links", _links, {}),
        missing=_each(fields, "missing", _path),
        answered=_each(fields, "answered", _call),
    )


def _image(document: Any) -> Image:
    fields = _known(document, Image)
    return Image(
        name=_one(fields, "name", _line, ""),
        digest=_one(fields, "digest", _digest, None),
        platform=_one(fields, "platform", _platform, ""),
    )


def _keep(document: Any) -> Keep:
    fields = _known(document, Keep)
    keep = Keep(
        packages=_each(fields, "packages", _package),
        paths=_each(fields, "paths", _glob),
        why=_one(fields, "why", _reasons, {}),
    )
    listed = {*keep.packages, *keep.paths}
    for entry in keep.why:
        if entry not in listed:
            raise FormatError(
                f"{_shown(entry)} is in neither packages nor paths{_suggestion(entry, listed)}",
                at="why",
            )
    return keep


def _drop(document: Any) -> Drop:
    fields = _known(document, Drop)
    return Drop(packages=_each(fields, "packages", _package), paths=_each(fields, "paths", _glob))


def _known(document: Any, kind: type[msgspec.Struct]) -> Fields:
    """The keys that have a value; FormatError when one is none of the `kind`'s."""
    if not isinstance(document, dict):
        raise FormatError(f"expected a map, found {_kind(document)}")
    known = [field.name for field in msgspec.structs.fields(kind)]
    for key in document:
        if key not in known:
            choices = _suggestion(key, known) or f"; known are {', '.join(known)}"
            raise FormatError(f"unknown key {_shown(key)}{choices}")
    return {key: value for key, value in document.items() if value is not None}


def _one(fields: Fields, key: str, read: Callable[[Any], T], absent: T) -> T:
    if key not in fields:
        return absent
    with within(key):
        return read(fields[key])


def _each(fields: Fields, key: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    items = fields.get(key, [])
    if not isinstance(items, list):
        raise FormatError(f"expected a list, found {_kind(items)}", at=key)
    found: list[T] = []
    try:
        for item in items:
            found.append(read(item))  # its length tells which item failed
    except FormatError:
        with within(f"{key}[{len(found)}]"):
            raise
    return tuple(found)


def _links(document: Any) -> dict[str, str]:
    return _mapping(document, _path, _path)


def _reasons(document: Any) -> dict[str, str]:
    return _mapping(document, _text, _line)


def _mapping(
    document: Any, read_key: Callable[[Any], str], read: Callable[[Any], str]
) -> dict[str, str]:
    if not isinstance(document, dict):
        raise FormatError(f"expected a map, found {_kind(document)}")
    found: dict[str, str] = {}
    for key, value in document.items():
        with within(f"[{_shown(key)}]"):
            name = read_key(key)
            if name in found:  # `\xe9` and `\xE9`: spelt differently, one name
                raise FormatError("duplicate key")
            found[name] = read(value)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FormatError(f"expected text, found {_kind(value)}; put it in quotes if it is text")
    return meant(value)


def _line(value: Any) -> str:
    text = _text(value)
    if _CONTROL.search(text):
        raise FormatError(f"control characters in {_shown(text)}")
    return text


def _path(value: Any) -> str:
    text = _text(value)
    if not text.startswith("/"):
        raise FormatError(f"not an absolute path: {_shown(text)}")
    if "\0" in text:
        raise FormatError(f"a path holds no NUL: {_shown(text)}")
    plain = f"/{normal(text)}"
    if text != plain:
        raise FormatError(f"not a plain path: {_shown(text)}; write {_shown(plain)}")
    return text


def _package(value: Any) -> str:
    text = _text(value)
    if text.startswith("/"):
        raise FormatError(f"{_shown(text)} is a path; list it under paths")
    if not re.fullmatch(PACKAGE, text):
        raise FormatError(f"not a package name: {_shown(text)}")
    return glob.parse(text).text


def _glob(value: Any) -> str:
    text = _text(value)
    if not text.startswith("/"):
        raise FormatError(f"not an absolute path: {_shown(text)}; packages go under packages")
    return glob.parse(text).text


def _time(value: Any) -> str:
    return _shaped(value, TIME, "a time such as 2026-11-23T10:00:00Z")


def _platform(value: Any) -> str:
    return _shaped(value, PLATFORM, "a platform such as linux/amd64")


def _call(value: Any) -> str:
    return _shaped(value, CALL, "the name of a system call")


def _shaped(value: Any, pattern: str, name: str) -> str:
    text = _text(value)
    if not re.fullmatch(pattern, text):
        raise FormatError(f"not {name}: {_shown(text)}")
    return text


def _digest(value: Any) -> Digest | None:
    return digests.parse(value)


def _suggestion(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 100 else f"{text[:100]}…")


def _kind(value: Any) -> str:
    for kind, name in ((str, "text"), (list, "a list"), (dict, "a map"), (type(None), "nothing")):
        if isinstance(value, kind):
            return name
    return str(value).lower()  # a number or a boolean, of a JSON document
