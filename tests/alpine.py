"""A real Alpine root, with its own `apk` as a judge of databases, and a program to run in it.

The archive is Alpine's own minirootfs. Whatever needs it is marked `NEEDED`.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import Dir, Reg, tar_layer
from tests.data import DATA

ARCHIVE = DATA / "apk/alpine-minirootfs-3.20.3-x86_64.tar.gz"
SYFT = Path(sys.executable).with_name("syft")
NEEDED = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"no Alpine root at {ARCHIVE}")

PROGRAM = """\
#include <stdio.h>
#include <unistd.h>
int main(void) { FILE *motd = fopen("/etc/greeting", "r"); char line[80];
  if (!motd || !fgets(line, sizeof line, motd)) return 1;
  printf("%s", line); return 0; }
"""


def unpack(folder: Path) -> Path:
    """The root's files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-C", folder, "-xzf", ARCHIVE], check=True)
    return folder


def layer() -> bytes:
    """The root as an image's first layer, uncompressed."""
    return gzip.decompress(ARCHIVE.read_bytes())


def application(folder: Path) -> bytes:
    """A layer with /usr/local/bin/greet, linked dynamically with musl, and the file it prints."""
    source, program = folder / "greet.c", folder / "greet"
    source.write_text(PROGRAM)
    subprocess.run(["musl-gcc", "-O", "-o", program, source], check=True)
    return tar_layer(
        [
            Dir("usr/local/bin"),
            Reg("usr/local/bin/greet", program.read_bytes(), mode=0o755),
            Reg("etc/greeting", "hello from musl\n"),
        ]
    )


def links(root: Path) -> dict[str, str]:
    """Each symlink below a root, by its path from there → its target as written."""
    found = (path for path in root.rglob("*") if path.is_symlink())
    return {str(path.relative_to(root)): str(path.readlink()) for path in found}


def inside(root: Path, *command: str, mounted: Path | None = None) -> str:
    """What a program of `root` prints when it runs there, with another root at /mnt if given."""
    mount = ["--bind", str(mounted), "/mnt"] if mounted is not None else []
    done = subprocess.run(
        ["bwrap", "--bind", str(root), "/", *mount, "--dev", "/dev", "--unshare-net", *command],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stderr}"
    return done.stdout


def apk(tools: Path, root: Path, *arguments: str) -> list[str]:
    """What the `apk` of the root `tools` says of another root, a line each."""
    command = ("/sbin/apk", "--root", "/mnt", "--no-network", *arguments)
    return inside(tools, *command, mounted=root).splitlines()


def syft(root: Path) -> set[tuple[str, str]]:
    """Name and version of each apk package that syft finds in a root."""
    done = subprocess.run(
        [SYFT, f"dir:{root}", "-o", "json", "-q", "--select-catalogers", "apk"],
        capture_output=True,
        check=True,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    found = json.loads(done.stdout)["artifacts"]
    return {(one["name"], one["version"]) for one in found if one["type"] == "apk"}


def copied(root: Path, folder: Path) -> Path:
    """A copy to work on."""
    return shutil.copytree(root, folder, symlinks=True)
