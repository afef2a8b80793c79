"""Drawing the plan: from what is used to what goes, each with its reason. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Literal

from careen.errors import SourceError
from careen.finding import Finding
from careen.packages.package import Package
from careen.plan import leftovers, seeds, selection, shells
from careen.plan.closure import Because, Closure, Scene, Seed, close
from careen.plan.drops import Drops
from careen.plan.plan import Options, PackageDecision, PathDecision, Plan, Source, Totals
from careen.plan.selection import Selection
from careen.profile import profile as profiles
from careen.profile.profile import Profile
from careen.rootfs.path import Path, absolute, normal, order
from careen.rootfs.rootfs import Inode

__all__ = ["draw"]


def draw(scene: Scene, source: Source, profile: Profile, options: Options) -> Plan:
    """The plan for this image; SourceError when what is asked cannot be done."""
    if scene.catalog.unsupported:
        raise SourceError(scene.catalog.unsupported[0])
    keep = selection.of([*_patterns(profile.keep), *options.keep], "keep")
    drop = selection.of([*_patterns(profile.drop), *options.drop], "drop")
    found = shells.find(scene)
    closure = close(
        scene,
        [*seeds.paths(scene, profile, keep), *_kept_shells(found, options)],
        seeds.packages(scene, keep, options.policy),
        depends=options.policy == "conservative",
    )
    drops = Drops(scene, closure, _removed(scene, closure, keep, drop))
    _drop_packages(drops)
    _drop_asked(drops, keep, drop)
    _drop_shells(drops, found, options)
    leftovers.caches(drops)
    drops.settle([leftovers.bytecode, leftovers.links, leftovers.directories])
    _settle_records(drops)
    paths = [*_dropped(drops), *_edited(drops)]
    return Plan(
        source=source,
        profile=profiles.digest(profile),
        options=options,
        packages=tuple(_decisions(drops)),
        paths=tuple(sorted(paths, key=lambda item: order(normal(item.path)))),
        findings=tuple(_findings(drops, profile, source, found)),
        totals=_totals(drops, paths, found),
    )


def _patterns(asked: profiles.Keep | profiles.Drop) -> list[str]:
    return [*asked.packages, *asked.paths]


def _kept_shells(found: Mapping[Path, Path], options: Options) -> Iterator[Seed]:
    if options.shells == "keep":
        for path in found:
            because = Because(rule="keep", phrase="a shell, kept by --shells keep")
            yield Seed(text=absolute(path), because=because)


def _removed(scene: Scene, closure: Closure, keep: Selection, drop: Selection) -> dict[str, str]:
    """The packages that go, by id, with the reason."""
    found: dict[str, str] = {}
    for id, package in scene.catalog.packages.items():
        asked = drop.package(package)
        if asked is not None:
            _check_drop(package, asked, keep)
            found[id] = f"asked for: {asked}"
        elif id not in closure.packages:
            found[id] = "nothing that it owns is used"
    return found


def _check_drop(package: Package, asked: str, keep: Selection) -> None:
    kept = keep.package(package)
    if kept is not None:
        raise SourceError(f"{package.id} is to be kept ({kept}) and dropped ({asked})")
    if package.unreadable:
        raise SourceError(f"{package.id} cannot be dropped: {package.unreadable}")


def _drop_packages(drops: Drops) -> None:
    """Every file of a removed package that no package on record owns, but what was asked for."""
    for id in drops.removed:
        for path in drops.own_files(id):
            because = drops.closure.paths.get(path)
            if because is None or because.rule != "keep":
                drops.drop(path, f"its package {id} goes")


def _drop_asked(drops: Drops, keep: Selection, drop: Selection) -> None:
    if not drop.path_globs:
        return
    for path in reversed(drops.scene.rootfs.nodes):
        pattern = drop.path(path) if path else None
        if pattern is None:
            continue
        kept = keep.path(path)
        if kept is not None:
            raise SourceError(f"{absolute(path)} is to be kept ({kept}) and dropped ({pattern})")
        if not any(drops.stays(child) for child in drops.scene.rootfs.children(path)):
            drops.drop(path, f"asked for: {pattern}")


def _drop_shells(drops: Drops, found: Mapping[Path, Path], options: Options) -> None:
    """A shell goes with all its names, unless the closure needs it or people want it."""
    for path, target in found.items():
        because = drops.closure.paths.get(target)
        if because is not None and options.shells == "remove" and not options.force:
            raise SourceError(
                f"a shell is needed, {absolute(path)}: {because.phrase}; change that in the image, "
                "or overrule with --force"
            )
        if because is None or options.shells == "remove":
            drops.drop(target, "a shell that nothing uses")
            drops.drop(path, "a shell that nothing uses")


def _settle_records(drops: Drops) -> None:
    """A package of which a file stays stays on record: its removal becomes partial."""
    for id in [id for id in drops.removed if not all(map(drops.gone, drops.own_files(id)))]:
        del drops.removed[id]


def _decisions(drops: Drops) -> Iterator[PackageDecision]:
    nodes = drops.scene.rootfs.nodes
    for id, package in sorted(drops.scene.catalog.packages.items()):
        files = [path for path in package.paths if path in nodes and not drops.is_directory(path)]
        dropped = sum(path in drops.reasons for path in files)
        staying: Literal["partial", "keep"] = "partial" if dropped else "keep"
        yield PackageDecision(
            id=id,
            name=package.name,
            version=package.version,
            arch=package.architecture,
            database=package.database,
            decision="remove" if id in drops.removed else staying,
            reason=drops.removed.get(id) or _why(drops.closure, id),
            bytes=sum(nodes[path].entry.size for path in files),
            files=len(files),
            dropped=dropped,
        )


def _why(closure: Closure, id: str) -> str:
    """Why a package stays: its first reason, and the reason of the path behind it."""
    because = closure.packages.get(id)
    if because is None:
        return "a file of it stays"
    behind = closure.paths.get(normal(because.origin)) if because.rule == "owner" else None
    return f"{because.origin}: {behind.phrase}" if behind is not None else because.phrase


def _dropped(drops: Drops) -> Iterator[PathDecision]:
    for path, reason in drops.reasons.items():
        inode = drops.scene.rootfs.nodes[path]
        owners = drops.scene.catalog.owners.get(path, ())
        yield PathDecision(
            path=absolute(path),
            kind=inode.kind,
            decision="drop",
            reason=reason,
            owner=", ".join(owners) if inode.kind != "directory" else "",
            bytes=inode.entry.size,
        )


def _edited(drops: Drops) -> Iterator[PathDecision]:
    """The databases' own files, as they must read when this plan is done."""
    removed, dropped = frozenset(drops.removed), frozenset(drops.reasons)
    for database in drops.scene.catalog.databases:
        for path, data in database.edit(removed, dropped).items():
            inode = drops.scene.rootfs.nodes[path]
            yield PathDecision(
                path=absolute(path),
                kind=inode.kind,
                decision="drop" if data is None else "replace",
                reason="the package database tells of what remains",
                bytes=inode.entry.size if data is None else len(data),
                content=None if data is None else base64.b64encode(data).decode("ascii"),
            )


def _findings(
    drops: Drops, profile: Profile, source: Source, found: Mapping[Path, Path]
) -> Iterator[Finding]:
    yield from _profile_findings(drops, profile, source)
    for database in drops.scene.catalog.databases:
        for message in database.notes:
            yield Finding(rule="package-database", severity="note", message=message)
    for path, target in found.items():
        because = drops.closure.paths.get(target)
        if drops.stays(path) and because is not None:
            yield Finding(
                rule="shell-kept", severity="note", path=absolute(path), message=because.phrase
            )


def _profile_findings(drops: Drops, profile: Profile, source: Source) -> Iterator[Finding]:
    others = sorted(
        {s.name for s in profile.scenarios if s.image.digest not in (None, source.digest)}
    )
    if others:
        yield Finding(
            rule="profile-other-image",
            severity="warning",
            message=f"recorded on another digest than the source's: {', '.join(others)}",
            count=len(others),
        )
    lost = [lost for lost in drops.closure.lost if lost.because.rule == "profile"]
    for item in lost:
        yield Finding(
            rule="profile-path-gone",
            severity="note",
            path=item.text,
            message=f"is not in this image; {item.because.phrase}",
        )
    for item in drops.closure.lost:
        if item.because.rule == "config":
            yield Finding(
                rule="start-not-found",
                severity="warning",
                message=f"{item.text!r} is not in the image; {item.because.phrase}",
            )


def _totals(drops: Drops, paths: list[PathDecision], found: Mapping[Path, Path]) -> Totals:
    nodes = drops.scene.rootfs.nodes
    gone = {normal(item.path) for item in paths if item.decision == "drop"}
    resized = {normal(item.path): item.bytes for item in paths if item.decision == "replace"}
    before = {path: inode for path, inode in nodes.items() if inode.kind != "directory"}
    after = {path: inode for path, inode in before.items() if path not in gone}
    packages = len(drops.scene.catalog.packages)
    return Totals(
        packages=(packages, packages - len(drops.removed)),
        files=(len(before), len(after)),
        bytes=(_size(before, {}), _size(after, resized)),
        shells=(len(found), sum(path not in gone for path in found)),
    )


def _size(files: Mapping[Path, Inode], resized: Mapping[Path, int]) -> int:
    """Bytes of content, each inode once."""
    inodes = {inode: resized.get(path, inode.entry.size) for path, inode in files.items()}
    return sum(inodes.values())
