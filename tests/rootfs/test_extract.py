"""The merged tree on disk: GNU tar, as an ordinary user, is the judge; and nothing gets out."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from careen.errors import CareenError
from careen.rootfs.extract import beneath, extract, owners, put
from careen.rootfs.rootfs import Rootfs
from tests.builders import Chr, Dir, Fifo, Hard, Lnk, Node, Reg, tar_layer
from tests.judges import ROOT_ONLY, snapshot
from tests.plan import scenes

TREE: list[Node] = [
    Dir("d", mode=0o555),
    Reg("d/read-only", "x", mode=0o444),
    Reg("d/program", "#!/bin/sh\n", mode=0o755),
    Reg("big", b"\0" * 3_000_000 + b"end"),
    replace(Hard("also", "d/program"), mode=0o755),
    Lnk("up", "../../../outside"),
    Lnk("abs", "/etc/passwd"),
    Reg("name\udcff\n", "odd"),
]


def rootfs(nodes: list[Node]) -> Rootfs:
    return scenes.rootfs(tar_layer(nodes))


def test_gnu_tar_makes_the_same_tree(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    extract(rootfs(TREE), ours)
    subprocess.run(
        ["tar", "-C", theirs, "-xp", "--no-same-owner"], input=tar_layer(TREE), check=True
    )
    before, after = snapshot(theirs), snapshot(ours)
    assert set(before) == set(after)
    for path in before:
        one, other = (os.lstat(os.path.join(os.fsencode(base), path)) for base in (theirs, ours))
        assert stat.S_IFMT(one.st_mode) == stat.S_IFMT(other.st_mode)
        assert one.st_nlink == other.st_nlink or stat.S_ISDIR(one.st_mode)
        if not stat.S_ISLNK(one.st_mode) and path not in (b"", b"."):
            assert int(one.st_mtime) == int(other.st_mtime)
            ours_too = 0o700 if stat.S_ISDIR(one.st_mode) else 0o600
            assert one.st_mode | ours_too == other.st_mode
    assert (ours / "big").read_bytes() == b"\0" * 3_000_000 + b"end"
    assert (ours / "d/program").samefile(ours / "also")


def test_links_are_written_and_never_followed(tmp_path: Path) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "victim").mkdir()
    extract(rootfs([Lnk("a", "../victim"), Reg("b/x", "mine")]), folder)
    assert os.readlink(folder / "a") == "../victim"
    assert list((tmp_path / "victim").iterdir()) == []


def test_devices_and_setuid_bits_stay_out(tmp_path: Path) -> None:
    nodes = [Chr("dev/null", 1, 3), Reg("su", "x", mode=0o4755), Fifo("pipe")]
    extract(rootfs(nodes), tmp_path)
    assert not (tmp_path / "dev/null").exists()
    assert stat.S_IMODE((tmp_path / "su").stat().st_mode) == 0o755
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "su").write_text("there")
    with pytest.raises(CareenError, match=r"^/su: cannot be written to .*: File exists"):
        extract(rootfs([Reg("su", "x")]), tmp_path)
    assert (tmp_path / "su").read_text() == "there"


@ROOT_ONLY
def test_as_root_owners_and_setuid_bits_too(tmp_path: Path) -> None:
    tree = rootfs([Reg("su", "x", mode=0o4755), Reg("www", "y", uid=33, gid=34)])
    extract(tree, tmp_path, owned=True)
    assert stat.S_IMODE((tmp_path / "su").stat().st_mode) == 0o4755
    assert ((tmp_path / "www").stat().st_uid, (tmp_path / "www").stat().st_gid) == (33, 34)
    assert list(owners(tree)) == [("www", 33, 34)]


@pytest.mark.parametrize("path", ["etc/hosts", "etc/deep/er"])
def test_what_is_put_there_later_follows_no_link_out(path: str, tmp_path: Path) -> None:
    victim, root = tmp_path / "victim", tmp_path / "root"
    victim.mkdir()
    root.mkdir()
    extract(rootfs([Lnk("etc", str(victim)), Lnk("file", str(victim / "hosts"))]), root)
    with pytest.raises(CareenError, match="is no directory in the image"):
        put(root, path, b"x")
    with pytest.raises(CareenError), beneath(root, "etc"):
        pass
    put(root, "file", b"x")
    assert list(victim.iterdir()) == []
    assert not (root / "file").is_symlink()


@pytest.mark.parametrize("mtime", [2**62, -(2**62), 2**33])
def test_a_time_that_no_file_can_have_is_left_out(mtime: int, tmp_path: Path) -> None:
    nodes = [Dir("d", mtime=mtime), Reg("d/x", "x", mtime=mtime), Reg("y", "y", mtime=7)]
    extract(rootfs(nodes), tmp_path)
    assert (tmp_path / "d/x").read_text() == "x"
    assert (tmp_path / "y").stat().st_mtime == 7


def test_what_the_system_refuses_at_the_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(CareenError, match=r"^/x: cannot be written to .*: Operation not permitted"):
        extract(rootfs([Reg("x", "x")]), tmp_path)
