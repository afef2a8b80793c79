"""A profile recorded on one platform, read for an image of another.

What differs between the images of one application is the part of a path that names the machine:
Debian's multiarch directories, the tags of extension modules, musl's loader. The paths that
follow from those by name are translated; who owns them in this image decides, as always.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from careen.profile.profile import Profile, Scenario

__all__ = ["others", "refusal", "translated"]

# Architecture as OCI writes it → the GNU triplet of Debian's port, and musl's name.
_NAMES = {
    "386": ("i386-linux-gnu", "i386"),
    "amd64": ("x86_64-linux-gnu", "x86_64"),
    "arm": ("arm-linux-gnueabihf", "armhf"),
    "arm64": ("aarch64-linux-gnu", "aarch64"),
    "loong64": ("loongarch64-linux-gnu", "loongarch64"),
    "mips64le": ("mips64el-linux-gnuabi64", "mips64el"),
    "ppc64le": ("powerpc64le-linux-gnu", "powerpc64le"),
    "riscv64": ("riscv64-linux-gnu", "riscv64"),
    "s390x": ("s390x-linux-gnu", "s390x"),
}


def others(profile: Profile, platform: str) -> tuple[Scenario, ...]:
    """The scenarios that were recorded on another architecture or system than `platform`'s."""
    return tuple(one for one in profile.scenarios if _differs(one, platform))


def refusal(scenarios: Sequence[Scenario], platform: str) -> str:
    """Why single files cannot be dropped by what another platform's run used."""
    first = scenarios[0]
    return (
        f"the scenario {first.name} was recorded on {first.image.platform}, the image is "
        f"{platform}: other files are in use there, so single files cannot go; record on "
        f"{platform}, or leave out --granularity file"
    )


def translated(profile: Profile, platform: str) -> Profile:
    """The profile with the paths of such scenarios as this platform's packages have them."""
    return msgspec.structs.replace(
        profile,
        scenarios=tuple(
            _translated(one, platform) if _differs(one, platform) else one
            for one in profile.scenarios
        ),
    )


def _differs(scenario: Scenario, platform: str) -> bool:
    there = scenario.image.platform
    return bool(there) and there.split("/")[:2] != platform.split("/")[:2]


def _translated(scenario: Scenario, platform: str) -> Scenario:
    before, after = (text.split("/")[1] for text in (scenario.image.platform, platform))
    if before not in _NAMES or after not in _NAMES:
        return scenario
    (triplet, musl), (new_triplet, new_musl) = _NAMES[before], _NAMES[after]
    old = re.compile(
        rf"(?<![A-Za-z0-9_]){re.escape(triplet)}(?![A-Za-z0-9_])|(?<=musl-){re.escape(musl)}(?=[./])"
    )

    def here(text: str) -> str:
        return old.sub(lambda match: new_triplet if match[0] == triplet else new_musl, text)

    return msgspec.structs.replace(
        scenario,
        executed=tuple(map(here, scenario.executed)),
        opened=tuple(map(here, scenario.opened)),
        examined=tuple(map(here, scenario.examined)),
        links={here(link): here(target) for link, target in scenario.links.items()},
    )
