"""Where databases contradict themselves: tables of intent for dpkg, apk and rpm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from careen.packages import apk, dpkg, rpm
from careen.packages.catalog import Records
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from tests.builders import Lnk, Node, Reg
from tests.packages import apk_root, rpm_root
from tests.packages.dpkg_root import HOME, Pkg, debian, table
from tests.rootfs.hand_made import rootfs

SUM = "0" * 32


def full(name: str, *files: str, **more: Any) -> Pkg:
    return Pkg(name, files, **more)


CONFIGURED = full("a", "/usr/bin/a", conffiles=["/etc/a.conf"])
DPKG: list[tuple[str, list[Pkg], dict[str, str], list[str]]] = [
    ("sound", [CONFIGURED, full("b", "/bin/b")], {}, []),
    (
        "no list",
        [full("a", "/usr/bin/a", listed=False)],
        {},
        ["a is on record, and info/ has no list of its files"],
    ),
    (
        "files of no package",
        [full("a")],
        {"info/gone.list": "/.\n", "info/gone.postinst": "", "info/other:i386.md5sums": ""},
        [f"info/{name}.* is of no package on record" for name in ("gone", "other:i386")],
    ),
    ("what has no extension is dpkg's own", [full("a")], {"info/format": "1\n"}, []),
    (
        "a digest of what the list has not",
        [full("a", "/usr/bin/a")],
        {"info/a.md5sums": f"{SUM}  usr/bin/a\n{SUM}  usr/bin/b\n"},
        ["a: its md5sums name /usr/bin/b, which its list does not"],
    ),
    (
        "the same path by another name",
        [full("a", "/bin/a")],
        {"info/a.md5sums": f"{SUM}  usr/bin/a\n{SUM} *./bin/a\n"},
        [],
    ),
    (
        "a diverted path",
        [full("a", "/usr/bin/a", "/usr/bin/b"), full("b", "/usr/bin/b")],
        {"diversions": "/usr/bin/b\n/usr/bin/b.real\nb\n"},
        [],
    ),
    ("lines that are no digests", [full("a")], {"info/a.md5sums": "nonsense\n"}, []),
    (
        "a conffile that the list has not",
        [CONFIGURED],
        {"info/a.list": "/.\n/usr/bin/a\n"},
        ["a: its record names the conffile /etc/a.conf, which its list does not"],
    ),
    (
        "an obsolete conffile",
        [full("a", more=f"Conffiles:\n /etc/b {SUM} obsolete\n /etc/c {SUM} remove-on-upgrade\n")],
        {},
        [],
    ),
    (
        "a removed package without conffiles",
        [full("a", status="deinstall ok config-files", listed=False)],
        {},
        [],
    ),
    (
        "one that is selected, not installed",
        [full("a"), full("b", status="install ok not-installed")],
        {},
        ["info/b.* is of no package on record"],
    ),
]


@pytest.mark.parametrize(
    ("packages", "files", "expected"), [row[1:] for row in DPKG], ids=[row[0] for row in DPKG]
)
def test_dpkg(packages: Sequence[Pkg], files: Mapping[str, str], expected: list[str]) -> None:
    found = dpkg.read(debian(packages, files))
    assert found is not None
    assert list(found.faults) == expected


def test_dpkg_without_digests() -> None:
    nodes = [n for n in table([full("a", "/usr/bin/a")]) if not n.name.endswith(".md5sums")]
    found = dpkg.read(rootfs(nodes))
    assert found is not None
    assert found.faults == ("a is on record, and info/ has no md5sums of its files",)


def test_distroless_packages_may_have_no_digests() -> None:
    stanza = "Package: {}\nVersion: 1\nArchitecture: all\n"
    folder = f"{HOME}/status.d"
    nodes = [
        Reg(f"{folder}/base", stanza.format("base")),
        Reg(f"{folder}/tz", stanza.format("tz")),
        Reg(f"{folder}/tz.md5sums", f"{SUM}  usr/share/tz\n"),
        Reg(f"{folder}/gone.md5sums", ""),
    ]
    found = dpkg.read(rootfs(nodes))
    assert found is not None
    assert found.faults == ("status.d/gone.md5sums is of no package on record",)
    assert "cannot be edited, it has no list of files: base" in found.notes


MUSL = apk_root.Pkg("musl", scripts=["post-install"])
BUSY = apk_root.Pkg("busybox", scripts=["trigger"], triggers="/bin", more="p:cmd:sh=1 /bin/sh\n")
GONE = apk_root.Pkg("gone", scripts=["pre-deinstall"], triggers="/lib")
APK: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("sound", {}, "busybox\nmusl>=1\n", []),
    ("in one line, by what is provided", {}, "busybox@edge cmd:sh !gone\n", []),
    (
        "a script of nobody's",
        {"scripts.tar": apk_root.archive([MUSL.member("post-install"), GONE.member("trigger")])},
        "",
        ["scripts.tar has a script of gone-1.0-r0, which is not on record"],
    ),
    (
        "a script under the other spelling",
        {"scripts.tar": apk_root.archive([MUSL.member("post-install", hexadecimal=True)])},
        "",
        [],
    ),
    (
        "a trigger of nobody's",
        {"triggers": apk_root.triggers(BUSY, GONE)},
        "",
        [f"triggers has '{GONE.checksum} /lib', of a package that is not on record"],
    ),
    (
        "a wish that nothing answers",
        {},
        "musl\ngone>1\n.build\n",
        [
            f"/{apk_root.WORLD} asks for {word}, and no package on record is or provides it"
            for word in ("gone>1", ".build")
        ],
    ),
]


@pytest.mark.parametrize(
    ("files", "world", "expected"), [row[1:] for row in APK], ids=[row[0] for row in APK]
)
def test_apk(files: dict[str, Any], world: str, expected: list[str]) -> None:
    wishes: list[Node] = [Reg(apk_root.WORLD, world)]
    found = apk.read(apk_root.alpine([MUSL, BUSY], files, nodes=wishes))
    assert found is not None
    assert list(found.faults) == expected


BASH = rpm_root.Pkg("bash", ["/usr/bin/bash", "/etc/bash/"], requires=["glibc"])
GLIBC = rpm_root.Pkg("glibc", ["/lib64/libc.so.6"])
KEY = rpm_root.Pkg("gpg-pubkey", arch="")
RPM: list[tuple[str, list[str], list[str]]] = [
    ("sound", [], []),
    (
        "a row of no package",
        ["INSERT INTO Requirename VALUES ('x', 9, 0), ('y', 9, 1)"],
        ["Requirename leads to package 9, which is not on record (2 rows)"],
    ),
    (
        "a package gone from Packages alone",
        ["DELETE FROM Packages WHERE hnum = 2"],
        [
            f"{table} leads to package 2, which is not on record (1 rows)"
            for table in ("Name", "Basenames", "Sigmd5")
        ],
    ),
    (
        "a name lost",
        ["DELETE FROM Name WHERE hnum = 1"],
        ["package 1, bash, is not found by its name"],
    ),
    (
        "another name",
        ["UPDATE Name SET key = 'zsh' WHERE hnum = 1"],
        ["package 1, bash, is not found by its name"],
    ),
    (
        "a file lost",
        ["DELETE FROM Basenames WHERE key = 'bash'"],
        ["bash lists 2 files, and 0 are found by their names"],
    ),
]


@pytest.mark.parametrize(
    ("statements", "expected"), [row[1:] for row in RPM], ids=[row[0] for row in RPM]
)
def test_rpm(statements: list[str], expected: list[str]) -> None:
    packages = [BASH, GLIBC, KEY]
    content = rpm_root.database(packages, *statements)
    found = rpm.read(rpm_root.redhat(packages, content=content))
    assert found is not None
    assert found.unsupported == ""
    assert list(found.faults) == expected


def test_rpm_kinds_without_an_index_here() -> None:
    root = rpm_root.redhat([], content=rpm_root.ndb([BASH.blob]), file="var/lib/rpm/Packages.db")
    found = rpm.read(root)
    assert found is not None
    assert found.faults == ()


def edited(root: Rootfs, changes: Mapping[Path, bytes | None]) -> Rootfs:
    """The same root with these files changed, or gone where there is no content."""
    nodes: list[Node] = []
    for path, inode in root.nodes.items():
        content = changes.get(path, b"" if inode.kind != "file" else root.read(path))
        if inode.kind == "symlink":
            nodes.append(Lnk(path, inode.entry.linkname))
        elif inode.kind == "file" and content is not None:
            nodes.append(Reg(path, content))
    return rootfs(nodes)


def test_edits_leave_no_fault_behind() -> None:
    """What a whole removal leaves is as sound as before, in each of the three."""
    roots: list[tuple[Rootfs, Callable[[Rootfs], Records | None], str]] = [
        (debian([CONFIGURED, full("b", "/usr/bin/b")]), dpkg.read, "b"),
        (apk_root.alpine([MUSL, BUSY]), apk.read, "busybox"),
        (rpm_root.redhat([BASH, GLIBC]), rpm.read, "glibc"),
    ]
    for root, read, gone in roots:
        found = read(root)
        assert found is not None
        assert found.faults == ()
        again = read(edited(root, found.edit(frozenset([gone]), frozenset())))
        assert again is not None
        assert {one.id for one in again.packages} == {one.id for one in found.packages} - {gone}
        assert again.faults == ()
