"""A scratch copy of an image's files to run in, owned as its application expects, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from careen import erase as erasing
from careen.errors import CareenError
from careen.record.identity import Identity, map_ids
from careen.rootfs.extract import beneath, extract, owners, put
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.rootfs import Rootfs

__all__ = ["room"]

_HOSTS = "127.0.0.1\tlocalhost careen\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_DEVICES = {"full": 7, "null": 3, "random": 8, "urandom": 9, "zero": 5}  # minors of major 1
_OWN = """\
import json, os, sys
root, rows = sys.argv[1].encode(), json.load(sys.stdin)
for path, uid, gid in rows:
    os.chown(os.path.join(root, path.encode("utf-8", "surrogateescape")), uid, gid,
             follow_symlinks=False)
"""


@contextlib.contextmanager
def room(
    rootfs: Rootfs, folder: Path, identity: Identity, *, devices: bool = False
) -> Iterator[Path]:
    """The image's tree in a new folder below `folder`, with the runtime's own files; then gone.

    `devices`: /dev is to be made, as a chroot has none of its own.
    """
    root = folder / "root"
    root.mkdir()
    try:
        extract(rootfs, root, owned=identity.kind == "real")
        if identity.kind == "mapped":
            rows = [(path, uid, gid) for path, uid, gid in owners(rootfs) if _fits(uid, gid)]
            _mapped(identity, _OWN, root, json.dumps(rows))
        _runtimes_own(rootfs, root)
        if devices:
            _make_devices(root)
        yield root
    finally:
        _remove(root, identity)


def _fits(uid: int, gid: int) -> bool:
    return uid < 1 << 16 and gid < 1 << 16


def _runtimes_own(rootfs: Rootfs, root: Path) -> None:
    """/etc/resolv.conf and /etc/hosts, as a container runtime would put them there."""
    with contextlib.suppress(OSError):
        _put(rootfs, root, "/etc/resolv.conf", Path("/etc/resolv.conf").read_bytes())
    _put(rootfs, root, "/etc/hosts", _HOSTS.encode())


def _put(rootfs: Rootfs, root: Path, name: str, content: bytes) -> None:
    """Write at the place that the name has in the image; where it leads nowhere, do nothing."""
    place = rootfs.resolve(name).path
    if place is None and ImagePath(name[1:]) not in rootfs:
        etc = rootfs.nodes.get(ImagePath("etc"))
        place = ImagePath(name[1:]) if etc is not None and etc.kind == "directory" else None
    if place is not None and (place not in rootfs or rootfs.nodes[place].kind == "file"):
        put(root, place, content)


def _make_devices(root: Path) -> None:
    """The devices that every program expects; empty files where even root may make none."""
    with beneath(root, "dev") as folder:
        for name, minor in _DEVICES.items():
            with contextlib.suppress(FileExistsError):
                try:
                    os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, minor), dir_fd=folder)
                    os.chmod(name, 0o666, dir_fd=folder)  # noqa: S103  # whatever the umask
                except PermissionError:
                    put(root, f"dev/{name}", b"", 0o666)
    for name in ("stdout", "stderr"):  # files, as there is no /proc to lead to the descriptors
        put(root, f"dev/{name}", b"", 0o666)


def _mapped(identity: Identity, script: str, root: Path, rows: str = "") -> None:
    """Run a script in a user namespace with the image's ids; CareenError when it fails."""
    info_read, info_write = os.pipe()
    block_read, block_write = os.pipe()
    launcher = [
        *("bwrap", "--bind", "/", "/", "--dev", "/dev", "--unshare-user", "--cap-add", "ALL"),
        *("--info-fd", str(info_write), "--userns-block-fd", str(block_read), "--"),
    ]
    process = subprocess.Popen(
        [*launcher, sys.executable, "-I", "-S", "-c", script, str(root)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[info_write, block_read],
    )
    os.close(info_write)
    os.close(block_read)
    try:
        with open(info_read, "rb") as info:
            told = info.read()
        map_ids(identity, int(json.loads(told)["child-pid"]))
    except (ValueError, KeyError):
        raise CareenError("bubblewrap cannot make a user namespace here") from None
    finally:
        os.close(block_write)
        _, problem = process.communicate(rows.encode())
    if process.returncode:
        raise CareenError(f"the image's owners cannot be set: {problem.decode(errors='replace')}")


def _remove(root: Path, identity: Identity) -> None:
    """Delete all of it, what the application made as another user too."""
    if identity.kind == "mapped":
        with contextlib.suppress(CareenError):
            _mapped(identity, Path(erasing.__file__).read_text(), root)
    erasing.erase(root)
