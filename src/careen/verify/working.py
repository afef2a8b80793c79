"""The fourth proof: nothing that remains is newly broken.

No ELF file lost a library or its interpreter, no symlink newly leads nowhere, and what the config
starts is there. A script that nothing used may have lost its interpreter: those are counted in one
note, since a package may ship such a script beside what is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen import linkage
from careen.finding import Finding
from careen.plan import start
from careen.plan.closure import Scene, located, view
from careen.rootfs.path import Path, absolute

__all__ = ["still_working"]


def still_working(after: Scene, before: Scene) -> Iterator[Finding]:
    """Findings on the finished image, each something that the source had in order."""
    yield from _linked(after, before)
    yield from _links(after, before)
    yield from _started(after, before)


def _linked(after: Scene, before: Scene) -> Iterator[Finding]:
    files = [*after.facts.elf, *after.facts.scripts]
    lacks = {(missing.needed_by, missing.name) for missing in linkage.missing(files, view(after))}
    if lacks:
        lacks -= {
            (missing.needed_by, missing.name) for missing in linkage.missing(files, view(before))
        }
    scripts = sorted(path for path, _ in lacks if path in after.facts.scripts)
    for path, wanted in sorted(lacks):
        if path in after.facts.elf:
            rule = "library-lost" if wanted != after.facts.elf[path].interpreter else "loader-lost"
            yield _error(rule, path, f"needs {wanted}, which is gone")
    if scripts:
        yield Finding(
            rule="script-without-interpreter",
            severity="note",
            path=absolute(scripts[0]),
            message="scripts that nothing used stay without their interpreter",
            count=len(scripts),
        )


def _links(after: Scene, before: Scene) -> Iterator[Finding]:
    for path, inode in after.rootfs.nodes.items():
        if inode.kind == "symlink" and after.rootfs.resolve(path).path is None:
            led = before.rootfs.resolve(path).path
            if led is not None:
                yield _error("dangling-link", path, f"led to {absolute(led)}, which is gone")


def _started(after: Scene, before: Scene) -> Iterator[Finding]:
    """Each program that the config names, and the interpreter of one that is a script."""
    for word in start.words(after.execution, is_script=True):
        led = located(word.text, before.rootfs, before.execution)
        if not led:
            continue
        found = after.rootfs.resolve(led).path
        if found is None:
            yield _lost(word, f"{led} is gone")
        elif found in after.facts.scripts:
            for missing in linkage.of(found, view(after)).missing:
                yield _lost(word, f"its interpreter {missing.name} is gone")


def _lost(word: start.Word, message: str) -> Finding:
    return Finding(
        rule="start-lost", severity="error", message=f"{word.field} starts {word.text!r}: {message}"
    )


def _error(rule: str, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity="error", path=absolute(path), message=message)
