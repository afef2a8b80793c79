"""The second proof: the finished tree is the source's, less what the plan drops.

Every surviving path has the same type, owner, mode, mtime, xattrs, link target, hard links and
content; a replaced file has the plan's content and its old attributes. Contents are compared byte
for byte: both sides were hashed when they were read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from careen.finding import Finding
from careen.plan.plan import PathDecision, Plan
from careen.rootfs.content import same_content
from careen.rootfs.path import ROOT, Path, absolute, normal
from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["tree_kept"]

_ATTRIBUTES = ("kind", "mode", "uid", "gid", "mtime", "xattrs", "devmajor", "devminor")


def tree_kept(rootfs: Rootfs, source: Rootfs, plan: Plan) -> Iterator[Finding]:
    """Findings where `rootfs` is not `source` less the plan's drops with its replacements."""
    decisions = {normal(item.path): item for item in plan.paths}
    expected = {
        path: inode
        for path, inode in source.nodes.items()
        if path not in decisions or decisions[path].decision == "replace"
    }
    for path in expected:
        if path not in rootfs:
            yield _error("path-lost", path, "is gone, and the plan does not drop it")
    for path in rootfs.nodes:
        if path not in expected:
            dropped = path in decisions
            yield _error(
                "path-extra", path, "should be gone" if dropped else "was not in the source"
            )
    yield from _compared(rootfs, source, expected, decisions)


def _compared(
    rootfs: Rootfs,
    source: Rootfs,
    expected: Mapping[Path, Inode],
    decisions: Mapping[Path, PathDecision],
) -> Iterator[Finding]:
    twins: dict[int, Inode] = {}  # id of what an inode comes from → its one counterpart
    origins: dict[int, Inode | PathDecision] = {}  # and back
    for path, before in expected.items():
        after = rootfs.nodes.get(path)
        if after is None:
            continue
        yield from _attributes(path, after, before)
        decision = decisions.get(path)
        origin = before if decision is None else decision  # a replaced file is a file of its own
        seen = twins.setdefault(id(origin), after)
        if seen is not after or origins.setdefault(id(after), origin) is not origin:
            yield _error("hard-link-changed", path, "shares its inode with other names than before")
        elif decision is not None:
            yield from _replaced(rootfs, path, after, decision)
        elif after.kind == "symlink" and after.entry.linkname != before.entry.linkname:
            yield _error("link-changed", path, f"leads to {after.entry.linkname!r}")
        elif after.kind == "file" and not same_content(after, rootfs, before, source):
            yield _error("content-changed", path, "does not have the source's content")


def _attributes(path: Path, after: Inode, before: Inode) -> Iterator[Finding]:
    if path == ROOT and before.is_implicit:
        return  # no layer says anything of the root directory
    changed = [
        key for key in _ATTRIBUTES if getattr(after.entry, key) != getattr(before.entry, key)
    ]
    if changed:
        yield _error("attribute-changed", path, f"differs from the source in {', '.join(changed)}")


def _replaced(
    rootfs: Rootfs, path: Path, after: Inode, decision: PathDecision
) -> Iterator[Finding]:
    if decision.target is not None:
        kept = after.kind == "symlink" and after.entry.linkname == decision.target
    else:
        kept = after.kind == "file" and rootfs.read(path, ceiling=1 << 40) == decision.data()
    if not kept:
        yield _error("content-changed", path, "does not have the plan's content")


def _error(rule: str, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity="error", path=absolute(path), message=message)
