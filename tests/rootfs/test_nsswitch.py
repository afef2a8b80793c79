"""nsswitch.conf, line by line."""

from __future__ import annotations

import pytest

from careen.errors import FormatError
from careen.rootfs import nsswitch
from tests.builders import Lnk, Reg
from tests.rootfs.hand_made import rootfs

ROWS = {
    "passwd: files sss": {"passwd": ("files", "sss")},
    "  hosts:\tfiles mdns4_minimal [NOTFOUND=return] dns # by hand": {
        "hosts": ("files", "mdns4_minimal", "dns")
    },
    "hosts: dns[!UNAVAIL=return]files": {"hosts": ("dns", "files")},
    "hosts: files [NOTFOUND=return dns": {"hosts": ("files",)},
    "group : files files": {"group": ("files",)},
    "shadow:": {"shadow": ()},
    "# passwd: files": {},
    "no colon": {},
    "passwd: files\npasswd: sss files": {"passwd": ("files", "sss")},
    "sudoers: files sss": {"sudoers": ("files", "sss")},
}


@pytest.mark.parametrize("text", ROWS)
def test_a_line(text: str) -> None:
    assert nsswitch.read(rootfs([Reg("etc/nsswitch.conf", text)])) == ROWS[text]


def test_through_a_link_or_absent() -> None:
    image = rootfs([Lnk("etc/nsswitch.conf", "../opt/n"), Reg("opt/n", "rpc: db\n")])
    assert nsswitch.read(image) == {"rpc": ("db",)}
    assert nsswitch.read(rootfs([])) == {}
    assert nsswitch.DEFAULTS["hosts"] == ("files", "dns")
    assert nsswitch.DEFAULTS["passwd"] == ("files",)


def test_an_absurd_file_is_refused() -> None:
    with pytest.raises(FormatError, match="over the limit"):
        nsswitch.read(rootfs([Reg("etc/nsswitch.conf", b"a: b\n" * 20_000)]))
