"""Independent programs as judges: what umoci unpacks, as a tree that can be compared."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="umoci keeps owners only as root")


def needs(program: str) -> pytest.MarkDecorator:
    """A test that is skipped, with this reason, where a judge is not installed."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not installed (make system)"
    )


@dataclass(frozen=True)
class Found:
    """What lstat and friends say of one path."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    device: int
    target: bytes
    content: str
    xattrs: tuple[tuple[str, bytes], ...]


Snapshot = dict[bytes, Found]


def umoci_unpack(layout: Path, tag: str, bundle: Path) -> Path:
    """The image's root file system as umoci unpacks it."""
    done = subprocess.run(
        ["umoci", "unpack", "--image", f"{layout}:{tag}", str(bundle)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return bundle / "rootfs"


def traced(root: Path, *command: str) -> tuple[str, list[str]]:
    """What a program of `root` prints, and the files that it opened, by strace."""
    trace = root.with_suffix(".trace")
    tracer = ["strace", "-f", "-e", "trace=execve,openat", "-o", str(trace), "--"]
    done = subprocess.run(
        [*tracer, "bwrap", "--bind", str(root), "/", "--dev", "/dev", *command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().partition(f'execve("{command[0]}"')[2].splitlines()
    return done.stdout, [
        line.split('"')[1] for line in lines if re.search("openat.* = [0-9]", line)
    ]


def snapshot(root: Path) -> Snapshot:
    """Every path below `root`, the root itself as b"."."""
    base = os.fsencode(root)
    return {os.path.relpath(path, base): _found(path) for path in _walk(base)}


def hard_links(root: Path) -> set[frozenset[bytes]]:
    """The groups of paths that share an inode."""
    base, groups = os.fsencode(root), dict[int, set[bytes]]()
    for path in _walk(base):
        status = os.lstat(path)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            groups.setdefault(status.st_ino, set()).add(os.path.relpath(path, base))
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def differences(
    one: Snapshot, other: Snapshot, *, ignore_mtime: frozenset[bytes] = frozenset()
) -> list[str]:
    """One line a difference, [] for equal trees."""
    lines = [f"only in the first: {path!r}" for path in sorted(one.keys() - other.keys())]
    lines += [f"only in the second: {path!r}" for path in sorted(other.keys() - one.keys())]
    for path in sorted(one.keys() & other.keys()):
        for name in Found.__dataclass_fields__:
            a, b = getattr(one[path], name), getattr(other[path], name)
            if a != b and not (name == "mtime" and path in ignore_mtime):
                lines.append(f"{path!r}: {name} {a!r} != {b!r}")
    return lines


def _walk(base: bytes) -> Iterator[bytes]:
    yield base
    for folder, folders, files in os.walk(base):
        for name in (*folders, *files):
            yield os.path.join(folder, name)


def _found(path: bytes) -> Found:
    status = os.lstat(path)
    kind = stat.filemode(status.st_mode)[0]
    return Found(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode) if kind != "l" else 0,
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        device=status.st_rdev,
        target=os.readlink(path) if kind == "l" else b"",
        content=hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
        if kind == "-"
        else "",
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
    )
