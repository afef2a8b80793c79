"""Why a path or a package of an image stays or goes: the chain of reasons, or the lack of one.

What is asked is an absolute path or a glob of paths, a package's name or a glob of names, or a
program as a shell would find it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from careen import linkage
from careen.errors import SourceError
from careen.plan.closure import Because, Closure, Scene, chain, located, view
from careen.plan.draw import UNUSED, Drawn
from careen.plan.plan import PackageDecision, PathDecision
from careen.plan.selection import Selection, of
from careen.rootfs.path import Path, absolute, normal

__all__ = ["Answer", "Decision", "Link", "explain"]

Decision = Literal["stays", "partial", "changes", "goes"]

_SOUGHT = (
    "no scenario of the profile executed, opened or examined a file of it, nothing used loads one, "
    "and the image's config starts none"
)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of a chain: a path or `package NAME`, the rule that it follows by, and why."""

    what: str
    rule: str
    why: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one path or package.

    `what` is an absolute path or a package's id, `kind` says which. `leads_to` is where a symlink
    ends. `package` are the owners of a path; `version`, `files`, `bytes` and `dropped` are a
    package's. `chain` begins with what was seen, asked for or configured and ends with `what`,
    empty for what goes or changes: `reason` says why then. `loaded_by` are the used programs and
    libraries that load it, `declared_by` the packages on record that declare to depend on it.
    """

    what: str
    kind: Literal["path", "package"]
    decision: Decision
    reason: str = ""
    chain: tuple[Link, ...] = ()
    leads_to: str = ""
    package: tuple[str, ...] = ()
    version: str = ""
    files: int = 0
    bytes: int = 0
    dropped: int = 0
    loaded_by: tuple[str, ...] = ()
    declared_by: tuple[str, ...] = ()


def explain(scene: Scene, drawn: Drawn, asked: Iterable[str]) -> tuple[Answer, ...]:
    """An answer for each thing that is asked about, in that order, links before their targets.

    SourceError for what the image does not have.
    """
    book = _Book(scene, drawn)
    answers: dict[tuple[str, str], Answer] = {}
    for text in asked:
        for answer in book.answers(text):
            answers.setdefault((answer.kind, answer.what), answer)
    return tuple(answers.values())


class _Book:
    """The plan's decisions by path and package, and who loads and declares what."""

    def __init__(self, scene: Scene, drawn: Drawn) -> None:
        self.scene = scene
        self.closure: Closure = drawn.closure
        self.paths: dict[Path, PathDecision] = {
            normal(item.path): item for item in drawn.plan.paths
        }
        self.packages: dict[str, PackageDecision] = {item.id: item for item in drawn.plan.packages}
        self.loaders = _loaders(scene, drawn.plan.programs)

    def answers(self, text: str) -> Iterator[Answer]:
        if text.startswith("/"):
            yield from map(self.path, self._paths(text))
            return
        ids = self._packages(of([text], "explain", self.scene.rootfs))
        if ids:
            yield from map(self.package, ids)
        elif found := located(text, self.scene.rootfs, self.scene.execution):
            yield from map(self.path, self._paths(found))
        else:
            raise SourceError(_unknown(text, self.packages))

    def _paths(self, text: str) -> list[Path]:
        """The path, each link on its way and where it ends; or the paths that a glob covers."""
        rootfs = self.scene.rootfs
        place = rootfs.resolve(text)
        plain = rootfs.canonical(text)
        if place.path is not None or plain in rootfs:
            links = [hop for hop in place.hops if not rootfs.is_road(hop)]
            end = [] if place.path is None else [place.path]
            return list(dict.fromkeys([plain, *links, *end]))
        selection = of([text], "explain", rootfs)
        covered = [path for path in rootfs.nodes if path and selection.path(path)]
        if not covered:
            raise SourceError("not in the image, and as a pattern it covers nothing", at=text)
        return covered

    def _packages(self, selection: Selection) -> list[str]:
        catalog = self.scene.catalog
        return [id for id, package in catalog.packages.items() if selection.package(package)]

    def package(self, id: str) -> Answer:
        """What becomes of a package."""
        decision, package = self.packages[id], self.scene.catalog.packages[id]
        goes = decision.decision == "remove"
        because = self.closure.packages.get(id)
        return Answer(
            what=id,
            kind="package",
            decision="goes" if goes else "partial" if decision.decision == "partial" else "stays",
            reason=_gone(decision) if goes else "",
            chain=() if goes else self._chain(f"package {id}", because, decision.reason),
            version=package.version,
            files=decision.files,
            bytes=decision.bytes,
            dropped=decision.dropped,
            loaded_by=self._loaded_by(package.paths),
            declared_by=tuple(self._declared_by(package.name, package.provides)),
        )

    def path(self, path: Path) -> Answer:
        """What becomes of a path that is in the image."""
        decision = self.paths.get(path)
        owners = self.scene.catalog.owners.get(path, ())
        end = self.scene.rootfs.resolve(path).path
        reason = "" if decision is None else self._reason(decision, owners)
        goes: Decision = "stays" if decision is None else _WORDS[decision.decision]
        return Answer(
            what=absolute(path),
            kind="path",
            decision=goes,
            reason=reason,
            chain=self._kept(path, owners) if decision is None else (),
            leads_to=absolute(end) if end is not None and end != path else "",
            package=owners,
            bytes=self.scene.rootfs.nodes[path].entry.size,
            loaded_by=self._loaded_by([path]),
        )

    def _reason(self, decision: PathDecision, owners: tuple[str, ...]) -> str:
        """Why a path goes, and why its package does."""
        for id in owners:
            if self.packages[id].decision == "remove" and decision.decision == "drop":
                return f"{decision.reason}; {_gone(self.packages[id])}"
        return decision.reason

    def _kept(self, path: Path, owners: tuple[str, ...]) -> tuple[Link, ...]:
        """The chain of a path that stays, whether needed itself or with its package."""
        because = self.closure.paths.get(path)
        what = absolute(path)
        if because is not None:
            return self._chain(what, because, "")
        if any(path in database.files for database in self.scene.catalog.databases):
            return (Link(what=what, rule="database", why="it is the package database's own"),)
        staying = [id for id in owners if self.packages[id].decision != "remove"]
        if not staying:
            kind = "the application's own" if not owners else "a directory that something counts on"
            why = f"no package owns it: {kind}" if not owners else kind
            return (Link(what=what, rule="unowned", why=why),)
        id = staying[0]
        link = Link(what=what, rule="package", why=f"it is a part of {id}, which stays")
        reason = self.packages[id].reason
        return (*self._chain(f"package {id}", self.closure.packages.get(id), reason), link)

    def _chain(self, what: str, because: Because | None, reason: str) -> tuple[Link, ...]:
        """From what was seen to `what`; `reason` where the closure has none."""
        if because is None:
            return (Link(what=what, rule="partial", why=reason),)
        steps = chain(because, self.closure, self.scene.catalog)
        names = [what, *(_name(step.origin) for step in steps[:-1])]
        links = [
            Link(what=name, rule=step.rule, why=step.phrase)
            for name, step in zip(names, steps, strict=True)
        ]
        first = steps[-1].origin  # a program that no package owns and nothing names
        if first.startswith("/") and normal(first) not in self.scene.catalog.owners:
            why = "no package owns it: the application's own"
            links.append(Link(what=_name(first), rule="unowned", why=why))
        return tuple(reversed(links))

    def _loaded_by(self, paths: Iterable[Path]) -> tuple[str, ...]:
        found = {by for path in paths for by in self.loaders.get(path, ())}
        return tuple(sorted(found))

    def _declared_by(self, name: str, provides: tuple[str, ...]) -> Iterator[str]:
        answered = {name, *provides}
        for id, package in sorted(self.scene.catalog.packages.items()):
            stays = self.packages[id].decision != "remove"
            if stays and package.name != name and _names(package.depends, answered):
                yield id


def _names(groups: Iterable[Iterable[str]], names: set[str]) -> bool:
    return any(not names.isdisjoint(group) for group in groups)


_WORDS: Mapping[str, Decision] = {"drop": "goes", "replace": "changes"}


def _gone(decision: PackageDecision) -> str:
    """Why a package goes, and what was looked for in vain."""
    return f"{UNUSED}: {_SOUGHT}" if decision.reason == UNUSED else decision.reason


def _name(origin: str) -> str:
    return origin.replace("package:", "package ", 1) if origin.startswith("package:") else origin


def _loaders(scene: Scene, programs: Iterable[str]) -> dict[Path, set[str]]:
    """Each file that a used program or script loads → those that ask for it by themselves."""
    seen = view(scene)
    found: dict[Path, set[str]] = {}
    for program in programs:
        for library in linkage.of(normal(program), seen).found:
            for path in (*library.hops, library.path):
                found.setdefault(path, set()).add(absolute(library.needed_by))
    return found


def _unknown(text: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(text, list(names), n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"{text} names no package of the image, and no program on its PATH{hint}"
