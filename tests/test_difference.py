"""What differs between two hand-made images: one row a difference, then whole images by umoci."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from careen import difference, workflow
from careen.difference import Change, Difference, PackageChange
from careen.transport.access import Access
from careen.transport.reference import parse
from careen.verify.judge import Sight
from careen.workflow import Settings
from tests.builders import Chr, Dir, Fifo, Hard, Lnk, Node, Reg, image_layout
from tests.judges import ROOT_ONLY, Found, needs, snapshot, umoci_unpack
from tests.packages.apk_root import Pkg as Apk
from tests.packages.apk_root import installed
from tests.packages.dpkg_root import Pkg, table
from tests.plan.scenes import pkg
from tests.squashing import Layers, Unwatched, raw

BEFORE = [Dir("etc"), Reg("etc/a", b"one"), Lnk("etc/l", "a"), Reg("etc/b", b"two")]
MODES = {"mode": 0o644}


@contextlib.contextmanager
def sight(folder: Path, layers: Layers, **image: Any) -> Iterator[Sight]:
    image_layout(folder, [raw(layer) for layer in layers], tag="x", **image)
    settings = Settings(jobs=1, progress=Unwatched(), source=Access(), destination=Access())
    with workflow.opened(parse(f"oci:{folder}:x"), settings) as found:
        yield Sight(image=found.image, scene=found.scene(), notes=found.scan.notes)


def compared(
    folder: Path,
    before: Layers,
    after: Layers,
    *,
    images: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
    **options: Any,
) -> Difference:
    with (
        sight(folder / "before", before, **images[0]) as one,
        sight(folder / "after", after, **images[1]) as other,
    ):
        return difference.compare(one, other, **options)


def cap(number: int) -> dict[str, str]:
    value = struct.pack("<IIIII", 0x02000001, 1 << number, 0, 0, 0)
    return {"SCHILY.xattr.security.capability": value.decode("latin-1")}


def changes(found: Difference) -> list[tuple[str, list[tuple[str, Any, Any]]]]:
    """Each changed path with what changed."""
    return [
        (item.path, [(one.what, one.before, one.after) for one in item.changes])
        for item in (*found.paths.changed, *found.paths.touched)
    ]


# Two nodes at one path → what changed there, in the order of the report.
CHANGES: dict[str, tuple[Node, Node, list[tuple[str, Any, Any]]]] = {
    "content, size": (Reg("p", b"a"), Reg("p", b"bcd"), [("content", 1, 3)]),
    "content, same size": (Reg("p", b"a"), Reg("p", b"b"), [("content", 1, 1)]),
    "content past the first block": (
        Reg("p", b"a" * (1 << 20) + b"x"),
        Reg("p", b"a" * (1 << 20) + b"y"),
        [("content", 1048577, 1048577)],
    ),
    "mode": (Reg("p"), Reg("p", mode=0o4755), [("mode", "0644", "4755")]),
    "sticky": (Dir("p", 0o1777), Dir("p", 0o777), [("mode", "1777", "0777")]),
    "owner": (Reg("p", uid=1, gid=2), Reg("p", uid=3, gid=2), [("owner", "1:2", "3:2")]),
    "mtime": (
        Reg("p", mtime=0),
        Reg("p", mtime=1.5),
        [("mtime", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z")],
    ),
    "mtime and mode": (
        Reg("p", mtime=0),
        Reg("p", mode=0o600, mtime=1),
        [("mode", "0644", "0600"), ("mtime", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z")],
    ),
    "mtime past all calendars": (
        Reg("p", mtime=0),
        Reg("p", pax={"mtime": "999999999999"}),
        [("mtime", "1970-01-01T00:00:00Z", "@999999999999")],
    ),
    "link target": (Lnk("p", "a"), Lnk("p", "/b"), [("link target", "a", "/b")]),
    "symlink's own mode": (Lnk("p", "a"), Node("p", b"", 0o644, b"2", "a"), []),
    "device": (Chr("p", 1, 3), Chr("p", 1, 5), [("device", "1:3", "1:5")]),
    "type": (Reg("p", mode=0o600), Fifo("p"), [("type", "file", "fifo")]),
    "type, symlink": (
        Reg("p", b"abc"),
        Lnk("p", "q"),
        [("type", "file", "symlink"), ("link target", None, "q")],
    ),
    "capabilities come": (
        Reg("p"),
        Reg("p", pax=cap(13)),
        [("capabilities", None, "cap_net_raw=ep")],
    ),
    "capabilities change": (
        Reg("p", pax=cap(12)),
        Reg("p", pax=cap(13)),
        [("capabilities", "cap_net_admin=ep", "cap_net_raw=ep")],
    ),
    "xattrs": (
        Reg("p", pax={"SCHILY.xattr.user.a": "1", "SCHILY.xattr.user.b": "x"}),
        Reg("p", pax={"SCHILY.xattr.user.a": "\x02", "SCHILY.xattr.user.b": "x"}),
        [("xattr", "1", "0x02")],
    ),
    "nothing": (Reg("p", b"a"), Reg("p", b"a"), []),
}


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_changed(
    before: Node, after: Node, expected: list[tuple[str, Any, Any]], tmp_path: Path
) -> None:
    found = compared(tmp_path, [[before]], [[after]])
    assert changes(found) == ([("/p", expected)] if expected else [])
    assert found.differs is bool(expected)


def test_an_xattr_has_its_name(tmp_path: Path) -> None:
    found = compared(tmp_path, [[Reg("p")]], [[Reg("p", pax={"SCHILY.xattr.user.a": "1"})]])
    (item,) = found.paths.changed
    assert item.changes == (Change(what="xattr", name="user.a", before=None, after="1"),)


def test_capabilities_of_two_revisions_are_told_by_their_bytes(tmp_path: Path) -> None:
    old = struct.pack("<III", 0x01000001, 1 << 13, 0).decode("latin-1")
    nodes = [Reg("p", pax={"SCHILY.xattr.security.capability": old})], [Reg("p", pax=cap(13))]
    ((_, told),) = changes(compared(tmp_path, [nodes[0]], [nodes[1]]))
    assert [what for what, _, _ in told] == ["xattr"]
    assert told[0][1:] == ("0x010000010020000000000000", "0x0100000200200000" + "00" * 12)


def test_mtimes_alone_are_counted_apart_and_can_be_ignored(tmp_path: Path) -> None:
    before = [Reg("a", mtime=1), Reg("b", mtime=1)]
    after = [Reg("a", mtime=2), Reg("b", b"x", mtime=2)]
    found = compared(tmp_path, [before], [after])
    assert [item.path for item in found.paths.touched] == ["/a"]
    assert (found.counts.paths_touched, found.counts.paths_changed) == (1, 1)
    found = compared(tmp_path / "again", [before], [after], ignore_times=True)
    assert found.paths.touched == ()
    assert changes(found) == [("/b", [("content", 0, 1)])]
    found = compared(tmp_path / "alone", [before[:1]], [after[:1]], ignore_times=True)
    assert not found.differs


def test_a_directory_that_no_layer_wrote_has_no_mtime(tmp_path: Path) -> None:
    found = compared(tmp_path, [[Reg("d/f")]], [[Dir("d"), Reg("d/f")]])
    assert changes(found) == []


def test_paths_of_one_side_in_path_order(tmp_path: Path) -> None:
    before = [Reg("x", b"123"), Hard("y", "x"), Reg("z/one"), Dir("z-one")]
    found = compared(tmp_path, [before], [[Lnk("w", "x")]])
    assert [(item.path, item.kind, item.bytes) for item in found.paths.removed] == [
        ("/x", "file", 3),
        ("/y", "file", 0),
        ("/z", "directory", 0),
        ("/z/one", "file", 0),
        ("/z-one", "directory", 0),
    ]
    assert [(item.path, item.kind) for item in found.paths.added] == [("/w", "symlink")]


ABC = [Reg("a", b"x"), Reg("b", b"x"), Reg("c", b"x")]
# Nodes before and after → which names of one inode changed.
LINKS: dict[str, tuple[list[Node], list[Node], list[tuple[str, Any, Any]]]] = {
    "come": (ABC, [ABC[0], Hard("b", "a"), ABC[2]], [("/b", None, "/a")]),
    "go": ([ABC[0], Hard("b", "a"), Hard("c", "a")], ABC, [("/b", "/a", None), ("/c", "/a", None)]),
    "turn": (
        [ABC[0], ABC[1], Hard("c", "a")],
        [ABC[0], ABC[1], Hard("c", "b")],
        [("/c", "/a", "/b")],
    ),
    "lose a name": ([ABC[0], Hard("b", "a"), Hard("c", "a")], [ABC[1], Hard("c", "b")], []),
    "written in another order": ([ABC[0], Hard("b", "a")], [ABC[1], Hard("a", "b")], []),
}


@pytest.mark.parametrize(("before", "after", "expected"), LINKS.values(), ids=LINKS)
def test_hard_links(
    before: list[Node], after: list[Node], expected: list[tuple[str, Any, Any]], tmp_path: Path
) -> None:
    found = compared(tmp_path, [before], [after])
    assert [
        (path, one[1], one[2])
        for path, told in changes(found)
        for one in told
        if one[0] == "hard link"
    ] == expected
    assert [one for _, told in changes(found) for one in told if one[0] != "hard link"] == []


def test_a_file_of_a_shared_layer_is_not_read(tmp_path: Path) -> None:
    base = [Reg("a", b"x" * 5000), Reg("b", b"y")]
    with (
        sight(tmp_path / "before", [base]) as one,
        sight(tmp_path / "after", [base, [Reg("b", b"z")]]) as other,
    ):
        asked: list[tuple[int, int]] = []
        spool = other.scene.rootfs.spools[0]

        class Watched:
            def pread(self, length: int, offset: int) -> bytes:
                asked.append((length, offset))
                return spool.pread(length, offset)

        other.scene.rootfs.spools = (Watched(), *other.scene.rootfs.spools[1:])
        found = difference.compare(one, other)
    assert changes(found) == [("/b", [("content", 1, 1)])]
    assert found.shared_layers == 1
    assert not any(length == 5000 for length, _ in asked)


# -- packages


def debian(*packages: Pkg, nodes: list[Node] | None = None) -> Layers:
    return [table(packages, nodes=nodes or [])]


def told(items: tuple[PackageChange, ...]) -> list[tuple[str, Any, Any]]:
    return [
        (
            item.id,
            item.before and (item.before.version, item.before.files, item.before.bytes),
            item.after and (item.after.version, item.after.files, item.after.bytes),
        )
        for item in items
    ]


def test_packages(tmp_path: Path) -> None:
    newer = pkg("c", "/usr/bin/c", more="")
    before = debian(pkg("a", "/usr/bin/a"), pkg("b", "/usr/bin/b"), newer, pkg("same", "/s"))
    after = debian(pkg("b", "/usr/bin/b", "/usr/bin/bb"), newer, pkg("d", "/d"), pkg("same", "/s"))
    raw_after = raw(after[0]).replace(
        b"Package: c\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0",
        b"Package: c\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.0",
    )
    found = compared(tmp_path, before, [raw_after])
    assert told(found.packages.removed) == [("a", ("1.0", 1, 10), None)]
    assert told(found.packages.added) == [("d", None, ("1.0", 1, 2))]
    assert told(found.packages.changed) == [("c", ("1.0", 1, 10), ("2.0", 1, 10))]
    assert told(found.packages.refilled) == [("b", ("1.0", 1, 10), ("1.0", 2, 21))]
    counts = found.counts
    assert (counts.packages_added, counts.packages_removed) == (1, 1)
    assert (counts.packages_changed, counts.packages_refilled) == (1, 1)
    owners = {item.path: item.package for item in (*found.paths.added, *found.paths.removed)}
    assert owners["/usr/bin/a"] == "a"
    assert owners["/usr/bin/bb"] == "b"


def test_a_second_database_changes_no_package(tmp_path: Path) -> None:
    """Its ids have a suffix beside another database; the packages are the same."""
    alpine = [Reg("lib/apk/db/installed", installed(Apk("musl", ["/x"]))), Reg("x")]
    both = [*alpine, Reg("var/lib/dpkg/status", Pkg("bash").stanza)]
    found = compared(tmp_path, [alpine], [both])
    assert told(found.packages.added) == [("bash", None, ("1.0", 0, 0))]
    assert found.packages.removed == found.packages.changed == ()


def test_one_name_in_two_databases_is_two_packages(tmp_path: Path) -> None:
    alpine = [Reg("lib/apk/db/installed", installed(Apk("bash")))]
    debians = [Reg("var/lib/dpkg/status", Pkg("bash").stanza)]
    found = compared(tmp_path, [alpine], [debians])
    assert [item.after.database for item in found.packages.added if item.after] == ["dpkg"]
    assert [item.before.database for item in found.packages.removed if item.before] == ["apk"]


# -- the documents


def test_config_and_annotations(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        [BEFORE],
        [BEFORE],
        images=({"config": {"Cmd": ["a"]}}, {"config": {"Cmd": ["a", "b"], "User": "7"}}),
    )
    assert [(item.name, item.before, item.after) for item in found.config] == [
        ("config.Cmd", ("a",), ("a", "b")),
        ("config.User", None, "7"),
    ]
    assert found.counts.config == 2
    assert found.differs


def test_how_the_same_is_packed_is_told_and_does_not_count(tmp_path: Path) -> None:
    found = compared(tmp_path, [BEFORE], [BEFORE[:2], BEFORE[2:]])
    assert not found.differs
    assert (found.before.layers, found.after.layers) == (1, 2)
    assert found.before.digest != found.after.digest
    assert found.shared_layers == 0


def test_sides(tmp_path: Path) -> None:
    nodes = [Reg("bin/su", b"123", mode=0o4755), Hard("bin/su2", "bin/su", mode=0o4755)]
    nodes += [Reg("bin/dash", b"4", mode=0o755)]
    found = compared(tmp_path, [nodes], [nodes[2:]])
    before, after = found.before, found.after
    assert (before.files, before.bytes, before.setuid, before.shells) == (3, 4, 1, 1)
    assert (after.files, after.bytes, after.setuid, after.shells) == (1, 1, 0, 1)
    assert before.platform == "linux/amd64"
    assert before.compressed > 0
    assert before.history == 1


def test_notes_of_each_side(tmp_path: Path) -> None:
    nodes = [Reg("var/lib/rpm/rpmdb.sqlite", b"not one")]
    found = compared(tmp_path, [nodes], [BEFORE])
    assert [note.rule for note in found.before.notes] == ["package-database"]
    assert found.after.notes == ()


# -- umoci's word on it

TREE = [
    Dir("etc"),
    Reg("etc/a", b"one"),
    Reg("etc/b", b"two"),
    Hard("etc/c", "etc/b"),
    Lnk("etc/l", "a"),
    Dir("srv", 0o700, uid=5),
    Fifo("srv/pipe"),
    Reg("srv/cap", pax=cap(13)),
]
OTHER = [
    Dir("etc"),
    Reg("etc/a", b"one", uid=9),
    Reg("etc/b", b"TWO", mode=0o600),
    Reg("etc/c", b"two", mtime=5),
    Lnk("etc/l", "b"),
    Dir("srv", 0o700, uid=5),
    Reg("srv/pipe"),
    Reg("srv/cap", pax=cap(12)),
    Reg("srv/new"),
]


@ROOT_ONLY
@needs("umoci")
def test_umoci_sees_the_same(tmp_path: Path) -> None:
    found = compared(tmp_path, [TREE[:4], TREE[4:]], [OTHER])
    one, other = (
        snapshot(umoci_unpack(tmp_path / side, "x", tmp_path / f"{side}-bundle"))
        for side in ("before", "after")
    )
    assert judged(one, other) == {
        "added": [item.path for item in found.paths.added],
        "removed": [item.path for item in found.paths.removed],
        "changed": [item.path for item in (*found.paths.changed, *found.paths.touched)],
    }


def judged(one: dict[bytes, Found], other: dict[bytes, Found]) -> dict[str, list[str]]:
    """Sets of paths from two trees on disk, the root itself aside: umoci dates it."""
    both = one.keys() & other.keys() - {b"."}
    return {
        "added": absolute(other.keys() - one.keys()),
        "removed": absolute(one.keys() - other.keys()),
        "changed": absolute({path for path in both if one[path] != other[path]}),
    }


def absolute(paths: set[bytes]) -> list[str]:
    return sorted(f"/{os.fsdecode(path)}" for path in paths)
