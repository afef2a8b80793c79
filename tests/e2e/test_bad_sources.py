"""A bad source: one clear line, the contract's exit code, and nothing at the destination."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from tests.builders import Dir, Reg, digest, image_layout, put, tar_layer
from tests.e2e.hardened import PROFILES, careen

pytestmark = pytest.mark.e2e
PROFILE = str(PROFILES / "redis.yaml")


def refused(*arguments: str, code: int, target: Path) -> str:
    """The one line that careen prints; asserts that nothing else happened."""
    done = careen(*arguments, "--quiet")
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("careen: ")
    assert "Traceback" not in done.stderr
    assert not target.exists()
    return done.stderr


def small(folder: Path, **changes: Any) -> Path:
    """A two-layer image with every kind of blob."""
    layers = [tar_layer([Dir("etc"), Reg("etc/a", b"a" * 5000)]), tar_layer([Reg("b", b"b")])]
    image_layout(folder, layers, tag="x", **changes)
    return folder


def blobs(layout: Path) -> list[Path]:
    return sorted((layout / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_a_flipped_byte_in_any_blob(tmp_path: Path, number: int, place: float) -> None:
    layout = small(tmp_path / "source")
    path = blobs(layout)[number]
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x40
    path.write_bytes(data)
    target = tmp_path / "target"
    line = refused("squash", f"oci:{layout}:x", f"oci:{target}:x", code=4, target=target)
    digest = hashlib.sha256(data).hexdigest()
    assert f"blob sha256:{path.name} has digest sha256:{digest}" in line


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_blob_of_another_size(tmp_path: Path, number: int, change: Any) -> None:
    layout = small(tmp_path / "source")
    path = blobs(layout)[number]
    path.write_bytes(change(path.read_bytes()))
    target = tmp_path / "target"
    line = refused("squash", f"oci:{layout}:x", f"oci:{target}:x", code=4, target=target)
    assert "its descriptor says" in line


def test_every_real_blob_is_checked(tmp_path: Path) -> None:
    image = build("redis")
    for path in blobs(image.layout):
        layout = tmp_path / "source"
        shutil.copytree(image.layout, layout, copy_function=shutil.copy2)
        damaged = layout / path.relative_to(image.layout)
        with damaged.open("r+b") as file:
            file.seek(damaged.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        target = tmp_path / "target"
        arguments = ["harden", f"oci:{layout}:7", f"oci:{target}:x", "--profile", PROFILE]
        assert f"blob sha256:{path.name} has digest" in refused(*arguments, code=4, target=target)
        shutil.rmtree(layout)


def test_a_truncated_layer_under_a_matching_digest(tmp_path: Path) -> None:
    """Whoever made the image stored half a layer: every digest is right, the gzip ends early."""
    layout = tmp_path / "source"
    raw = tar_layer([Reg("a", b"a" * 100_000)])
    half = gzip.compress(raw, mtime=0)[:-20]
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put(layout, half)}
    image_layout(layout, [raw], tag="x", change_manifest={"layers": [layer]})
    target = tmp_path / "target"
    line = refused("squash", f"oci:{layout}:x", f"oci:{target}:x", code=4, target=target)
    assert "layers[0]" in line


def test_a_wrong_diff_id(tmp_path: Path) -> None:
    wrong = {"type": "layers", "diff_ids": [digest(b"one"), digest(b"other")]}
    layout = small(tmp_path / "source", change_config={"rootfs": wrong})
    target = tmp_path / "target"
    line = refused("squash", f"oci:{layout}:x", f"oci:{target}:x", code=4, target=target)
    assert "diff_id" in line


def test_a_missing_profile(tmp_path: Path) -> None:
    target = tmp_path / "target"
    arguments = ["harden", str(build("redis")), f"oci:{target}:x", "--profile", "nowhere.yaml"]
    assert "nowhere.yaml" in refused(*arguments, code=4, target=target)


def test_a_profile_with_a_misspelt_key(tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("schema: careen.profile/v1\nscenarios:\n- name: a\n  open: [/bin/x]\n")
    target = tmp_path / "target"
    arguments = ["harden", str(build("redis")), f"oci:{target}:x", "--profile", str(profile)]
    line = refused(*arguments, code=4, target=target)
    assert "scenarios[0]" in line
    assert "opened" in line


def test_a_registry_that_is_not_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    line = refused("squash", "docker://127.0.0.1:9/a:b", f"oci:{target}:x", code=5, target=target)
    assert "127.0.0.1:9" in line


def test_a_destination_registry_that_is_not_there(tmp_path: Path) -> None:
    layout = small(tmp_path / "source")
    nothing = tmp_path / "nothing"
    line = refused("squash", f"oci:{layout}:x", "127.0.0.1:9/a:b", code=5, target=nothing)
    assert "127.0.0.1:9" in line


def test_a_layout_without_the_tag_lists_what_there_is(tmp_path: Path) -> None:
    layout = small(tmp_path / "source")
    target = tmp_path / "target"
    line = refused("squash", f"oci:{layout}:y", f"oci:{target}:x", code=4, target=target)
    assert "there are: x" in line


def test_a_plan_for_another_image(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    done = careen("plan", str(build("redis")), "--profile", PROFILE, "-o", str(plan), "--quiet")
    assert done.returncode == 0, done.stderr
    target = tmp_path / "target"
    arguments = ["harden", str(build("nginx")), f"oci:{target}:x", "--plan", str(plan)]
    line = refused(*arguments, code=4, target=target)
    assert json.loads(plan.read_bytes())["source"]["digest"] in line


def test_stopped_by_a_signal_leaves_nothing(tmp_path: Path) -> None:
    import os
    import signal
    import subprocess
    import time

    from tests.e2e.hardened import CAREEN

    scratch, target = tmp_path / "scratch", tmp_path / "target"
    scratch.mkdir()
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [CAREEN, "harden", str(build("flask")), f"oci:{target}:x", "--profile", PROFILE],
            env=dict(os.environ) | {"TMPDIR": str(scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not any(scratch.iterdir()) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(60) == code
        assert list(scratch.iterdir()) == []
        assert not target.exists()


def test_a_source_is_never_its_own_destination(tmp_path: Path) -> None:
    layout = small(tmp_path / "source")
    before = (layout / "index.json").read_bytes()
    source = f"oci:{layout}:x"
    line = refused("harden", source, source, "--profile", PROFILE, code=2, target=tmp_path / "no")
    assert "the source itself" in line
    assert (layout / "index.json").read_bytes() == before


def test_an_archive_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    layout = small(tmp_path / "source")
    target = tmp_path / "no"
    arguments = ["squash", f"oci:{layout}:x", f"oci-archive:{target}/a.tar:x"]
    assert "no such folder" in refused(*arguments, code=2, target=target)
