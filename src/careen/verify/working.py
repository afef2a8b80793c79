"""The fourth proof: nothing that remains is newly broken.

No program that is needed is gone or lost its interpreter or a library, nor did any other ELF file;
no symlink newly leads nowhere, and what the config starts is there. A script that nothing needs
may have lost its interpreter: those are counted in one note, since a package may ship such a script
beside what is used. What people forced or asked for, though the plan says that it is needed, is a
warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from careen import linkage
from careen.finding import Finding, Severity
from careen.linkage import Missing, View
from careen.plan import start
from careen.plan.closure import Scene, view
from careen.plan.plan import Plan
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, absolute, normal
from careen.verify.counted import counted

__all__ = ["still_working"]

_WISHES = ("shell-forced", "drop-needed")


class _Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Both images, as seen and as a loader sees them; `wished` are the paths gone by wish."""

    after: Scene
    before: Scene
    now: View
    then: View
    wished: frozenset[Path]

    def severity(self, lost: Collection[Path]) -> Severity:
        """Of a harm that comes from the loss of these paths."""
        return "error" if self.wished.isdisjoint(lost) else "warning"


def still_working(after: Scene, before: Scene, plan: Plan) -> Iterator[Finding]:
    """Findings on the finished image, each something that the source had in order."""
    pair = _Pair(
        after=after,
        before=before,
        now=view(after),
        then=view(before),
        wished=frozenset(_wished(before, plan)),
    )
    needed = {normal(path): None for path in plan.programs}
    told: set[Missing] = set()
    yield from _programs(pair, needed, told)
    yield from _linked(pair, [path for path in after.facts.elf if path not in needed], told)
    yield from _scripts(pair, [path for path in after.facts.scripts if path not in needed])
    yield from _links(pair)
    yield from _started(pair)


def _wished(before: Scene, plan: Plan) -> Iterator[Path]:
    """What goes although the plan knows that it is needed, under each name that leads there."""
    for item in plan.findings:
        if item.rule in _WISHES:
            for text in item.paths or (item.path,):
                place = before.rootfs.resolve(text)
                yield from (normal(text), *place.hops)
                if place.path is not None:
                    yield place.path


def _programs(pair: _Pair, needed: Collection[Path], told: set[Missing]) -> Iterator[Finding]:
    """The closed set: each file with all that it would load in turn."""
    for path in needed:
        if path not in pair.after.rootfs:
            if path in pair.before.rootfs:
                message = "is gone, though the plan needs it"
                yield _finding("program-lost", pair.severity([path]), path, message)
            continue
        for missing, lost in _newly(pair, path):
            if missing not in told:
                told.add(missing)
                is_program = _is_interpreter(missing, pair.after.facts)
                rule = "program-lost-interpreter" if is_program else "program-lost-library"
                yield _gone(rule, pair.severity(lost), missing)


def _newly(pair: _Pair, path: Path) -> Iterator[tuple[Missing, set[Path]]]:
    """What a file lacks now and did not, and the paths by which it had it."""
    lacks = linkage.of(path, pair.now).missing
    had = linkage.of(path, pair.then) if lacks else linkage.Linkage(path=path)
    for missing in lacks:
        if missing not in had.missing:
            # a library that another one had loaded already was not looked up again
            answers = [found for found in had.found if found.name == missing.name]
            yield missing, {step for found in answers for step in (found.path, *found.hops)}


def _is_interpreter(missing: Missing, facts: Facts) -> bool:
    elf = facts.elf.get(missing.needed_by)
    return elf is None or missing.name == elf.interpreter


def _linked(pair: _Pair, files: list[Path], told: Collection[Missing]) -> Iterator[Finding]:
    """The other ELF files, each by itself."""
    lacks = {*linkage.missing(files, pair.now)} - {*told}
    if lacks:
        lacks -= {*linkage.missing(files, pair.then)}
    for missing in sorted(lacks, key=lambda one: (one.needed_by, one.name)):
        rule = "loader-lost" if _is_interpreter(missing, pair.after.facts) else "library-lost"
        had = linkage.of(missing.needed_by, pair.then).found
        lost = [step for found in had if found.name == missing.name
                for step in (found.path, *found.hops)]  # fmt: skip
        yield _gone(rule, pair.severity(lost), missing)


def _scripts(pair: _Pair, files: list[Path]) -> Iterator[Finding]:
    lacks = {*linkage.missing(files, pair.now)}
    if lacks:
        lacks -= {*linkage.missing(files, pair.then)}
    if lacks:
        paths = sorted({missing.needed_by for missing in lacks})
        message = "scripts stay without their interpreter; the image starts none of them"
        yield counted("script-without-interpreter", "note", paths, message)


def _links(pair: _Pair) -> Iterator[Finding]:
    for path, inode in pair.after.rootfs.nodes.items():
        if inode.kind == "symlink" and pair.after.rootfs.resolve(path).path is None:
            led = pair.before.rootfs.resolve(path).path
            if led is not None:
                message = f"led to {absolute(led)}, which is gone"
                yield _finding("dangling-link", pair.severity([led]), path, message)


def _started(pair: _Pair) -> Iterator[Finding]:
    """Each program that the config names, and the interpreter of one that is a script."""
    rootfs, facts = pair.before.rootfs, pair.after.facts
    for word, text in start.started(pair.before):
        led = rootfs.resolve(text).path
        if not text or led is None:
            continue
        if pair.after.rootfs.resolve(text).path is None:
            yield _lost(word, pair.severity([led]), f"{text} is gone")
            continue
        for missing, lost in _newly(pair, led):
            if led in facts.scripts:
                message = f"its interpreter {missing.name} is gone"
                yield _lost(word, pair.severity(lost), message)


def _gone(rule: str, severity: Severity, missing: Missing) -> Finding:
    return _finding(rule, severity, missing.needed_by, f"needs {missing.name}, which is gone")


def _lost(word: start.Word, severity: Severity, message: str) -> Finding:
    return Finding(
        rule="start-lost",
        severity=severity,
        message=f"{word.field} starts {word.text!r}: {message}",
    )


def _finding(rule: str, severity: Severity, path: Path, message: str) -> Finding:
    return Finding(rule=rule, severity=severity, path=absolute(path), message=message)
