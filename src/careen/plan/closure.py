"""What the application needs: the profile's paths, closed over links, libraries and interpreters.

Two things are found together, because each feeds the other. A path is *closed in* when something
used needs it. A package that owns such a path is *used*. One that stays *whole* keeps its other
programs and libraries too, and what those must load is closed in as well: every used package is
whole at package granularity; at file granularity those that stay by decision, not by use. Every
step keeps the reason that first brought it in, so that the chain can be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from functools import cache, partial

import msgspec

from careen import linkage
from careen.oci.config import PATH, Execution
from careen.packages.catalog import Catalog
from careen.packages.package import Package
from careen.plan.plan import Options
from careen.plan.rules import COMPANIONS, Companion, is_documentation
from careen.plan.services import Services
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, absolute, join, name, normal, parent
from careen.rootfs.rootfs import Rootfs

__all__ = [
    "Because",
    "Closure",
    "Going",
    "Lost",
    "Scene",
    "Seed",
    "chain",
    "close",
    "is_use",
    "located",
    "told",
    "view",
]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision rests on: the source image's tree, facts, packages and config."""

    rootfs: Rootfs
    facts: Facts
    catalog: Catalog
    execution: Execution


_STARTING = ("config", "shebang", "linkage")  # what they name is a program, wherever it lies


class Because(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is needed: the rule's name, a phrase, and the path or package before it.

    The phrase stands by itself, as in `libssl.so.3 is loaded by /usr/bin/redis-server`. `origin`
    is absolute, "" where the chain begins; `package:ID` names a package.
    """

    rule: str
    phrase: str
    origin: str = ""

    @property
    def by_link(self) -> bool:
        """Whether it is only that a link leads there: the link's own reason says more."""
        return self.phrase == f"{self.origin} leads to it"


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """Where the closure starts: a path as somebody wrote it, or a `program` to be found on PATH."""

    text: str
    because: Because
    program: bool = False


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """What goes by decision, before anything is known to be needed.

    Of `paths` and `packages` (by id) the closure notes that they are needed, and goes no further:
    what only they need goes with them. `idle` paths count only when something needs them, even in
    a package that stays.
    """

    packages: frozenset[str] = frozenset()
    paths: frozenset[Path] = frozenset()
    idle: frozenset[Path] = frozenset()


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked for that the image does not have."""

    text: str
    because: Because


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """`paths` are closed in, `packages` (by id) used, each with its first reason.

    `whole` are the used packages of which every file counts as used, `loaded` the ELF files and
    scripts whose interpreters and libraries are closed in.
    """

    paths: Mapping[Path, Because]
    packages: Mapping[str, Because]
    whole: frozenset[str]
    loaded: frozenset[Path]
    lost: tuple[Lost, ...]


def close(
    scene: Scene,
    seeds: Iterable[Seed],
    packages: Mapping[str, Because],
    going: Going,
    options: Options,
) -> Closure:
    """The closure over `seeds` and over `packages` that stay by decision.

    Under `conservative`, what used packages declare to depend on is used too; under any policy
    but `strict`, what libraries reach for without linking (`rules.COMPANIONS`).
    """
    closing = _Closing(scene, going, options)
    for seed in seeds:
        if seed.program:
            closing.command(seed.text, seed.because)
        else:
            closing.follow(seed.text, seed.because)
    for id, because in packages.items():
        closing.use(id, because, whole=True)
    for path in scene.facts.elf:
        if path not in scene.catalog.owners:
            closing.survive(path)
    closing.run()
    return Closure(
        paths=closing.paths,
        packages=closing.packages,
        whole=frozenset(closing.whole),
        loaded=frozenset(closing.loaded),
        lost=tuple(closing.lost),
    )


def told(because: Because, closure: Closure, catalog: Catalog) -> str:
    """The whole chain of reasons in one sentence, nearest first."""
    return "; ".join(step.phrase for step in chain(because, closure, catalog))


def chain(because: Because, closure: Closure, catalog: Catalog) -> tuple[Because, ...]:
    """The reasons, nearest first, down to what was seen, asked for or configured.

    The last one's origin is a program that no package owns, or "".
    """
    steps = [because]
    seen: set[str] = set()
    while because.origin and because.origin not in seen:
        seen.add(because.origin)
        before = _before(because.origin, closure, catalog, seen)
        if before is None:
            break
        steps.append(before)
        because = before
    return tuple(steps)


def _before(
    origin: str, closure: Closure, catalog: Catalog, seen: Collection[str]
) -> Because | None:
    """The reason before `origin`: its own, or of what is not used itself, its package's.

    Libraries that need each other would lead back to what was `seen`: there too the package's.
    """
    if origin.startswith("package:"):
        return closure.packages.get(origin.removeprefix("package:"))
    path = normal(origin)
    own = closure.paths.get(path)
    if own is not None and own.origin not in seen:
        return own
    owners = catalog.owners.get(path, ())
    staying = [id for id in owners if id in closure.packages and f"package:{id}" not in seen]
    if not staying:
        return own
    phrase = f"{origin} is a part of {staying[0]}"
    return Because(rule="package", phrase=phrase, origin=f"package:{staying[0]}")


def view(scene: Scene) -> linkage.View:
    """The image as a loader sees it."""
    pairs = (item.partition("=") for item in scene.execution.env)
    return linkage.view(
        scene.facts,
        scene.rootfs.resolve,
        environment={key: value for key, _, value in pairs},
        working_dir=f"/{scene.execution.working_dir.lstrip('/')}",
    )


def located(program: str, rootfs: Rootfs, execution: Execution) -> str:
    """Where a runtime or shell finds `program`: by its path, or on PATH; "" when nowhere."""
    search = (execution.variable("PATH") or PATH).split(":")
    base = "" if program.startswith("/") else f"/{execution.working_dir}"
    candidates = [f"{base}/{program}"] if "/" in program else [f"{d}/{program}" for d in search]
    for candidate in candidates:
        path = rootfs.resolve(candidate).path
        if path is not None and rootfs.nodes[path].kind == "file":
            return candidate
    return ""


def is_use(path: Path, because: Because) -> bool:
    """Whether its packages are used when a path is: a document is none, unless it is started."""
    return because.rule in _STARTING or not is_documentation(path)


class _Closing:
    """The work list. `follow`, `add` and `use` only note; `run` works off what was noted."""

    def __init__(self, scene: Scene, going: Going, options: Options) -> None:
        self.rootfs, self.facts, self.catalog = scene.rootfs, scene.facts, scene.catalog
        self.view = view(scene)
        self.services = Services(scene.rootfs, scene.catalog, self.view)
        self.going = going
        self.policy = options.policy
        self.by_package = options.granularity == "package"
        self.indivisible = scene.catalog.indivisible
        self.execution = scene.execution
        self.providers = _providers(scene.catalog)
        self.paths: dict[Path, Because] = {}
        self.packages: dict[str, Because] = {}
        self.whole: set[str] = set()
        self.lost: list[Lost] = []
        self._followed: set[Path] = set()
        self.loaded: set[Path] = set()
        self._passed = going.idle | going.paths
        self._waiting: deque[Path | Package] = deque()
        self._compiled = cache(partial(_compiled_in, scene.rootfs))

    def run(self) -> None:
        """Until nothing new comes in."""
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Package):
                self._package(item)
            else:
                self._path(item)

    def follow(self, text: str, because: Because) -> None:
        """Every symlink on the way of `text`, and where it ends; no further than one that goes."""
        found = self.rootfs.resolve(text)
        reason = because
        for hop in found.hops:
            self.add(hop, reason)
            if hop in self.going.paths:
                return
            if not self.rootfs.is_road(hop):  # a road is a part of a path's spelling, as /bin is
                reason = _led(hop, because.rule)
        if found.path is None:
            self.lost.append(Lost(text=text, because=because))
        else:
            self.add(found.path, reason)

    def add(self, path: Path, because: Because) -> None:
        """A path that is there, under its stored name."""
        self.paths.setdefault(path, because)
        if path not in self._followed and path not in self.going.paths:
            self._followed.add(path)
            self._waiting.append(path)

    def use(self, id: str, because: Because, *, whole: bool = False) -> None:
        """A package stays; `whole`, or at package granularity, with all that it owns."""
        package = self.catalog.packages[id]
        whole = whole or self.by_package or id in self.indivisible
        grown = whole and id not in self.whole
        if id not in self.packages or grown:
            self.packages.setdefault(id, because)
            if grown:
                self.whole.add(id)
            if id not in self.going.packages:
                self._waiting.append(package)

    def survive(self, path: Path) -> None:
        """An ELF file that stays whether or not it was used: what it loads must stay as well."""
        if path in self.facts.elf and path not in self._passed:
            self._load(path)

    def _load(self, path: Path) -> None:
        if path not in self.loaded:
            self.loaded.add(path)
            self._libraries(path)

    def _path(self, path: Path) -> None:
        kind = self.rootfs.nodes[path].kind
        origin = absolute(path)
        if kind == "symlink":
            self.follow(origin, _led(path, "link"))
        because, owners = self.paths[path], self.catalog.owners.get(path, ())
        used = is_use(path, because)
        if kind != "directory" and used:
            for id in owners:
                self.use(id, Because(rule="owner", phrase=f"{id} owns {origin}", origin=origin))
        # a script among documents goes with its package, unless people keep it
        stays = used or not owners or because.rule == "keep"
        if stays and (path in self.facts.elf or path in self.facts.scripts):
            self._load(path)
        for named in self.services.of(path):
            self.follow(named.text, Because(rule=named.rule, phrase=named.phrase, origin=origin))
        self._bytecode(path)

    def _package(self, package: Package) -> None:
        """A whole package keeps what its own links lead to and what its programs load."""
        for path in package.paths if package.id in self.whole else ():
            inode = self.rootfs.nodes.get(path)
            if inode is not None and inode.kind == "symlink":
                self._linked(path, package)
            self.survive(path)
        if self.policy != "strict":
            self._accompanied(package)
        if self.policy == "conservative":
            for group in package.depends:
                self._depended(package, group)

    def _linked(self, path: Path, package: Package) -> None:
        """Where a kept package's link leads stays, and keeps its packages.

        Nothing ran a script there, so its interpreter is not needed. One document may be lost, with
        the link to it: what must accompany a package is its copyright, or a directory of documents.
        An indivisible package keeps the link, so what that leads to.
        """
        found = self.rootfs.resolve(absolute(path))
        if found.path is None or path in self.going.paths:
            return
        phrase = f"{absolute(path)}, a link of {package.id}, leads to it"
        because = Because(rule="link", phrase=phrase, origin=f"package:{package.id}")
        for target in (*found.hops, found.path):
            owners = self.catalog.owners.get(target, ())
            kind = self.rootfs.nodes[target].kind
            lesser = is_documentation(path) and is_documentation(target) and kind != "directory"
            lesser = lesser and package.id not in self.indivisible
            if package.id in owners or (lesser and name(target) != "copyright"):
                continue
            self.paths.setdefault(target, because)
            if target in self.facts.elf and target not in self.going.paths:
                self._load(target)
            if kind != "directory" or len(owners) == 1:
                for id in owners:
                    self.use(id, because, whole=kind == "directory")

    def _accompanied(self, package: Package) -> None:
        for rule in COMPANIONS:
            if package.name in rule.of and (not rule.when or rule.when in self.providers):
                because = Because(rule="data", phrase=rule.why, origin=f"package:{package.id}")
                for id in self.providers.get(rule.package, ()):
                    self._reached(id, rule, because)

    def _reached(self, id: str, rule: Companion, because: Because) -> None:
        """A companion stays whole, or at file granularity with what is reached for in it."""
        self.use(id, because, whole=not rule.reaches)
        for path in self.catalog.packages[id].paths:
            if path in rule.reaches and path in self.rootfs:
                self.follow(absolute(path), because)

    def _depended(self, package: Package, group: tuple[str, ...]) -> None:
        phrase = f"{package.id} depends on it"
        because = Because(rule="depends", phrase=phrase, origin=f"package:{package.id}")
        for wanted in group:
            answering = [*self.providers.get(wanted, ())]
            if wanted.startswith("/"):
                answering += self.catalog.owners.get(self.rootfs.canonical(wanted), ())
            for id in answering:
                self.use(id, because, whole=True)

    def _libraries(self, path: Path) -> None:
        """What the loader, or for a script the kernel and `env`, would bring in."""
        rule = "shebang" if path in self.facts.scripts else "linkage"
        loads = linkage.of(path, self.view)
        for found in loads.found:
            by = absolute(found.needed_by)
            verb = "interprets" if rule == "shebang" else "is loaded by"
            because = Because(rule=rule, phrase=f"{found.name} {verb} {by}", origin=by)
            for step in (*found.hops, found.path):
                self.add(step, because)
            if found.via == "ld.so.cache":
                phrase = f"says where {found.name} is, for {by}"
                self.follow("/etc/ld.so.cache", Because(rule=rule, phrase=phrase, origin=by))
        for lacking in loads.missing:
            by = absolute(lacking.needed_by)
            because = Because(rule=rule, phrase=f"asked for by {by}", origin=by)
            self.lost.append(Lost(text=lacking.name, because=because))

    def command(self, program: str, because: Because) -> None:
        """A program as a shell finds it: by its path, or on PATH."""
        found = located(program, self.rootfs, self.execution)
        if found:
            self.follow(found, because)
        else:
            self.lost.append(Lost(text=program, because=because))

    def _bytecode(self, path: Path) -> None:
        """`__pycache__/X.*.pyc` stands for `X.py`: programs open one and only stat the other."""
        folder, origin = parent(path), absolute(path)
        if path.endswith(".pyc") and name(folder) == "__pycache__":
            module = join(parent(folder), f"{name(path).partition('.')[0]}.py")
            twins = [module] if module in self.rootfs else []
        elif path.endswith(".py"):
            twins = self._compiled(join(folder, "__pycache__")).get(name(path)[:-3], [])
        else:
            return
        because = Because(rule="bytecode", phrase=f"the same module as {origin}", origin=origin)
        for twin in twins:
            self.add(twin, because)


def _compiled_in(rootfs: Rootfs, folder: Path) -> dict[str, list[Path]]:
    """The bytecode in a `__pycache__` by its module's name."""
    found: dict[str, list[Path]] = {}
    for path in rootfs.children(folder):
        if path.endswith(".pyc"):
            found.setdefault(name(path).partition(".")[0], []).append(path)
    return found


def _led(link: Path, rule: str) -> Because:
    """The reason of what a link leads to, by the rule that the link is needed by."""
    origin = absolute(link)
    return Because(rule=rule, phrase=f"{origin} leads to it", origin=origin)


def _providers(catalog: Catalog) -> dict[str, list[str]]:
    """Package name, or a name that it provides → the ids of the packages that answer to it."""
    found: dict[str, list[str]] = {}
    for package in catalog.packages.values():
        for answered in (package.name, *package.provides):
            found.setdefault(answered, []).append(package.id)
    return found
