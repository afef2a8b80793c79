"""What a C library has compiled in, by machine: the directories it trusts, `$LIB`, `$PLATFORM`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from careen.rootfs.elf import Elf
from careen.rootfs.path import Path, parent

__all__ = ["defaults", "libs", "platforms", "variants"]


class _Machine(msgspec.Struct, frozen=True):
    """`triplets` as in Debian's /usr/lib/TRIPLET, `libs` beside /lib, `platforms` for $PLATFORM."""

    triplets: tuple[str, ...] = ()
    libs: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ("",)


_MACHINES: Mapping[tuple[int, bool, int], _Machine] = {
    (64, True, 62): _Machine(("x86_64-linux-gnu",), ("lib64",), ("x86_64", "haswell", "xeon_phi")),
    (32, True, 62): _Machine(("x86_64-linux-gnux32",), ("libx32",), ("x86_64",)),
    (32, True, 3): _Machine(("i386-linux-gnu",), ("lib32",), ("i686", "i586", "i486", "i386")),
    (64, True, 183): _Machine(("aarch64-linux-gnu",), ("lib64",), ("aarch64",)),
    (32, True, 40): _Machine(("arm-linux-gnueabihf", "arm-linux-gnueabi"), (), ("v7l", "v6l")),
    (64, True, 21): _Machine(
        ("powerpc64le-linux-gnu",), ("lib64",), ("power8", "power9", "power10", "power11")
    ),
    (64, False, 22): _Machine(("s390x-linux-gnu",), ("lib64",), ("z13", "z14", "z15", "z16")),
    (64, True, 243): _Machine(("riscv64-linux-gnu",), ("lib64/lp64d", "lib64")),
    (64, True, 258): _Machine(("loongarch64-linux-gnu",), ("lib64",)),
    (64, True, 8): _Machine(("mips64el-linux-gnuabi64",), ("lib64",)),
    (32, True, 8): _Machine(("mipsel-linux-gnu",)),
}
_OTHER = _Machine((), ("lib64", "lib32"))

# Besides glibc-hwcaps/*: the subdirectories that glibc searched up to 2.36, also nested.
_LEGACY = re.compile(
    "tls|haswell|xeon_phi|avx512_1|x86_64|i[56]86|sse2|cmov|neon|vfp(v3)?|v[67]l|aarch64|atomics"
    "|power[0-9]+|altivec|dfp|z[0-9]+"
)


def libs(elf: Elf) -> tuple[str, ...]:
    """What `$LIB` may stand for: `lib/x86_64-linux-gnu`, `lib64`, `lib`."""
    machine = _MACHINES.get(elf.abi, _OTHER)
    return (*(f"lib/{triplet}" for triplet in machine.triplets), *machine.libs, "lib")


def platforms(elf: Elf) -> tuple[str, ...]:
    """What `$PLATFORM` may stand for."""
    return _MACHINES.get(elf.abi, _OTHER).platforms


def defaults(elf: Elf) -> list[str]:
    """The directories that a glibc for this machine trusts, whoever built it."""
    return [f"{top}/{lib}" for lib in libs(elf) for top in ("", "/usr")]


def variants(path: Path) -> Iterator[str]:
    """The part of a library's directory that makes it a variant for some processors only."""
    parts = parent(path).split("/")
    if "glibc-hwcaps" in parts[:-1]:
        start = parts.index("glibc-hwcaps")
        yield "/".join(parts[start : start + 2])
    legacy = len(parts)
    while legacy and _LEGACY.fullmatch(parts[legacy - 1]):
        legacy -= 1
    if 0 < legacy < len(parts):
        yield "/".join(parts[legacy:])
