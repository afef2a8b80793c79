"""A profile with one thing more: how recordings and imports go into a manifest that is there."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from careen.profile.schema import Profile, Scenario

__all__ = ["with_kept", "with_scenario"]


def with_scenario(profile: Profile, scenario: Scenario) -> Profile:
    """`scenario` in the place of the one of its name and platform, or beside the others."""
    others = (one for one in profile.scenarios if _identity(one) != _identity(scenario))
    return msgspec.structs.replace(profile, scenarios=(*others, scenario))


def with_kept(profile: Profile, paths: Iterable[str], reason: str) -> Profile:
    """The patterns under `keep.paths` too; an entry that has a reason keeps that."""
    new = tuple(path for path in paths if path not in profile.keep.paths)
    why = {**dict.fromkeys(new, reason), **profile.keep.why}
    keep = msgspec.structs.replace(profile.keep, paths=(*profile.keep.paths, *new), why=why)
    return msgspec.structs.replace(profile, keep=keep)


def _identity(scenario: Scenario) -> tuple[str, str]:
    return scenario.name, scenario.image.platform
