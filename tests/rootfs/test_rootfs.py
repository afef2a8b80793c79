"""Walking, reading and enumerating a merged tree; the kernel is the judge of where a path leads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path as FilePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError, SourceError
from careen.formats.tar import Entry
from careen.rootfs.path import ROOT, Path
from careen.rootfs.rootfs import Inode, Rootfs
from tests.builders import Dir, Hard, Lnk, Node, Reg
from tests.judges import ROOT_ONLY
from tests.rootfs.hand_made import Memory, rootfs

TREE: list[Node] = [
    Dir("usr/lib/deep"),
    Reg("usr/lib/deep/x", "x"),
    Reg("usr/lib/y", "y"),
    Lnk("lib", "usr/lib"),
    Lnk("abs", "/usr/lib/deep"),
    Lnk("up", "../../../usr"),
    Lnk("usr/back", ".."),
    Lnk("dead", "nowhere"),
    Lnk("a", "b"),
    Lnk("b", "a"),
    Lnk("file", "lib/y"),
    Lnk("slash", "lib/"),
]


@pytest.mark.parametrize(
    ("text", "path", "hops"),
    [
        ("", "", []),
        ("/", "", []),
        ("../..", "", []),
        ("usr/lib/y", "usr/lib/y", []),
        ("/lib/y", "usr/lib/y", ["lib"]),
        ("lib", "usr/lib", ["lib"]),
        ("lib/", "usr/lib", ["lib"]),
        ("slash/y", "usr/lib/y", ["slash", "lib"]),
        ("abs/x", "usr/lib/deep/x", ["abs"]),
        ("abs/../y", "usr/lib/y", ["abs"]),
        ("up/lib/y", "usr/lib/y", ["up"]),
        ("usr/back/lib/y", "usr/lib/y", ["usr/back", "lib"]),
        ("file", "usr/lib/y", ["file", "lib"]),
        ("lib/none", None, ["lib"]),
        ("dead", None, ["dead"]),
        ("usr/lib/y/z", None, []),
        ("file/..", None, []),
        ("none/../usr", None, []),
    ],
)
def test_resolve(text: str, path: str | None, hops: list[str]) -> None:
    found = rootfs(TREE).resolve(text)
    assert found.path == path
    if hops:
        assert list(found.hops) == hops


def test_resolve_without_the_last() -> None:
    tree = rootfs(TREE)
    assert tree.resolve("lib", follow_last=False).path == "lib"
    assert tree.resolve("slash/deep/../y", follow_last=False).path == "usr/lib/y"
    assert tree.resolve("a", follow_last=False).path == "a"


def test_forty_links_and_no_more() -> None:
    tree = rootfs([Reg("0"), *(Lnk(str(n), str(n - 1)) for n in range(1, 42))])
    assert tree.resolve("40").path == "0"
    assert tree.resolve("41").path is None
    assert rootfs(TREE).resolve("a").path is None


CHROOT = """
import os, sys
os.chroot(sys.argv[1]); os.chdir("/")
for text in sys.argv[2:]:
    try:
        status = os.stat("/" + text)
        print(status.st_ino)
    except OSError:
        print(None)
"""


@ROOT_ONLY
def test_the_kernel_agrees_inside_a_chroot(tmp_path: FilePath) -> None:
    tree = rootfs(TREE)
    for node in TREE:
        (tmp_path / node.name).parent.mkdir(parents=True, exist_ok=True)
        if node.type == b"5":
            (tmp_path / node.name).mkdir(exist_ok=True)
        elif node.type == b"2":
            (tmp_path / node.name).symlink_to(node.linkname)
        else:
            (tmp_path / node.name).write_bytes(node.data)
    names = [str(path) for path in tree.nodes]
    texts = [f"{a}/{b}" for a in names for b in ["", "..", "../usr", "deep/x", "y", "lib/y", "."]]
    done = subprocess.run(
        [sys.executable, "-c", CHROOT, str(tmp_path), *texts],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    inodes = {str(os.lstat(tmp_path / path).st_ino): path for path in tree.nodes}
    for text, line in zip(texts, done.stdout.split(), strict=True):
        expected = inodes.get(line)
        is_file_with_dot = text.endswith(("/", "/.")) and expected is None
        if not is_file_with_dot:  # `y/` of a file is refused by the kernel and taken by us
            assert tree.resolve(text).path == expected, text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/usr/lib/y", "usr/lib/y"),
        ("/lib/y", "usr/lib/y"),
        ("/lib", "lib"),
        ("/abs/none", "usr/lib/deep/none"),
        ("/abs/none/more/x", "usr/lib/deep/none/more/x"),
        ("/dead/x", "dead/x"),
        ("/none", "none"),
        ("/", ""),
        ("/a/x", "a/x"),
    ],
)
def test_canonical(text: str, path: str) -> None:
    assert rootfs(TREE).canonical(text) == path


def test_canonical_of_a_deep_path_that_is_not_there() -> None:
    deep = "/".join("d" * 2000)
    assert rootfs(TREE).canonical(f"/lib/{deep}") == f"usr/lib/{deep}"


def test_children_and_below() -> None:
    tree = rootfs([Reg("d/e/x"), Reg("d/f"), Reg("d-"), Hard("h", "d/f")])
    assert tree.children(ROOT) == ["d", "d-", "h"]
    assert tree.children(Path("d")) == ["d/e", "d/f"]
    assert tree.children(Path("h")) == tree.children(Path("none")) == []
    below = list(tree.below(Path("d")))
    assert sorted(below) == ["d/e", "d/e/x", "d/f"]
    assert below.index(Path("d/e")) < below.index(Path("d/e/x"))
    assert set(tree.below(ROOT)) == set(tree.nodes) - {ROOT}
    assert Path("d/f") in tree


def test_read() -> None:
    tree = rootfs(TREE)
    assert tree.read(Path("usr/lib/y")) == b"y"
    for path in ("lib", "usr", "none"):
        with pytest.raises(SourceError, match=f"/{path}: no such regular file"):
            tree.read(Path(path))
    with pytest.raises(FormatError, match="1 bytes is over the limit of 0"):
        tree.read(Path("usr/lib/y"), ceiling=0)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, Entry, bytes]:
    """A file's content, the entry that stores it with holes, and what is stored."""
    gaps = draw(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), max_size=5))
    content, stored, regions = b"", b"", []
    for hole, data in gaps:
        content += bytes(hole)
        regions.append((len(content), len(data)))
        content += data
        stored += data
    content += bytes(draw(st.integers(0, 9)))
    sparse = tuple(regions) if draw(st.booleans()) else None
    if sparse is None:
        stored = content
    entry = Entry(kind="file", name="s", size=len(content), sparse=sparse, data_offset=3)
    return content, entry, b"..." + stored


@given(files(), st.integers(1, 20), st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_content_with_its_holes(
    file: tuple[bytes, Entry, bytes], block: int, length: int, offset: int
) -> None:
    content, entry, stored = file
    inode = Inode(0, entry)
    tree = Rootfs({Path("s"): inode}, (Memory(stored),))
    parts = list(tree.content(inode, block=block))
    assert b"".join(parts) == content == tree.read(Path("s"))
    assert all(0 < len(part) <= block for part in parts)
    offset = min(offset, len(content))
    assert tree.pread(inode, length, offset) == content[offset : offset + length]
