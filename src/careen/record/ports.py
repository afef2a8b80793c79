"""Which TCP ports are listened on, by the kernel's tables (proc(5), /proc/net/tcp)."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["listens"]

_LISTEN = "0A"  # a socket's state


def listens(port: int, pid: int | None = None) -> bool:
    """Whether something listens on the port, on any address, in the network that a process sees."""
    for family in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            rows = Path(f"/proc/{pid or 'self'}/net/{family}").read_text().splitlines()[1:]
            for row in rows:
                _, local, _, state, *_ = row.split()
                if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                    return True
    return False
