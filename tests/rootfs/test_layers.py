"""Layers over layers: the changeset rules, one row a case, each judged by umoci as well.

A row lists the layers and the tree that must come out, one line a path. The same image is squashed
by careen; umoci unpacks source and result, and finds the same tree, attributes and hard links.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.formats import tar
from careen.rootfs.path import absolute
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.tree import Tree
from tests.builders import (
    Chr,
    Dir,
    Fifo,
    Hard,
    Lnk,
    Node,
    Opq,
    Reg,
    Wh,
    image_layout,
    tar_layer,
)
from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, differences, hard_links, needs, snapshot, umoci_unpack

Layers = list[list[Node]]


class Bytes:
    """A spool over a layer in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def pread(self, length: int, offset: int) -> bytes:
        return self.data[offset : offset + length]


def merged(layers: Layers) -> Rootfs:
    tree, spools = Tree(), []
    for number, rows in enumerate(layers):
        data = tar_layer(rows)
        tree.apply(number, tar.Reader([data]))
        spools.append(Bytes(data))
    nodes, links = tree.finish()
    return Rootfs(nodes, tuple(spools), links)


def dump(rootfs: Rootfs) -> list[str]:
    """`/path content`, `/path/`, `/path -> target`, and `=N` on hard links of one inode."""
    seen: dict[int, int] = {}
    names: dict[int, int] = {}
    for inode in rootfs.nodes.values():
        names[id(inode)] = names.get(id(inode), 0) + 1
    lines = []
    for path, inode in rootfs.nodes.items():
        if not path:
            continue
        kind = inode.kind
        text = absolute(path)
        if kind == "directory":
            text += "/"
        elif kind == "symlink":
            text += f" -> {inode.entry.linkname}"
        elif kind == "file":
            text += f" {b''.join(rootfs.content(inode)).decode()}"
        else:
            text += f" {kind}"
        if names[id(inode)] > 1:
            text += f" ={seen.setdefault(id(inode), len(seen) + 1)}"
        lines.append(text)
    return lines


A, B = Reg("a", "1"), Reg("b", "2")
CASES: dict[str, tuple[Layers, list[str]]] = {
    "two layers": ([[A], [B]], ["/a 1", "/b 2"]),
    "a file over a file": ([[A], [Reg("a", "new")]], ["/a new"]),
    "a directory over a directory keeps its children": (
        [[Dir("d"), Reg("d/x", "1")], [Dir("d", mode=0o700), Reg("d/y", "2")]],
        ["/d/", "/d/x 1", "/d/y 2"],
    ),
    "a file over a directory": ([[Dir("d"), Reg("d/x", "1")], [Reg("d", "f")]], ["/d f"]),
    "a directory over a file": ([[Reg("d", "f")], [Dir("d"), Reg("d/x", "1")]], ["/d/", "/d/x 1"]),
    "a directory over a symlink": (
        [[Dir("r"), Lnk("d", "r")], [Dir("d"), Reg("d/x", "1")]], ["/d/", "/d/x 1", "/r/"],
    ),
    "a symlink over a directory": (
        [[Dir("d"), Reg("d/x", "1")], [Lnk("d", "nowhere")]], ["/d -> nowhere"],
    ),
    "a whiteout": ([[A, B], [Wh("a")]], ["/b 2"]),
    "a whiteout of a folder": ([[Dir("d"), Reg("d/x", "1")], [Wh("d")]], []),
    "a whiteout of nothing": ([[A], [Wh("b")]], ["/a 1"]),
    "a whiteout in nothing": ([[A], [Wh("d/b")]], ["/a 1"]),
    "a whiteout before its file": ([[A], [Wh("a"), Reg("a", "2")]], ["/a 2"]),
    "a whiteout after its file": ([[A], [Reg("a", "2"), Wh("a")]], ["/a 2"]),
    "a whiteout after something inside": (
        [[Dir("d"), Reg("d/x", "1")], [Dir("d"), Reg("d/y", "2"), Wh("d")]], ["/d/", "/d/y 2"],
    ),
    "opaque before siblings": (
        [[Dir("d"), Reg("d/x", "1")], [Dir("d"), Opq("d"), Reg("d/y", "2")]], ["/d/", "/d/y 2"],
    ),
    "opaque after siblings": (
        [[Dir("d"), Reg("d/x", "1")], [Dir("d"), Reg("d/y", "2"), Opq("d")]], ["/d/", "/d/y 2"],
    ),
    "opaque deep": (
        [[Dir("d"), Dir("d/e"), Reg("d/e/x", "1")], [Dir("d"), Opq("d"), Dir("d/e")]],
        ["/d/", "/d/e/"],
    ),
    "opaque of the root": ([[A], [Opq(""), B]], ["/b 2"]),
    "opaque through a symlink clears what is there": (
        [[Dir("r"), Reg("r/x", "1"), Lnk("d", "r")], [Opq("d")]], ["/d -> r", "/r/"],
    ),
    "written through a symlink": (
        [[Dir("usr"), Dir("usr/lib"), Lnk("lib", "usr/lib")], [Reg("lib/y", "1")]],
        ["/lib -> usr/lib", "/usr/", "/usr/lib/", "/usr/lib/y 1"],
    ),
    "written through an absolute symlink": (
        [[Dir("usr"), Lnk("lib", "/usr")], [Reg("lib/y", "1")]],
        ["/lib -> /usr", "/usr/", "/usr/y 1"],
    ),
    "written through a symlink that leads above the root": (
        [[Lnk("up", "../../.."), A], [Reg("up/y", "1")]], ["/a 1", "/up -> ../../..", "/y 1"],
    ),
    "a whiteout through a symlink": (
        [[Dir("r"), Reg("r/x", "1"), Lnk("d", "r")], [Wh("d/x")]], ["/d -> r", "/r/"],
    ),
    "a symlink parent that becomes a folder": (
        [[Dir("r"), Lnk("d", "r")], [Dir("d"), Reg("d/x", "1")]], ["/d/", "/d/x 1", "/r/"],
    ),
    "hard links in one layer": ([[A, Hard("h", "a")]], ["/a 1 =1", "/h 1 =1"]),
    "a hard link to the layer below": ([[A], [Hard("h", "a")]], ["/a 1 =1", "/h 1 =1"]),
    "a hard link whose target a later entry hides": (
        [[A], [Hard("h", "a"), Wh("a")]], ["/h 1"],
    ),
    "a hard link whose target is replaced above": (
        [[A, Hard("h", "a")], [Reg("a", "2")]], ["/a 2", "/h 1"],
    ),
    "a hard link whose target is deleted above": ([[A, Hard("h", "a")], [Wh("a")]], ["/h 1"]),
    "a hard link whose target is replaced in its layer": (
        [[A], [Hard("h", "a"), Reg("a", "2")]], ["/a 2", "/h 1"],
    ),
    "a hard link to a symlink": (
        [[Lnk("l", "a"), Hard("h", "l")]], ["/h -> a =1", "/l -> a =1"],
    ),
    "a hard link through a symlink": (
        [[Dir("r"), Reg("r/x", "1"), Lnk("d", "r")], [Hard("h", "d/x")]],
        ["/d -> r", "/h 1 =1", "/r/", "/r/x 1 =1"],
    ),
    "a chain of hard links": (
        [[A, Hard("b", "a"), Hard("c", "b")]], ["/a 1 =1", "/b 1 =1", "/c 1 =1"],
    ),
    "a hard link entry speaks for its inode": (
        [[Reg("a", "1", mode=0o600), Hard("h", "a", uid=7, mtime=5)]], ["/a 1 =1", "/h 1 =1"],
    ),
    "implicit parents": ([[Reg("p/q/x", "1")]], ["/p/", "/p/q/", "/p/q/x 1"]),
    "implicit parents keep what is below": (
        [[Dir("p", mode=0o700)], [Reg("p/x", "1")]], ["/p/", "/p/x 1"],
    ),
    "absolute and dotted names": (
        [[Reg("/a", "1"), Reg("./b", "2"), Dir("./"), Reg("d/../c", "3")]],
        ["/a 1", "/b 2", "/c 3"],
    ),
    "devices and pipes": (
        [[Chr("null", 1, 3), Fifo("pipe"), Chr("zero", 0, 0)]],
        ["/null char", "/pipe fifo", "/zero char"],
    ),
    "setuid, capabilities and lists of access": (
        [[
            Reg("su", "1", mode=0o4755),
            Reg("cap", "2", pax={"SCHILY.xattr.security.capability":
                "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}),
            Reg("user", "3", pax={"SCHILY.xattr.user.a": "b=c"}),
        ]],
        ["/cap 2", "/su 1", "/user 3"],
    ),
    "names in any bytes": (
        [[Reg("caf\udce9", "1"), Reg("new\nline", "2"), Reg("日本", "3")]],
        ["/caf\udce9 1", "/new\nline 2", "/日本 3"],
    ),
    "links that lead out stay as they are": (
        [[Lnk("a", "/abs"), Lnk("b", "../../x"), Lnk("c", "loop/c")]],
        ["/a -> /abs", "/b -> ../../x", "/c -> loop/c"],
    ),
    "no files at all": ([[]], []),
    "a long name": ([[Reg("d" * 90 + "/" + "n" * 200, "1")]],
                    ["/" + "d" * 90 + "/", "/" + "d" * 90 + "/" + "n" * 200 + " 1"]),
    "times to the nanosecond": ([[Reg("a", "1", mtime=1.25)]], ["/a 1"]),
}  # fmt: skip
IMPLICIT = frozenset([b".", b"p", b"p/q", b"d" * 90, b"d"])  # umoci dates them with its own run


@pytest.mark.parametrize(("layers", "lines"), CASES.values(), ids=CASES)
def test_the_merged_tree(layers: Layers, lines: list[str]) -> None:
    assert dump(merged(layers)) == lines


# Of a hard link's entry containerd and moby apply the attributes, and umoci does not.
UMOCI_DIFFERS = ("a hard link entry speaks for its inode",)
JUDGED = {name: case[0] for name, case in CASES.items() if name not in UMOCI_DIFFERS}


@ROOT_ONLY
@needs("umoci")
@pytest.mark.parametrize("layers", JUDGED.values(), ids=JUDGED)
def test_umoci_unpacks_the_squashed_image_alike(layers: Layers, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    image_layout(source, [tar_layer(nodes) for nodes in layers], tag="x")
    done = careen("squash", f"oci:{source}:x", f"oci:{target}:x", "--quiet")
    assert done.returncode == 0, done.stderr
    before = umoci_unpack(source, "x", tmp_path / "before")
    after = umoci_unpack(target, "x", tmp_path / "after")
    assert differences(snapshot(before), snapshot(after), ignore_mtime=IMPLICIT) == []
    assert hard_links(before) == hard_links(after)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([[Reg("../x", "1")]], "leads out of the image"),
        ([[Reg("a/../../x", "1")]], "leads out of the image"),
        ([[Lnk(".", "x")]], "root of the image must stay a directory"),
        ([[Hard("h", "nowhere")]], "not there before it"),
        ([[Hard("h", "later"), Reg("later", "1")]], "not there before it"),
        ([[A], [Wh("a"), Hard("h", "a")]], "not there before it"),
        ([[Dir("d"), Hard("h", "d")]], "hard link to a directory"),
        ([[Hard("h", "../../etc/passwd")]], "leads out of the image"),
        ([[A, Reg("a/x", "1")]], "is not a directory"),
        ([[Lnk("l", "l"), Reg("l/x", "1")]], "loop of symlinks"),
        ([[Reg(".wh.", "")]], "whiteout of no name"),
        ([[Reg(".wh..", "")]], "whiteout of no name"),
        ([[Reg(".wh...", "")]], "whiteout of no name"),
    ],
)
def test_refused(layers: Layers, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        merged(layers)


class TestNotes:
    def rules(self, layers: Layers) -> list[str]:
        tree = Tree()
        for number, nodes in enumerate(layers):
            tree.apply(number, tar.Reader([tar_layer(nodes)]))
        tree.finish()
        return [note.rule for note in tree.notes]

    def test_duplicates(self) -> None:
        assert self.rules([[A, Reg("a", "2")]]) == ["duplicate-entry"]
        assert dump(merged([[A, Reg("a", "2")]])) == ["/a 2"]

    def test_aufs(self) -> None:
        assert self.rules([[Reg(".wh..wh.plnk", "")]]) == ["aufs-metadata"]

    def test_labels_of_the_host_are_not_carried(self) -> None:
        labelled = Reg(
            "a", "1", pax={"SCHILY.xattr.security.selinux": "x", "SCHILY.xattr.user.b": "c"}
        )
        assert self.rules([[labelled]]) == ["selinux-label"]
        (inode,) = [i for p, i in merged([[labelled]]).nodes.items() if p]
        assert inode.entry.xattrs == {"user.b": b"c"}


def test_attributes() -> None:
    rootfs = merged(
        [
            [Dir("d", mode=0o700, uid=5), Reg("d/x", "1", mode=0o600, mtime=5)],
            [Reg("new/x", "1"), Hard("h", "d/x", mode=0o644, uid=9, mtime=7)],
        ]
    )
    found = {str(p): (i.entry.mode, i.entry.uid) for p, i in rootfs.nodes.items()}
    assert found["d"] == (0o700, 5)
    assert found["new"] == (0o755, 0)
    assert found["d/x"] == found["h"] == (0o644, 9)


def test_a_deep_path_needs_no_recursion() -> None:
    name = "/".join("d" * 1500)
    lines = dump(merged([[Reg(name, "1")], [Opq(""), Reg("x", "2")]]))
    assert lines == ["/x 2"]


_NAME = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "l", "l/a"])
_NODE = st.one_of(
    st.builds(Reg, _NAME, st.sampled_from(["", "x", "yy"])),
    st.builds(Dir, _NAME, mode=st.sampled_from([0o755, 0o700])),
    st.builds(Lnk, _NAME, st.sampled_from(["a", "d", "/d/e", "../d"])),
    st.builds(Hard, _NAME, _NAME),
    st.builds(Wh, _NAME),
    st.builds(Opq, st.sampled_from(["", "d", "d/e", "l"])),
)
_LAYERS = st.lists(st.lists(_NODE, max_size=6), min_size=1, max_size=3)


@given(_LAYERS)
@settings(deadline=None, max_examples=300)
def test_any_stack_is_merged_or_refused(layers: Layers) -> None:
    try:
        rootfs = merged(layers)
    except FormatError:
        return
    for path, inode in rootfs.nodes.items():
        folder = path.rpartition("/")[0]
        assert rootfs.nodes[type(path)(folder)].kind == "directory"
        assert not path.rpartition("/")[2].startswith(".wh.")
        if inode.kind == "file":
            assert sum(map(len, rootfs.content(inode))) == inode.entry.size


@pytest.mark.e2e
@ROOT_ONLY
@needs("umoci")
@given(_LAYERS)
@settings(deadline=None, max_examples=25, database=None)
def test_umoci_agrees_on_any_stack(
    tmp_path_factory: pytest.TempPathFactory, layers: Layers
) -> None:
    tmp_path = tmp_path_factory.mktemp("stack")
    source, target = tmp_path / "source", tmp_path / "target"
    image_layout(source, [tar_layer(nodes) for nodes in layers], tag="x")
    done = careen("squash", f"oci:{source}:x", f"oci:{target}:x", "--quiet")
    if done.returncode:
        assert done.returncode == 4, done.stderr
        return
    before = umoci_unpack(source, "x", tmp_path / "before")
    after = umoci_unpack(target, "x", tmp_path / "after")
    implicit = frozenset(p for p, f in snapshot(before).items() if f.kind == "d")
    assert differences(snapshot(before), snapshot(after), ignore_mtime=implicit) == []
    assert hard_links(before) == hard_links(after)


def test_sparse_files_read_with_their_holes() -> None:
    import io

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("s")
        info.size = 8
        info.pax_headers = {
            "GNU.sparse.map": "2,4,1000,4",
            "GNU.sparse.numblocks": "2",
            "GNU.sparse.size": "2000",
        }
        archive.addfile(info, io.BytesIO(b"aaaabbbb"))
    tree = Tree()
    tree.apply(0, tar.Reader([data.getvalue()]))
    nodes, links = tree.finish()
    rootfs = Rootfs(nodes, (Bytes(data.getvalue()),), links)
    (inode,) = [i for p, i in nodes.items() if p]
    expected = bytearray(2000)
    expected[2:6], expected[1000:1004] = b"aaaa", b"bbbb"
    assert b"".join(rootfs.content(inode, block=7)) == bytes(expected)
    assert rootfs.pread(inode, 4, 999) == b"\0bbb"
    assert msgspec.structs.asdict(inode.entry)["size"] == 2000
