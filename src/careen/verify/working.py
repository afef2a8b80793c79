"""The fourth proof: nothing that remains is newly broken.

No ELF file lost a library or its interpreter, no symlink newly leads nowhere, and what the config
starts is there. A script that the config does not start may have lost its interpreter: those are
counted in one note, since a package may ship such a script beside what is used. What people forced
(a shell that is needed, removed all the same) is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen import linkage
from careen.finding import Finding, Severity
from careen.plan import start
from careen.plan.closure import Scene, view
from careen.plan.plan import Plan
from careen.rootfs.path import Path, absolute, normal

__all__ = ["still_working"]


def still_working(after: Scene, before: Scene, plan: Plan) -> Iterator[Finding]:
    """Findings on the finished image, each something that the source had in order."""
    yield from _linked(after, before)
    forced = {normal(item.path) for item in plan.findings if item.rule == "shell-forced"}
    yield from _links(after, before, forced)
    yield from _started(after, before, forced)


def _linked(after: Scene, before: Scene) -> Iterator[Finding]:
    files = [*after.facts.elf, *after.facts.scripts]
    lacks = {(missing.needed_by, missing.name) for missing in linkage.missing(files, view(after))}
    if lacks:
        lacks -= {
            (missing.needed_by, missing.name) for missing in linkage.missing(files, view(before))
        }
    scripts = sorted({path for path, _ in lacks if path in after.facts.scripts})
    for path, wanted in sorted(lacks):
        if path in after.facts.elf:
            rule = "library-lost" if wanted != after.facts.elf[path].interpreter else "loader-lost"
            yield _finding(rule, "error", path, f"needs {wanted}, which is gone")
    if scripts:
        yield Finding(
            rule="script-without-interpreter",
            severity="note",
            path=absolute(scripts[0]),
            message="scripts stay without their interpreter; the image starts none of them",
            count=len(scripts),
        )


def _links(after: Scene, before: Scene, forced: set[Path]) -> Iterator[Finding]:
    for path, inode in after.rootfs.nodes.items():
        if inode.kind == "symlink" and after.rootfs.resolve(path).path is None:
            led = before.rootfs.resolve(path).path
            if led is not None:
                message = f"led to {absolute(led)}, which is gone"
                yield _finding("dangling-link", _severity(led, forced), path, message)


def _started(after: Scene, before: Scene, forced: set[Path]) -> Iterator[Finding]:
    """Each program that the config names, and the interpreter of one that is a script."""
    for word, text in start.started(before):
        led = before.rootfs.resolve(text).path
        if not text or led is None:
            continue
        if after.rootfs.resolve(text).path is None:
            yield _lost(word, _severity(led, forced), f"{text} is gone")
            continue
        lacks = {missing.name for missing in linkage.of(led, view(before)).missing}
        for missing in linkage.of(led, view(after)).missing:
            if led in after.facts.scripts and missing.name not in lacks:
                was = before.rootfs.resolve(missing.name).path
                message = f"its interpreter {missing.name} is gone"
                yield _lost(word, _severity(was, forced), message)


def _severity(lost: Path | None, forced: set[Path]) -> Severity:
    return "warning" if lost in forced else "error"


def _lost(word: start.Word, severity: Severity, message: str) -> Finding:
    return Finding(
        rule="start-lost",
        severity=severity,
        message=f"{word.field} starts {word.text!r}: {message}",
    )


def _finding(rule: str, severity: Severity, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity=severity, path=absolute(path), message=message)
