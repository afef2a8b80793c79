"""pam.d files, line by line."""

from __future__ import annotations

import pytest

from careen.errors import FormatError
from careen.rootfs import pam
from careen.rootfs.pam import Pam
from careen.rootfs.path import Path
from tests.builders import Dir, Lnk, Reg
from tests.rootfs.hand_made import rootfs

ROWS = {
    "auth required pam_unix.so nullok": Pam(modules={"pam_unix.so": ()}),
    "-session optional pam_systemd.so": Pam(modules={"pam_systemd.so": ()}),
    "AUTH\tsufficient\t/lib/security/pam_own.so": Pam(modules={"/lib/security/pam_own.so": ()}),
    "auth [success=1 default=ignore] pam_unix.so": Pam(modules={"pam_unix.so": ()}),
    r"auth [a=1 \] b=2] pam_unix.so": Pam(modules={"pam_unix.so": ()}),
    "auth [never=closed pam_unix.so": Pam(),
    "@include common-auth": Pam(includes=("common-auth",)),
    "auth include system-auth\nauth substack other": Pam(includes=("system-auth", "other")),
    "session required pam_env.so envfile=/etc/default/locale readenv=1": Pam(
        modules={"pam_env.so": ("/etc/default/locale",)}
    ),
    "session optional pam_exec.so [/opt/a b] /opt/c": Pam(
        modules={"pam_exec.so": ("/opt/a b", "/opt/c")}
    ),
    "auth required \\\n  pam_unix.so \\\n  use_first_pass": Pam(modules={"pam_unix.so": ()}),
    "# auth required pam_a.so \\\nauth required pam_b.so # pam_c.so": Pam(modules={"pam_b.so": ()}),
    "auth required": Pam(),
    "nonsense required pam_unix.so": Pam(),
}


@pytest.mark.parametrize("text", ROWS)
def test_a_line(text: str) -> None:
    found = pam.read(rootfs([Reg("etc/pam.d/su", text)]))
    assert found == {Path("etc/pam.d/su"): ROWS[text]}


def test_which_files() -> None:
    image = rootfs(
        [
            Reg("etc/pam.d/su", "auth include system-auth\nauth include deep/x\n"),
            Reg("etc/pam.d/deep/x", "@include /opt/pam/more\n"),
            Lnk("etc/pam.d/system-auth", "/etc/authselect/system-auth"),
            Reg("etc/authselect/system-auth", "auth required pam_unix.so\n"),
            Reg("opt/pam/more", "@include /etc/pam.d/su\n"),
            Reg("usr/lib/pam.d/vendor", "auth required pam_deny.so\n"),
            Reg("etc/pam.conf", "su auth required pam_permit.so\n# comment\n"),
        ]
    )
    assert {path: tuple(found.modules) for path, found in pam.read(image).items()} == {
        "etc/pam.d/su": (),
        "etc/pam.d/deep/x": (),
        "etc/authselect/system-auth": ("pam_unix.so",),
        "opt/pam/more": (),
        "usr/lib/pam.d/vendor": ("pam_deny.so",),
        "etc/pam.conf": ("pam_permit.so",),
    }
    assert pam.read(rootfs([Dir("etc/pam.d")])) == {}


def test_hostile_files_take_no_time() -> None:
    image = rootfs(
        [
            Reg("etc/pam.d/brackets", "[ " * 500_000),
            Reg("etc/pam.d/continued", "auth a b\\\n" * 100_000),
            *(Lnk(f"etc/pam.d/{number}", "brackets") for number in range(1000)),
        ]
    )
    assert set(pam.read(image)) == {"etc/pam.d/brackets", "etc/pam.d/continued"}
    with pytest.raises(FormatError, match="over the limit"):
        pam.read(rootfs([Reg("etc/pam.d/su", b"#" * ((1 << 20) + 1))]))
