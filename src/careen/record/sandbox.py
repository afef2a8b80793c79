"""The command lines that start a process in an image's files: in namespaces, or in a chroot.

strace stands before them. What a launcher does is not use: recording begins at the execution that
follows it (`LAUNCHES` executions after strace's own start).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from careen.profile.strace import CALLS
from careen.record.identity import Identity
from careen.record.invocation import HOSTNAME, Invocation

__all__ = ["LAUNCHES", "Sandbox", "entering", "joining", "starting", "tracing"]

LAUNCHES = 1
"""How often a launcher executes before the application does: bwrap, the chroot's, or nsenter."""

_MEMORY = ("/tmp", "/run", "/var/tmp")  # noqa: S108  # what stays writable in a read-only image
_CAPABILITIES = {
    "AUDIT_WRITE": 29,
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SETFCAP": 31,
    "SETGID": 6,
    "SETPCAP": 8,
    "SETUID": 7,
    "SYS_CHROOT": 18,
}
"""What the host's root keeps in an image, as runtimes have it; without MKNOD, as podman.

With all of them the program could mount, and load modules, on the host (capabilities(7)).
"""

_SETTING_UP = """\
import ctypes, json, os, sys, warnings  # the last is what execvpe imports, when out of reach
s = json.loads(sys.argv[1])
for capability in set(range(64)) - set(s["capabilities"]):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.chroot(s["root"])
os.chdir(s["cwd"])
os.setgroups(s["groups"])
os.setgid(s["gid"])
os.setuid(s["uid"])
if s["info"] >= 0:
    os.write(s["info"], json.dumps({"child-pid": os.getpid()}).encode())
    os.close(s["info"])
try:
    os.execvpe(s["argv"][0], s["argv"], s["env"])
except OSError as error:
    sys.exit(f"{s['argv'][0]}: {error.strerror}")
"""


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """An image's files at `root`, and how a process runs in them."""

    root: Path
    process: Invocation
    identity: Identity
    runner: Literal["bubblewrap", "chroot"]
    private_network: bool = True
    read_only: bool = False


def tracing(log: Path, answered: Sequence[str] = ()) -> list[str]:
    """strace, up to the program that it starts. Calls in `answered` succeed without being made."""
    calls = ",".join([CALLS, *answered])
    answers = ["-e", f"inject={','.join(answered)}:retval=0"] if answered else []
    return [
        *("strace", "-f", "-yy", "-s", "4096", "--seccomp-bpf", "--pidns-translation"),
        *("-e", f"trace={calls}"),
        *(*answers, "-e", "signal=none", "-q", "-o", str(log), "--"),
    ]


def starting(sandbox: Sandbox, *, info: int, block: int) -> list[str]:
    """The launcher and the application. It tells its pid at the descriptor `info`.

    With mapped ids it waits until `block` can be read, when the ids are there.
    """
    if sandbox.runner == "chroot":
        return _chrooted(sandbox, sandbox.process.argv, info)
    wait = ("--userns-block-fd", str(block)) if sandbox.identity.kind == "mapped" else ()
    process = sandbox.process
    return [
        *("bwrap", *_files(sandbox)),
        *("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"),
        *(("--unshare-net",) if sandbox.private_network else ()),
        *(*_identity(sandbox.identity), "--hostname", HOSTNAME, *wait),
        *("--die-with-parent", "--new-session", "--as-pid-1", "--info-fd", str(info)),
        *("--clearenv", *(word for pair in process.env.items() for word in ("--setenv", *pair))),
        *("--chdir", process.cwd, "--", *process.argv),
    ]


def entering(sandbox: Sandbox, pid: int, owner: int, argv: Sequence[str]) -> list[str]:
    """The launcher of another program beside the application, which has the pid `pid`.

    `owner` is a descriptor of the user namespace that owns the others. Where the image's id is
    not 0, the program runs as that namespace's root, which is the same user of the host.
    """
    if sandbox.runner == "chroot":
        return _chrooted(sandbox, argv, -1)
    return [*_nsenter(sandbox, pid, owner), "-m", "-u", "-i", "-p", "-r", "-w", "--", *argv]


def joining(sandbox: Sandbox, pid: int, owner: int) -> list[str]:
    """What stands before a program of the host that is to see the application's network."""
    if sandbox.runner == "chroot" or not sandbox.private_network:
        return []
    return [*_nsenter(sandbox, pid, owner), "--"]


def _nsenter(sandbox: Sandbox, pid: int, owner: int) -> list[str]:
    user = [f"--user=/proc/self/fd/{owner}", "--preserve-credentials"]
    real = sandbox.identity.kind == "real"
    network = ["-n"] if sandbox.private_network else []
    return ["nsenter", *([] if real else user), *network, "-t", str(pid)]


def _files(sandbox: Sandbox) -> list[str]:
    words = ["--ro-bind" if sandbox.read_only else "--bind", str(sandbox.root), "/"]
    if sandbox.read_only:
        for folder in _MEMORY:
            if (sandbox.root / folder[1:]).is_dir():
                words += ["--tmpfs", folder]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for volume in sandbox.process.volumes:
        words += ["--ro-bind" if volume.read_only else "--bind", volume.host, volume.inside]
    return words


def _identity(identity: Identity) -> Sequence[str]:
    if identity.kind == "real":
        names = [f"CAP_{name}" for name in _CAPABILITIES]
        return ("--cap-drop", "ALL", *(word for name in names for word in ("--cap-add", name)))
    if identity.kind == "mapped":
        return ("--unshare-user", "--cap-add", "ALL")
    words = ("--unshare-user", "--uid", str(identity.uid), "--gid", str(identity.gid))
    return (*words, "--cap-add", "ALL") if identity.uid == 0 else words


def _chrooted(sandbox: Sandbox, argv: Sequence[str], info: int) -> list[str]:
    process = sandbox.process
    settings = {
        "root": os.fspath(sandbox.root),
        "cwd": process.cwd,
        "uid": process.uid,
        "gid": process.gid,
        "groups": process.groups,
        "capabilities": list(_CAPABILITIES.values()),
        "argv": list(argv),
        "env": dict(process.env),
        "info": info,
    }
    return [sys.executable, "-I", "-S", "-c", _SETTING_UP, json.dumps(settings)]
