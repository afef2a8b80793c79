"""Where a loader looks for a library by its name, in its order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from careen.linkage.machine import defaults, libs, platforms
from careen.linkage.values import Found, Via, View
from careen.rootfs.elf import Elf
from careen.rootfs.path import Path

__all__ = ["Object", "Place", "locate", "places"]

_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")
_MUSL_DEFAULT = ("/lib", "/usr/local/lib", "/usr/lib")


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the loader's list: `origin` is its `$ORIGIN`, `loader` what asked for it first.

    `musl` is whether the program's loader is musl's.
    """

    path: Path
    elf: Elf
    origin: str
    musl: bool
    loader: Object | None = None


class Place(msgspec.Struct, frozen=True):
    """One step of a search: a directory, or with "ld.so.cache" the cache."""

    via: Via
    directory: str = ""


def locate(wanted: str, loader: Object, steps: Iterable[Place], view: View) -> list[Found]:
    """The files that may be loaded for `wanted`, in `steps` as `places` gave them.

    Several when processors have variants of their own: each of those, then the common one.
    """
    found: dict[Path, Found] = {}
    for via, text, variant in _candidates(wanted, loader, steps, view):
        place = view.resolve(text)
        if place.path is None:
            continue
        elf = view.facts.elf.get(place.path)
        if elf is None and place.path not in view.facts.unreadable:
            break  # a loader gives up at a file that is no ELF file; a damaged one may yet load
        if elf is not None and elf.abi != loader.elf.abi:
            if loader.musl:
                break
            continue
        answer = Found(
            name=wanted, needed_by=loader.path, via=via, opened=text,
            path=place.path, hops=place.hops,
        )  # fmt: skip
        found.setdefault(place.path, answer)
        if not variant:
            break
    return list(found.values())


def places(loader: Object, view: View) -> list[Place]:
    """Where names that `loader` asks for are searched."""
    own, common = (_musl if loader.musl else _glibc)(loader, view)
    directories: dict[Path | None, Place] = {}
    for place in own:  # a hostile list may name one directory a thousand times
        directories.setdefault(view.resolve(place.directory).path, place)
    directories.pop(None, None)
    return [*directories.values(), *common]


def _glibc(loader: Object, view: View) -> tuple[Iterable[Place], Iterable[Place]]:
    elf, library_path = loader.elf, view.environment.get("LD_LIBRARY_PATH", "")
    # A RUNPATH switches every RPATH off, its file's own and those up the chain.
    above = _chain(loader) if elf.runpath is None else ()
    own = itertools.chain(
        *(_listed("rpath", it.elf.rpath, ":", it, view) for it in above if it.elf.runpath is None),
        _listed("LD_LIBRARY_PATH", library_path, "[:;]", loader, view),
        _listed("runpath", elf.runpath, ":", loader, view),
    )
    trusted = [] if elf.nodeflib else defaults(elf)
    common = [
        Place("ld.so.cache"),
        *(Place("default", directory) for directory in trusted),
        # No loader reads ld.so.conf, but a container may run ldconfig at its start (GPU hooks do).
        *(Place("ld.so.conf", directory) for directory in view.facts.ld_paths),
    ]
    return own, common


def _musl(loader: Object, view: View) -> tuple[Iterable[Place], Iterable[Place]]:
    library_path = view.environment.get("LD_LIBRARY_PATH", "")
    own = itertools.chain(
        _listed("LD_LIBRARY_PATH", library_path, "[:\n]", loader, view),
        *(_listed("rpath", _musl_rpath(it.elf), "[:\n]", it, view) for it in _chain(loader)),
    )
    configured = _musl_configured(loader, view)
    if configured is None:
        return own, [Place("default", directory) for directory in _MUSL_DEFAULT]
    return own, [Place("ld-musl.path", directory) for directory in configured]


def _musl_rpath(elf: Elf) -> str | None:
    return elf.rpath if elf.runpath is None else elf.runpath


def _musl_configured(loader: Object, view: View) -> tuple[str, ...] | None:
    """The directories of /etc/ld-musl-ARCH.path, None without one (its /etc is beside /lib)."""
    *_, main = _chain(loader)
    if not main.elf.interpreter:
        return next(iter(view.facts.musl_paths.values()), None)
    folder, _, base = main.elf.interpreter.rpartition("/")
    file = f"{folder.rpartition('/')[0]}/etc/{base.partition('.so')[0]}.path"
    path = view.resolve(file).path
    return None if path is None else view.facts.musl_paths.get(path)


def _candidates(
    wanted: str, loader: Object, steps: Iterable[Place], view: View
) -> Iterator[tuple[Via, str, bool]]:
    """(via, path, whether only some processors look there)."""
    if "/" in wanted:
        for text in _expanded(wanted, loader):
            yield "path", view.place(text), False
        return
    variants = () if loader.musl else view.variants
    for place in steps:
        if place.via == "ld.so.cache":
            for text in _cached(wanted, loader.elf, view):
                folder = text.rpartition("/")[0]
                yield place.via, text, any(folder.endswith(f"/{variant}") for variant in variants)
        else:
            for variant in variants:
                yield place.via, f"{place.directory}/{variant}/{wanted}", True
            yield place.via, f"{place.directory}/{wanted}", False


def _cached(wanted: str, elf: Elf, view: View) -> list[str]:
    texts = view.facts.ld_cache.get(wanted, ())
    trusted = defaults(elf) if elf.nodeflib else []
    return [text for text in texts if text.rpartition("/")[0] not in trusted]


def _chain(loader: Object | None) -> Iterator[Object]:
    """`loader`, what loaded it, and so on up to the program."""
    while loader is not None:
        yield loader
        loader = loader.loader


def _listed(
    via: Via, text: str | None, separator: str, owner: Object, view: View
) -> Iterator[Place]:
    """The directories of a search list; an empty element is the working directory."""
    for element in re.split(separator, text) if text else ():
        for directory in _expanded(element, owner):
            yield Place(via, view.place(directory))


def _expanded(text: str, owner: Object) -> list[str]:
    """`text` with `$ORIGIN`, `$LIB` and `$PLATFORM` put in, once a value that they may have."""
    if "$" not in text:
        return [text]
    tokens = {match[1] or match[2] for match in _TOKEN.finditer(text)}
    if owner.musl and (tokens - {"ORIGIN"} or "$" in _TOKEN.sub("", text)):
        return []  # musl knows $ORIGIN alone, and drops what it cannot expand
    choices = [
        {"ORIGIN": owner.origin, "LIB": lib, "PLATFORM": platform}
        for lib in libs(owner.elf)
        for platform in platforms(owner.elf)
    ]
    return list(dict.fromkeys(_filled(text, values) for values in choices))


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)
