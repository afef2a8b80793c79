"""A profile: what an application was seen to use, and what people add to it.

The manifest (`careen.profile/v1`, docs/profile-format.md) is loaded, merged and digested here;
`schema` holds its values. All of it is plain data: nothing here touches a file system.

A profile in normal form has its scenarios sorted by name and image, its lists sorted and without
repetition. `load` and `merge` return that form, and `dump` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Literal

import msgspec

from careen.errors import FormatError, SourceError
from careen.formats import digest as digests
from careen.formats.digest import Digest
from careen.profile import read, write
from careen.profile.schema import VERSION, Drop, Image, Keep, Profile, Scenario
from careen.rootfs.path import Path

__all__ = [
    "Drop",
    "How",
    "Image",
    "Keep",
    "Profile",
    "Scenario",
    "Use",
    "digest",
    "dump",
    "load",
    "merge",
    "normalised",
    "used",
]

How = Literal["executed", "opened", "examined", "link"]

_NOTHING_USED = (
    "lists nothing that is used, so everything would go; "
    "record a scenario, or name what stays under `keep`"
)


class Use(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Which scenario saw a path used, and how."""

    scenario: str
    how: How


def load(raw: bytes, *, place: str) -> Profile:
    """The manifest in `raw` (YAML or JSON, UTF-8); FormatError whose breadcrumb starts at `place`.

    A manifest that lists nothing is refused. One that only drops is not, since it may complete
    another: so draw plans from what `merge` returns, also for a single profile.
    """
    try:
        profile = normalised(read.parse(raw))
        _check(profile)
        if not _lists_use(profile) and profile.drop == Drop():
            raise FormatError(_NOTHING_USED)
    except FormatError as error:
        error.at = f"{place}: {error.at}" if error.at else place
        raise
    return profile


def dump(profile: Profile) -> bytes:
    """The manifest of the profile's normal form as YAML: `load` gives that form back."""
    return write.manifest(normalised(profile))


def merge(profiles: Iterable[Profile]) -> Profile:
    """The union, in any order and however often: the profile that a plan is drawn from.

    Recordings of one name on one image (digest and platform) become one scenario: their paths are
    united, and what describes the run is the latest recording's. Recordings on different images
    stay apart. `keep` and `drop` are united, and two reasons for one entry stand side by side.
    SourceError when nothing is used or kept, or when one entry is both kept and dropped.
    """
    given = tuple(profiles)
    scenarios = sorted((s for profile in given for s in profile.scenarios), key=_identity)
    profile = normalised(
        Profile(
            scenarios=tuple(_united(tuple(same)) for _, same in groupby(scenarios, _identity)),
            keep=Keep(
                packages=tuple(name for profile in given for name in profile.keep.packages),
                paths=tuple(path for profile in given for path in profile.keep.paths),
                why=_reasons(profile.keep.why for profile in given),
            ),
            drop=Drop(
                packages=tuple(name for profile in given for name in profile.drop.packages),
                paths=tuple(path for profile in given for path in profile.drop.paths),
            ),
        )
    )
    _check(profile)
    if not _lists_use(profile):
        raise SourceError(f"the profile {_NOTHING_USED}")
    return profile


def digest(profile: Profile) -> Digest:
    """sha256 of the normal form as canonical JSON, without what recording again would change.

    Left out are `recorded`, `tool`, `revision`, `why` and image names; empty fields too, so that
    a field that a later version adds does not change the digest of a profile without it.
    """
    bare = msgspec.structs.replace
    canonical = normalised(
        bare(
            profile,
            scenarios=tuple(
                bare(s, recorded="", tool="", revision="", image=bare(s.image, name=""))
                for s in profile.scenarios
            ),
            keep=bare(profile.keep, why={}),
        )
    )
    document: dict[str, Any] = {**msgspec.to_builtins(canonical), "schema": VERSION}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return digests.of(text.encode("ascii"))


def used(profile: Profile) -> dict[Path, tuple[Use, ...]]:
    """Every path that some scenario used, as an image path, with who saw it and how, sorted.

    A link is used under its own name; where it led is for the image to say.
    """
    found: dict[Path, set[Use]] = {}
    for scenario in profile.scenarios:
        ways: tuple[tuple[How, Iterable[str]], ...] = (
            ("executed", scenario.executed),
            ("opened", scenario.opened),
            ("examined", scenario.examined),
            ("link", scenario.links),
        )
        for how, paths in ways:
            use = Use(scenario=scenario.name, how=how)
            for path in paths:
                found.setdefault(Path(path[1:]), set()).add(use)
    return {path: tuple(sorted(uses)) for path, uses in sorted(found.items())}


def normalised(profile: Profile) -> Profile:
    """The same profile in normal form."""
    keep, drop = profile.keep, profile.drop
    return Profile(
        scenarios=tuple(sorted(map(_normalised, profile.scenarios), key=_order)),
        keep=Keep(packages=_set(keep.packages), paths=_set(keep.paths), why=_map(keep.why)),
        drop=Drop(packages=_set(drop.packages), paths=_set(drop.paths)),
    )


def _normalised(scenario: Scenario) -> Scenario:
    return msgspec.structs.replace(
        scenario,
        executed=_set(scenario.executed),
        opened=_set(scenario.opened),
        examined=_set(scenario.examined),
        links=_map(scenario.links),
        missing=_set(scenario.missing),
        answered=_set(scenario.answered),
    )


def _set(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(entries)))


def _map(entries: dict[str, str]) -> dict[str, str]:
    return dict(sorted(entries.items()))


def _identity(scenario: Scenario) -> tuple[str, str, str]:
    """What makes two recordings one scenario."""
    return scenario.name, scenario.image.digest or "", scenario.image.platform


def _order(scenario: Scenario) -> tuple[object, ...]:
    """By identity, then, for what `load` would refuse, by the rest: one order for one set."""
    return *_identity(scenario), *_description(scenario)


def _description(scenario: Scenario) -> tuple[object, ...]:
    return (
        scenario.recorded,
        scenario.tool,
        scenario.revision,
        scenario.image.name,
        scenario.command,
        scenario.exercise,
    )


def _united(same: tuple[Scenario, ...]) -> Scenario:
    """One scenario of several recordings of it."""
    latest = max(same, key=_description)
    links: dict[str, str] = {}
    for scenario in same:
        for link, target in scenario.links.items():
            links[link] = min(target, links.get(link, target))  # as good as any; one for any order
    return msgspec.structs.replace(
        latest,
        executed=tuple(path for s in same for path in s.executed),
        opened=tuple(path for s in same for path in s.opened),
        examined=tuple(path for s in same for path in s.examined),
        links=links,
        missing=tuple(path for s in same for path in s.missing),
        answered=tuple(call for s in same for call in s.answered),
    )


def _reasons(given: Iterable[dict[str, str]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for why in given:
        for entry, reason in why.items():
            found.setdefault(entry, set()).update(reason.split("; "))
    return {entry: "; ".join(sorted(reasons)) for entry, reasons in found.items()}


def _check(profile: Profile) -> None:
    for one, other in zip(profile.scenarios, profile.scenarios[1:], strict=False):
        if _identity(one) == _identity(other):
            problem = f"name {one.name!r} is used twice for one image; give each its own"
            raise FormatError(problem, at="scenarios")
    keep, drop = profile.keep, profile.drop
    both = {*keep.packages, *keep.paths} & {*drop.packages, *drop.paths}
    if both:
        raise FormatError(f"{min(both)!r} is under `keep` and under `drop`; take one away")


def _lists_use(profile: Profile) -> bool:
    """Whether the profile says of anything that it must stay."""
    seen = any(s.executed or s.opened or s.examined or s.links for s in profile.scenarios)
    return seen or bool(profile.keep.packages or profile.keep.paths)
