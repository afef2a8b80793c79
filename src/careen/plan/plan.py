"""The plan: what goes, what stays and why, as data bound to one source image.

It can be written, reviewed, compared, and applied later; applying it decides nothing. The same
inputs give the same bytes (`careen.plan/v1`, canonical JSON).
"""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec

from careen.errors import FormatError, within
from careen.finding import Finding
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.rootfs.path import ROOT, absolute, normal

__all__ = [
    "SCHEMA",
    "Decision",
    "Granularity",
    "Options",
    "PackageDecision",
    "PathDecision",
    "Plan",
    "Shells",
    "Source",
    "Totals",
]

SCHEMA = "careen.plan/v1"
_CEILING = 256 << 20  # bytes; a plan lists every path that goes

Content = bytes  # `bytes` is also the name of a field
Decision = Literal["keep", "partial", "remove"]
Granularity = Literal["package", "file"]
Kind = Literal["file", "directory", "symlink", "char", "block", "fifo"]
Policy = Literal["conservative", "standard", "strict"]
Shells = Literal["auto", "keep", "remove"]


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The image that the plan was drawn for: its manifest's digest, and its platform."""

    digest: Digest
    platform: str


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user chose; `keep` and `drop` are package-name globs or `/path` globs."""

    policy: Policy = "standard"
    shells: Shells = "auto"
    granularity: Granularity = "package"
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    force: bool = False


class PackageDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id` is unique in the image; `bytes` are its files' (before), `dropped` how many go.

    `keep`: stays whole. `partial`: some of its files go, so it stays on record. `remove`: goes
    with its record.
    """

    id: str
    name: str
    version: str
    arch: str
    database: str
    decision: Decision
    reason: str
    bytes: int
    files: int
    dropped: int = 0


class PathDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not simply kept. `path` is absolute; `owner` is a package id, "" for none.

    `content` is base64 of a replaced file's new bytes, `target` a replaced symlink's new target;
    every attribute but size stays as it was. `bytes` is the size that goes (drop) or the new one.
    """

    path: str
    kind: Kind
    decision: Literal["drop", "replace"]
    reason: str
    owner: str = ""
    bytes: int = 0
    content: str | None = None
    target: str | None = None

    def data(self) -> Content:
        """A replaced file's new bytes."""
        return base64.b64decode(self.content or "", validate=True)


class Totals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Before and after, each over the whole image.

    `files` are names, directories aside; `bytes` are uncompressed contents, each inode once.
    """

    packages: tuple[int, int] = (0, 0)
    files: tuple[int, int] = (0, 0)
    bytes: tuple[int, int] = (0, 0)
    shells: tuple[int, int] = (0, 0)


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`profile` is the merged profile's digest, "" when none was used (a squash).

    `absent` are the paths that the profile names and the image does not have; `programs` the ELF
    files and scripts that are needed, absolute and sorted.
    """

    schema: str = SCHEMA
    source: Source
    profile: str = ""
    options: Options = Options()
    packages: tuple[PackageDecision, ...] = ()
    paths: tuple[PathDecision, ...] = ()
    absent: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    totals: Totals = Totals()

    @classmethod
    def parse(cls, raw: bytes) -> Plan:
        """From its JSON; FormatError with a breadcrumb when it is no plan of this version."""
        document = strict_json.parse(raw, ceiling=_CEILING)
        if document.get("schema") != SCHEMA:
            raise FormatError(f"not {SCHEMA}: {str(document.get('schema'))[:60]!r}", at="schema")
        try:
            plan = msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at ")
            raise FormatError(message, at=place.strip("`").removeprefix("$.")) from error
        with within("source.digest"):
            digests.parse(plan.source.digest)
        if plan.profile:
            with within("profile"):
                digests.parse(plan.profile)
        _check_paths(plan.paths)
        return plan

    def dump(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        for item in document["paths"]:
            for key in ("content", "target"):
                if item[key] is None:
                    del item[key]
        return strict_json.dump(document)

    @property
    def digest(self) -> Digest:
        """Of the canonical JSON."""
        return digests.of(self.dump())


def _check_paths(paths: tuple[PathDecision, ...]) -> None:
    seen: set[str] = set()
    for i, item in enumerate(paths):
        with within(f"paths[{i}]"):
            if item.path in seen:
                raise FormatError(f"{item.path!r} is decided on twice", at="path")
            seen.add(item.path)
            _check(item)


def _check(item: PathDecision) -> None:
    if item.path != absolute(normal(item.path)) or normal(item.path) == ROOT:
        raise FormatError(f"not a plain absolute path: {item.path!r}", at="path")
    given = [key for key in ("content", "target") if getattr(item, key) is not None]
    if item.decision == "drop" and given:
        raise FormatError("a dropped path has neither content nor target", at=given[0])
    if item.decision == "replace" and given != _REPLACED.get(item.kind):
        raise FormatError("a replaced file has content, a replaced symlink has a target")
    try:
        item.data()
    except ValueError as error:
        raise FormatError("not base64", at="content") from error


_REPLACED = {"file": ["content"], "symlink": ["target"]}
