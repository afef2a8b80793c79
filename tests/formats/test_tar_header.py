"""Headers that careen writes say what the entry says, to every reader."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.formats import tar
from careen.formats.tar import Entry, Kind
from tests.formats.tar_blocks import END, read
from tests.judges import ROOT_ONLY, needs

LONG = "n" * 150
ZEROS = bytes(1 << 26)  # never touched, so never in memory
SMALL = st.integers(0, 3000)
HUGE = st.integers(0, 1 << 14).map(lambda number: number * len(ZEROS))
LARGEST_ID = (1 << 32) - 2
KINDS: list[Kind] = ["file", "link", "symlink", "char", "block", "directory", "fifo"]
TYPES = dict(zip(KINDS, b"0123456", strict=True))


def name_of(size: int) -> st.SearchStrategy[str]:
    """Names of any bytes but NUL, often with a folder, of no more than `size` bytes."""
    plain = st.text("abc/.", min_size=1, max_size=size)
    raw = st.binary(min_size=1, max_size=size).map(lambda b: b.replace(b"\0", b"/"))
    return (plain | raw.map(os.fsdecode) | st.text("é/", min_size=1, max_size=size // 2)).map(
        lambda name: name.rstrip("/") + "x" * (not name.rstrip("/"))
    )


def entries(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[Entry]:
    """Any entry that a reader could have given, at its true place at the start of an archive."""
    return st.builds(
        Entry,
        kind=st.sampled_from(KINDS),
        name=name_of(300),
        linkname=name_of(200),
        mode=st.integers(0, 0o7777),
        uid=st.integers(0, LARGEST_ID),
        gid=st.integers(0, LARGEST_ID) | st.integers(0, 1000),
        uname=name_of(50) | st.just(""),
        gname=name_of(50) | st.just(""),
        size=sizes,
        mtime=st.integers(-(1 << 70), 1 << 70) | st.integers(0, 1 << 31).map(lambda s: s * 10**9),
        devmajor=st.integers(0, (1 << 21) - 1),
        devminor=st.integers(0, (1 << 21) - 1),
        xattrs=st.dictionaries(
            st.sampled_from(["user.a", "security.capability", "user.é", "user.\udcff"]),
            st.binary(max_size=200),
            max_size=3,
        ),
        pax=st.dictionaries(
            st.sampled_from(["comment", "VENDOR.é", "LIBARCHIVE.xattr.user.a"]),
            st.binary(max_size=1100),
            max_size=2,
        ),
    ).map(possible)


def possible(entry: Entry) -> Entry:
    """Without what an entry of its kind cannot have."""
    changes: dict[str, object] = {}
    if entry.kind not in ("link", "symlink"):
        changes["linkname"] = ""
    if entry.kind not in ("char", "block"):
        changes |= {"devmajor": 0, "devminor": 0}
    if entry.kind != "file":
        changes["size"] = 0
    return msgspec.structs.replace(entry, **changes)


def first(header: bytes, size: int) -> Entry:
    """The first entry, its data made of zeros that are shared between the chunks."""

    def chunks() -> Iterator[bytes]:
        missing = size + tar.padding(size)
        yield header
        for _ in range(missing // len(ZEROS)):
            yield ZEROS
        yield bytes(missing % len(ZEROS)) + END

    return next(iter(tar.Reader(chunks())))


@given(entries(SMALL | HUGE))
@example(Entry(kind="file", name="n" * 100, linkname=""))
@example(Entry(kind="file", name="n" * 101))
@example(Entry(kind="file", name="p" * 155 + "/" + "n" * 100))
@example(Entry(kind="file", name="p" * 156 + "/" + "n" * 99))
@example(Entry(kind="file", name="p" * 154 + "/" + "n" * 101))
@example(Entry(kind="directory", name="p" * 100 + "/"))
@example(Entry(kind="file", name="/" + "n" * 100))
@example(Entry(kind="file", name="a//" + "n" * 100))
@example(Entry(kind="symlink", name="s", linkname="t" * 100))
@example(Entry(kind="symlink", name="s", linkname="t" * 101))
@example(Entry(kind="file", name="f", uname="u" * 32, gname="g" * 33))
@example(Entry(kind="file", name="f", uid=8**7 - 1, gid=8**7))
@example(Entry(kind="file", name="f", size=8**11 - 512))
@example(Entry(kind="file", name="f", size=8**11))
@example(Entry(kind="file", name="f", mtime=-1))
@example(Entry(kind="file", name="f", mtime=8**11 * 10**9))
@example(Entry(kind="file", name="f", mtime=8**11 * 10**9 - 1))
@settings(deadline=None, max_examples=200)
def test_the_reader_reads_back_what_was_written(entry: Entry) -> None:
    header = tar.header(entry)
    assert header == tar.header(entry)
    assert header[-512], "not all readers join a prefix with an empty name"
    found = first(header, entry.size)
    assert found == msgspec.structs.replace(entry, data_offset=len(header))


@given(st.lists(entries(SMALL), min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_python_reads_the_same(written: list[Entry]) -> None:
    archive = built(written)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = [(*python_fields(member), member.offset_data) for member in opened]
    expected = [
        (
            entry.name.rstrip("/"),
            bytes([TYPES[entry.kind]]),
            entry.linkname,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.uname,
            entry.gname,
            entry.size,
            (entry.devmajor, entry.devminor),
            read_back.data_offset,
        )
        for entry, read_back in zip(written, read(archive), strict=True)
    ]
    assert found == expected


def python_fields(member: tarfile.TarInfo) -> tuple[object, ...]:
    return (
        member.name.rstrip("/"),
        member.type,
        member.linkname,
        member.mode,
        member.uid,
        member.gid,
        member.uname,
        member.gname,
        member.size,
        (member.devmajor, member.devminor),
    )


def built(written: Sequence[Entry]) -> bytes:
    """An archive of these entries, each file full of `x`."""
    return b"".join(
        tar.header(entry) + b"x" * entry.size + bytes(tar.padding(entry.size)) for entry in written
    ) + bytes(tar.END)


SECOND = 10**9
TREE = [
    Entry(
        kind="file", name=f"{LONG}/{LONG}/é", mode=0o600, size=1, mtime=1_700_000_000_123_456_789
    ),
    Entry(kind="directory", name="d/", mode=0o1755, mtime=SECOND),
    Entry(kind="file", name="d/f", mode=0o4755, size=700, uid=1000, gid=1000, mtime=2 * SECOND),
    Entry(kind="file", name="d/owner", mode=0o644, uid=3_000_000_000, gid=8**7, mtime=SECOND),
    Entry(kind="file", name="d/old", mode=0o644, mtime=-1_500_000_000),
    Entry(kind="file", name="d/caf\udce9\n", mode=0o644, mtime=SECOND),
    Entry(kind="file", name="d/cap", xattrs={"user.n": b"a\0b=\n", "user.z": b"z"}, mtime=SECOND),
    Entry(kind="link", name="d/hard", linkname="d/f", mode=0o4755, mtime=2 * SECOND),
    Entry(kind="symlink", name="d/soft", linkname="t" * 200, mode=0o777, mtime=SECOND),
    Entry(kind="fifo", name="d/fifo", mode=0o620, mtime=SECOND),
    Entry(kind="char", name="d/char", mode=0o600, devmajor=1, devminor=3, mtime=SECOND),
]

TAR_ALONE = ("d/old", "d/caf\udce9\n")  # bsdtar adds a fraction before 1970, and wants UTF-8


@ROOT_ONLY
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["tar", "--xattrs", "--xattrs-include=*"], marks=needs("tar")),
        pytest.param(["bsdtar", "--xattrs"], marks=needs("bsdtar")),
    ],
    ids=["tar", "bsdtar"],
)
def test_programs_unpack_what_was_written(command: list[str], tmp_path: Path) -> None:
    """Every attribute of every kind, as `lstat` sees it after unpacking."""
    tree = [entry for entry in TREE if command[0] == "tar" or entry.name not in TAR_ALONE]
    done = subprocess.run(
        [*command, "--numeric-owner", "--same-owner", "-xpf", "-"],
        input=built(tree),
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    for entry in tree:
        check_unpacked(entry, tmp_path / entry.name)


def check_unpacked(entry: Entry, path: Path) -> None:
    status = path.lstat()
    owner = (
        {e.name: e for e in TREE}[entry.linkname or entry.name] if entry.kind == "link" else entry
    )
    assert (status.st_uid, status.st_gid) == (owner.uid, owner.gid)
    if entry.kind != "symlink":
        assert status.st_mode & 0o7777 == entry.mode
    assert status.st_mtime_ns == entry.mtime
    if entry.kind == "file":
        assert path.read_bytes() == b"x" * entry.size
        assert {key: os.getxattr(path, key) for key in os.listxattr(path)} == entry.xattrs
    if entry.kind == "link":
        assert path.samefile(path.parent.parent / entry.linkname)
    if entry.kind == "symlink":
        assert str(path.readlink()) == entry.linkname
    if entry.kind == "char":
        assert status.st_rdev == os.makedev(entry.devmajor, entry.devminor)


def test_a_header_is_the_same_bytes_for_ever() -> None:
    """A change here changes the digest of every image."""
    plain = tar.header(Entry(kind="file", name="a", size=3, mtime=SECOND))
    assert plain == (
        b"a" + bytes(99) + b"0000644\0" + b"0000000\0" * 2 + b"00000000003\0" + b"00000000001\0"
        b"007342\0 0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    )
    odd = tar.header(
        Entry(kind="file", name="é", mtime=-1, xattrs={"b": b"2", "a": b"1"}, pax={"Z": b"3"})
    )
    assert len(odd) == 3 * 512
    assert odd[512:1024].rstrip(b"\0") == (
        b"20 SCHILY.xattr.a=1\n20 SCHILY.xattr.b=2\n"
        b"6 Z=3\n22 mtime=-0.000000001\n11 path=\xc3\xa9\n"
    )


@pytest.mark.parametrize(
    ("entry", "blocks"),
    [
        (Entry(kind="file", name="p" * 155 + "/" + "n" * 100), 1),
        (Entry(kind="file", name="p" * 155 + "/" + "n" * 101), 3),
        (Entry(kind="file", name="p" * 156 + "/" + "n" * 100), 3),
        (Entry(kind="symlink", name="n" * 100, linkname="t" * 100, uname="u" * 32), 1),
        (Entry(kind="file", name="f", uid=8**7 - 1, size=8**11 - 1, mtime=(8**11 - 1) * SECOND), 1),
        (Entry(kind="file", name="f", mtime=SECOND + 1), 3),
    ],
)
def test_pax_is_used_only_where_ustar_cannot_say_it(entry: Entry, blocks: int) -> None:
    assert len(tar.header(entry)) == blocks * 512


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_the_order_of_records_does_not_matter(order: list[str]) -> None:
    entry = Entry(
        kind="file",
        name="é",
        xattrs={f"user.{key}": b"1" for key in order},
        pax={f"VENDOR.{key}": b"1" for key in order},
    )
    header = tar.header(entry)
    keys = [
        line.partition(b" ")[2].partition(b"=")[0] for line in header[512:1024].split(b"\n")[:-1]
    ]
    assert keys == sorted(keys)
    assert len(keys) == 5


def test_a_sparse_file_is_written_whole() -> None:
    """Its regions say how it was stored; what is written is its content."""
    entry = Entry(kind="file", name="f", size=1000, sparse=((0, 10),), data_offset=5)
    assert tar.header(entry) == tar.header(Entry(kind="file", name="f", size=1000))


@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding(size: int, zeros: int) -> None:
    assert tar.padding(size) == zeros


@pytest.mark.parametrize(
    "entry",
    [
        Entry(kind="file", name=""),
        Entry(kind="file", name="a\0b"),
        Entry(kind="symlink", name="a", linkname="b\0"),
    ],
)
def test_a_name_that_cannot_be_read_back_is_refused(entry: Entry) -> None:
    with pytest.raises(FormatError):
        tar.header(entry)
