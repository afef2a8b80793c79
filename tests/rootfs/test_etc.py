"""The text files under /etc, and ldconfig as the judge of which directories it would read."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from careen.errors import FormatError
from careen.rootfs import etc
from careen.rootfs.etc import Group, OsRelease, User
from careen.rootfs.path import Path as Inside
from tests.builders import Dir, Fifo, Lnk, Reg
from tests.rootfs.hand_made import rootfs


def test_an_empty_image_has_nothing() -> None:
    empty = rootfs([])
    assert (etc.users(empty), etc.groups(empty), etc.shells(empty)) == ((), (), ())
    assert (etc.ld_paths(empty), etc.musl_paths(empty), etc.preloads(empty)) == ((), {}, ())
    assert etc.os_release(empty) == OsRelease()


def test_users_and_groups() -> None:
    image = rootfs(
        [
            Reg(
                "etc/passwd",
                "# c\nroot:x:0:0:root:/root:/bin/bash\n\nbad:x:-:0::/:\napp:x:9:8:a:/a\n",
            ),
            Reg("etc/group", "root:x:0:\nssl:x:101:app,www\nbad:x::\n"),
        ]
    )
    assert etc.users(image) == (
        User(name="root", uid=0, gid=0, home="/root", shell="/bin/bash"),
        User(name="app", uid=9, gid=8, home="/a", shell=""),
    )
    assert etc.groups(image) == (
        Group(name="root", gid=0, members=()),
        Group(name="ssl", gid=101, members=("app", "www")),
    )


def test_this_machines_users_are_those_of_the_c_library() -> None:
    image = rootfs([Reg("etc/passwd", Path("/etc/passwd").read_bytes())])
    known = {user.pw_name: user for user in pwd.getpwall()}
    for user in etc.users(image):
        entry = known[user.name]
        assert user == User(
            name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid,
            home=entry.pw_dir, shell=entry.pw_shell,
        )  # fmt: skip


def test_shells_and_preloads() -> None:
    image = rootfs(
        [
            Reg("etc/shells", "# /etc/shells\n/bin/sh\n /usr/bin/bash # best\n\n"),
            Reg("etc/ld.so.preload", "/a.so:/b.so # c\n\t/d.so /e.so"),
        ]
    )
    assert etc.shells(image) == ("/bin/sh", "/usr/bin/bash")
    assert etc.preloads(image) == ("/a.so", "/b.so", "/d.so", "/e.so")


@pytest.mark.parametrize("place", ["etc/os-release", "usr/lib/os-release"])
def test_os_release_stands_in_either_place(place: str) -> None:
    text = (
        '# c\nID=rocky\nID_LIKE="rhel fedora"\nVERSION_ID=\'9.4\'\nPRETTY_NAME="R \\"9\\""\nX="\n'
    )
    assert etc.os_release(rootfs([Reg(place, text)])) == OsRelease(
        id="rocky", like=("rhel", "fedora"), version="9.4", title='R "9"'
    )


def test_links_are_followed_inside_and_odd_files_are_empty() -> None:
    image = rootfs(
        [
            Lnk("etc/os-release", "/usr/lib/os-release"),
            Reg("usr/lib/os-release", "ID=debian\n"),
            Lnk("etc/passwd", "passwd"),
            Fifo("etc/group"),
            Dir("etc/shells"),
        ]
    )
    assert etc.os_release(image).id == "debian"
    assert (etc.users(image), etc.groups(image), etc.shells(image)) == ((), (), ())


def test_an_absurd_file_is_refused() -> None:
    with pytest.raises(FormatError, match="over the limit"):
        etc.users(rootfs([Reg("etc/passwd", b"\n" * ((16 << 20) + 1))]))


def test_musl_path_files() -> None:
    image = rootfs(
        [
            Reg("etc/ld-musl-x86_64.path", "/lib:/usr/lib\n/opt/lib\n"),
            Reg("usr/share/arm.path", "/arm\n"),
            Lnk("etc/ld-musl-arm.path", "../usr/share/arm.path"),
        ]
    )
    assert etc.musl_paths(image) == {
        Inside("etc/ld-musl-x86_64.path"): ("/lib", "/usr/lib", "/opt/lib"),
        Inside("usr/share/arm.path"): ("/arm",),
    }


CONF = [
    Reg(
        "etc/ld.so.conf",
        "# c\n/first # x\ninclude ld.so.conf.d/*.conf  /more/[ab].conf\n/last=libc6\n",
    ),
    Reg("etc/ld.so.conf.d/10-b.conf", "/b\n/first\n"),
    Reg("etc/ld.so.conf.d/05-a.conf", "\t/a/  \ninclude deeper.d/x*\n"),
    Reg("etc/ld.so.conf.d/.hidden.conf", "/hidden\n"),
    Reg("etc/ld.so.conf.d/notes.txt", "/notes\n"),
    Reg("etc/ld.so.conf.d/deeper.d/x1", "/deeper\n"),
    Lnk("more", "etc/elsewhere"),
    Reg("etc/elsewhere/a.conf", "/else\ninclude /etc/ld.so.conf\n"),
]


def test_ld_so_conf_includes_in_order_and_ends() -> None:
    paths = etc.ld_paths(rootfs(CONF))
    assert paths == ("/first", "/a/", "/deeper", "/b", "/else", "/last")


@pytest.mark.skipif(os.geteuid() != 0, reason="ldconfig -r changes its root, which only root may")
def test_ldconfig_visits_the_same_directories(tmp_path: Path) -> None:
    folders = ["first", "a", "deeper", "b", "else", "last", "hidden", "notes"]
    for node in CONF:
        path = tmp_path / node.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if node.linkname:
            path.symlink_to(node.linkname)
        elif node.name == "etc/elsewhere/a.conf":
            path.write_text("/else\n")  # ldconfig itself would include round and round
        else:
            path.write_bytes(node.data)
    for folder in folders:
        (tmp_path / folder).mkdir()
    command = ["ldconfig", "-r", str(tmp_path), "-v", "-N", "-X"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    visited = [line.partition(":")[0] for line in output.splitlines() if line.startswith("/")]
    expected = [path.rstrip("/") for path in etc.ld_paths(rootfs(CONF))]
    assert [path for path in visited if path[1:] in folders] == expected


def test_globs_over_looping_links_end() -> None:
    image = rootfs(
        [
            Reg("etc/ld.so.conf", f"include /d{'/*' * 30}/x.conf\n"),
            Lnk("d/a", "."),
            Lnk("d/b", "../d"),
            Reg("d/x.conf", "/found\n"),
        ]
    )
    assert etc.ld_paths(image) == ("/found",)
