"""The image as a loader sees it, and what a loader finds or misses there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from careen.linkage.machine import variants
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, name
from careen.rootfs.rootfs import Resolution

__all__ = ["Found", "Linkage", "Missing", "Resolve", "Via", "View", "view"]

Resolve = Callable[[str], Resolution]
"""Where a path leads inside the image, as `Rootfs.resolve`."""

Via = Literal[
    "shebang", "PATH", "interpreter", "path", "rpath", "LD_LIBRARY_PATH", "runpath",
    "ld.so.cache", "default", "ld-musl.path", "ld.so.conf",
]  # fmt: skip


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`needed_by` asks for `name`; the loader opens `opened`, through the links `hops`, at `path`.

    `via` is what led there: a search list, "path" when the name itself is one.
    """

    name: str
    needed_by: Path
    via: Via
    opened: str
    path: Path
    hops: tuple[Path, ...] = ()


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """`needed_by` asks for `name`, and nothing in the image answers."""

    name: str
    needed_by: Path


class Linkage(msgspec.Struct, frozen=True, kw_only=True):
    """What `path` needs beside itself; empty for a static program and for any other file.

    For an ELF file: its interpreter and every library, its libraries' libraries too. For a
    script: its interpreter and what `env` would find, but not what those need in turn.
    """

    path: Path
    found: tuple[Found, ...] = ()
    missing: tuple[Missing, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `view`. `environment` is the image config's Env, `working_dir` its WorkingDir.

    `variants` are the subdirectories of library directories that only some processors search
    (`glibc-hwcaps/x86-64-v3`), those that the image has; `musl` is whether it has that loader.
    """

    facts: Facts
    resolve: Resolve
    environment: Mapping[str, str]
    working_dir: str
    variants: tuple[str, ...]
    musl: bool

    def place(self, text: str) -> str:
        """`text` as an absolute path: a relative one starts at the working directory."""
        return text if text.startswith("/") else f"{self.working_dir}/{text}"


def view(
    facts: Facts,
    resolve: Resolve,
    *,
    environment: Mapping[str, str] | None = None,
    working_dir: str = "/",
) -> View:
    """The image of `facts` and `resolve` under this Env and WorkingDir of its config."""
    return View(
        facts=facts,
        resolve=resolve,
        environment=environment or {},
        working_dir=working_dir or "/",
        variants=tuple(sorted({variant for path in facts.elf for variant in variants(path)})),
        musl=any(name(path).startswith("ld-musl-") for path in facts.elf),
    )
