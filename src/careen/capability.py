"""File capabilities: the `security.capability` xattr as `getcap` would print it.

struct vfs_cap_data and the numbers: linux/include/uapi/linux/capability.h; the text form:
cap_from_text(3).
"""

from __future__ import annotations

import struct

__all__ = ["XATTR", "text"]

XATTR = "security.capability"

_EFFECTIVE = 1
_WORDS = {1: 1, 2: 2, 3: 2}  # revision → 32-bit words of each set
_NAMES = (  # by number
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip


def text(raw: bytes) -> str:
    """`cap_net_raw=ep`; a value that the kernel would not take is said to be `not readable`."""
    if len(raw) < 4:
        return "not readable"
    (magic,) = struct.unpack_from("<I", raw)
    revision = magic >> 24
    words = _WORDS.get(revision)
    size = 4 + 8 * (words or 0) + (4 if revision == 3 else 0)
    if words is None or len(raw) != size:
        return "not readable"
    values = struct.unpack_from(f"<{2 * words}I", raw, 4)
    permitted, inheritable = (
        sum(word << 32 * i for i, word in enumerate(values[first::2])) for first in (0, 1)
    )
    clauses = _clauses(permitted, inheritable, bool(magic & _EFFECTIVE))
    if revision == 3:
        clauses += f" [rootid={struct.unpack_from('<I', raw, size - 4)[0]}]"
    return clauses


def _clauses(permitted: int, inheritable: int, effective: bool) -> str:
    groups: dict[str, list[str]] = {}
    for number in range((permitted | inheritable).bit_length()):
        is_inheritable, is_permitted = inheritable >> number & 1, permitted >> number & 1
        if is_inheritable or is_permitted:
            flags = "e" * effective + "i" * is_inheritable + "p" * is_permitted
            groups.setdefault(flags, []).append(_name(number))
    return " ".join(f"{','.join(names)}={flags}" for flags, names in groups.items()) or "="


def _name(number: int) -> str:
    return f"cap_{_NAMES[number]}" if number < len(_NAMES) else str(number)
