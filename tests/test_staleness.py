"""A profile against an image that has moved on: what is told, and what makes it stale."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from careen import staleness
from careen.finding import errors
from careen.formats import digest as digests
from careen.oci.config import Execution
from careen.profile.schema import Image, Profile, Scenario
from careen.staleness import Limits, Staleness
from tests.builders import Lnk, Reg
from tests.plan.scenes import SOURCE, pkg, scene

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SCENE = scene(
    [
        pkg("app", "/usr/bin/app", "/etc/app.conf"),
        pkg("libz1", "/usr/lib/libz.so.1.3", "/usr/lib/libz.so.1"),
    ],
    [Lnk("lib", "usr/lib"), Reg("srv/app.sh", b"#!/usr/bin/app\n", mode=0o755)],
    execution=Execution(entrypoint=("app",), command=("--serve",), env=("PATH=/usr/bin",)),
)
RUN = Scenario(
    name="load",
    image=Image(name="r.example/app:1", digest=SOURCE.digest, platform="linux/amd64"),
    command=("app", "--serve"),
    recorded="2026-11-01T00:00:00Z",
    revision="abc",
    executed=("/usr/bin/app",),
    opened=("/etc/app.conf", "/usr/lib/libz.so.1.3"),
    examined=("/run/app.pid", "/tmp/x"),
    links={"/lib": "/usr/lib"},
)


def checked(limits: Limits | None = None, *more: Scenario, **changed: Any) -> Staleness:
    scenario = msgspec.structs.replace(RUN, **changed)
    profile = Profile(scenarios=(scenario, *more))
    return staleness.check(profile, SCENE, SOURCE, limits or Limits())


def rules(found: Staleness) -> list[str]:
    return [f"{finding.severity} {finding.rule}" for finding in found.findings]


def test_what_is_all_there_is_fresh() -> None:
    found = checked(Limits(max_age=30, now=NOW, revision="abc", same_image=True))
    assert not found.findings
    assert not found.gone
    assert [(s.paths, s.gone, s.renamed) for s in found.scenarios] == [(4, 0, 0)]
    assert [(o.package, o.paths) for o in found.packages] == [("app", 2), ("libz1", 1)]


OTHER = digests.of(b"another")
ROWS: dict[str, tuple[dict[str, Any], Limits, list[str]]] = {
    "a path is gone": (
        {"opened": ("/etc/gone",)}, Limits(), ["error profile-path-gone"]),
    "within the limit": (
        {"opened": ("/etc/gone",)}, Limits(max_gone=50), ["note profile-path-gone"]),
    "an upgrade renames a library": (
        {"opened": ("/usr/lib/libz.so.1.2.13",)}, Limits(), ["note profile-path-renamed"]),
    "a program is gone": (
        {"executed": ("/usr/bin/gone",)}, Limits(max_gone=50),
        ["note profile-path-gone", "error profile-program-gone"]),
    "a program of another version": (
        {"executed": ("/usr/lib/libz.so.1.2.13",)}, Limits(max_gone=50),
        ["note profile-path-renamed", "error profile-program-gone"]),
    "also through a link": (
        {"opened": ("/lib/libz.so.1.2.13",)}, Limits(), ["note profile-path-renamed"]),
    "the config starts another program": (
        {"command": ("other",), "executed": ()}, Limits(), ["error profile-command"]),
    "the same program with other arguments": (
        {"command": ("/usr/bin/app", "--test"), "executed": ()}, Limits(),
        ["warning profile-command"]),
    "the program was run by another": (
        {"command": ("sh", "/srv/run.sh")}, Limits(), ["warning profile-command"]),
    "nobody says what was started": ({"command": ()}, Limits(), []),
    "another platform": (
        {"image": Image(platform="linux/arm64")}, Limits(), ["error profile-other-platform"]),
    "another digest": ({"image": Image(digest=OTHER)}, Limits(), ["note profile-other-image"]),
    "another digest, where that counts": (
        {"image": Image(digest=OTHER)}, Limits(same_image=True), ["error profile-other-image"]),
    "another revision": ({}, Limits(revision="def"), ["error profile-other-revision"]),
    "no revision is another": (
        {"revision": ""}, Limits(revision="def"), ["error profile-other-revision"]),
    "too old": ({}, Limits(max_age=22, now=NOW), ["error profile-age"]),
    "just young enough": ({}, Limits(max_age=23, now=NOW), []),
    "of today": (
        {"recorded": NOW.strftime("%Y-%m-%dT%H:%M:%SZ")}, Limits(max_age=0, now=NOW), []),
    "of another day than today": ({}, Limits(max_age=0, now=NOW), ["error profile-age"]),
    "of no known age": ({"recorded": ""}, Limits(max_age=23, now=NOW), ["error profile-age"]),
    "of no possible age": (
        {"recorded": "2026-99-99T00:00:00Z"}, Limits(max_age=23, now=NOW), ["error profile-age"]),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_what_has_changed(row: str) -> None:
    changed, limits, expected = ROWS[row]
    found = checked(limits, **changed)
    assert rules(found) == expected
    assert bool(errors(found.findings)) is any(rule.startswith("error") for rule in expected)


def test_where_a_renamed_path_is_now() -> None:
    (gone,) = checked(opened=("/usr/lib/libz.so.1.2.13",)).gone
    assert (gone.now, gone.package, gone.scenarios) == ("/usr/lib/libz.so.1.3", "libz1", ("load",))


def test_one_scenario_for_this_platform_is_enough() -> None:
    other = msgspec.structs.replace(RUN, image=Image(platform="linux/arm64"))
    assert rules(checked(None, other)) == ["warning profile-other-platform"]
