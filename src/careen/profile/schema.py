"""The shape of a profile manifest, `careen.profile/v1`: its values, and their JSON Schema.

Paths are absolute and plain: no `//`, no `.` or `..`, no slash at the end. Text that is not UTF-8
is `str` with surrogateescape here, and `\\xNN` in the file (`spelling`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from careen.formats.digest import Digest

__all__ = [
    "CALL",
    "PACKAGE",
    "PLATFORM",
    "TIME",
    "VERSION",
    "Drop",
    "Image",
    "Keep",
    "Profile",
    "Scenario",
    "document",
    "schema",
]

VERSION: Literal["careen.profile/v1"] = "careen.profile/v1"

# Whole-match patterns in the syntax that ECMA 262 and Python share.
CALL = "[a-z0-9_]+"
PACKAGE = r"[^/\s\u0000]+"
PLATFORM = r"[^/\s]+/[^/\s]+(?:/[^/\s]+)?"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"  # as text in order of time
_LINE = r"[^\u0000-\u001f\u007f]"
_COMPONENT = r"(?!\.{1,2}(?:/|(?![\s\S])))[^/\u0000]+"
_PATH = f"/(?:{_COMPONENT}(?:/{_COMPONENT})*)?"

Line = Annotated[str, Meta(pattern=f"^{_LINE}*$")]
Absolute = Annotated[str, Meta(pattern=f"^{_PATH}$")]
Package = Annotated[str, Meta(pattern=f"^{PACKAGE}$")]
Packages = Annotated[
    tuple[Package, ...], Meta(description="Names; *, ? and [...] as in a shell, case-sensitive.")
]
Globs = Annotated[
    tuple[Absolute, ...],
    Meta(
        description="Patterns: * within a component, ** across. A directory covers what is in it."
    ),
]


class _Part(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What the manifest's parts have in common: a misspelt key is an error, an absent one empty."""


class Image(_Part, frozen=True, kw_only=True):
    """The image that the scenario ran."""

    name: Annotated[Line, Meta(description="Its reference; it informs, the digest binds.")] = ""
    digest: (
        Annotated[Digest, Meta(pattern="^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")] | None
    ) = None
    platform: Annotated[
        str, Meta(pattern=f"^{PLATFORM}$", description="OS/ARCH or OS/ARCH/VARIANT.")
    ] = ""


class Scenario(_Part, frozen=True, kw_only=True):
    """What was run, and what it used: one entry a recording."""

    name: Annotated[
        str,
        Meta(pattern=f"^{_LINE}+$", description="Unique among the scenarios of one image."),
    ]
    image: Image = Image()
    command: Annotated[tuple[str, ...], Meta(description="The arguments it was started with.")] = ()
    exercise: Annotated[str, Meta(description="The command that exercised it.")] = ""
    tool: Annotated[Line, Meta(description="What recorded it, with its version.")] = ""
    recorded: Annotated[str, Meta(pattern=f"^{TIME}$", description="When, RFC 3339 in UTC.")] = ""
    revision: Annotated[Line, Meta(description="The application's own version.")] = ""
    executed: Annotated[tuple[Absolute, ...], Meta(description="Programs, as resolved.")] = ()
    opened: Annotated[tuple[Absolute, ...], Meta(description="Files, as resolved.")] = ()
    examined: Annotated[
        tuple[Absolute, ...],
        Meta(description="Named by a successful stat, access or readlink; counts as used."),
    ] = ()
    links: Annotated[
        dict[Absolute, Absolute],
        Meta(description="Each symbolic link that was followed, and where it led."),
    ] = {}
    missing: Annotated[tuple[Absolute, ...], Meta(description="Looked for, and not there.")] = ()
    answered: Annotated[
        tuple[Annotated[str, Meta(pattern=f"^{CALL}$")], ...],
        Meta(description="Identity calls that the recorder answered with success."),
    ] = ()


class Keep(_Part, frozen=True, kw_only=True):
    """What stays whatever was seen; written by people."""

    packages: Packages = ()
    paths: Globs = ()
    why: Annotated[
        dict[str, Line], Meta(description="The reason for an entry of packages or paths.")
    ] = {}


class Drop(_Part, frozen=True, kw_only=True):
    """What goes whatever the rules say; written by people."""

    packages: Packages = ()
    paths: Globs = ()


class Profile(_Part, frozen=True, kw_only=True):
    """What an application ran, opened and examined, and what people add to that."""

    schema: Literal["careen.profile/v1"] = VERSION
    scenarios: tuple[Scenario, ...] = ()
    keep: Keep = Keep()
    drop: Drop = Drop()


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest whose scalars were read as text.

    It cannot say everything: which entry a reason belongs to, that names are unique, that
    something must be listed.
    """
    found: dict[str, Any] = msgspec.json.schema(Profile)
    for part in found["$defs"].values():
        for name, field in part["properties"].items():
            field.pop("default", None)
            if name not in part["required"]:
                part["properties"][name] = _or_nothing(field)
    found["$defs"]["Profile"]["required"] = ["schema"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{VERSION.replace('/', ':').replace('.', ':')}",
        "title": VERSION,
        **found,
    }


def document() -> bytes:
    """The schema as `docs/careen.profile.v1.schema.json` publishes it."""
    return (json.dumps(schema(), indent=2) + "\n").encode("ascii")


def _or_nothing(field: dict[str, Any]) -> dict[str, Any]:
    """A key without a value means the same as no key."""
    if isinstance(field.get("type"), str):
        return field | {"type": [field["type"], "null"]}
    if "$ref" in field:
        return {"anyOf": [field, {"type": "null"}]}
    return field
