"""Squashing the real images changes nothing but the number of layers: umoci's tree is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.build import build

from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, differences, hard_links, snapshot, umoci_unpack

pytestmark = [pytest.mark.e2e, ROOT_ONLY]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("redis", []),
        ("nginx", ["--compression", "zstd"]),
        ("flask", ["--compression", "gzip:portable", "--jobs", "1"]),
    ],
)
def test_umoci_unpacks_the_same_tree(name: str, options: list[str], tmp_path: Path) -> None:
    image = build(name)
    target = tmp_path / "layout"
    done = careen("squash", str(image), f"oci:{target}:x", "--quiet", *options)
    assert done.returncode == 0, done.stderr
    if "zstd" in options:  # Debian's umoci does not read zstd
        done = careen("squash", f"oci:{target}:x", f"oci:{target}:x", "--quiet")
        assert done.returncode == 0, done.stderr
    before = umoci_unpack(image.layout, image.ref, tmp_path / "before")
    after = umoci_unpack(target, "x", tmp_path / "after")
    assert differences(snapshot(before), snapshot(after)) == []
    assert hard_links(before) == hard_links(after)
