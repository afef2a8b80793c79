"""From one file to all that it loads: the loader's walk, and a script's interpreters."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

from careen.linkage.search import Object, locate, places
from careen.linkage.values import Found, Linkage, Missing, Via, View
from careen.oci.config import PATH
from careen.rootfs.elf import Elf
from careen.rootfs.path import Path, absolute, name, parent

__all__ = ["missing", "named", "of"]

_MUSL_OWN = re.compile(r"lib(c|pthread|rt|m|dl|util|xnet)\.")  # musl's loader is these libraries
_GLIBC = re.compile(r"lib(c|pthread|rt|m|dl|util)\.so\.[0-9]|ld-linux")
_DAMAGED = Elf(bits=0, little=True, machine=0, type=0)  # stands for a file that careen cannot read

_Answer = Found | Missing


def of(path: Path, view: View) -> Linkage:
    """What the file at the resolved `path` would load when started (or, a library, loaded)."""
    answers: Iterable[_Answer] = ()
    if path in view.facts.scripts:
        answers = _script(path, view)
    elif path in view.facts.elf:
        answers = _load(path, view)
    answers = tuple(answers)
    return Linkage(
        path=path,
        found=tuple(answer for answer in answers if isinstance(answer, Found)),
        missing=tuple(answer for answer in answers if isinstance(answer, Missing)),
    )


def missing(paths: Iterable[Path], view: View) -> tuple[Missing, ...]:
    """What each file lacks by itself: a library's libraries are looked up without a program.

    So a plug-in that leans on its program's RPATH is listed although it may work: compare two
    images. /etc/ld.so.conf does not count here, since loaders read the cache alone.
    """
    lacks: list[Missing] = []
    for path in paths:
        if path in view.facts.scripts:
            lacks += (answer for answer in _script(path, view) if isinstance(answer, Missing))
        elif path in view.facts.elf:
            lacks += _lacks(path, view)
    return tuple(lacks)


def named(wanted: str, path: Path, view: View) -> tuple[Found, ...]:
    """The files that the ELF file at the resolved `path` may load as `wanted` (dlopen(3)).

    A RUNPATH or RPATH of whatever program it works for is not known here, and not searched.
    """
    loader, _ = _main(path, view)
    return tuple(locate(wanted, loader, places(loader, view), view))


def _script(path: Path, view: View) -> Iterator[_Answer]:
    script = view.facts.scripts[path]
    yield _program("shebang", script.interpreter, [script.interpreter], path, view)
    if "/" in script.program:
        yield _program("path", script.program, [script.program], path, view)
    elif script.program:
        folders = view.environment.get("PATH", PATH).split(":")
        texts = [f"{folder}/{script.program}" if folder else script.program for folder in folders]
        yield _program("PATH", script.program, texts, path, view)


def _program(via: Via, wanted: str, texts: Iterable[str], needed_by: Path, view: View) -> _Answer:
    """The first of `texts` that is an ELF file or a script."""
    facts = view.facts
    for text in texts:
        opened = view.place(text)
        place = view.resolve(opened)
        path = place.path
        if path is not None and any(
            path in kind for kind in (facts.elf, facts.scripts, facts.unreadable)
        ):
            return Found(
                name=wanted, needed_by=needed_by, via=via, opened=opened, path=path, hops=place.hops
            )
    return Missing(name=wanted, needed_by=needed_by)


def _load(path: Path, view: View) -> Iterator[_Answer]:
    """Breadth first, as loaders go: each object's libraries in order, then theirs."""
    main, interpreter = _main(path, view)
    yield from interpreter
    known, objects = _known(main, interpreter, view), {path}
    waiting = deque([main])
    while waiting:
        loader = waiting.popleft()
        steps = places(loader, view)
        for wanted, required in _wanted(loader, view):
            if wanted in known or (main.musl and _MUSL_OWN.match(wanted)):
                continue
            found = locate(wanted, loader, steps, view)
            if found:
                known.add(wanted)
                yield from found
            elif required:
                yield Missing(name=wanted, needed_by=loader.path)
            loaded = [_object(it, loader, view) for it in found if it.path not in objects]
            waiting += loaded
            objects.update(it.path for it in loaded)
            if not main.musl:  # glibc also knows what it has loaded by DT_SONAME
                known.update(it.elf.soname for it in loaded)


def _lacks(path: Path, view: View) -> Iterator[Missing]:
    main, interpreter = _main(path, view)
    yield from (answer for answer in interpreter if isinstance(answer, Missing))
    known = _known(main, interpreter, view)
    steps = [place for place in places(main, view) if place.via != "ld.so.conf"]
    for wanted, required in _wanted(main, view):
        if not required or wanted in known or (main.musl and _MUSL_OWN.match(wanted)):
            continue
        if not locate(wanted, main, steps, view):
            yield Missing(name=wanted, needed_by=path)


def _main(path: Path, view: View) -> tuple[Object, list[_Answer]]:
    """The first object, and the answer for its interpreter if it names one."""
    elf = view.facts.elf[path]
    interpreter: list[_Answer] = []
    if elf.interpreter:
        interpreter.append(_program("interpreter", elf.interpreter, [elf.interpreter], path, view))
    musl = _is_musl(elf, interpreter, view)
    return Object(path=path, elf=elf, origin=absolute(parent(path)), musl=musl), interpreter


def _is_musl(elf: Elf, interpreter: list[_Answer], view: View) -> bool:
    """Whether musl's loader would load it; a library is judged by the C library that it needs."""
    if elf.interpreter:
        paths = [elf.interpreter, *(it.path for it in interpreter if isinstance(it, Found))]
        return any(name(Path(path)).startswith(("ld-musl-", "libc.musl-")) for path in paths)
    if any(_GLIBC.match(wanted) for wanted in elf.needed):
        return False
    return view.musl or any(wanted.startswith("libc.musl-") for wanted in elf.needed)


def _known(main: Object, interpreter: list[_Answer], view: View) -> set[str]:
    """The names that need no search, since the interpreter is loaded already."""
    elves = [view.facts.elf.get(it.path) for it in interpreter if isinstance(it, Found)]
    return {name(Path(main.elf.interpreter)), *(elf.soname for elf in elves if elf is not None)}


def _object(library: Found, loader: Object, view: View) -> Object:
    origin = library.opened.rpartition("/")[0]  # where it was opened, not where a link leads
    elf = view.facts.elf.get(library.path, _DAMAGED)
    return Object(path=library.path, elf=elf, origin=origin, musl=loader.musl, loader=loader)


def _wanted(loader: Object, view: View) -> Iterator[tuple[str, bool]]:
    """The names that `loader` asks for, and whether it fails without."""
    elf = loader.elf
    if elf.interpreter and loader.loader is None:
        preloads = re.split("[ :]+", view.environment.get("LD_PRELOAD", ""))
        yield from ((wanted, False) for wanted in (*preloads, *view.facts.preloads) if wanted)
    yield from ((wanted, True) for wanted in (*elf.filters, *elf.needed) if wanted)
    yield from ((wanted, False) for wanted in elf.auxiliary if wanted)
