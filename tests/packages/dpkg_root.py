"""A small Debian root, written as a table of packages.

root = debian([Pkg("bash", files=["/bin/bash"]), Pkg("dash", files=["/bin/dash"])])
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.rootfs.hand_made import rootfs

HOME = "var/lib/dpkg"
USRMERGE = [Lnk(name, f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")]
USRMERGE += [Dir(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")]


@dataclass(frozen=True)
class Pkg:
    """A package; `files` as listed. `more` are further lines of the stanza."""

    name: str
    files: Sequence[str] = ()
    arch: str = "amd64"
    same: bool = False
    status: str = "install ok installed"
    conffiles: Sequence[str] = ()
    more: str = ""
    listed: bool = True
    info: Mapping[str, str] = field(default_factory=dict)
    version: str = "1.0"

    @property
    def base(self) -> str:
        return f"{self.name}:{self.arch}" if self.same else self.name

    @property
    def stanza(self) -> str:
        lines = [f"Package: {self.name}", f"Status: {self.status}", f"Architecture: {self.arch}"]
        lines += ["Multi-Arch: same"] if self.same else []
        lines += [f"Version: {self.version}"]
        if self.conffiles:
            lines += ["Conffiles:"]
            lines += [f" {path} {md5(path)}" for path in self.conffiles]
        return "\n".join([*lines, f"{self.more}Description: {self.name}", " more", "", ""])

    @property
    def nodes(self) -> list[Node]:
        names = ["/.", *self.files, *self.conffiles]
        lists = {
            "md5sums": "".join(f"{md5(path)}  {path[1:]}\n" for path in self.files),
            **({"list": "".join(f"{name}\n" for name in names)} if self.listed else {}),
            **({"conffiles": "".join(f"{p}\n" for p in self.conffiles)} if self.conffiles else {}),
            **self.info,
        }
        return [Reg(f"{HOME}/info/{self.base}.{kind}", text) for kind, text in lists.items()]


def md5(path: str) -> str:
    return hashlib.md5(path.encode()).hexdigest()


def debian(
    packages: Sequence[Pkg],
    files: Mapping[str, Any] | None = None,
    *,
    nodes: Sequence[Node] = (),
) -> Rootfs:
    """`packages` installed, with their files; `files` are more files of the database's, by name."""
    return rootfs(table(packages, files, nodes=nodes))


def table(
    packages: Sequence[Pkg],
    files: Mapping[str, Any] | None = None,
    *,
    nodes: Sequence[Node] = (),
) -> list[Node]:
    """The same as nodes; those of `nodes` come last, and win."""
    rows = [*USRMERGE, Reg(f"{HOME}/status", "".join(one.stanza for one in packages))]
    rows += [Reg(f"{HOME}/info/format", "1\n")]
    for one in packages:
        rows += one.nodes
        rows += [Reg(_merged(path), path) for path in (*one.files, *one.conffiles)]
    rows += [Reg(f"{HOME}/{name}", data) for name, data in (files or {}).items()]
    return [*rows, *nodes]


def _merged(path: str) -> str:
    first = path[1:].partition("/")[0]
    return f"usr{path}" if first in ("bin", "sbin", "lib", "lib64") else path[1:]
