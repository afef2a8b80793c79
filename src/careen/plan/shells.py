"""Which paths of an image are shells, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.errors import SourceError
from careen.finding import Finding, Severity
from careen.plan.applets import BINARIES, is_many
from careen.plan.asked import untouchable
from careen.plan.closure import Because, Closure, Scene, Seed, told
from careen.plan.drops import Drops
from careen.plan.plan import Options, Shells
from careen.plan.rules import SHELLS
from careen.plan.selection import Selection
from careen.rootfs.path import Path, absolute, name, normal, parent

__all__ = ["Found", "Needs", "drop", "find", "findings", "free", "held", "needs", "seeds"]

Found = Mapping[Path, Path]
Needs = Mapping[Path, Because]


def find(scene: Scene) -> Found:
    """Each path by which a shell can be started → the file that it leads to (itself, or another).

    By name in a `bin` or `sbin` directory, and by /etc/shells: those called `sh` first.
    """
    found: dict[Path, Path] = {}
    for path in _named(scene):
        target = scene.rootfs.resolve(path).path
        inode = scene.rootfs.nodes.get(target) if target is not None else None
        if (
            target is not None
            and inode is not None
            and inode.kind == "file"
            and inode.entry.mode & 0o111
        ):
            found[path] = target
    return dict(sorted(found.items(), key=lambda item: (name(item[0]) != "sh", item[0])))


def _named(scene: Scene) -> Iterator[Path]:
    for path in scene.rootfs.nodes:
        if name(path) in SHELLS and name(parent(path)) in BINARIES:
            yield path
    for text in scene.facts.shells:
        path = scene.rootfs.canonical(normal(text))
        if path in scene.rootfs:
            yield path


def seeds(found: Found, option: Shells) -> Iterator[Seed]:
    """With `keep`, every shell is needed."""
    if option == "keep":
        because = Because(rule="keep", phrase="asked for: --shells keep")
        for path in found:
            yield Seed(text=absolute(path), because=because)


def held(scene: Scene, keep: Selection, path: Path, target: Path) -> str:
    """Why a shell stays whether or not it is needed, "" when that decides."""
    for step in (target, path):
        if reason := untouchable(step, scene.catalog):
            return reason
        if pattern := keep.path(step):
            return f"asked for: {pattern}"
        for id in scene.catalog.owners.get(step, ()):
            if pattern := keep.package(scene.catalog.packages[id]):
                return f"asked for: {pattern}"
    for database in scene.catalog.databases:
        if database.refused:  # it may record more files than could be read
            return f"the package database cannot be edited, {database.refused}"
    return ""


def free(scene: Scene, keep: Selection, found: Found) -> Iterator[Path]:
    """What may go of the shells: their names, and their files but for those of many programs."""
    for path, target in found.items():
        if not is_many(path) and not held(scene, keep, path, target):
            yield from _gone_with(path, target)


def needs(closure: Closure, found: Found) -> Needs:
    """Why the shell of each name is needed; what no need is known of is left out.

    It is needed when its file is; of a file of many programs, when its name is.
    """
    reasons: dict[Path, Because] = {}
    for path, target in found.items():
        because = closure.paths.get(path) or closure.paths.get(path if is_many(target) else target)
        if because is not None:
            reasons[path] = because
    return reasons


def drop(drops: Drops, found: Found, needed: Needs, keep: Selection, options: Options) -> None:
    """A shell goes with its names, unless it is needed or held.

    SourceError when `remove` meets a shell that must stay; `force` overrules a need alone. A file
    of many programs is refused by none of its other programs: it stays while one is needed.
    """
    for path, target in found.items():
        because = needed.get(path)
        must = held(drops.scene, keep, path, target)
        bound = drops.bound(target) or drops.bound(path)
        removing = options.shells == "remove" and not is_many(path)
        if removing and drops.stays(path):
            if must:
                raise SourceError(f"{absolute(path)} cannot go with --shells remove: {must}")
            if because is not None and not options.force:
                raise SourceError(_refusal(drops, path, because))
            if bound:
                raise SourceError(_bound(drops, path, bound))
        if not must and not bound and (because is None or removing):
            reason = "a shell that nothing uses" if because is None else "a shell, gone by force"
            for step in _gone_with(path, target):
                drops.drop(step, reason)


def _gone_with(path: Path, target: Path) -> tuple[Path, ...]:
    """What goes with the shell of one name: its file too, unless that is many programs."""
    return (path,) if is_many(target) else (target, path)


def _refusal(drops: Drops, path: Path, because: Because) -> str:
    chain = told(because, drops.closure, drops.scene.catalog)
    return (
        f"the shell {absolute(path)} is needed (--shells remove): {chain}; have the image start "
        "its program without a shell (a script's interpreter, the shell form of Cmd, Entrypoint or "
        "Healthcheck) and record again, or overrule with --force"
    )


def _bound(drops: Drops, path: Path, id: str) -> str:
    because = drops.closure.packages[id]
    return (
        f"{absolute(path)} cannot go with --shells remove: {_staying(id)}; "
        f"{told(because, drops.closure, drops.scene.catalog)}; drop the package"
    )


def _staying(id: str) -> str:
    return f"it stays with {id}, of which no file can go alone" if id else ""


def findings(drops: Drops, found: Found, needed: Needs, keep: Selection) -> Iterator[Finding]:
    """Each shell that stays, with the evidence; each that is needed and goes all the same."""
    kept = {found[path] for path in found if drops.stays(path) and not is_many(path)}
    for path, target in found.items():
        because = needed.get(path)
        chain = told(because, drops.closure, drops.scene.catalog) if because is not None else ""
        bound = drops.bound(target) or drops.bound(path)
        must = held(drops.scene, keep, path, target)
        if not drops.stays(path):
            if chain:
                yield _about("shell-forced", "warning", path, f"goes, though needed: {chain}")
        elif is_many(path) and path not in kept and not must:
            message = f"stays for another of its programs, with a shell's code inside: {chain}"
            yield _about("shell-inside", "warning", path, message)
        else:
            yield _about("shell-kept", "note", path, must or chain or _staying(bound))
    yield from _inside(drops, found)


def _inside(drops: Drops, found: Found) -> Iterator[Finding]:
    """Other names of a shell's file, as in a busybox of many links: its code is still there."""
    nodes = drops.scene.rootfs.nodes
    gone = {nodes[target]: target for target in found.values() if drops.gone(target)}
    for path, inode in nodes.items():
        if inode in gone and drops.stays(path):
            message = f"is the same file as {absolute(gone[inode])}: that shell's code stays inside"
            yield _about("shell-inside", "warning", path, message)


def _about(rule: str, severity: Severity, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity=severity, path=absolute(path), message=message)
