"""gconv-modules: where glibc's iconv looks up the module that converts a character set."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec

from careen.rootfs import etc
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs

__all__ = ["Gconv", "read"]

_CEILING = 1 << 20  # bytes; glibc's own has some ten thousand
_DIRECTORIES = ("/usr/lib*/gconv", "/usr/lib/*/gconv")


class Gconv(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the kind, its names without the trailing `//`.

    `aliases` maps a name to the character set that it stands for, `modules` a character set to
    the modules that convert from or to it: files beside the first gconv-modules, mostly without
    their `.so`.
    """

    aliases: Mapping[str, str] = {}
    modules: Mapping[str, tuple[str, ...]] = {}


def read(rootfs: Rootfs) -> dict[Path, Gconv]:
    """Each gconv-modules and gconv-modules.d/*.conf of the C library's, by its resolved path."""
    found: dict[Path, Gconv] = {}
    for directory, file in itertools.product(
        _DIRECTORIES, ("gconv-modules", "gconv-modules.d/*.conf")
    ):
        for text in etc.matches(rootfs, f"{directory}/{file}"):
            path = rootfs.resolve(text).path
            if path is not None and path not in found:
                found[path] = _parsed(etc.lines(rootfs, text, ceiling=_CEILING))
    return found


def _parsed(lines: list[str]) -> Gconv:
    aliases: dict[str, str] = {}
    modules: dict[str, dict[str, None]] = {}
    for line in lines:
        match line.partition("#")[0].split():
            case ["alias", name, target, *_]:
                aliases[name.removesuffix("//")] = target.removesuffix("//")
            case ["module", source, target, file, *_]:
                for name in (source, target):
                    modules.setdefault(name.removesuffix("//"), {})[file] = None
    modules.pop("INTERNAL", None)  # glibc's own code, which every module converts from or to
    return Gconv(aliases=aliases, modules={name: tuple(files) for name, files in modules.items()})
