"""Equal bytes, however a layer holds them; and never more than a block of each in memory."""

from __future__ import annotations

import pytest

from careen.formats.tar import Entry
from careen.rootfs.content import same_content
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Inode, Rootfs
from tests.rootfs.hand_made import Memory

BIG = b"a" * (1 << 20)


def held(
    stored: bytes, size: int, sparse: tuple[tuple[int, int], ...] | None
) -> tuple[Rootfs, Inode]:
    inode = Inode(0, Entry(kind="file", name="f", size=size, sparse=sparse))
    return Rootfs({Path("f"): inode}, (Memory(stored),)), inode


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (held(b"", 0, None), held(b"", 0, None), True),
        (held(b"ab", 2, None), held(b"ab", 2, None), True),
        (held(b"ab", 2, None), held(b"ac", 2, None), False),
        (held(b"ab", 2, None), held(b"abc", 3, None), False),
        (held(b"\0\0ab\0", 5, None), held(b"ab", 5, ((2, 2),)), True),
        (held(b"\0\0ab\1", 5, None), held(b"ab", 5, ((2, 2),)), False),
        (held(BIG + b"x", len(BIG) + 1, None), held(BIG + b"y", len(BIG) + 1, None), False),
    ],
)  # fmt: skip
def test_same_content(one: tuple[Rootfs, Inode], other: tuple[Rootfs, Inode], same: bool) -> None:
    assert same_content(one[1], one[0], other[1], other[0]) is same


def test_block_by_block() -> None:
    rootfs, inode = held(BIG * 3, len(BIG) * 3, None)
    assert same_content(inode, rootfs, inode, rootfs)
    spool = rootfs.spools[0]
    assert isinstance(spool, Memory)
    assert max(length for length, _ in spool.asked) == len(BIG)
