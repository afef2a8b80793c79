"""`ld.so.cache` without what goes: the loader trusts it, and opens in vain what it still names."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from careen.errors import FormatError
from careen.finding import Finding
from careen.plan.drops import Drops
from careen.plan.leftovers import lost_step
from careen.plan.plan import PathDecision
from careen.rootfs import ld_cache
from careen.rootfs.path import Path, absolute

__all__ = ["decisions", "findings"]

_PLACE = "/etc/ld.so.cache"


def decisions(drops: Drops) -> Iterator[PathDecision]:
    """The cache less its entries of what goes, if there are any; none where it stays as it is."""
    path, stale = _path(drops), _stale(drops)
    if path is None or not stale or _held(drops, path):
        return
    try:
        content = ld_cache.without(drops.scene.facts.ld_cache_raw, stale)
    except FormatError:
        return
    yield PathDecision(
        path=absolute(path),
        kind="file",
        decision="replace",
        reason="the loader's cache names what remains",
        bytes=len(content),
        content=base64.b64encode(content).decode("ascii"),
    )


def findings(drops: Drops) -> Iterator[Finding]:
    """A cache that stays as it is, though it names what goes, or may."""
    facts, path = drops.scene.facts, _path(drops)
    if path is None:
        return
    stale = _stale(drops)
    if path in facts.unreadable and any(one in facts.elf for one in drops.reasons):
        yield _finding(path, f"stays as it is: {facts.unreadable[path]}")
    elif stale and (why := _held(drops, path) or _unknown(facts.ld_cache_raw, stale)):
        yield _finding(path, f"goes on naming libraries that go: {why}", count=len(stale))


def _path(drops: Drops) -> Path | None:
    """Where the cache is, None without one or when it goes."""
    path = drops.scene.rootfs.resolve(_PLACE).path
    is_file = path is not None and drops.scene.rootfs.nodes[path].kind == "file"
    return path if path is not None and is_file and drops.stays(path) else None


def _stale(drops: Drops) -> frozenset[str]:
    """The paths in the cache that led to a library and will not."""
    texts = {text for texts in drops.scene.facts.ld_cache.values() for text in texts}
    return frozenset(text for text in texts if lost_step(drops, text) is not None)


def _held(drops: Drops, path: Path) -> str:
    """Why the cache must not change, "" when it may.

    rpm owns it as a ghost, whose content it does not check.
    """
    because = drops.closure.paths.get(path)
    if because is not None and because.rule == "keep":
        return because.phrase
    packages = drops.scene.catalog.packages
    owners = [id for id in drops.keepers(path) if packages[id].database != "rpm"]
    return f"{owners[0]} owns it" if owners else ""


def _unknown(raw: bytes, stale: frozenset[str]) -> str:
    """Why the cache cannot be written again, "" when it can."""
    try:
        ld_cache.without(raw, stale)
    except FormatError as error:
        return str(error)
    return ""


def _finding(path: Path, message: str, *, count: int = 1) -> Finding:
    return Finding(
        rule="ld-cache-kept", severity="note", path=absolute(path), message=message, count=count
    )
