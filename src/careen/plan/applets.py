"""Files that are many programs in one, as busybox: which of their names are used.

Each program, an applet, is called by a link to the file. A link that nothing used goes; the
shell's code stays inside, which `shells` tells. Where the profile names the file alone, as tracers
do that resolve links, which applets ran cannot be told: all of its links stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.finding import Finding
from careen.plan.closure import Because, Closure, Scene, Seed
from careen.plan.drops import Drops
from careen.plan.rules import MULTI_CALL
from careen.plan.selection import Selection
from careen.profile import profile as profiles
from careen.profile.profile import Profile
from careen.rootfs.path import Path, absolute, name, parent

__all__ = ["BINARIES", "Links", "drop", "findings", "is_many", "links", "seeds"]

BINARIES = ("bin", "sbin")
"""Names of directories of programs."""

Links = Mapping[Path, Path]
_UNTOLD = "which of its applets ran is not on record"


def is_many(path: Path) -> bool:
    """Whether the file of that name is many programs."""
    return name(path) in MULTI_CALL


def links(scene: Scene) -> Links:
    """Each applet's link in a directory of programs → the file that it leads to."""
    found: dict[Path, Path] = {}
    for path, inode in scene.rootfs.nodes.items():
        if inode.kind == "symlink" and name(parent(path)) in BINARIES and not is_many(path):
            target = scene.rootfs.resolve(path).path
            if target is not None and is_many(target):
                found[path] = target
    return found


def seeds(scene: Scene, profile: Profile, keep: Selection, found: Links) -> Iterator[Seed]:
    """The links of a file that people keep, or that a scenario names without one of them."""
    untold = _untold(scene, profile, found)
    for link, target in found.items():
        if pattern := _asked(scene, keep, target):
            phrase = f"an applet of {absolute(target)}; asked for: {pattern}"
            yield Seed(text=absolute(link), because=Because(rule="keep", phrase=phrase))
        elif target in untold:
            phrase = f"{untold[target]} was used, and {_UNTOLD}"
            yield Seed(text=absolute(link), because=Because(rule="applets", phrase=phrase))


def _untold(scene: Scene, profile: Profile, found: Links) -> dict[Path, str]:
    """The files that some scenario names, each as written, and followed no link to."""
    untold: dict[Path, str] = {}
    for scenario in profile.scenarios if found else ():
        named: dict[Path, str] = {}
        followed: set[Path] = set()
        for path in profiles.used(Profile(scenarios=(scenario,))):
            place = scene.rootfs.resolve(path)
            followed |= {found[hop] for hop in place.hops if hop in found}
            if place.path is not None and is_many(place.path):
                named.setdefault(place.path, absolute(path))
        for target in named.keys() - followed:
            untold.setdefault(target, named[target])
    return untold


def _asked(scene: Scene, keep: Selection, path: Path) -> str:
    """The pattern by which people keep the file, or its package; "" for none."""
    owners = scene.catalog.owners.get(path, ())
    patterns = [keep.path(path), *(keep.package(scene.catalog.packages[id]) for id in owners)]
    return next(filter(None, patterns), "")


def drop(drops: Drops, found: Links) -> None:
    """The links that nothing used, of a file that stays; a link of a package on record is its."""
    needed = drops.closure.paths
    for path, target in found.items():
        if target in needed and path not in needed and not drops.keepers(path):
            drops.drop(path, f"an applet of {absolute(target)} that nothing uses")


def findings(closure: Closure, found: Links) -> Iterator[Finding]:
    """Each file whose links all stay, since nothing tells which of its applets are used."""
    reasons = {link: closure.paths[link] for link in found if link in closure.paths}
    kept = [found[link] for link, because in reasons.items() if because.rule == "applets"]
    for target in sorted(set(kept)):
        yield Finding(
            rule="applets-kept",
            severity="note",
            path=absolute(target),
            message=f"its links stay, because {_UNTOLD}",
            count=kept.count(target),
        )
