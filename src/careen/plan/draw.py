"""Drawing the plan: from what is used to what goes, each with its reason. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from careen.errors import SourceError
from careen.finding import Finding
from careen.plan import (
    applets,
    findings,
    ld_cache,
    leftovers,
    platforms,
    sboms,
    seeds,
    selection,
    shells,
)
from careen.plan import asked as asks
from careen.plan.asked import Asked
from careen.plan.closure import Closure, Going, Scene, close
from careen.plan.drops import Drops
from careen.plan.plan import Decision, Options, PackageDecision, PathDecision, Plan, Source, Totals
from careen.plan.rules import is_notice
from careen.plan.selection import Selection
from careen.profile import profile as profiles
from careen.profile.profile import Profile
from careen.rootfs.path import Path, absolute, normal, order
from careen.rootfs.rootfs import Inode

__all__ = ["UNUSED", "Drawn", "draw", "drawn"]

UNUSED = "nothing that it owns is used"
"""Why a package goes that nobody asked to drop."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and the closure that it rests on: every reason, also of what simply stays."""

    plan: Plan
    closure: Closure


def draw(scene: Scene, source: Source, profile: Profile, options: Options) -> Plan:
    """The plan for this image; SourceError when what is asked cannot be done."""
    return drawn(scene, source, profile, options).plan


def drawn(scene: Scene, source: Source, profile: Profile, options: Options) -> Drawn:
    """The same, with the reasons."""
    _check(scene, source, profile, options)
    wanted = _wanted(scene, profile, options)
    closure = _closed(scene, platforms.translated(profile, source.platform), wanted, options)
    asks.check_started(wanted.asked, closure, scene.catalog, options)
    drops = _gathered(scene, closure, wanted, options)
    paths = [*_dropped(drops), *_turned(drops), *_edited(drops), *ld_cache.decisions(drops)]
    absent = findings.absent(closure)
    plan = Plan(
        source=source,
        profile=profiles.digest(profile),
        options=options,
        packages=tuple(_decisions(drops)),
        paths=tuple(sorted(paths, key=lambda item: order(normal(item.path)))),
        absent=absent,
        programs=tuple(_programs(drops)),
        findings=(
            *findings.about_profile(profile, source, absent),
            *_findings(drops, wanted),
        ),
        totals=_totals(drops, paths, wanted.shells),
    )
    return Drawn(plan=plan, closure=closure)


def _check(scene: Scene, source: Source, profile: Profile, options: Options) -> None:
    if scene.catalog.unsupported:
        raise SourceError(
            f"{scene.catalog.unsupported[0]}, so nothing can be removed; squash works without it"
        )
    elsewhere = platforms.others(profile, source.platform)
    if elsewhere and options.granularity == "file":
        raise SourceError(platforms.refusal(elsewhere, source.platform))


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What people ask, and what the image has that they ask about by kind."""

    keep: Selection
    drop: Selection
    asked: Asked
    shells: shells.Found
    applets: applets.Links


def _wanted(scene: Scene, profile: Profile, options: Options) -> _Wanted:
    kept = [*profile.keep.packages, *profile.keep.paths, *options.keep]
    dropped = [*profile.drop.packages, *profile.drop.paths, *options.drop]
    keep = selection.of(kept, "keep", scene.rootfs)
    drop = selection.of(dropped, "drop", scene.rootfs)
    return _Wanted(
        keep=keep,
        drop=drop,
        asked=asks.of(scene, keep, drop),
        shells=shells.find(scene),
        applets=applets.links(scene),
    )


def _closed(scene: Scene, profile: Profile, wanted: _Wanted, options: Options) -> Closure:
    """What is needed. The closure passes over what people ask to drop, and shells that may go."""
    kept = wanted.shells.keys() | set(wanted.shells.values()) if options.shells == "keep" else set()
    files = frozenset(
        path
        for path in wanted.asked.files(scene.catalog)
        if path not in kept and wanted.keep.path(path) is None
    )
    free = frozenset(shells.free(scene, wanted.keep, wanted.shells))
    forced = options.shells == "remove" and options.force
    return close(
        scene,
        [
            *seeds.paths(scene, profile, wanted.keep),
            *applets.seeds(scene, profile, wanted.keep, wanted.applets),
            *shells.seeds(wanted.shells, options.shells),
        ],
        seeds.packages(scene, wanted.keep, options.policy),
        Going(
            packages=frozenset(wanted.asked.packages),
            paths=files | free if forced else files,
            idle=frozenset(
                target
                for path, target in wanted.shells.items()
                if path in free and not _is_bound(scene, [path, target])
            ),
        ),
        options,
    )


def _gathered(scene: Scene, closure: Closure, wanted: _Wanted, options: Options) -> Drops:
    """What goes: every rule, each after those that it follows from."""
    drops = Drops(scene, closure, _removed(scene, closure, wanted.asked))
    _drop_packages(drops)
    if options.granularity == "file":
        _drop_unused(drops)
    _drop_asked(drops, wanted.asked)
    needed = shells.needs(closure, wanted.shells)
    shells.drop(drops, wanted.shells, needed, wanted.keep, options)
    applets.drop(drops, wanted.applets)
    leftovers.caches(drops)
    drops.settle(
        [leftovers.alternatives, leftovers.bytecode, leftovers.links, leftovers.directories]
    )
    _settle_records(drops)
    leftovers.tool_caches(drops)
    drops.settle([sboms.drop, leftovers.links, leftovers.directories])
    return drops


def _findings(drops: Drops, wanted: _Wanted) -> Iterator[Finding]:
    scene, closure = drops.scene, drops.closure
    needed = shells.needs(closure, wanted.shells)
    yield from findings.about_closure(closure)
    yield from findings.about_databases(scene.catalog)
    yield from findings.about_essential(drops)
    yield from findings.about_asked(drops, wanted.asked)
    yield from findings.about_patterns(scene, wanted.keep, wanted.drop)
    yield from shells.findings(drops, wanted.shells, needed, wanted.keep)
    yield from applets.findings(closure, wanted.applets)
    yield from sboms.findings(drops)
    yield from ld_cache.findings(drops)


def _is_bound(scene: Scene, paths: Iterable[Path]) -> bool:
    """Whether a package that goes whole or stays whole owns one of the paths."""
    owners = {id for path in paths for id in scene.catalog.owners.get(path, ())}
    return not owners.isdisjoint(scene.catalog.indivisible)


def _removed(scene: Scene, closure: Closure, asked: Asked) -> dict[str, str]:
    """The packages that go, by id, with the reason."""
    found: dict[str, str] = {}
    for id in scene.catalog.packages:
        if id in asked.packages:
            found[id] = f"asked for: {asked.packages[id]}"
        elif id not in closure.packages:
            found[id] = UNUSED
    return found


def _drop_packages(drops: Drops) -> None:
    """Every file of a removed package that no package on record owns, but what was asked for."""
    for id in drops.removed:
        for path in drops.own_files(id):
            because = drops.closure.paths.get(path)
            if because is None or because.rule != "keep":
                drops.drop(path, f"its package {id} goes")


def _drop_unused(drops: Drops) -> None:
    """Every file of a package that stays by use, when nothing needs it and no whole package has it.

    A link to a directory is a road that others walk by name, and notices go with what they are
    about; both stay.
    """
    whole = drops.closure.whole
    for id in drops.scene.catalog.packages:  # in the catalog's order: the first gives the reason
        if id not in drops.closure.packages or id in whole or id in drops.removed:
            continue
        for path in drops.scene.catalog.packages[id].paths:
            owners = drops.scene.catalog.owners[path]
            used = path in drops.closure.paths or not whole.isdisjoint(owners)
            held = used or is_notice(path) or drops.scene.rootfs.is_road(path)
            if drops.stays(path) and not held:
                drops.drop(path, f"nothing uses it in {id} (--granularity file)")


def _drop_asked(drops: Drops, asked: Asked) -> None:
    """Children before their directories, which go once they are empty."""
    for path, pattern in reversed(list(asked.paths.items())):
        bound = "" if drops.is_directory(path) else drops.bound(path)
        if bound:
            raise SourceError(
                f"{absolute(path)} cannot be dropped ({pattern}): {bound} owns it and stays whole, "
                f"{_why(drops.closure, bound)}; drop the package, or leave the path"
            )
        if not any(drops.stays(child) for child in drops.scene.rootfs.children(path)):
            drops.drop(path, f"asked for: {pattern}")


def _settle_records(drops: Drops) -> None:
    """A package of which a file stays stays on record: its removal becomes partial."""
    for id in tuple(drops.removed):
        left = [path for path in drops.own_files(id) if not drops.gone(path)]
        if left:
            drops.partial[id] = f"{absolute(left[0])} stays: {_why_path(drops, left[0])}"
    for id in drops.partial:
        del drops.removed[id]


def _why_path(drops: Drops, path: Path) -> str:
    because = drops.closure.paths.get(path)
    return because.phrase if because is not None else asks.untouchable(path, drops.scene.catalog)


def _decisions(drops: Drops) -> Iterator[PackageDecision]:
    nodes = drops.scene.rootfs.nodes
    for id, package in sorted(drops.scene.catalog.packages.items()):
        files = [path for path in package.paths if path in nodes and not drops.is_directory(path)]
        decision: Decision = "partial" if any(map(drops.gone, package.paths)) else "keep"
        yield PackageDecision(
            id=id,
            name=package.name,
            version=package.version,
            arch=package.architecture,
            database=package.database,
            decision="remove" if id in drops.removed else decision,
            reason=drops.removed.get(id) or drops.partial.get(id) or _why(drops.closure, id),
            bytes=sum(inode.entry.size for inode in {nodes[path] for path in files}),
            files=len(files),
            dropped=sum(map(drops.gone, files)),
        )


def _why(closure: Closure, id: str) -> str:
    """Why a package stays: its first reason, and the reason of the path behind it, past links."""
    because = closure.packages[id]
    behind = closure.paths.get(normal(because.origin)) if because.rule == "owner" else None
    while behind is not None and behind.by_link and normal(behind.origin) in closure.paths:
        behind = closure.paths[normal(behind.origin)]
    return f"{because.origin}: {behind.phrase}" if behind is not None else because.phrase


def _programs(drops: Drops) -> Iterator[str]:
    """The ELF files and scripts that are needed and stay: what must still work.

    A script to which only a kept package's link leads is none: nothing starts it.
    """
    closure = drops.closure
    for path in sorted(closure.loaded & closure.paths.keys()):
        if drops.stays(path):
            yield absolute(path)


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


def _turned(drops: Drops) -> Iterator[PathDecision]:
    for path, target in drops.targets.items():
        if drops.stays(path):
            yield PathDecision(
                path=absolute(path),
                kind="symlink",
                decision="replace",
                reason="the choice that it led to goes, another stays",
                target=target,
            )


def _edited(drops: Drops) -> Iterator[PathDecision]:
    """The databases' own files, as they must read when this plan is done."""
    removed, dropped = frozenset(drops.removed), frozenset(drops.reasons)
    changes: dict[Path, bytes | None] = {}
    for database in drops.scene.catalog.databases:
        changes |= database.edit(removed, dropped)  # two databases say the same of /etc/shells
    for path, data in changes.items():
        inode = drops.scene.rootfs.nodes[path]
        yield PathDecision(
            path=absolute(path),
            kind=inode.kind,
            decision="drop" if data is None else "replace",
            reason="the package database tells of what remains",
            bytes=inode.entry.size if data is None else len(data),
            content=None if data is None else base64.b64encode(data).decode("ascii"),
        )


def _totals(drops: Drops, paths: list[PathDecision], found: shells.Found) -> Totals:
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
