"""File capabilities, with getcap as the judge."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from careen import capability

NET_RAW, SETUID, CHECKPOINT = 1 << 13, 1 << 7, 1 << 40 - 32

TEXTS = [
    (struct.pack("<III", 0x01000001, NET_RAW, 0), "cap_net_raw=ep"),
    (struct.pack("<5I", 0x02000000, NET_RAW, 0, 0, 0), "cap_net_raw=p"),
    (struct.pack("<5I", 0x02000001, NET_RAW, NET_RAW, 0, 0), "cap_net_raw=eip"),
    (struct.pack("<5I", 0x02000001, SETUID | NET_RAW, 0, CHECKPOINT, 0),
     "cap_setuid,cap_net_raw,cap_checkpoint_restore=ep"),
    (struct.pack("<5I", 0x02000000, NET_RAW, SETUID, 0, 0), "cap_setuid=i cap_net_raw=p"),
    (struct.pack("<6I", 0x03000001, NET_RAW, 0, 0, 0, 1000), "cap_net_raw=ep [rootid=1000]"),
    (struct.pack("<5I", 0x02000001, 0, 0, 1 << 31, 0), "63=ep"),
    (struct.pack("<5I", 0x02000001, 0, 0, 0, 0), "="),
    (b"", "not readable"),
    (b"\x01\x00\x00\x02", "not readable"),
    (struct.pack("<5I", 0x04000001, 0, 0, 0, 0), "not readable"),
    (struct.pack("<6I", 0x02000001, 0, 0, 0, 0, 0), "not readable"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text"), TEXTS)
def test_text(raw: bytes, text: str) -> None:
    assert capability.text(raw) == text


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setcap"), reason="needs root and libcap2-bin"
)
@pytest.mark.parametrize(
    "text",
    [
        "cap_net_raw=ep",
        "cap_net_bind_service,cap_net_raw=ep",
        "cap_chown,cap_checkpoint_restore=p",
        "cap_setuid=i",
        "cap_sys_admin=eip",
    ],
)
def test_as_getcap_prints_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "program"
    file.touch()
    subprocess.run(["setcap", text, file], check=True, capture_output=True)
    judged = subprocess.run(["getcap", file], check=True, capture_output=True, text=True).stdout
    assert capability.text(os.getxattr(file, capability.XATTR)) == judged.split()[1] == text
