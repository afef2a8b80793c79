"""What a plan has to say beside its decisions: what is odd, at risk, or asked for in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from careen.finding import Finding, Severity, some
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan import platforms
from careen.plan.asked import Asked
from careen.plan.closure import Because, Closure, Scene, is_use, told
from careen.plan.drops import Drops
from careen.plan.plan import Source
from careen.plan.rules import TRANSIENT
from careen.plan.selection import Selection
from careen.profile.profile import Profile
from careen.rootfs.path import absolute, normal

__all__ = [
    "about_asked",
    "about_closure",
    "about_databases",
    "about_essential",
    "about_patterns",
    "about_profile",
    "absent",
]


def about_profile(profile: Profile, source: Source, absent: Sequence[str]) -> Iterator[Finding]:
    """Whether it was recorded on this image; how many of the paths that it names are `absent`."""
    others = sorted(
        {s.name for s in profile.scenarios if s.image.digest not in (None, source.digest)}
    )
    if others:
        yield _finding(
            "profile-other-image",
            "warning",
            f"recorded on another digest than the source's: {some(others)}",
            count=len(others),
        )
    yield from _elsewhere(profile, source)
    if absent:
        yield _finding(
            "profile-path-gone",
            "note",
            f"the profile names what is not in this image: {some(absent)}",
            path=absent[0],
            count=len(absent),
        )


def _elsewhere(profile: Profile, source: Source) -> Iterator[Finding]:
    """What was recorded on another platform, where other files may be in use."""
    scenarios = platforms.others(profile, source.platform)
    if scenarios:
        names = sorted({f"{one.name} ({one.image.platform})" for one in scenarios})
        yield _finding(
            "profile-other-platform",
            "warning",
            f"recorded on another platform than {source.platform}, paths were translated: "
            f"{some(names)}",
            count=len(scenarios),
        )


def absent(closure: Closure) -> tuple[str, ...]:
    """The paths that the profile names and the image does not have, but what a run makes."""
    lost = {lost.text for lost in closure.lost if lost.because.rule == "profile"}
    return tuple(sorted(text for text in lost if not text.startswith(TRANSIENT)))


def about_closure(closure: Closure) -> Iterator[Finding]:
    """What the config starts and the image does not have."""
    for lost in closure.lost:
        if lost.because.rule == "config":
            message = f"{lost.text!r} is not in the image; {lost.because.phrase}"
            yield _finding("start-not-found", "warning", message)


def about_databases(catalog: Catalog) -> Iterator[Finding]:
    """Which databases are not edited and why, and what is odd about each."""
    if not catalog.databases:
        message = "the image has no package database; its files stay, but shells and leftovers"
        yield _finding("package-database", "note", message)
    for database in catalog.databases:
        if database.refused:
            message = f"nothing is removed from the package database: {database.refused}"
            yield _finding("database-refused", "warning", message, count=len(database.packages))
        for note in (*database.notes, *database.faults):
            if not database.refused or database.refused not in note:
                yield _finding("package-database", "note", note)


def about_essential(drops: Drops) -> Iterator[Finding]:
    """The packages that a system is not without, and that this image will be without."""
    packages = drops.scene.catalog.packages
    names = sorted(id for id in drops.removed if packages[id].essential)
    if names:
        message = f"packages marked Essential go: {', '.join(names)}"
        yield _finding("essential-removed", "note", message, count=len(names))


def about_asked(drops: Drops, asked: Asked) -> Iterator[Finding]:
    """What goes because people ask, though needed; a package of which they keep a part."""
    scene, closure = drops.scene, drops.closure
    for id, pattern in asked.packages.items():
        because = _need(scene.catalog.packages[id], closure)
        if because is not None:
            chain = told(because, closure, scene.catalog)
            goes = "goes" if id in drops.removed else "goes but for what is kept of it"
            gone = (path for path in _files(scene, id) if drops.gone(normal(path)))
            yield Finding(
                rule="drop-needed",
                severity="warning",
                message=f"{id} {goes} ({pattern}), though needed: {chain}",
                paths=tuple(gone),
            )
    needed = [path for path in asked.paths if path in closure.paths]
    if needed:
        chain = told(closure.paths[needed[0]], closure, scene.catalog)
        yield Finding(
            rule="drop-needed",
            severity="warning",
            path=absolute(needed[0]),
            message=f"goes ({asked.paths[needed[0]]}), though needed: {chain}",
            count=len(needed),
            paths=tuple(map(absolute, needed)),
        )


def about_patterns(scene: Scene, keep: Selection, drop: Selection) -> Iterator[Finding]:
    """Patterns that name nothing."""
    for what, selection in (("keep", keep), ("drop", drop)):
        for text in selection.unmatched(scene.catalog, scene.rootfs):
            message = f"{text} (to {what}) names nothing in the image"
            yield _finding("pattern-unmatched", "warning" if what == "keep" else "note", message)


def _files(scene: Scene, id: str) -> Iterator[str]:
    """The package's files in the image."""
    nodes = scene.rootfs.nodes
    for path in scene.catalog.packages[id].paths:
        if path in nodes and nodes[path].kind != "directory":
            yield absolute(path)


def _need(package: Package, closure: Closure) -> Because | None:
    """Why a package would have stayed: it is used, or something that it alone owns is."""
    needed = ((path, closure.paths[path]) for path in package.paths if path in closure.paths)
    used = (because for path, because in needed if is_use(path, because))
    return closure.packages.get(package.id) or next(used, None)


def _finding(
    rule: str, severity: Severity, message: str, *, path: str = "", count: int = 1
) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, path=path, count=count)
