"""How far a profile has fallen behind an image: what it names and is gone, and what has changed.

A base update renames libraries and changes the digest, and hardening goes on well with the same
profile; that is told, and is no error. Errors are what asks for another recording: used paths that
are gone for good, another program that is started, another revision, platform or age than asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from careen.finding import Finding, Severity, some
from careen.plan import platforms, start
from careen.plan.closure import Scene, located
from careen.plan.plan import Source
from careen.plan.rules import TRANSIENT
from careen.profile.profile import Profile, Scenario
from careen.rootfs.path import Path, absolute
from careen.rootfs.rootfs import Rootfs

__all__ = ["Checked", "Gone", "Limits", "Owner", "Staleness", "check"]

_VERSION = re.compile(r"\d+(?:\.\d+)*")
_RECORDED = "%Y-%m-%dT%H:%M:%SZ"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is still fresh. `max_gone` is a percentage of a scenario's paths, `max_age` days.

    `now` is needed for `max_age` alone. `revision` is the application's now, "" for any.
    """

    max_gone: float = 0
    max_age: int | None = None
    now: datetime | None = None
    revision: str = ""
    same_image: bool = False


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A path that scenarios used and the image does not have.

    `now` is what stands there under another version's number, "" for nothing; `package` owns it.
    """

    path: str
    scenarios: tuple[str, ...]
    now: str = ""
    package: str = ""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario: how many paths it used, how many of them are `gone` and `renamed` here."""

    name: str
    digest: str
    platform: str
    recorded: str
    revision: str
    paths: int
    gone: int
    renamed: int


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the image, and how many of the profile's paths it owns now."""

    package: str
    version: str
    paths: int


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; it is stale when a finding is an error."""

    source: Source
    scenarios: tuple[Checked, ...]
    gone: tuple[Gone, ...]
    packages: tuple[Owner, ...]
    findings: tuple[Finding, ...]


def check(profile: Profile, scene: Scene, source: Source, limits: Limits) -> Staleness:
    """Compare a profile with an image. Pure; the clock is in `limits`."""
    here = platforms.translated(profile, source.platform)
    gone = tuple(_gone(here, scene))
    checked = tuple(_checked(scenario, gone) for scenario in here.scenarios)
    findings = (
        *_paths(checked, gone, limits),
        *_programs(here, gone),
        *_start(here, scene),
        *_platform(here, source),
        *_image(here, source, limits),
        *_revision(here, limits),
        *_age(here, limits),
    )
    return Staleness(
        source=source,
        scenarios=checked,
        gone=gone,
        packages=tuple(_owners(here, scene)),
        findings=findings,
    )


def _used(scenario: Scenario) -> set[str]:
    used = {*scenario.executed, *scenario.opened, *scenario.examined, *scenario.links}
    return {path for path in used if not path.startswith(TRANSIENT)}


def _gone(profile: Profile, scene: Scene) -> Iterator[Gone]:
    rootfs, lost = scene.rootfs, dict[str, list[str]]()
    for scenario in profile.scenarios:
        for path in _used(scenario):
            if rootfs.resolve(path, follow_last=False).path is None:
                lost.setdefault(path, []).append(scenario.name)
    known = _by_shape(rootfs) if lost else {}
    for path, names in sorted(lost.items()):
        canonical = rootfs.canonical(path)
        now = known.get(_shape(canonical))
        owners = () if now is None else scene.catalog.owners.get(now, ())
        yield Gone(
            path=path,
            scenarios=tuple(sorted(set(names))),
            now="" if now is None else absolute(now),
            package=owners[0] if owners else "",
        )


def _by_shape(rootfs: Rootfs) -> Mapping[str, Path]:
    """One path for each name without its version; a file rather than a link to it."""
    found: dict[str, Path] = {}
    for path, inode in rootfs.nodes.items():
        shape = _shape(path)
        if shape != path and (shape not in found or inode.kind == "file"):
            found[shape] = path
    return found


def _shape(path: str) -> str:
    return _VERSION.sub("#", path)


def _checked(scenario: Scenario, gone: Sequence[Gone]) -> Checked:
    used = _used(scenario)
    lost = [one for one in gone if one.path in used]
    return Checked(
        name=scenario.name,
        digest=scenario.image.digest or "",
        platform=scenario.image.platform,
        recorded=scenario.recorded,
        revision=scenario.revision,
        paths=len(used),
        gone=sum(not one.now for one in lost),
        renamed=sum(bool(one.now) for one in lost),
    )


def _paths(checked: Sequence[Checked], gone: Sequence[Gone], limits: Limits) -> Iterator[Finding]:
    for one in checked:
        if one.gone:
            percent = 100 * one.gone / one.paths
            over = percent > limits.max_gone
            message = (
                f"{one.name}: {one.gone} of {one.paths} used paths are gone ({percent:.1f} %, "
                f"{'over' if over else 'within'} the limit of {limits.max_gone:g} %)"
            )
            paths = [item.path for item in gone if one.name in item.scenarios and not item.now]
            yield _about("profile-path-gone", "error" if over else "note", message, paths)
    renamed = [one for one in gone if one.now]
    if renamed:
        message = f"of another version here: {some([one.now for one in renamed])}"
        paths = [one.path for one in renamed]
        yield _about("profile-path-renamed", "note", message, paths)


def _programs(profile: Profile, gone: Sequence[Gone]) -> Iterator[Finding]:
    """A program that ran and is gone, or of another version now: what runs now uses other files."""
    lost = {one.path for one in gone}
    for scenario in profile.scenarios:
        paths = [path for path in scenario.executed if path in lost]
        if paths:
            message = f"{scenario.name}: programs that ran are gone: {some(paths)}"
            yield _about("profile-program-gone", "error", message, paths)


def _start(profile: Profile, scene: Scene) -> Iterator[Finding]:
    """Whether what the config starts is what ran."""
    rootfs, execution = scene.rootfs, scene.execution
    commands = {scenario.command for scenario in profile.scenarios if scenario.command}
    argv = (*execution.entrypoint, *execution.command)
    if not commands or not argv or argv in commands:
        return
    ran = {path for scenario in profile.scenarios for path in scenario.executed}
    ran |= {located(command[0], rootfs, execution) or command[0] for command in commands}
    known = {rootfs.resolve(path).path for path in ran} - {None}
    begins = {rootfs.resolve(found).path for _, found in start.started(scene) if found} - {None}
    shown = " ".join(argv)
    if begins and not begins & known:
        message = f"the image starts `{shown}`, and no scenario ran that"
        yield _finding("profile-command", "error", message)
    else:
        others = some(sorted(f"`{' '.join(command)}`" for command in commands), most=2)
        message = f"the image starts `{shown}`, the scenarios {others}"
        yield _finding("profile-command", "warning", message)


def _platform(profile: Profile, source: Source) -> Iterator[Finding]:
    others = platforms.others(profile, source.platform)
    if others:
        every = len(others) == len(profile.scenarios)
        names = some(sorted({f"{one.name} ({one.image.platform})" for one in others}))
        message = f"recorded on another platform than {source.platform}: {names}"
        severity: Severity = "error" if every else "warning"
        yield _finding("profile-other-platform", severity, message, len(others))


def _image(profile: Profile, source: Source, limits: Limits) -> Iterator[Finding]:
    same = (None, source.digest)
    others = sorted({s.name for s in profile.scenarios if s.image.digest not in same})
    if others:
        message = f"recorded on another digest than {source.digest}: {some(others)}"
        severity: Severity = "error" if limits.same_image else "note"
        yield _finding("profile-other-image", severity, message, len(others))


def _revision(profile: Profile, limits: Limits) -> Iterator[Finding]:
    for scenario in profile.scenarios if limits.revision else ():
        if scenario.revision != limits.revision:
            of = f"of {scenario.revision}" if scenario.revision else "of no named revision"
            message = f"{scenario.name} is {of}, the application is at {limits.revision}"
            yield _finding("profile-other-revision", "error", message)


def _age(profile: Profile, limits: Limits) -> Iterator[Finding]:
    if limits.max_age is None or limits.now is None:
        return
    for scenario in profile.scenarios:
        recorded = _time(scenario.recorded)
        if recorded is None:
            message = f"{scenario.name} does not say when it was recorded"
            yield _finding("profile-age", "error", message)
        elif (days := (limits.now - recorded).days) > limits.max_age:
            message = f"{scenario.name} is {days} days old, over the limit of {limits.max_age}"
            yield _finding("profile-age", "error", message)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _RECORDED).replace(tzinfo=UTC)
    except ValueError:
        return None


def _owners(profile: Profile, scene: Scene) -> Iterator[Owner]:
    counts: dict[str, int] = {}
    for path in sorted({path for scenario in profile.scenarios for path in _used(scenario)}):
        there = scene.rootfs.resolve(path, follow_last=False).path
        for package in scene.catalog.owners.get(there, ()) if there is not None else ():
            counts[package] = counts.get(package, 0) + 1
    for package, paths in sorted(counts.items(), key=_most):
        version = scene.catalog.packages[package].version
        yield Owner(package=package, version=version, paths=paths)


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _about(rule: str, severity: Severity, message: str, paths: Sequence[str]) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        path=paths[0],
        message=message,
        count=len(paths),
        paths=tuple(paths),
    )


def _finding(rule: str, severity: Severity, message: str, count: int = 1) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, count=count)
