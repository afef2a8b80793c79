"""Scratch folders come and go, also after a kill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from careen.errors import CareenError
from careen.scratch import scratch


def old(folder: Path) -> Path:
    folder.mkdir()
    (folder / "spool").write_bytes(b"x")
    os.utime(folder, (0, 0))
    return folder


def test_gone_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        (folder / "x").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), scratch(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_killed_runs_folder_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    stale = old(tmp_path / "careen-scratch-dead")
    with scratch(tmp_path) as alive:
        os.utime(alive, (0, 0))
        assert not stale.exists()
        with scratch(tmp_path):
            assert alive.exists()


def test_other_things_stay(tmp_path: Path) -> None:
    young = tmp_path / "careen-scratch-young"
    young.mkdir()
    other = old(tmp_path / "careen-other")
    (tmp_path / "target").mkdir()
    (tmp_path / "careen-scratch-link").symlink_to("target")
    with scratch(tmp_path):
        pass
    assert young.exists()
    assert other.exists()
    assert (tmp_path / "target").exists()


def test_no_such_place(tmp_path: Path) -> None:
    with pytest.raises(CareenError, match="no scratch space"), scratch(tmp_path / "nowhere"):
        pass
