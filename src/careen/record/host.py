"""What the host offers: programs, namespaces, tracing; and what to do about what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

from careen.errors import CareenError

__all__ = ["RUNNERS", "choose_runner", "refused", "strace_version"]

RUNNERS = ("bubblewrap", "chroot", "none")
"""In the order in which they are tried; `none` runs nothing and says how to."""

_SECONDS = 20.0  # for a probe


def choose_runner(wanted: str) -> str:
    """`wanted`, or for "auto" the first runner that works here.

    CareenError, in one line, says of each runner that was tried why it does not work.
    """
    reasons = {}
    for runner in RUNNERS[:2] if wanted == "auto" else [wanted]:
        reasons[runner] = refused(runner)
        if not reasons[runner]:
            return runner
    tried = "; ".join(f"{runner}: {reason}" for runner, reason in reasons.items())
    raise CareenError(
        f"nothing here can run the image ({tried}); --runner none says how to run it elsewhere"
    )


def refused(runner: str) -> str:
    """Why a runner does not work here, with what to do; "" when it does."""
    if runner == "none":
        return ""
    if shutil.which("strace") is None:
        return "strace is not there; install it"
    if not _works([shutil.which("strace") or "strace", "-o", os.devnull, *_NOTHING]):
        return "tracing (ptrace) is not allowed here; in a container, allow SYS_PTRACE"
    return _no_bubblewrap() if runner == "bubblewrap" else _no_chroot()


def strace_version() -> str:
    """`strace 6.1`."""
    done = subprocess.run(["strace", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version ([\w.]+)", done.stdout)
    return f"strace {found[1]}" if found else "strace"


_NOTHING = (sys.executable, "-I", "-S", "-c", "")
_SANDBOX = ("--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--proc", "/proc")
_CHROOT = (sys.executable, "-I", "-S", "-c", "import os; os.chroot('/')")


def _no_bubblewrap() -> str:
    program = shutil.which("bwrap")
    if program is None:
        return "bwrap is not there; install bubblewrap"
    if shutil.which("nsenter") is None:
        return "nsenter is not there; install util-linux"
    own = () if os.geteuid() == 0 else ("--unshare-user",)
    if not _works([program, *own, *_SANDBOX, "--", *_NOTHING]):
        return (
            "namespaces are not allowed here; see the sysctls user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns, in a container its seccomp profile"
        )
    return ""


def _no_chroot() -> str:
    if os.geteuid() != 0:
        return "only root may chroot; run careen as root"
    return "" if _works(_CHROOT) else "root has no CAP_SYS_CHROOT here; in a container, add it"


@cache
def _tried(argv: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _works(argv: Sequence[str]) -> bool:
    return _tried(tuple(argv))
