"""The loader's cache of hardened Debian images, judged by ldconfig and the image's own loader."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.hardened import Hardened
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
PROGRAMS = {"redis": "usr/bin/redis-check-rdb", "flask": "usr/bin/python3.11"}
LOADER = "/lib64/ld-linux-x86-64.so.2"
CACHE = "etc/ld.so.cache"


@pytest.fixture(params=PROGRAMS)
def image(request: pytest.FixtureRequest, hardened: Callable[[str], Hardened]) -> Hardened:
    return hardened(request.param)


def printed(cache: Path) -> list[str]:
    """What `ldconfig -p` says is in a cache, its title aside."""
    argv = ["ldconfig", "-p", "-C", str(cache)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[1:]


def test_ldconfig_prints_the_sources_lines_less_those_of_what_went(image: Hardened) -> None:
    before, after = image.before / "rootfs", image.after / "rootfs"
    gone = {f"/{path.decode()}" for path in image.dropped()}
    lines = {line: line.partition(" => ")[2] for line in printed(before / CACHE)}
    there = {path: path.replace("/lib/", "/usr/lib/", 1) for path in lines.values()}
    left = [line for line, path in lines.items() if not {path, there[path]} & gone]
    assert printed(after / CACHE) == left
    assert 10 < len(left) < len(lines)


def test_it_is_what_ldconfig_would_write_in_the_hardened_root(
    image: Hardened, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    # not by Python, which would read the devices that umoci made
    subprocess.run(["cp", "-a", image.after / "rootfs", root], check=True)
    argv = ["ldconfig", "-X", "-r", str(root), "-C", "/etc/rewritten"]
    subprocess.run(argv, check=True, capture_output=True)
    assert (root / "etc/rewritten").read_bytes() == (root / CACHE).read_bytes()


def test_the_images_loader_finds_its_libraries_there(image: Hardened) -> None:
    root = image.after / "rootfs"
    done = subprocess.run(
        [
            *("bwrap", "--ro-bind", str(root), "/", "--clearenv", "--setenv", "LD_DEBUG", "libs"),
            *(LOADER, "--list", f"/{PROGRAMS[image.name]}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "not found" not in done.stdout
    tried = re.findall(r"trying file=(\S+)", done.stderr)
    assert done.stderr.count("search cache=/etc/ld.so.cache") >= len(tried) >= 1
    assert [path for path in tried if not (root / path.lstrip("/")).exists()] == []
