"""Where the closure starts: profile, config, identity, locale, and what people asked to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.plan import services, start
from careen.plan.asked import stuck
from careen.plan.closure import Because, Scene, Seed
from careen.plan.rules import BASE_PACKAGES, DATA_PACKAGES, IDENTITY
from careen.plan.selection import Selection
from careen.profile import profile as profiles
from careen.profile.profile import How, Profile
from careen.rootfs.path import Path, absolute, name
from careen.rootfs.rootfs import Rootfs

__all__ = ["packages", "paths"]


def paths(scene: Scene, profile: Profile, keep: Selection) -> Iterator[Seed]:
    """The paths and programs to begin with, each with its reason.

    What people ask to keep comes first: a path has one reason, and theirs overrules the others.
    """
    yield from _kept(scene, keep)
    for text, because in _profiled(profile):
        yield Seed(text=text, because=because)
    yield from _config(scene)
    for text in IDENTITY:
        if scene.rootfs.resolve(text).path is not None:
            phrase = "says which system and which users this is"
            yield Seed(text=text, because=Because(rule="identity", phrase=phrase))
    yield from _locale(scene)


def _kept(scene: Scene, keep: Selection) -> Iterator[Seed]:
    if keep.path_globs:
        for path in scene.rootfs.nodes:
            if (pattern := keep.path(path)) is not None:
                because = Because(rule="keep", phrase=f"asked for: {pattern}")
                yield Seed(text=absolute(path), because=because)


def packages(scene: Scene, keep: Selection, policy: str) -> Mapping[str, Because]:
    """The packages that stay by decision, by id."""
    found: dict[str, Because] = {}
    indivisible = scene.catalog.indivisible
    for id, package in scene.catalog.packages.items():
        pattern = keep.package(package)
        base = BASE_PACKAGES.get(package.database, {}).get(package.name)
        data = DATA_PACKAGES.get(package.database, {}).get(package.name)
        if package.unreadable:
            phrase = f"its record cannot be edited: {package.unreadable}"
            found[id] = Because(rule="unreadable", phrase=phrase)
        elif pattern is not None:
            found[id] = Because(rule="keep", phrase=f"asked for: {pattern}")
        elif base is not None:
            found[id] = Because(rule="base", phrase=base)
        elif id in indivisible and (why := stuck(package, scene, keep)):
            found[id] = Because(rule="keep", phrase=f"it stays whole or not at all, and {why}")
        elif package.partly_listed:
            phrase = f"it may be in use: {package.partly_listed}"
            found[id] = Because(rule="unlisted", phrase=phrase)
        elif policy != "strict" and data is not None:
            phrase = f"{data}: programs reach for it silently (policy {policy})"
            found[id] = Because(rule="data", phrase=phrase)
    return found


def _profiled(profile: Profile) -> Iterator[tuple[str, Because]]:
    for path, uses in profiles.used(profile).items():
        first = min(uses, key=lambda use: (tuple(_HOW).index(use.how), use.scenario))
        others = len({use.scenario for use in uses}) - 1
        more = f" and {others} other scenario{'s' * (others > 1)}" if others else ""
        phrase = f"{_HOW[first.how]} in {first.scenario}{more}"
        yield absolute(path), Because(rule="profile", phrase=phrase)


_HOW: Mapping[How, str] = {
    "executed": "executed",
    "opened": "opened",
    "examined": "examined",
    "link": "followed as a link",
}


def _config(scene: Scene) -> Iterator[Seed]:
    for word, _ in start.started(scene):
        because = Because(rule="config", phrase=f"started by the image's {word.field}")
        yield Seed(text=word.text, because=because, program=True)


def _locale(scene: Scene) -> Iterator[Seed]:
    """The compiled locales that Env names, their archive, and what converts to their codesets.

    LANGUAGE chooses message catalogues alone.
    """
    env = dict(item.partition("=")[::2] for item in scene.execution.env)
    named = {value for key, value in env.items() if key == "LANG" or key.startswith("LC_")}
    named -= {"", "C", "POSIX"}  # which are built in
    wanted = {_locale_name(value) for value in named}
    because = Because(
        rule="locale", phrase=f"the locale that Env names: {', '.join(sorted(named))}"
    )
    found = [
        path
        for folder in (*env.get("LOCPATH", "").split(":"), "/usr/lib/locale")
        for path in _locales(scene.rootfs, folder, wanted)
    ]
    for path in found:
        yield Seed(text=absolute(path), because=because)
    codesets = {value.partition("@")[0].partition(".")[2] for value in named if found}
    for codeset in sorted(codesets):
        for text in services.converters(codeset, scene.facts):
            phrase = f"converts to and from {codeset}, of the locale that Env names"
            yield Seed(text=text, because=Because(rule="locale", phrase=phrase))


def _locales(rootfs: Rootfs, folder: str, wanted: set[str]) -> Iterator[Path]:
    """The locales of such names in a directory, and the archive, which may hold them."""
    base = rootfs.resolve(folder).path if folder.startswith("/") and wanted else None
    for child in () if base is None else rootfs.children(base):
        if name(child) == "locale-archive" or _locale_name(name(child)) in wanted:
            yield child
            yield from rootfs.below(child)


def _locale_name(text: str) -> str:
    """`en_US.UTF-8@x` and the directory `en_US.utf8@x` are one (glibc's normalize-codeset)."""
    language, _, codeset = text.partition(".")
    return f"{language}.{''.join(c for c in codeset.lower() if c.isalnum() or c == '@')}"
