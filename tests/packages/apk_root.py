"""A small Alpine root, written as a table of packages.

root = alpine([Pkg("busybox", files=["/bin/busybox"], scripts=["trigger"]), Pkg("musl")])
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from careen.rootfs.rootfs import Rootfs
from tests.builders import Node, Reg
from tests.rootfs.hand_made import rootfs

HOME = "lib/apk/db"
WORLD = "etc/apk/world"


@dataclass(frozen=True)
class Pkg:
    """A package; `files` as absolute names, `more` further lines before them.

    `scripts` are the actions of its scripts, `triggers` the directories that its trigger watches.
    """

    name: str
    files: Sequence[str] = ()
    version: str = "1.0-r0"
    more: str = ""
    scripts: Sequence[str] = ()
    triggers: str = ""

    @property
    def sha1(self) -> bytes:
        return hashlib.sha1(f"{self.name} {self.version}".encode()).digest()

    @property
    def checksum(self) -> str:
        return "Q1" + base64.b64encode(self.sha1).decode()

    @property
    def record(self) -> str:
        head = f"C:{self.checksum}\nP:{self.name}\nV:{self.version}\nA:x86_64\n{self.more}"
        return head + "".join(section(*item) for item in sorted(self.folders.items())) + "\n"

    @property
    def folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for file in self.files:
            folder, _, name = file[1:].rpartition("/")
            found.setdefault(folder, []).append(name)
        return found

    def member(self, action: str, *, hexadecimal: bool = False) -> str:
        checksum = f"X1{self.sha1.hex()}" if hexadecimal else self.checksum
        return f"{self.name}-{self.version}.{checksum}.{action}"


def section(folder: str, names: Sequence[str]) -> str:
    """A directory's lines: every file has an owner of its own, and a checksum."""
    return f"F:{folder}\nM:0:0:700\n" + "".join(entry(name) for name in names if name)


def entry(name: str) -> str:
    digest = base64.b64encode(hashlib.sha1(name.encode()).digest()).decode()
    return f"R:{name}\na:0:0:755\nZ:Q1{digest}\n"


def installed(*packages: Pkg) -> bytes:
    return "".join(one.record for one in packages).encode()


def triggers(*packages: Pkg) -> bytes:
    return "".join(f"{one.checksum} {one.triggers}\n" for one in packages if one.triggers).encode()


def archive(names: Sequence[str], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of scripts that hold their own names."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return target.getvalue()


def members(content: bytes) -> list[str]:
    """The names in a tar, plain or gzipped, as Python's reader sees them."""
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return tar.getnames()


def alpine(
    packages: Sequence[Pkg],
    files: Mapping[str, Any] | None = None,
    *,
    home: str = HOME,
    nodes: Sequence[Node] = (),
) -> Rootfs:
    """`packages` installed, with their files; `files` replaces files of the database, by name."""
    return rootfs(table(packages, files, home=home, nodes=nodes))


def table(
    packages: Sequence[Pkg],
    files: Mapping[str, Any] | None = None,
    *,
    home: str = HOME,
    nodes: Sequence[Node] = (),
) -> list[Node]:
    """The same as nodes; those of `nodes` come last, and win."""
    scripts = [one.member(action) for one in packages for action in one.scripts]
    database = {
        "installed": installed(*packages),
        "triggers": triggers(*packages),
        "scripts.tar": archive(scripts),
        "lock": "",
        **(files or {}),
    }
    rows: list[Node] = [Reg(f"{home}/{name}", data) for name, data in database.items()]
    rows += [Reg(WORLD, "".join(f"{one.name}\n" for one in packages))]
    rows += [Reg(file[1:], file) for one in packages for file in one.files if file[-1] != "/"]
    return [*rows, *nodes]
