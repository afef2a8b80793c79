"""A folder goes with all that a program made in it, and nothing beside it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from careen.erase import erase


def test_all_kinds_and_shut_folders(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir(0o755)
    (outside / "file").write_bytes(b"x")
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/b/c/file").write_bytes(b"x")
    (root / ".careen-0").mkdir()
    (root / "a/to-outside").symlink_to(outside)
    (root / "a/link").symlink_to(outside / "file")
    os.link(outside / "file", root / "a/hard")
    os.mkfifo(root / "a/b/fifo")
    (root / "a/b").chmod(0)
    erase(root)
    assert not root.exists()
    assert (outside / "file").read_bytes() == b"x"
    assert outside.stat().st_mode & 0o777 == 0o755


def test_deeper_than_any_path_or_recursion(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("folder", dir_fd=here)
        deeper = os.open("folder", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    erase(root)
    assert not root.exists()


def test_a_link_in_its_place_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    erase(tmp_path / "link")
    erase(tmp_path / "nothing")
    assert (tmp_path / "there").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_is_mounted_there_is_not_entered(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "mount").mkdir(parents=True)
    (root / "file").write_bytes(b"x")
    mount = ["mount", "-t", "tmpfs", "none", str(root / "mount")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounts are not allowed here")
    try:
        (root / "mount/file").write_bytes(b"x")
        erase(root)
        assert (root / "mount/file").read_bytes() == b"x"
        assert not (root / "file").exists()
    finally:
        subprocess.run(["umount", str(root / "mount")], check=True)
