"""From a merged tree and a plan to the bytes of one layer, in memory."""

from __future__ import annotations

import base64
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import SourceError
from careen.formats import digest as digests
from careen.formats import tar
from careen.formats.tar import Entry
from careen.plan.plan import PathDecision, Plan, Source
from careen.rewrite import layer as layers
from careen.rewrite.layer import Blocks
from careen.rewrite.merge import Extent, Piece, merge
from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Hard, Lnk, Reg, Wh, tar_layer
from tests.rootfs.hand_made import Memory
from tests.squashing import Layers, merged

SOURCE = Source(digest=digests.of(b"the source"), platform="linux/amd64")


def drop(*paths: str) -> list[PathDecision]:
    return [PathDecision(path=p, kind="file", decision="drop", reason="r") for p in paths]


def replace(path: str, data: bytes) -> PathDecision:
    content = base64.b64encode(data).decode()
    return PathDecision(path=path, kind="file", decision="replace", reason="r", content=content)


def written(root: Rootfs, *decisions: PathDecision) -> bytes:
    return b"".join(Blocks(root, merge(root, Plan(source=SOURCE, paths=decisions))))


def entries(data: bytes) -> dict[str, Entry]:
    return {entry.name: entry for entry in tar.Reader([data])}


def lines(data: bytes) -> list[str]:
    """`name content`, `name -> target`, `name = target`, as the standard library reads them."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        for item in archive:
            source = archive.extractfile(item) if item.isreg() else None
            sign = {tarfile.SYMTYPE: " -> ", tarfile.LNKTYPE: " = "}.get(item.type)
            text = f"{sign}{item.linkname}" if sign else ""
            found.append(item.name + (f" {source.read().decode()}" if source else text))
    return found


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids="ugp"
)
def test_one_layer_in_order_is_the_same_bytes_again(form: int) -> None:
    nodes = [
        Dir("./"),
        Dir("./d/", 0o1777, uid=70000, gid=3),
        Reg("./d/a", "1" * 700, 0o4755),
        Reg("./d/b"),
        Hard("./d/c", "./d/a", mode=0o4755),
        Lnk("./d/l", "../" * 30 + "x"),
        Reg("./d/" + "n" * 150 + "/" + "m" * 60, "2"),
    ]
    nodes.insert(-1, Dir("./d/" + "n" * 150))
    if form == tarfile.USTAR_FORMAT:
        nodes[-1] = Reg("./d/" + "n" * 90 + "/" + "m" * 60, "2")
        nodes[-2] = Dir("./d/" + "n" * 90)
    source = tar_layer(nodes, form=form)
    again = written(merged([source]))
    assert source.startswith(again)
    assert not source[len(again) :].strip(b"\0")


def test_the_first_surviving_name_carries_the_content_whatever_goes() -> None:
    nodes = [Reg("b", "1"), Hard("a", "b"), Hard("c", "b"), Hard("d", "a")]
    root = merged([nodes])
    assert lines(written(root)) == ["a 1", "b = a", "c = a", "d = a"]
    assert lines(written(root, *drop("/a"))) == ["b 1", "c = b", "d = b"]
    assert lines(written(root, *drop("/a", "/b", "/c"))) == ["d 1"]
    assert lines(written(root, *drop("/a", "/b", "/c", "/d"))) == []


def test_a_replaced_name_leaves_its_hard_links() -> None:
    root = merged([[Reg("a", "old"), Hard("b", "a"), Hard("c", "a")]])
    assert lines(written(root, replace("/a", b"new"))) == ["a new", "b old", "c = b"]
    assert lines(written(root, replace("/b", b"new"))) == ["a old", "b new", "c = a"]
    assert lines(written(root, replace("/a", b"1"), replace("/b", b"2"))) == ["a 1", "b 2", "c old"]


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 512, b"z" * 2_000_003])
def test_replaced_content_of_any_length(data: bytes) -> None:
    pax = {"SCHILY.xattr.user.x": "v", "VENDOR.y": "w"}
    root = merged([[Reg("a", "old", 0o4711, uid=5, gid=6, mtime=7.25, pax=pax), Reg("b", "2")]])
    out = written(root, replace("/a", data))
    assert lines(out) == [f"a {data.decode()}", "b 2"]
    entry = entries(out)["a"]
    assert (entry.mode, entry.uid, entry.gid, entry.mtime) == (0o4711, 5, 6, 7_250_000_000)
    assert (entry.xattrs, entry.pax) == ({"user.x": b"v"}, {"VENDOR.y": b"w"})


def test_a_name_that_leads_through_links_or_back_up_is_written_plainly() -> None:
    """Readers that follow links there would put it elsewhere; all else is the header's own."""
    pax = {"VENDOR.note": "kept"}
    below = [Dir("usr/lib"), Lnk("lib", "usr/lib"), Reg("lib/../dots", "1", pax=pax)]
    above = [Reg("lib/y", "2", uid=3, pax=pax), Hard("z", "lib/y", uid=3, pax=pax)]
    found = entries(written(merged([below, above])))
    assert [*found] == ["dots", "lib", "usr/", "usr/lib/", "usr/lib/y", "z"]
    assert found["dots"].pax == found["usr/lib/y"].pax == {"VENDOR.note": b"kept"}
    assert (found["usr/lib/y"].uid, found["z"].linkname) == (3, "usr/lib/y")


def test_a_link_entry_that_changed_its_inode_is_written_with_what_holds_now() -> None:
    link = Hard("b", "a", mode=0o755, uid=9, mtime=5, pax={"SCHILY.xattr.user.y": "2"})
    root = merged([[Reg("a", "1", 0o600, pax={"SCHILY.xattr.user.x": "1"}), link]])
    found = entries(written(root))
    for name in "ab":
        entry = found[name]
        assert (entry.mode, entry.uid, entry.mtime) == (0o755, 9, 5_000_000_000)
        assert entry.xattrs == {"user.x": b"1", "user.y": b"2"}
    assert (found["b"].kind, found["b"].linkname) == ("link", "a")


def test_the_roots_own_entry_stays_and_none_is_made_up() -> None:
    label = {"SCHILY.xattr.security.selinux": "x", "SCHILY.xattr.user.x": "1"}
    assert lines(written(merged([[Reg("a", "1")]]))) == ["a 1"]
    (root, _) = entries(written(merged([[Dir("./", 0o711, uid=3), Reg("a")]]))).values()
    assert (root.name, root.mode, root.uid) == ("./", 0o711, 3)
    (root,) = entries(written(merged([[Dir("./", 0o700, pax=label)]]))).values()
    assert (root.name, root.mode, root.xattrs) == ("./", 0o700, {"user.x": b"1"})


def test_implicit_parents_get_an_entry() -> None:
    found = entries(written(merged([[Reg("a/b/c", "1")]])))
    assert [*found] == ["a/", "a/b/", "a/b/c"]
    assert {(found[n].mode, found[n].uid, found[n].mtime) for n in ("a/", "a/b/")} == {
        (0o755, 0, 0)
    }


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (drop("/none"), "'/none', which the image does not have"),
        (drop("/"), "'/', which the image does not have"),
        (drop("/gone"), "'/gone', which the image does not have"),
        (drop("/d"), "keeps '/d/e' and drops the directory it is in"),
        (drop("/d", "/d/e"), "keeps '/d/e/x' and drops the directory it is in"),
        ([replace("/d", b"")], "no such file or symlink"),
        ([replace("/none", b"")], "which the image does not have"),
    ],
)
def test_a_plan_of_another_image(decisions: list[PathDecision], message: str) -> None:
    root = merged([[Dir("d"), Dir("d/e"), Reg("d/e/x"), Reg("gone")], [Wh("gone")]])
    with pytest.raises(SourceError, match=message):
        written(root, *decisions)


def test_a_whole_folder_goes() -> None:
    root = merged([[Dir("d"), Dir("d/e"), Reg("d/e/x"), Reg("dd", "1")]])
    assert lines(written(root, *drop("/d", "/d/e", "/d/e/x"))) == ["dd 1"]


def test_neighbours_are_read_at_once() -> None:
    """A layer that is in order already costs a read a block, not two a file."""
    root = merged([[Reg(f"{n:05}", "x" * 100) for n in range(5000)]])
    out = written(root)
    (spool,) = root.spools
    assert isinstance(spool, Memory)
    assert len(spool.asked) == -(-(len(out) - len(tar.END)) // layers.BLOCK)


@st.composite
def pieces(draw: st.DrawFn) -> list[Piece]:
    small = st.binary(max_size=9)
    extents = st.builds(Extent, st.integers(0, 1), st.integers(0, 300), st.integers(0, 80))
    return draw(st.lists(st.one_of(small, extents), max_size=12))


@given(pieces())
@settings(deadline=None)
def test_blocks_are_whole_and_their_digest_is_the_layers(found: list[Piece]) -> None:
    contents = bytes(range(256)) * 2, bytes(range(255, -1, -1)) * 2
    root = Rootfs({}, tuple(map(Memory, contents)))
    expected = b"".join(
        one if isinstance(one, bytes)
        else contents[one.layer][one.offset : one.offset + one.length]  # type: ignore[union-attr]
        for one in found
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "BLOCK", 16)
        blocks = Blocks(root, found)
        parts = list(blocks)
    assert b"".join(parts) == expected
    assert all(len(part) == 16 for part in parts[:-1])
    assert (blocks.diff_id, blocks.size) == (digests.of(expected), len(expected))


def test_no_whiteout_is_written() -> None:
    stack: Layers = [[Dir("d"), Reg("d/x")], [Wh("d/x"), Reg("d/.wh..wh..opq"), Wh("none")]]
    assert lines(written(merged(stack))) == ["d"]
