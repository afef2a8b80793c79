"""An inspection of a hand-made image: each kind of thing that it must see."""

from __future__ import annotations

import struct
from pathlib import Path as FilePath
from typing import Any

import msgspec
import pytest

from careen import inspection
from careen.formats.tar import Entry
from careen.inspection import Inspection
from careen.oci import image as images
from careen.oci.layout import Layout
from careen.packages import catalog
from careen.packages.package import Package
from careen.plan.closure import Scene
from careen.rootfs.elf import Elf
from careen.rootfs.etc import OsRelease
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, order
from careen.rootfs.rootfs import Inode, Rootfs
from careen.rootfs.scan import Scan
from careen.rootfs.script import Script
from tests.builders import Reg, image_layout, tar_layer

NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def node(
    layer: int = 0, kind: Any = "file", size: int = 0, mode: int = 0o644, **more: Any
) -> Inode:
    return Inode(layer, Entry(kind=kind, name="", size=size, mode=mode, **more))


DASH = node(size=120_000, mode=0o755)
LOG = node(size=0, mode=0o666)
NODES = {
    **{path: node(kind="directory") for path in ("", "app", "etc", "usr", "usr/bin", "usr/share")},
    "etc/hostname": node(1, size=7),
    "usr/bin/dash": DASH,
    "usr/bin/sh": node(kind="symlink", mode=0o777, linkname="dash"),
    "usr/bin/rdash": DASH,
    "usr/bin/su": node(size=70_000, mode=0o4755),
    "usr/bin/wall": node(size=30_000, mode=0o2755, gid=5),
    "usr/bin/ping": node(size=80_000, mode=0o755, xattrs={"security.capability": NET_RAW}),
    "usr/bin/python3.11": node(size=6_000_000, mode=0o755),
    "usr/bin/python3": node(kind="symlink", mode=0o777, linkname="python3.11"),
    "usr/bin/apt-get": node(size=50_000, mode=0o755),
    "usr/bin/busybox": node(size=900_000, mode=0o755),
    "usr/bin/vi": node(kind="symlink", mode=0o777, linkname="busybox"),
    "etc/alternatives": node(kind="directory"),
    "etc/alternatives/vi": node(kind="symlink", mode=0o777, linkname="/usr/bin/busybox"),
    "tmp": node(kind="directory", mode=0o1777),
    "srv": node(kind="directory", mode=0o777, uid=33, gid=34),
    "dev": node(kind="directory"),
    "dev/null": node(kind="char", mode=0o666, devmajor=1, devminor=3),
    "srv/null": node(kind="char", mode=0o666, devmajor=1, devminor=3),
    "etc/cron.daily": node(kind="directory"),
    "etc/cron.daily/dpkg": node(size=1, mode=0o755),
    "var": node(kind="directory"),
    "var/db": node(kind="directory"),
    "var/db/postinst": node(size=2, mode=0o755),
    "srv/queue": node(kind="fifo", mode=0o622),
    "srv/log": LOG,
    "srv/log.1": LOG,
    "usr/share/doc/curl": node(kind="directory"),
    "app/curl": node(1, size=10, mode=0o644),
    "app/main": node(1, size=900, mode=0o755),
    "app/run": node(1, size=100, mode=0o755),
}
OWNED = {
    "dash": ("usr/bin/dash", "usr/bin/sh", "usr/share/doc/curl"),
    "bsdutils": ("usr/bin/wall",),
    "util-linux": ("usr/bin/su", "usr/bin/absent"),
    "iputils-ping": ("usr/bin/ping",),
    "python3.11-minimal": ("usr/bin/python3.11",),
    "python3-minimal": ("usr/bin/python3",),
    "apt": ("usr/bin/apt-get",),
    "base": ("usr/bin/rdash", "tmp"),
    "busybox": ("usr/bin/busybox", "srv/log"),
}


class Records:
    """A package database that is already read."""

    packages = tuple(
        Package(
            id=name, name=name, version="1", architecture="all", database="dpkg",
            paths=tuple(map(Path, paths)),
        )
        for name, paths in OWNED.items()
    )  # fmt: skip
    files: frozenset[Path] = frozenset([Path("var/db/postinst")])
    notes = ("odd",)
    faults = ()
    refused = ""
    whole = False

    def relinked(self, dropped: frozenset[Path]) -> dict[Path, str | None]:
        raise AssertionError("an inspection changes nothing")

    def edit(self, removed: frozenset[str], dropped: frozenset[Path]) -> dict[Path, bytes | None]:
        raise AssertionError("an inspection changes nothing")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder: FilePath = tmp_path_factory.mktemp("image")
    image_layout(
        folder,
        [tar_layer([Reg("a")]), tar_layer([Reg("b")])],
        config={"Entrypoint": ["/app/run"], "Cmd": ["a b"], "User": "app"},
    )
    layout = Layout(folder)
    image = images.load(layout, layout.find("latest"))
    nodes = {Path(path): NODES[path] for path in sorted(NODES, key=lambda p: order(Path(p)))}
    rootfs = Rootfs(nodes, ())
    facts = Facts(
        elf={Path("app/main"): Elf(bits=64, little=True, machine=62, type=3)},
        scripts={
            Path(path): Script(interpreter="/bin/sh") for path in ("app/run", "var/db/postinst")
        },
        os_release=OsRelease(title="Debian 12"),
    )
    scene = Scene(
        rootfs=rootfs,
        facts=facts,
        catalog=catalog.of([Records()], ["not this one"]),
        execution=image.config.execution,
    )
    return inspection.inspect(image, Scan(rootfs=rootfs, sizes=(9000, 700), notes=()), scene)


def rows(values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(value) for value in values]


def test_head(found: Inspection) -> None:
    assert (found.platform, found.system, found.user) == ("linux/amd64", "Debian 12", "app")
    assert (found.entrypoint, found.command) == (("/app/run",), ("a b",))


def test_files_are_names_and_sizes_count_each_inode_once(found: Inspection) -> None:
    assert (found.files, found.unowned_files) == (23, 12)
    owned = 900_000 + 120_000 + 70_000 + 30_000 + 80_000 + 6_000_000 + 50_000
    assert found.unowned_bytes == 7 + 10 + 900 + 100 + 1 + 2
    assert found.bytes == owned + found.unowned_bytes


def test_layers(found: Inspection) -> None:
    assert [(layer.unpacked, layer.files, layer.bytes) for layer in found.layers] == [
        (9000, 19, found.bytes - 1017),
        (700, 4, 1017),
    ]
    assert [layer.created_by for layer in found.layers] == ["layer 0", "layer 1"]
    assert all(layer.compressed > 0 for layer in found.layers)


def test_packages_by_size(found: Inspection) -> None:
    assert [(use.id, use.files, use.bytes) for use in found.packages][:3] == [
        ("python3.11-minimal", 1, 6_000_000),
        ("busybox", 2, 900_000),
        ("base", 1, 120_000),
    ]


def test_shells_with_what_they_lead_to(found: Inspection) -> None:
    assert rows(found.shells) == [
        ("/usr/bin/sh", "/usr/bin/dash", "dash"),
        ("/usr/bin/busybox", "/usr/bin/busybox", "busybox"),
        ("/usr/bin/dash", "/usr/bin/dash", "dash"),
    ]


def test_setuid_and_setgid(found: Inspection) -> None:
    assert rows(found.privileged) == [
        ("/usr/bin/su", "4755", "0:0", "util-linux"),
        ("/usr/bin/wall", "2755", "0:5", "bsdutils"),
    ]


def test_file_capabilities(found: Inspection) -> None:
    assert rows(found.capabilities) == [("/usr/bin/ping", "cap_net_raw=ep", "iputils-ping")]


def test_programs_of_no_package(found: Inspection) -> None:
    assert rows(found.unowned) == [("/app/main", "ELF", 900), ("/app/run", "script", 100)]


def test_tools(found: Inspection) -> None:
    """By executable files, and links to a file of many programs.

    A link to a tool's own file is no second tool, and neither is a data file of that name.
    """
    assert rows(found.tools) == [
        ("package manager", "/usr/bin/apt-get", "/usr/bin/apt-get", "apt"),
        ("interpreter", "/usr/bin/python3.11", "/usr/bin/python3.11", "python3.11-minimal"),
        ("network tool", "/usr/bin/ping", "/usr/bin/ping", "iputils-ping"),
        ("editor", "/usr/bin/vi", "/usr/bin/busybox", "busybox"),
    ]


def test_world_writable(found: Inspection) -> None:
    """Every name of a file, and no symlink; a folder with the sticky bit is told apart."""
    assert rows(found.writable) == [
        ("/srv", "directory", "0777", "33:34", "", False),
        ("/srv/log", "file", "0666", "0:0", "busybox", False),
        ("/srv/log.1", "file", "0666", "0:0", "", False),
        ("/srv/null", "char", "0666", "0:0", "", False),
        ("/srv/queue", "fifo", "0622", "0:0", "", False),
        ("/tmp", "directory", "1777", "0:0", "base", True),
    ]


def test_notes(found: Inspection) -> None:
    assert [(note.rule, note.message) for note in found.notes] == [
        ("package-database", "odd"),
        ("package-database", "not this one"),
    ]
