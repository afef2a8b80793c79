"""Layers that try to break out, or stand at the edges of the rules: what comes out, or why not.

Rows go on from `test_layers`; the judge is the same. Names in capitals are the kinds of break-out
that container runtimes test themselves against.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from careen.errors import FormatError, within
from careen.formats.tar import Entry
from careen.rootfs.path import absolute
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.tree import Tree
from tests.builders import Chr, Dir, Fifo, Hard, Lnk, Node, Opq, Reg, Wh
from tests.judges import ROOT_ONLY, needs
from tests.rootfs.test_layers import dump
from tests.squashing import Layers, judged, merged, merged_with_notes

ETC = [Dir("etc"), Reg("etc/passwd", "root")]
OUT = "../../../../../.."

BREAKOUTS: dict[str, tuple[Layers, list[str]]] = {
    "SymlinkAbsolute": (
        [[*ETC, Lnk("l", "/etc"), Reg("l/x", "1")]],
        ["/etc/", "/etc/passwd root", "/etc/x 1", "/l -> /etc"],
    ),
    "SymlinkUpAndOut": (
        [[*ETC, Lnk("l", f"{OUT}/etc"), Reg("l/x", "1")]],
        ["/etc/", "/etc/passwd root", "/etc/x 1", f"/l -> {OUT}/etc"],
    ),
    "SymlinkMultipleAbsolute": (
        [[*ETC, Lnk("a", "/etc"), Lnk("b", "/a"), Reg("b/x", "1")]],
        ["/a -> /etc", "/b -> /a", "/etc/", "/etc/passwd root", "/etc/x 1"],
    ),
    "SymlinkMultipleRelative": (
        [[*ETC, Lnk("a", f"{OUT}/etc"), Dir("d"), Lnk("d/b", "../../a"), Reg("d/b/x", "1")]],
        [f"/a -> {OUT}/etc", "/d/", "/d/b -> ../../a", "/etc/", "/etc/passwd root", "/etc/x 1"],
    ),
    "SymlinkEmptyFile": (
        [[Dir("etc"), Lnk("etc/l", "/etc/new"), Reg("etc/l", "")]], ["/etc/", "/etc/l "],
    ),
    "SymlinkParentDirectory": (
        [[Dir("d"), Lnk("d/up", ".."), Reg("d/up/x", "1")]], ["/d/", "/d/up -> ..", "/x 1"],
    ),
    "SymlinkEmptyFilename": (
        [[Dir("d"), Lnk("d/l", "."), Reg("d/l/x", "1")]], ["/d/", "/d/l -> .", "/d/x 1"],
    ),
    "SymlinkParentRelative": (
        [[Dir("d"), Lnk("d/l", "../../.."), Reg("d/l/x", "1")]],
        ["/d/", "/d/l -> ../../..", "/x 1"],
    ),
    "SymlinkSlashEnded": (
        [[*ETC, Lnk("l", "etc/"), Reg("l/x", "1")]],
        ["/etc/", "/etc/passwd root", "/etc/x 1", "/l -> etc/"],
    ),
    "SymlinkOverrideDirectory": (
        [[*ETC, Dir("d"), Reg("d/x", "1"), Lnk("d", "/etc"), Reg("d/x", "2")]],
        ["/d -> /etc", "/etc/", "/etc/passwd root", "/etc/x 2"],
    ),
    "SymlinkOverrideDirectoryRelative": (
        [[*ETC, Dir("d"), Reg("d/x", "1")], [Lnk("d", f"{OUT}/etc"), Reg("d/x", "2")]],
        [f"/d -> {OUT}/etc", "/etc/", "/etc/passwd root", "/etc/x 2"],
    ),
    "SymlinkOverridePath": (
        [[*ETC, Lnk("etc/l", "/etc/passwd")], [Reg("etc/l", "mine")]],
        ["/etc/", "/etc/l mine", "/etc/passwd root"],
    ),
    "HardlinkRelative": (
        [[*ETC, Hard("h", "etc/passwd")]],
        ["/etc/", "/etc/passwd root =1", "/h root =1"],
    ),
    "HardlinkDownAndOut": (
        [[*ETC, Hard("h", "none/../etc/passwd")]],
        ["/etc/", "/etc/passwd root =1", "/h root =1"],
    ),
    "HardlinkAbsolute": (
        [[*ETC, Hard("h", "/etc/passwd")]],
        ["/etc/", "/etc/passwd root =1", "/h root =1"],
    ),
    "HardlinkSymlinkBeforeCreateTarget": (
        [[Dir("etc"), Lnk("l", "etc/new"), Hard("h", "l"), Reg("etc/new", "1")]],
        ["/etc/", "/etc/new 1", "/h -> etc/new =1", "/l -> etc/new =1"],
    ),
    "HardlinkSymlinkRelative": (
        [[*ETC, Lnk("l", f"{OUT}/etc"), Hard("h", "l/passwd")]],
        ["/etc/", "/etc/passwd root =1", "/h root =1", f"/l -> {OUT}/etc"],
    ),
    "HardlinkSymlinkAbsolute": (
        [[*ETC, Lnk("l", "/etc"), Hard("h", "/l/passwd")]],
        ["/etc/", "/etc/passwd root =1", "/h root =1", "/l -> /etc"],
    ),
    "HardlinkSymlinkChmod": (
        [[Reg("x", "1", mode=0o600), Lnk("l", "x"), Hard("h", "l", mode=0o4777)]],
        ["/h -> x =1", "/l -> x =1", "/x 1"],
    ),
    "DirectoryOverrideSymlink": (
        [[*ETC, Lnk("l", "/etc")], [Dir("l"), Reg("l/x", "1")]],
        ["/etc/", "/etc/passwd root", "/l/", "/l/x 1"],
    ),
    "DirectoryOverrideSymlinkAndHardlink": (
        [[*ETC, Lnk("l", "/etc"), Hard("h", "l")], [Dir("h"), Reg("h/x", "1")]],
        ["/etc/", "/etc/passwd root", "/h/", "/h/x 1", "/l -> /etc"],
    ),
    "WhiteoutSymlink": (
        [[*ETC, Lnk("l", "/etc")], [Wh("l")]], ["/etc/", "/etc/passwd root"],
    ),
    "WhiteoutSymlinkPath": ([[*ETC, Lnk("l", "/etc")], [Wh("l/passwd")]], ["/etc/", "/l -> /etc"]),
    "WhiteoutDirectoryName": ([ETC, [Dir("etc/.wh.passwd")]], ["/etc/"]),
    "WhiteoutDeadSymlinkParent": (
        [[*ETC, Lnk("l", "/none")], [Wh("l/x"), Opq("l")]],
        ["/etc/", "/etc/passwd root", "/l -> /none"],
    ),
    "WhiteoutRelativePath": ([ETC, [Reg("none/../etc/.wh.passwd")]], ["/etc/"]),
}  # fmt: skip

EDGES: dict[str, tuple[Layers, list[str]]] = {
    "a symlink's way back out of nowhere makes nothing": (
        [[Dir("usr"), Lnk("l", "none/../usr")], [Reg("l/x", "1")]],
        ["/l -> none/../usr", "/usr/", "/usr/x 1"],
    ),
    "a symlink to nowhere is followed, and the way made": (
        [[Lnk("l", "r/s")], [Reg("l/x", "1")]], ["/l -> r/s", "/r/", "/r/s/", "/r/s/x 1"],
    ),
    "what is passed by a symlink is not written": (
        [[Dir("r"), Dir("u"), Reg("u/k", "1"), Lnk("u/s", "/r")], [Reg("u/s/x", "2"), Wh("u")]],
        ["/r/", "/r/x 2"],
    ),
    "a whiteout of the folder that a symlink in it led back to": (
        [[Dir("u"), Dir("u/r"), Lnk("u/s", "r")], [Reg("u/s/x", "1"), Wh("u")]],
        ["/u/", "/u/r/", "/u/r/x 1"],
    ),
    "directory, file, and directory again": (
        [[Dir("d"), Reg("d/x", "1")], [Reg("d", "f")], [Dir("d"), Reg("d/y", "2")]],
        ["/d/", "/d/y 2"],
    ),
    "in one layer: directory, file, and directory again": (
        [[Dir("d"), Reg("d/x", "1"), Reg("d", "f"), Dir("d"), Reg("d/y", "2")]],
        ["/d/", "/d/y 2"],
    ),
    "a hard link over the target's symlink": (
        [[Reg("a", "1"), Lnk("l", "a")], [Hard("l", "a")]], ["/a 1 =1", "/l 1 =1"],
    ),
    "a hard link over a directory": (
        [[Reg("a", "1"), Dir("d"), Reg("d/x", "2")], [Hard("d", "a")]], ["/a 1 =1", "/d 1 =1"],
    ),
    "a directory over a hard link": (
        [[Reg("a", "1"), Hard("h", "a")], [Dir("h"), Reg("h/x", "2")]],
        ["/a 1", "/h/", "/h/x 2"],
    ),
    "a hard link keeps what its target was, not what it becomes": (
        [[Reg("a", "1"), Hard("h", "a"), Reg("a", "2"), Hard("i", "a")]],
        ["/a 2 =1", "/h 1", "/i 2 =1"],
    ),
    "hard links over three layers": (
        [[Reg("a", "1")], [Hard("b", "a"), Wh("a")], [Hard("c", "b"), Reg("a", "2")]],
        ["/a 2", "/b 1 =1", "/c 1 =1"],
    ),
    "hard links of a pipe and a device": (
        [[Fifo("p"), Hard("q", "p", mode=0o600), Chr("c", 1, 3), Hard("d", "c", mode=0o600)]],
        ["/c char =1", "/d char =1", "/p fifo =2", "/q fifo =2"],
    ),
    "a block device with a large number": (
        [[Node("b", type=tarfile.BLKTYPE, device=(8, 300), mode=0o660, gid=6)]], ["/b block"],
    ),
    "opaque before and after what a symlink leads to": (
        [
            [Dir("r"), Reg("r/x", "1"), Lnk("l", "r")],
            [Reg("l/y", "2"), Opq("l"), Reg("l/z", "3")],
        ],
        ["/l -> r", "/r/", "/r/y 2", "/r/z 3"],
    ),
    "opaque spares what this layer wrote, however deep": (
        [
            [Dir("d"), Dir("d/e"), Reg("d/e/x", "1"), Reg("d/f", "1")],
            [Reg("d/e/g/y", "2"), Opq("d")],
        ],
        ["/d/", "/d/e/", "/d/e/g/", "/d/e/g/y 2"],
    ),
    "whiteouts of a folder and of what was in it": (
        [[Dir("d"), Dir("d/e"), Reg("d/e/x", "1")], [Wh("d"), Wh("d/e"), Wh("d/e/x"), Opq("d")]],
        [],
    ),
    "a whiteout in a file is a whiteout of nothing": (
        [[Reg("f", "1")], [Wh("f/x"), Opq("f")]], ["/f 1"],
    ),
    "a whiteout with a slash before it": ([[Reg("f", "1")], [Reg("/.wh.f")]], []),
    "a whiteout deletes what lies below, not what lies above": (
        [[Reg("f", "1")], [Wh("f")], [Reg("f", "2")]], ["/f 2"],
    ),
    "whiteouts are no prefixes": (
        [[Reg("f", "1"), Reg("ff", "2"), Reg("x.wh.f", "3")], [Wh("f")]], ["/ff 2", "/x.wh.f 3"],
    ),
    "empty files and empty layers": ([[], [Reg("a")], []], ["/a "]),
    "the root's own entry, twice": (
        [[Dir("./", 0o711, uid=3)], [Dir("/", 0o700), Reg("a", "1")]], ["/a 1"],
    ),
    "a name that goes down and up again": (
        [[Dir("u"), Lnk("l", "u"), Reg("l/../x", "1")]], ["/l -> u", "/u/", "/x 1"],
    ),
    "names that only bytes tell apart": (
        [[Reg("é", "1"), Reg("e\u0301", "2"), Reg("A", "3"), Reg("a", "4")]],
        ["/A 3", "/a 4", "/e\u0301 2", "/é 1"],
    ),
}  # fmt: skip
ROWS = BREAKOUTS | EDGES


@pytest.mark.parametrize(("layers", "lines"), ROWS.values(), ids=ROWS)
def test_the_merged_tree(layers: Layers, lines: list[str]) -> None:
    assert dump(merged(layers)) == lines


@ROOT_ONLY
@needs("umoci")
@pytest.mark.parametrize("layers", [row[0] for row in ROWS.values()], ids=ROWS)
def test_umoci_sees_the_same_before_and_after(layers: Layers, tmp_path: Path) -> None:
    found, differences = judged(tmp_path, layers)
    assert differences == []
    assert {path for path in found if path != b"."} == {
        path.encode("utf-8", "surrogateescape") for path in merged(layers).nodes if path
    }


REFUSED: dict[str, tuple[Layers, str]] = {
    "a hard link to itself": ([[Reg("a", "1")], [Hard("a", "a")]], "not there before it"),
    "a hard link to itself, in one layer": (
        [[Reg("a", "1"), Hard("a", "a")]], "not there before it",
    ),
    "a hard link in place of the folder of its target": (
        [[Dir("d"), Reg("d/x", "1")], [Hard("d", "d/x")]], "not there before it",
    ),
    "hard links in a ring": ([[Hard("a", "b"), Hard("b", "a")]], "not there before it"),
    "HardlinkRelativeUpAndOut": ([[*ETC, Hard("h", f"{OUT}/etc/passwd")]], "leads out"),
    "HardlinkDirectAbsolute": ([[Hard("h", "/etc/passwd")]], "not there before it"),
    "a hard link to the root": ([[Hard("h", "/")]], "hard link to a directory"),
    "a hard link to a dead symlink's target": (
        [[Lnk("l", "none"), Hard("h", "l/x")]], "not there before it",
    ),
    "a hard link to a whiteout": ([[Wh("x"), Hard("h", ".wh.x")]], "not there before it"),
    "the root as a file": ([[Reg("x/..", "1")]], "root of the image"),
    "the root as a hard link": ([[Reg("a"), Hard(".", "a")]], "root of the image"),
    "a folder with a whiteout's name": ([[Reg(".wh.d/x", "1")]], "a whiteout's name"),
    "a symlink to a folder with a whiteout's name": (
        [[Lnk("l", ".wh.d"), Reg("l/x", "1")]], "a whiteout's name",
    ),
    "a whiteout through a ring of symlinks": (
        [[Lnk("a", "b"), Lnk("b", "a"), Wh("a/x")]], "loop of symlinks",
    ),
    "a parent that a symlink makes a file": (
        [[Reg("f", "1"), Lnk("l", "f"), Reg("l/x", "2")]], "is not a directory",
    ),
    "WhiteoutRootParent": ([[Reg(".wh...")]], "whiteout of no name"),
    "WhiteoutParent": ([[Dir("d"), Reg("d/.wh...")]], "whiteout of no name"),
    "WhiteoutCurrentDirectory": ([[Dir("d"), Reg("d/.wh..")]], "whiteout of no name"),
    "paths that symlinks make longer than any": (
        [[Reg("n" * 200 + ("/" + "n" * 200) * 15 + "/x", "1"),
          Lnk("l", "n" * 200 + ("/" + "n" * 200) * 15), Reg("l/" + "m" * 250 + "/y" * 400, "1"),
          Reg("l/" + "m" * 250 + ("/" + "y" * 250) * 4, "1")]],
        "a path of more than 4095 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(layers: Layers, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        merged(layers)


def test_forty_symlinks_are_followed_and_no_more() -> None:
    chain = [Dir("0"), *(Lnk(str(n), str(n - 1)) for n in range(1, 42))]
    assert "/0/x 1" in dump(merged([[*chain, Reg("40/x", "1")]]))
    with pytest.raises(FormatError, match="loop of symlinks"):
        merged([[*chain, Reg("41/x", "1")]])


def test_the_error_names_layer_and_entry() -> None:
    tree = Tree()
    with pytest.raises(FormatError) as caught, within("layers[3]"):
        tree.apply(3, [Entry(kind="link", name="a\n\udcff", linkname="b")])
    assert str(caught.value).startswith("layers[3].entry 'a\\n\\udcff': hard link to '/b'")


def attributes(rootfs: Rootfs) -> dict[str, tuple[int, int, int, int]]:
    return {
        absolute(path): (
            inode.entry.mode, inode.entry.uid, inode.entry.gid, inode.entry.mtime // 10**9,
        )
        for path, inode in rootfs.nodes.items()
    }  # fmt: skip


def test_whose_attributes_a_directory_has() -> None:
    layers: Layers = [
        [Dir("kept", 0o700, uid=1, mtime=1), Dir("set", 0o700, uid=1, mtime=1), Reg("set/x")],
        [Reg("kept/x"), Reg("made/x"), Dir("set", 0o750, gid=2, mtime=2)],
        [Opq("set"), Dir("./", 0o711, uid=4, mtime=3)],
    ]
    found = attributes(merged(layers))
    assert found["/kept"] == (0o700, 1, 0, 1)
    assert found["/made"] == (0o755, 0, 0, 0)
    assert found["/set"] == (0o750, 0, 2, 2)
    assert found["/"] == (0o711, 4, 0, 3)


def test_only_directories_without_an_entry_are_implicit() -> None:
    label = {"SCHILY.xattr.security.selinux": "x"}
    nodes = merged([[Dir("./", pax=label), Dir("d", pax=label), Reg("e/x")]]).nodes
    assert [absolute(path) for path, inode in nodes.items() if inode.is_implicit] == ["/e"]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_folder_deleted_and_made_again_without_an_entry(order: slice) -> None:
    """With the whiteout first it is new; with it last umoci keeps its attributes, and so do we."""
    upper: list[Node] = [Wh("d"), Reg("d/new", "1")][order]
    root = merged([[Dir("d", 0o700), Reg("d/old", "1")], upper])
    assert dump(root) == ["/d/", "/d/new 1"]
    assert attributes(root)["/d"][0] == (0o755 if upper[0].name == ".wh.d" else 0o700)


NOTES: dict[str, tuple[Layers, list[tuple[str, str, int]]]] = {
    "duplicates": (
        [[Reg("a"), Reg("a"), Dir("d"), Dir("d"), Reg("b")], [Reg("a"), Reg("a")]],
        [("duplicate-entry", "/a", 3)],
    ),
    "the same in several layers is no duplicate": ([[Reg("a")], [Reg("a")], [Wh("a")]], []),
    "aufs' own": (
        [[Dir(".wh..wh.plnk"), Reg(".wh..wh.plnk/1.2", "x"), Reg("d/.wh..wh.aufs"), Opq("d")]],
        [("aufs-metadata", "/.wh..wh.plnk", 3)],
    ),
    "labels": (
        [[Reg(name, pax={"SCHILY.xattr.security.selinux": "x"}) for name in "ab"]],
        [("selinux-label", "/a", 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "notes"), NOTES.values(), ids=NOTES)
def test_notes_are_one_a_rule(layers: Layers, notes: list[tuple[str, str, int]]) -> None:
    root, tree = merged_with_notes(layers)
    assert [(note.rule, note.path, note.count) for note in tree.notes] == notes
    assert not [path for path in root.nodes if re.search(r"(^|/)\.wh\.", path)]


def test_the_order_is_parents_first_and_siblings_by_name() -> None:
    names = ["b", "a/z", "a-b", "a.b", "a/b", "a/b.c", "a/b/c", "a\x01", "ä", "\udcff", "a/b-"]
    directories = {"a", "a/b"}
    nodes = [Reg(name) for name in names if name not in directories]
    found = list(merged([nodes]).nodes)
    assert found == sorted(found, key=lambda path: path.split("/"))
