"""What can be said of an image without its source: whether it stands by itself.

Only what keeps it from starting is an error. An image may lack what it never needs, so the rest is
a warning or, counted, a note. A database that contradicts itself is a warning, whoever made the
image: whether an edit did it or the source was so already, only `--source` can tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from careen import linkage
from careen.finding import Finding, Severity
from careen.linkage import View
from careen.oci.config import Execution
from careen.oci.image import Image
from careen.plan import start
from careen.plan.closure import Scene, located, view
from careen.plan.rules import WRAPPERS
from careen.rootfs.path import Path, absolute, name, normal
from careen.verify.counted import counted

__all__ = ["claims", "linked", "links_lead", "starts"]

_LABEL = "io.careen."


def claims(image: Image) -> Iterator[Finding]:
    """What careen's labels say of the image: words, until it is compared with that source."""
    labels = image.config.execution.labels
    said = [f"{what} {labels[_LABEL + key]}" for key, what in _CLAIMS.items()
            if _LABEL + key in labels]  # fmt: skip
    if said:
        message = f"its labels name {', '.join(said)}; only --source and --plan prove that"
        yield Finding(rule="claims", severity="note", message=message)


_CLAIMS = {"version": "careen", "source.digest": "the source", "plan.digest": "the plan"}


def starts(scene: Scene) -> Iterator[Finding]:
    """Whether what the config starts is there, and has its interpreter and its libraries.

    A lack is an error where it keeps the image from starting. What a health check runs, or a Cmd
    that a script is handed and may take as it likes, is a warning.
    """
    seen = view(scene)
    for word, found in start.started(scene):
        severity = _severity(word, scene.execution)
        place = found or _beside(word.text, scene)
        path = scene.rootfs.resolve(place).path if place else None
        if path is None:
            yield _about("start-not-found", severity, word, "it is not in the image")
            continue
        for wanted, by in _lacking(path, seen):
            message = f"{absolute(by)} needs {wanted}, which is not in the image"
            yield _about("start-broken", severity, word, message)


def _severity(word: start.Word, execution: Execution) -> Severity:
    if word.field == "Healthcheck":
        return "warning"
    entrypoint = execution.entrypoint
    sure = word.field != "Cmd" or not entrypoint or name(normal(entrypoint[0])) in WRAPPERS
    return "error" if sure else "warning"


def _beside(text: str, scene: Scene) -> str:
    """A script that a shell is given by its plain name is looked for in WorkingDir first."""
    return located(f"./{text}", scene.rootfs, scene.execution) if text and "/" not in text else ""


def _lacking(path: Path, seen: View) -> Iterator[tuple[str, Path]]:
    """What the program lacks, and each program that interprets it."""
    waiting, known = [path], {path}
    while waiting:
        loads = linkage.of(waiting.pop(), seen)
        yield from ((missing.name, missing.needed_by) for missing in loads.missing)
        if loads.path in seen.facts.scripts:
            interpreters = {found.path for found in loads.found} - known
            known |= interpreters
            waiting += sorted(interpreters)


def linked(scene: Scene) -> Iterator[Finding]:
    """Each ELF file's interpreter and libraries; the scripts without an interpreter as one."""
    seen = view(scene)
    for missing in linkage.missing(scene.facts.elf, seen):
        is_loader = missing.name == scene.facts.elf[missing.needed_by].interpreter
        yield Finding(
            rule="loader-missing" if is_loader else "library-missing",
            severity="warning",
            path=absolute(missing.needed_by),
            message=f"needs {missing.name}, which is not in the image",
        )
    lacking = {missing.needed_by for missing in linkage.missing(scene.facts.scripts, seen)}
    if lacking:
        message = "scripts whose interpreter is not in the image"
        yield counted("script-without-interpreter", "note", sorted(lacking), message)


def links_lead(scene: Scene) -> Iterator[Finding]:
    """The symlinks that lead nowhere, as one: many are for a runtime's mounts."""
    rootfs = scene.rootfs
    dangling = [
        path
        for path, inode in rootfs.nodes.items()
        if inode.kind == "symlink" and rootfs.resolve(path).path is None
    ]
    if dangling:
        yield counted("dangling-link", "note", dangling, "symlinks lead nowhere")


def _about(rule: str, severity: Severity, word: start.Word, message: str) -> Finding:
    text = f"{word.field} starts {word.text!r}: {message}"
    return Finding(rule=rule, severity=severity, message=text)
