"""From a failing log to what a plan removed: which path, of which package, and what brings it back.

Programs say in many words that a file is not there. Each `_Saying` finds what a line asks for (a
path, a library, a module, a command); that is looked up among the paths that the plan drops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.rootfs.path import Path, absolute, name, normal

__all__ = ["Suspect", "blame"]

Kind = Literal["path", "library", "module", "command", "data"]

_MOST = 20_000  # characters of a line; what is longer is no message
_FEW = 3  # paths that one name may stand for


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """What a line asks for and the plan removed.

    `line` counts from 1, `text` is the line; `asked` is what it names, `kind` what sort of thing.
    `path` is what went, `package` whose it was ("" for nobody's), `reason` why it went.
    """

    line: int
    text: str
    kind: Kind
    asked: str
    path: str
    package: str
    reason: str


class _Saying(msgspec.Struct, frozen=True):
    """A pattern whose first group is what a line asks for."""

    kind: Kind
    pattern: re.Pattern[str]


def _saying(kind: Kind, pattern: str) -> _Saying:
    return _Saying(kind, re.compile(pattern))


_QUOTES = "['\"`\u2018\u2019\u201c\u201d]"  # the typographic ones are GNU's
_SAYINGS = (
    # the dynamic loaders; Python and others repeat their words
    _saying("library", r"(?<![\w.+-])([\w.+-]+\.so(?:\.[\w.]+)?): cannot open shared object file"),
    _saying("library", r"Error loading shared library ([\w.+-]+\.so(?:\.[\w.]+)?)"),
    _saying(
        "library",
        r"(?:failed to|unable to|cannot) (?:load|open) [^/]{0,80}?(?<![\w.+-])([\w.+-]+\.so[\w.]*)",
    ),
    # languages
    _saying("module", rf"No module named {_QUOTES}?([\w.]+)"),
    _saying("module", r"Can't locate ([\w/]+\.pm) in @INC"),
    _saying("module", rf"Cannot find module {_QUOTES}([^'\"]+)"),
    _saying("module", r"cannot load such file -- ([\w/.-]+)"),
    _saying("module", r"unknown encoding: ([\w.-]+)"),
    _saying("data", r"No time zone found with key ([\w/+-]+)"),
    _saying("data", rf"(?:unknown|invalid|Unknown|Invalid) time ?zone:? {_QUOTES}?([\w/+-]+)"),
    # commands
    _saying("command", r"(?:sh|ash|dash|bash|ksh)(?:: line)?(?:: \d+)?: ([\w./+-]+): not found"),
    _saying("command", r"(?<![\w./+-])([\w./+-]+): (?:command )?not found"),
    _saying("command", rf"exec: {_QUOTES}?([\w./+-]+){_QUOTES}?: (?:executable file )?not found"),
    _saying("command", rf"env: {_QUOTES}?([\w./+-]+){_QUOTES}?: No such file"),
    _saying("command", r"bad interpreter: ([\w./+-]+)|(?<![\w./+-])([\w./+-]+): bad interpreter"),
    _saying("command", rf"FileNotFoundError: .* {_QUOTES}([\w.+-]+){_QUOTES}"),
    _saying("command", r"(?:exec|execve|spawn) ([\w./+-]+):? .*?(?:no such file|ENOENT)"),
)
_ABSENCE = re.compile(
    r"(?i)no such file|not found|enoent|does ?n[o']t exist|missing|exec format|"
    r"(?:can ?not|can't|unable to|could ?n[o']t|failed to) (?:open|find|stat|access|load|read|exec|"
    r"locate)"
)
_PATH = re.compile(rf"(?<![\w.])/(?:(?!{_QUOTES})[^\s:;,()\[\]<>=])+")
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), path)
    for pattern, path in (
        (r"(?i)certificate verify failed|unable to get local issuer|unknown authority|"
         r"self.signed certificate in certificate chain", "etc/ssl/certs/ca-certificates.crt"),
        (r"(?i)unknown service|service/proto not found|servname not supported", "etc/services"),
        (r"(?i)protocol not found|unknown protocol", "etc/protocols"),
        (r"(?i)unsupported locale setting|cannot set LC_", "usr/lib/locale"),
        (r"(?i)unknown (?:mime|media) type|mime\.types", "etc/mime.types"),
    )
)  # fmt: skip


def blame(lines: Iterable[str], scene: Scene, plan: Plan) -> Iterator[Suspect]:
    """Each thing that some line asks for and the plan removed, in the order of the log, once."""
    gone = _Gone(scene, plan)
    seen: set[str] = set()
    for number, text in enumerate(lines, 1):
        for kind, asked in _asked(text[:_MOST]):
            for path in gone.named(kind, asked):
                if path not in seen:
                    seen.add(path)
                    yield gone.suspect(path, number, text.strip(), kind, asked)


def _asked(text: str) -> Iterator[tuple[Kind, str]]:
    for saying in _SAYINGS:
        match = saying.pattern.search(text)
        asked = next(filter(None, match.groups()), "") if match is not None else ""
        if asked:
            yield saying.kind, asked.rstrip(".")
    if _ABSENCE.search(text):
        yield from (("path", match[0].rstrip(".")) for match in _PATH.finditer(text))
    for pattern, path in _HINTS:
        if pattern.search(text):
            yield "data", absolute(normal(path))


class _Gone:
    """What the plan drops, by every name under which a log may speak of it."""

    def __init__(self, scene: Scene, plan: Plan) -> None:
        self.scene = scene
        self.reasons = {
            normal(item.path): item.reason for item in plan.paths if item.decision == "drop"
        }
        self.names: dict[str, list[Path]] = {}
        for path in self.reasons:
            self.names.setdefault(name(path), []).append(path)
        self.finders: Mapping[Kind, Callable[[str], Iterator[Path]]] = {
            "path": self._paths,
            "library": self._libraries,
            "module": self._modules,
            "command": self._commands,
            "data": self._data,
        }

    def named(self, kind: Kind, asked: str) -> Iterator[Path]:
        """The dropped paths that `asked` stands for."""
        return self.finders[kind](asked)

    def suspect(self, path: Path, line: int, text: str, kind: Kind, asked: str) -> Suspect:
        owners = self.scene.catalog.owners.get(path, ())
        return Suspect(
            line=line,
            text=text,
            kind=kind,
            asked=asked,
            path=absolute(path),
            package=", ".join(owners),
            reason=self.reasons[path],
        )

    def _paths(self, asked: str) -> Iterator[Path]:
        """The path, each link on its way; or, for a script that stays, its interpreter."""
        place = self.scene.rootfs.resolve(asked)
        ends = [place.path] if place.path is not None else []
        for path in (*place.hops, self.scene.rootfs.canonical(asked), *ends):
            if path in self.reasons:
                yield path
        script = self.scene.facts.scripts.get(place.path) if place.path is not None else None
        if script is not None and place.path not in self.reasons:
            yield from self._commands(script.interpreter)
            yield from self._commands(script.program) if script.program else ()

    def _libraries(self, asked: str) -> Iterator[Path]:
        for path in self.names.get(name(Path(asked)), ()):
            yield path
            end = self.scene.rootfs.resolve(path).path
            if end is not None and end != path and end in self.reasons:
                yield end

    def _modules(self, asked: str) -> Iterator[Path]:
        """`a.b` as Python, `A/B.pm` as Perl, `a/b` as Ruby and Node find it."""
        plain = asked.strip("./")
        stem = plain if "/" in plain else plain.replace(".", "/")
        endings = {f"/{stem}{ending}" for ending in ("", ".py", ".rb", ".js", "/__init__.py")}
        endings |= {f"/{stem}/package.json", f"/encodings/{stem.replace('-', '_').lower()}.py"}
        extension = re.compile(rf".*/{re.escape(stem)}\.[\w.-]*so")
        found = [
            path
            for path in self.reasons
            if path.endswith(tuple(endings)) or extension.fullmatch(path)
        ]
        yield from found[:_FEW]

    def _commands(self, asked: str) -> Iterator[Path]:
        if "/" in asked:
            yield from self._paths(asked if asked.startswith("/") else f"/{asked}")
            return
        for path in self.names.get(asked, ()):
            inode = self.scene.rootfs.nodes[path]
            if "bin/" in path and inode.kind in ("file", "symlink"):
                yield path
                end = self.scene.rootfs.resolve(path).path
                if end is not None and end != path and end in self.reasons:
                    yield end

    def _data(self, asked: str) -> Iterator[Path]:
        """A path, or the key of a time zone."""
        text = asked if asked.startswith("/") else f"/usr/share/zoneinfo/{asked}"
        found = list(self._paths(text))
        below = (path for path in self.reasons if path.startswith(f"{normal(text)}/"))
        yield from found or [path for path, _ in zip(below, range(1), strict=False)]
