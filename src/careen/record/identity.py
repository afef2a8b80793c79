"""Whom the application runs as, and what an ordinary user can give it of other users.

A user namespace maps ids of the image to ids of the host. With a range of subordinate ids
(subuid(5), newuidmap(1)) an image that starts as root can switch to others; without one it has a
single id, and strace answers its calls to switch as if they had worked.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from careen.errors import CareenError
from careen.record.invocation import Invocation

__all__ = ["ANSWERED", "Identity", "choose", "map_ids"]

ANSWERED = (
    *("setuid", "setgid", "setgroups", "setresuid", "setresgid", "setreuid", "setregid"),
    *("chown", "fchown", "lchown", "fchownat"),
)
"""The calls that strace answers with success where there is a single id."""

_IDS = 65536  # of an image: what runtimes map
_FILES = ("/etc/subuid", "/etc/subgid")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """`real`: root of the host, and every id is itself. `mapped`: root and a range of others.

    `single`: one id, `uid` and `gid` in the image. `uids` and `gids` are the first subordinate ids.
    """

    kind: Literal["real", "mapped", "single"]
    uid: int
    gid: int
    uids: int = 0
    gids: int = 0

    @property
    def answered(self) -> tuple[str, ...]:
        """What strace answers: only who starts as root, and has no other ids, would fail."""
        return ANSWERED if self.kind == "single" and self.uid == 0 else ()


def choose(process: Invocation) -> Identity:
    """The best that this user can do for the process.

    One that starts as another than root gets that id alone: it may not switch anyway.
    """
    if process.uid != 0:
        return Identity(kind="single", uid=process.uid, gid=process.gid)
    if os.geteuid() == 0:
        return Identity(kind="real", uid=0, gid=process.gid)
    uids, gids = (_subordinate(file) for file in _FILES)
    if uids and gids and shutil.which("newuidmap") and shutil.which("newgidmap"):
        return Identity(kind="mapped", uid=0, gid=process.gid, uids=uids, gids=gids)
    return Identity(kind="single", uid=0, gid=process.gid)


def map_ids(identity: Identity, pid: int) -> None:
    """Give the new user namespace of `pid` its ids; CareenError when newuidmap refuses."""
    for program, own, first in (
        ("newuidmap", os.geteuid(), identity.uids),
        ("newgidmap", os.getegid(), identity.gids),
    ):
        ids = ["0", str(own), "1", "1", str(first), str(_IDS - 1)]
        done = subprocess.run([program, str(pid), *ids], capture_output=True, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            raise CareenError(f"{program} refuses the ids of {_FILES[0]}: {reason}")


def _subordinate(file: str) -> int:
    """The first of a range of enough ids that belongs to this user; 0 for none."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    mine = _names()
    for line in lines:
        who, _, span = line.partition(":")
        first, _, count = span.partition(":")
        if who in mine and first.isdigit() and count.isdigit() and int(count) >= _IDS - 1:
            return int(first)
    return 0


def _names() -> Iterable[str]:
    """How the tables may call this user; newuidmap refuses one who has no name."""
    uid = os.geteuid()
    try:
        return (str(uid), pwd.getpwuid(uid).pw_name)
    except KeyError:
        return ()
