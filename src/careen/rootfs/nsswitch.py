"""nsswitch.conf(5): which services glibc asks for users, hosts and the like, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping

from careen.rootfs import etc
from careen.rootfs.rootfs import Rootfs

__all__ = ["DEFAULTS", "FILE", "read"]

FILE = "/etc/nsswitch.conf"
_CEILING = 64 << 10  # bytes; such a file has some hundred
_ACTION = re.compile(r"\[[^\]]*(\]|$)")  # `[NOTFOUND=return]`: what to do then, no service

_OTHERS = (
    *("aliases", "ethers", "group", "group_compat", "gshadow", "initgroups", "netgroup"),
    *("networks", "passwd", "passwd_compat", "protocols", "publickey", "rpc", "services"),
    *("shadow", "shadow_compat"),
)
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "hosts": ("files", "dns"),
    **dict.fromkeys(_OTHERS, ("files",)),
}
"""Every database that glibc asks, and the services it has compiled in for one not configured."""


def read(rootfs: Rootfs) -> dict[str, tuple[str, ...]]:
    """Database → the services that /etc/nsswitch.conf names for it; {} without such a file.

    Of a database that stands twice, all; databases of other programs (`sudoers`) count as well.
    """
    found: dict[str, dict[str, None]] = {}
    for line in etc.lines(rootfs, FILE, ceiling=_CEILING):
        database, colon, services = line.partition("#")[0].partition(":")
        if colon:
            words = dict.fromkeys(_ACTION.sub(" ", services).split())
            found.setdefault(database.strip(), {}).update(words)
    return {database: tuple(words) for database, words in found.items()}
