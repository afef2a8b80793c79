"""Archives that must be read, each into what it says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from careen.formats.tar import Entry, Reader
from tests.formats.tar_blocks import (
    END,
    GNU,
    V7,
    block,
    content,
    cut,
    long,
    names,
    old_sparse,
    padded,
    pax,
    raw_pax,
    read,
    record,
)

INNER = block(b"inner")
PREFIX = b"p" * 154
BASE_256 = b"\x80" + bytes(3)  # the start of a field of eight

# what is said, the bytes, the fields of the one entry
ONE_ENTRY: list[tuple[str, bytes, dict[str, Any]]] = [
    ("plain file", block(b"a", size=3) + padded(b"abc"), {"name": "a", "kind": "file", "size": 3}),
    ("V7 file", block(b"a", flag=b"\0", magic=V7), {"name": "a", "kind": "file"}),
    ("V7 directory", block(b"a/", flag=b"\0", magic=V7), {"name": "a/", "kind": "directory"}),
    ("V7 has no owner's name", block(magic=V7, uname=b"u"), {"uname": "", "gname": ""}),
    ("directory", block(b"d/", flag=b"5"), {"name": "d/", "kind": "directory", "linkname": ""}),
    ("directory, no slash", block(b"d", flag=b"5"), {"name": "d", "kind": "directory"}),
    ("symlink", block(flag=b"2", linkname=b"../t"), {"kind": "symlink", "linkname": "../t"}),
    ("hard link", block(flag=b"1", linkname=b"t"), {"kind": "link", "linkname": "t"}),
    ("fifo", block(flag=b"6"), {"kind": "fifo"}),
    (
        "character device",
        block(flag=b"3", devmajor=1, devminor=3),
        {"kind": "char", "devmajor": 1, "devminor": 3},
    ),
    (
        "block device, base-256",
        block(flag=b"4", devminor=BASE_256 + b"\0\x0f\xff\xff"),
        {"kind": "block", "devminor": (1 << 20) - 1},
    ),
    ("whiteout device 0:0", block(flag=b"3"), {"kind": "char", "devmajor": 0, "devminor": 0}),
    ("device numbers of a file", block(devmajor=8), {"kind": "file", "devmajor": 0}),
    ("target of a file", block(linkname=b"t"), {"kind": "file", "linkname": ""}),
    ("setuid", block(mode=b"0004755\0"), {"mode": 0o4755}),
    ("file type in the mode", block(mode=b"0100644\0"), {"mode": 0o644}),
    ("numbers padded with blanks", block(uid=b"  1750 \0"), {"uid": 1000}),
    ("numbers without an end", block(uid=b"00001750"), {"uid": 1000}),
    ("no number at all", block(uid=b"", mtime=b" "), {"uid": 0, "mtime": 0}),
    ("NULs before zeros", block(uid=b"\0 0000"), {"uid": 0}),
    ("text after a number's NUL", block(uid=b"1750\0zz"), {"uid": 1000}),
    ("uid, base-256", block(uid=BASE_256 + b"\xff\xff\xff\xfe"), {"uid": 4294967294}),
    ("mtime, base-256, before 1970", block(mtime=b"\xff" * 12), {"mtime": -(10**9)}),
    ("owner's names", block(uname=b"root", gname=b"\xff"), {"uname": "root", "gname": "\udcff"}),
    ("GNU has no prefix", block(b"name", magic=GNU), {"name": "name"}),
    ("names that fill their fields", block(b"n" * 100, uname=b"u" * 32), {"uname": "u" * 32}),
    ("bytes after a name's NUL", block(b"a\0b"), {"name": "a"}),
    ("prefix", block(b"n" * 100, prefix=PREFIX), {"name": "p" * 154 + "/" + "n" * 100}),
    ("prefix of any ustar version", block(magic=b"ustar\0  ", prefix=b"p"), {"name": "p/f"}),
    ("star prefix", block(prefix=b"p" * 130 + bytes(33) + b"tar\0"), {"name": "p" * 130 + "/f"}),
    (
        "GNU times where a prefix stands",
        block(magic=GNU, prefix=b"00000000001\0" * 2),
        {"name": "f"},
    ),
    ("what is neither times nor prefix", block(magic=GNU, prefix=b"\xc3\xa9/a"), {"name": "f"}),
    (
        "checksum of signed bytes",
        block(b"\xff", checksum=b"%06o\0 " % (sum(block(b"\xff", checksum=b" " * 8)) - 256)),
        {"name": "\udcff"},
    ),
    ("bytes that are not UTF-8", block(b"\xff\xfe/\xe9"), {"name": "\udcff\udcfe/\udce9"}),
    ("newline and escape", block(b"a\n\x1b[2J"), {"name": "a\n\x1b[2J"}),
    ("absolute and dotted, as stored", block(b"/../a//./b"), {"name": "/../a//./b"}),
    ("size on a directory", block(b"d", flag=b"5", size=512), {"kind": "directory", "size": 0}),
    ("long name", long(b"n" * 300 + b"\0") + block(b"cut", magic=GNU), {"name": "n" * 300}),
    ("long name without NUL", long(b"n" * 512) + block(magic=GNU), {"name": "n" * 512}),
    ("long name, more after its NUL", long(b"a\0b") + block(magic=GNU), {"name": "a"}),
    ("long name over a prefix", long(b"a\0") + block(prefix=b"p"), {"name": "a"}),
    (
        "long link, then long name",
        long(b"t" * 300 + b"\0", b"K") + long(b"n" * 300 + b"\0") + block(flag=b"2"),
        {"name": "n" * 300, "linkname": "t" * 300},
    ),
    ("long name of a directory", long(b"d/\0") + block(flag=b"\0"), {"kind": "directory"}),
    ("name up to PATH_MAX", pax((b"path", b"a" * 4095)) + block(), {"name": "a" * 4095}),
    ("pax path over a prefix", pax((b"path", b"a")) + block(prefix=b"p"), {"name": "a"}),
    ("pax path, not UTF-8", pax((b"path", b"\xff\n=")) + block(), {"name": "\udcff\n="}),
    ("pax linkpath", pax((b"linkpath", b"t")) + block(flag=b"2"), {"linkname": "t"}),
    ("pax ids", pax((b"uid", b"4294967294"), (b"gid", b"7")) + block(), {"uid": (1 << 32) - 2}),
    ("pax names", pax((b"uname", b"u"), (b"gname", b"g")) + block(uname=b"x"), {"uname": "u"}),
    ("last of equal keys", pax((b"path", b"a"), (b"path", b"b")) + block(), {"name": "b"}),
    ("pax header before V7", pax((b"path", b"a")) + block(magic=V7), {"name": "a"}),
    ("empty pax header", raw_pax(b"") + block(), {"name": "f", "pax": {}}),
    (
        "length with zeros before it",
        raw_pax(b"0013 path=ab\n") + block(),
        {"name": "ab"},
    ),
    (
        "empty values leave the field",
        pax((b"uid", b""), (b"uname", b"")) + block(uid=5, uname=b"u"),
        {"uid": 5, "uname": "u"},
    ),
    ("fractions of a second", pax((b"mtime", b"1.5")) + block(), {"mtime": 1_500_000_000}),
    ("before 1970", pax((b"mtime", b"-1.5")) + block(), {"mtime": -1_500_000_000}),
    ("just before 1970", pax((b"mtime", b"-0.5")) + block(), {"mtime": -500_000_000}),
    ("finer than a nanosecond", pax((b"mtime", b"0.0000000019")) + block(), {"mtime": 1}),
    ("a point and nothing", pax((b"mtime", b"3.")) + block(), {"mtime": 3_000_000_000}),
    (
        "xattrs with NULs, empty, and odd names",
        pax(
            (b"SCHILY.xattr.security.capability", b"\1\0\0\2\n="),
            (b"SCHILY.xattr.user.e", b""),
            (b"SCHILY.xattr.\xff", b"x"),
        )
        + block(),
        {"xattrs": {"security.capability": b"\1\0\0\2\n=", "user.e": b"", "\udcff": b"x"}},
    ),
    (
        "other records kept",
        pax((b"comment", b"c"), (b"atime", b"1.5"), (b"RHT.security.selinux", b"s\0")) + block(),
        {"pax": {"comment": b"c", "atime": b"1.5", "RHT.security.selinux": b"s\0"}, "xattrs": {}},
    ),
]


@pytest.mark.parametrize(
    ("archive", "fields"), [row[1:] for row in ONE_ENTRY], ids=[row[0] for row in ONE_ENTRY]
)
def test_an_entry_is_what_its_headers_say(archive: bytes, fields: dict[str, Any]) -> None:
    """The entry that follows is found too: no header was taken for data or data for a header."""
    entry, last = read(archive + block(b"last") + END)
    assert {key: getattr(entry, key) for key in fields} == fields
    assert (last.name, last.header_offset) == ("last", len(archive))


DATA = bytes(range(256)) * 4  # two blocks
EXPANDED = bytes(512) + DATA[:512] + bytes(512) + DATA[512:] + bytes(100)
SIZE = b"%d" % len(EXPANDED)
PAIRS = ((512, 512), (1536, 512))
LISTED = [(b"GNU.sparse.size", SIZE), (b"GNU.sparse.numblocks", b"2")]
MAP = (b"GNU.sparse.map", b"512,512,1536,512")
PAIRED = [
    (b"GNU.sparse." + key, b"%d" % value)
    for pair in PAIRS
    for key, value in zip((b"offset", b"numbytes"), pair, strict=True)
]
INLINE = [
    (b"GNU.sparse.major", b"1"),
    (b"GNU.sparse.minor", b"0"),
    (b"GNU.sparse.name", b"real"),
    (b"GNU.sparse.realsize", SIZE),
]
SPARSE_FILES = {
    "0.0": pax(*LISTED, *PAIRED) + block(b"real", size=1024),
    "0.1": pax(*LISTED, MAP, (b"GNU.sparse.name", b"real")) + block(b"GNUSparseFile/f", size=1024),
    "0.1, versioned": pax(*LISTED, MAP, (b"GNU.sparse.major", b"0"), (b"GNU.sparse.minor", b"1"))
    + block(b"real", size=1024),
    "1.0": pax(*INLINE) + block(b"x/f", size=1536) + padded(b"2\n512\n512\n1536\n512\n"),
    "1.0, map of two blocks": pax(*INLINE)
    + block(b"x/f", size=2048)
    + padded(b"200\n" + b"0\n0\n" * 198 + b"512\n512\n1536\n512\n"),
    "old": block(
        b"real",
        flag=b"S",
        magic=GNU,
        size=1024,
        prefix=old_sparse(
            b"".join(b"%011o\0%011o\0" % pair for pair in PAIRS), b"%011o\0" % len(EXPANDED)
        ),
    ),
    "old, extended": block(
        b"real",
        flag=b"S",
        magic=GNU,
        size=1024,
        prefix=old_sparse(
            b"".join(b"%011o\0%011o\0" % pair for pair in ((0, 0), (1, 0), (2, 0), (3, 0))),
            b"%011o\0" % len(EXPANDED),
            extended=True,
        ),
    )
    + (bytes(504) + b"\1" + bytes(7))
    + b"".join(b"%011o\0%011o\0" % pair for pair in PAIRS).ljust(512, b"\0"),
}


@pytest.mark.parametrize("form", SPARSE_FILES)
@pytest.mark.parametrize("chunk", [1 << 20, 513])
def test_a_sparse_file_has_its_content(form: str, chunk: int) -> None:
    archive = SPARSE_FILES[form] + DATA + block(b"last") + END
    entry, last = read(archive, chunk=chunk)
    assert (entry.name, entry.kind, entry.size) == ("real", "file", len(EXPANDED))
    assert entry.sparse is not None
    assert content(archive, entry) == EXPANDED
    assert entry.pax == {}
    assert last.name == "last"


def test_a_sparse_file_may_be_one_hole() -> None:
    entry, _ = read(pax(*INLINE) + block(size=512) + padded(b"0\n") + block(b"last") + END)
    assert (entry.sparse, entry.size) == ((), len(EXPANDED))


@pytest.mark.parametrize(
    ("field", "said"), [(0, b"1024"), (1024, b"0"), (0, b"00001024"), (8**11 - 1, b"1024")]
)
def test_a_pax_size_overrules_the_field(field: int, said: bytes) -> None:
    """Whoever skips by the other size sees `inner`, or misses it."""
    data = INNER + bytes(512)
    archive = pax((b"size", said)) + block(b"f", size=field) + data * bool(int(said)) + block(b"z")
    assert names(archive + END) == ["f", "z"]
    assert read(archive + END)[0].size == int(said)


def test_offsets_are_those_of_the_bytes_that_carry_an_entry_through() -> None:
    archive = (
        pax((b"comment", b"c0ffee"), flag=b"g")
        + block(b"a", size=3)
        + padded(b"abc")
        + pax((b"path", b"bee"))
        + block(b"b", size=600)
        + padded(b"b" * 600)
        + long(b"n" * 600 + b"\0")
        + block(b"c")
        + END
    )
    a, b, c = read(archive)
    assert [(e.name[:3], e.header_offset, e.data_offset) for e in (a, b, c)] == [
        ("a", 1024, 1536),
        ("bee", 2048, 3584),
        ("nnn", 4608, 6656),
    ]
    for entry in (a, b, c):
        piece = archive[entry.header_offset : entry.data_offset] + padded(content(archive, entry))
        (alone,) = read(piece + END)
        assert alone.name == entry.name
        assert content(piece, alone) == content(archive, entry)


@pytest.mark.parametrize(
    ("end", "warnings"),
    [
        (END, []),
        (bytes(10240), []),
        (b"", ["the archive has no end blocks"]),
        (END[:512], ["the archive ends after one zero block instead of two"]),
    ],
)
def test_an_odd_end_is_a_warning(end: bytes, warnings: list[str]) -> None:
    reader = Reader([block(b"a") + end])
    assert [entry.name for entry in reader] == ["a"]
    assert reader.warnings == warnings


@pytest.mark.parametrize("missing", [1, 100, 424])
@pytest.mark.parametrize("cut", [1, 512, 4096])
def test_an_archive_may_end_inside_the_padding_of_its_last_entry(missing: int, cut: int) -> None:
    """As umoci 0.4 writes a layer of one inserted file; Go takes it for the end."""
    archive = (block(b"a", size=600) + padded(b"x" * 600))[:-missing]
    reader = Reader(archive[i : i + cut] for i in range(0, len(archive), cut))
    assert [(entry.name, entry.size) for entry in reader] == [("a", 600)]
    assert reader.warnings == [
        "the archive ends inside the padding of its last entry",
        "the archive has no end blocks",
    ]


@pytest.mark.parametrize("archive", [b"", END, bytes(10240)])
def test_an_archive_may_be_empty(archive: bytes) -> None:
    assert read(archive) == []


@pytest.mark.parametrize("after", [b"", b"x", INNER + END, b"garbage" * 1000])
def test_the_stream_is_read_to_its_end(after: bytes) -> None:
    """What stands after the end blocks is no entry, but whoever hashes the stream must see it."""
    archive = block(b"a", size=9) + padded(b"123456789") + END + after
    seen = bytearray()

    def tee() -> Iterator[bytes]:
        for chunk in cut(archive, 700):
            seen.extend(chunk)
            yield chunk

    assert [entry.name for entry in Reader(tee())] == ["a"]
    assert bytes(seen) == archive


def _mixed() -> bytes:
    """Every kind of header, and data of many sizes."""
    parts = [row[1] for row in ONE_ENTRY] + [form + DATA for form in SPARSE_FILES.values()]
    for size in (0, 1, 511, 512, 513, 5000):
        parts.append(block(b"n%d" % size, size=size) + padded(random.Random(size).randbytes(size)))
    return b"".join(parts) + END + b"after"


def test_the_cut_of_the_chunks_does_not_matter() -> None:
    archive = _mixed()
    whole = read(archive, chunk=len(archive))
    assert len(whole) > 70
    for size in (1, 2, 511, 512, 513, 1024, 10_000):
        assert read(archive, chunk=size) == whole, size
    for seed in range(20):
        assert list(Reader(_random_cut(archive, random.Random(seed)))) == whole, seed


def _random_cut(archive: bytes, chance: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(archive):
        size = chance.choice((0, 1, 5, 500, 512, 600, 3000, 40_000))
        yield archive[at : at + size]
        at += size


def test_a_million_global_headers_are_no_burden() -> None:
    """They are passed over one by one; only the stream's length bounds them."""
    one = pax((b"comment", b"c"), flag=b"g")
    assert [e.name for e in Reader([one * 1000] * 10 + [block(b"a") + END])] == ["a"]


def test_entries_are_given_as_they_come() -> None:
    """Bounded memory: the reader is never more than one chunk ahead of what it gave."""
    given: list[Entry] = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            assert len(given) >= number - 1
            yield block(b"%d" % number)

    for entry in Reader(chunks()):
        given.append(entry)
    assert len(given) == 100


def test_record_lengths_count_themselves() -> None:
    """The builder's own lengths, around the places where one more digit is needed."""
    for size in (1, 92, 93, 94, 991, 992, 993):
        said = record(b"comment", b"x" * size)
        assert int(said.split(b" ")[0]) == len(said)
        assert read(raw_pax(said) + block() + END)[0].pax == {"comment": b"x" * size}
