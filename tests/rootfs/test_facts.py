"""What is read of a whole tree: every file once, by its first bytes."""

from __future__ import annotations

from typing import cast

import pytest

from careen.rootfs import facts
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.script import Script
from tests.builders import Chr, Dir, Fifo, Hard, Lnk, Reg
from tests.elf_builder import INTERP, elf
from tests.rootfs.hand_made import Memory, rootfs
from tests.rootfs.test_ld_cache import made

PROGRAM = elf(interpreter=INTERP["glibc"], needed=["libc.so.6"])


def test_files_are_told_apart_by_their_first_bytes() -> None:
    read = facts.read(
        rootfs(
            [
                Reg("bin/program", PROGRAM),
                Reg("bin/script", "#!/bin/sh -e\necho\n"),
                Reg("bin/noscript", "#!\n"),
                Reg("bin/text", "text"),
                Reg("bin/empty", ""),
                Reg("bin/tiny", b"\x7fEL"),
                Lnk("bin/link", "program"),
                Chr("dev/null", 1, 3),
                Fifo("run/fifo"),
                Dir("tmp"),
            ]
        )
    )
    assert list(read.elf) == ["bin/program"]
    assert read.elf[Path("bin/program")].needed == ("libc.so.6",)
    assert read.scripts == {"bin/script": Script(interpreter="/bin/sh", argument="-e")}
    assert read.unreadable == {}


def test_hard_links_are_read_once_and_known_by_every_name() -> None:
    image = rootfs(
        [Reg("bin/a", PROGRAM), Hard("bin/b", "bin/a"), Reg("x", "#!/a"), Hard("y", "x")]
    )
    read = facts.read(image)
    assert read.elf[Path("bin/a")] is read.elf[Path("bin/b")]
    assert read.scripts.keys() == {"x", "y"}
    assert heads(image) == [0, len(PROGRAM)]


def test_files_are_read_in_the_order_of_the_spool() -> None:
    names = ["z", "b", "y", "a"]
    image = rootfs([Reg(name, f"text of {name}") for name in names])
    facts.read(image)
    assert heads(image) == sorted(heads(image))
    assert len(heads(image)) == len(names)


def heads(image: Rootfs) -> list[int]:
    """Where reading began, of every file."""
    starts = {inode.entry.data_offset for inode in image.nodes.values() if inode.kind == "file"}
    asked = cast("Memory", image.spools[0]).asked
    return [offset for _, offset in asked if offset in starts]


@pytest.mark.parametrize("length", [4, 20, 63, 64, 100, len(PROGRAM) - 1])
def test_a_damaged_elf_file_is_a_fact_with_a_reason(length: int) -> None:
    read = facts.read(rootfs([Reg("lib/a.so", PROGRAM[:length]), Hard("lib/b.so", "lib/a.so")]))
    assert read.elf == {}
    assert read.unreadable.keys() == {"lib/a.so", "lib/b.so"}
    assert "past the end of the file" in read.unreadable[Path("lib/a.so")]


def test_a_large_elf_file_is_read_by_pieces() -> None:
    image = rootfs([Reg("lib/big.so", elf(needed=["libc.so.6"], padding=1 << 20))])
    assert facts.read(image).elf[Path("lib/big.so")].needed == ("libc.so.6",)
    assert sum(length for length, _ in cast("Memory", image.spools[0]).asked) < 4096


def test_the_loaders_cache_is_read_or_said_to_be_unreadable() -> None:
    good = facts.read(rootfs([Reg("etc/ld.so.cache", made())]))
    assert (good.ld_cache, good.unreadable) == ({"/l.so": ("/l.so",)}, {})
    bad = facts.read(rootfs([Reg("etc/ld.so.cache", b"nonsense")]))
    assert (bad.ld_cache, list(bad.unreadable)) == ({}, ["etc/ld.so.cache"])
    big = facts.read(rootfs([Reg("etc/ld.so.cache", bytes((4 << 20) + 1))]))
    assert "over the limit" in big.unreadable[Path("etc/ld.so.cache")]


def test_what_etc_says_is_among_the_facts() -> None:
    read = facts.read(
        rootfs(
            [
                Reg("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
                Reg("etc/group", "root:x:0:\n"),
                Reg("etc/shells", "/bin/sh\n"),
                Reg("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
                Reg("etc/ld.so.conf", "/opt/lib\n"),
                Reg("etc/ld.so.preload", "/a.so\n"),
                Reg("etc/ld-musl-x86_64.path", "/lib\n"),
                Reg("etc/nsswitch.conf", "passwd: files\n"),
                Reg("etc/pam.d/su", "auth required pam_unix.so\n"),
                Reg("usr/lib64/gconv/gconv-modules", "alias A// B//\n"),
            ]
        )
    )
    assert [user.shell for user in read.users] == ["/bin/sh"]
    assert [group.gid for group in read.groups] == [0]
    assert (read.os_release.id, read.os_release.version) == ("debian", "12")
    assert (read.shells, read.ld_paths, read.preloads) == (("/bin/sh",), ("/opt/lib",), ("/a.so",))
    assert read.musl_paths == {"etc/ld-musl-x86_64.path": ("/lib",)}
    assert read.name_services == {"passwd": ("files",)}
    assert [list(file.modules) for file in read.pam.values()] == [["pam_unix.so"]]
    assert [file.aliases for file in read.gconv.values()] == [{"A": "B"}]
