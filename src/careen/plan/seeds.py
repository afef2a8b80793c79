"""Where the closure starts: profile, config, identity, locale, and what people asked to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.plan import start
from careen.plan.closure import Because, Scene, Seed, located
from careen.plan.rules import DATA_PACKAGES, IDENTITY
from careen.plan.selection import Selection
from careen.profile import profile as profiles
from careen.profile.profile import Profile
from careen.rootfs.path import Path, absolute, name

__all__ = ["packages", "paths"]


def paths(scene: Scene, profile: Profile, keep: Selection) -> Iterator[Seed]:
    """The paths and programs to begin with, each with its reason."""
    for text, because in _profiled(profile):
        yield Seed(text=text, because=because)
    yield from _config(scene)
    for text in IDENTITY:
        if scene.rootfs.resolve(text).path is not None:
            phrase = "says which system and which users this is"
            yield Seed(text=text, because=Because(rule="identity", phrase=phrase))
    yield from _locale(scene)
    if keep.path_globs:
        for path in scene.rootfs.nodes:
            if (pattern := keep.path(path)) is not None:
                yield Seed(
                    text=absolute(path),
                    because=Because(rule="keep", phrase=f"asked for: {pattern}"),
                )


def packages(scene: Scene, keep: Selection, policy: str) -> Mapping[str, Because]:
    """The packages that stay by decision, by id."""
    found: dict[str, Because] = {}
    for id, package in scene.catalog.packages.items():
        pattern = keep.package(package)
        if package.unreadable:
            phrase = f"its record cannot be edited: {package.unreadable}"
            found[id] = Because(rule="unreadable", phrase=phrase)
        elif pattern is not None:
            found[id] = Because(rule="keep", phrase=f"asked for: {pattern}")
        elif policy != "strict" and package.name in DATA_PACKAGES.get(package.database, ()):
            phrase = f"data that programs reach for silently (policy {policy})"
            found[id] = Because(rule="data", phrase=phrase)
    return found


def _profiled(profile: Profile) -> Iterator[tuple[str, Because]]:
    for path, uses in profiles.used(profile).items():
        how = ", ".join(f"{use.how} in {use.scenario}" for use in uses[:2])
        more = f" and {len(uses) - 2} more" if len(uses) > 2 else ""
        yield absolute(path), Because(rule="profile", phrase=how + more)


def _config(scene: Scene) -> Iterator[Seed]:
    """What the config starts; a word of a shell text that is not there may be a builtin."""
    execution = scene.execution
    first = (execution.entrypoint or execution.command or ("",))[0]
    begins = scene.rootfs.resolve(located(first, scene.rootfs, execution) or first).path
    is_script = begins in scene.facts.scripts or begins not in scene.facts.elf
    for word in start.words(execution, is_script=is_script):
        found = located(word.text, scene.rootfs, execution)
        if found or not word.needs_shell:
            because = Because(rule="config", phrase=f"started by the image's {word.field}")
            yield Seed(text=word.text, because=because, program=True)


def _locale(scene: Scene) -> Iterator[Seed]:
    """The compiled locales that Env names, below /usr/lib/locale, and the archive of them."""
    named = {
        value
        for item in scene.execution.env
        for key, _, value in [item.partition("=")]
        if key in ("LANG", "LANGUAGE") or key.startswith("LC_")
    }
    wanted = {_locale_name(value) for value in named if value}
    if not wanted:
        return
    because = Because(
        rule="locale", phrase=f"the locale that Env names: {', '.join(sorted(named))}"
    )
    base = Path("usr/lib/locale")
    for folder in scene.rootfs.children(base):
        inode = scene.rootfs.nodes[folder]
        if inode.kind == "file" or _locale_name(name(folder)) in wanted:
            for path in (folder, *scene.rootfs.below(folder)):
                yield Seed(text=absolute(path), because=because)


def _locale_name(text: str) -> str:
    """`en_US.UTF-8@x` and the directory `en_US.utf8@x` are one (glibc's normalize-codeset)."""
    language, _, codeset = text.partition(".")
    return f"{language}.{''.join(c for c in codeset.lower() if c.isalnum() or c == '@')}"
