"""Archives that are broken, or that well-known readers read differently: refused, and why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from careen.errors import FormatError
from careen.formats.tar import Limits, Reader
from tests.formats.tar_blocks import (
    END,
    GNU,
    V7,
    block,
    long,
    old_sparse,
    padded,
    pax,
    raw_pax,
    read,
    record,
    summed,
)

FILE = block(b"first", size=3) + padded(b"abc")
LAST = block(b"last")
HIDDEN = block(b"hidden")
SPARSE_1_0 = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
SPARSE_0_1 = [
    (b"GNU.sparse.size", b"1024"),
    (b"GNU.sparse.numblocks", b"1"),
    (b"GNU.sparse.map", b"512,512"),
]
HUGE = b"\x80" + (1 << 62).to_bytes(11, "big")
NEGATIVE = b"\xff" * 11 + b"\x00"
DATA = bytes(512)


def sparse_0_1(**changes: bytes | None) -> bytes:
    """A file of format 0.1 that is right but for the records changed (None: left out)."""
    told = {key.rpartition(b".")[2].decode(): value for key, value in SPARSE_0_1} | changes
    records = [(b"GNU.sparse." + key.encode(), v) for key, v in told.items() if v is not None]
    return pax(*records) + block(size=512) + DATA


def sparse_1_0(text: bytes, *, size: bytes = b"1024", stored: int = 512) -> bytes:
    """A file of format 1.0 with this map before its `stored` bytes."""
    head = pax(*SPARSE_1_0, (b"GNU.sparse.realsize", size))
    return head + block(size=len(padded(text)) + stored) + padded(text) + bytes(stored)


def old(regions: bytes, real_size: bytes = b"00000001024\0", **fields: bytes | int) -> bytes:
    """A file of GNU's old sparse format over one block of data."""
    rest = {"magic": GNU, "size": 512, "prefix": old_sparse(regions, real_size)} | fields
    return block(flag=b"S", **rest) + DATA  # type: ignore[arg-type]


def cut_short(special: bytes, size: int) -> bytes:
    """An extended header that says it is shorter than it is."""
    return summed(special[:124] + b"%011o\0" % size + special[136:512]) + special[512:]


WRONG_SUM = block(b"second", checksum=b"000777\0 ")

# what is wrong, the bytes, a part of the message
BROKEN: list[tuple[str, bytes, str]] = [
    ("cut in data", block(size=600) + b"x" * 599, "ends 1 bytes before the end"),
    ("cut in the last block of data", block(size=600) + b"x" * 512, "ends 88 bytes before the end"),
    ("cut in a header", FILE + LAST[:300], "ends inside a header"),
    ("cut in the second end block", FILE + END[:700], "ends inside a header"),
    ("cut in a pax header", pax((b"path", b"a" * 600))[:900], "ends inside an extended header"),
    ("cut before a sparse map", sparse_1_0(b"1\n512\n")[:1536], "inside a sparse"),
    ("wrong checksum", FILE + WRONG_SUM + LAST + END, "checksum is wrong"),
    ("checksum is no number", FILE + block(checksum=b"zzzzzz\0 "), "checksum is not an octal"),
    ("checksum off by 65521", block(checksum=b"%07o\0" % (sum(block()) + 65521)), "checksum"),
    ("garbage between entries", FILE + bytes(range(256)) * 2 + LAST + END, "header at byte 1024"),
    ("text between entries", FILE + b"not a tar header".ljust(512) + LAST, "checksum is wrong"),
    ("lone zero block", FILE + bytes(512) + HIDDEN + END, "one zero block with more after it"),
    ("negative size", block(size=NEGATIVE) + END, "a size of -256 bytes"),
    ("negative size, pax size", pax((b"size", b"0")) + block(size=NEGATIVE) + END, "-256 bytes"),
    ("size 2^62", block(size=HUGE) + END, "a file of 4611686018427387904 bytes"),
    ("size over 64 bits", block(size=b"\x80" + b"\xff" * 11), "size is not a number of 64"),
    ("base-256 that Go alone reads", block(mode=b"\x81" + bytes(7)) + END, "mode is not a number"),
    ("size with an 8", block(size=b"00000000008\0") + END, "size is not an octal number"),
    ("size with a sign", block(size=b"+0000001000\0") + END, "size is not an octal number"),
    ("size with an underscore", block(size=b"1_000\0") + END, "size is not an octal number"),
    ("size with a gap", block(size=b"10 00\0") + END, "size is not an octal number"),
    ("size after a NUL", block(size=b"\0\x0000001000") + HIDDEN + LAST, "size begins with a NUL"),
    ("size after spaces, NUL", block(size=b"  \x0000001000") + HIDDEN, "size begins with a NUL"),
    ("bad mtime", block(mtime=b"yesterday") + END, "mtime is not an octal number"),
    ("bad device number of a file", block(devmajor=b"x") + END, "devmajor is not an octal"),
    ("bad device number in V7", block(magic=V7, devmajor=b"x") + END, "devmajor is not an octal"),
    ("uid of -1", block(uid=b"\xff" * 8) + END, "an owner of uid -1"),
    ("uid that chown cannot set", pax((b"uid", b"4294967295")) + block() + END, "uid 4294967295"),
    ("gid of -1", pax((b"gid", b"-1")) + block() + END, "gid -1"),
    ("device number beyond Linux", block(flag=b"3", devminor=b"77777777") + END, "impossible"),
    ("empty name", block(b"") + END, "an empty name"),
    ("name over PATH_MAX", pax((b"path", b"a" * 4096)) + block() + END, "a name of 4096 bytes"),
    ("deep path", long(b"a/" * 100_000 + b"\0") + block() + END, "a name of 200000 bytes"),
    ("symlink to nothing", block(flag=b"2") + END, "a link target of 0 bytes"),
    ("hard link to nothing", block(flag=b"1") + END, "a link target of 0 bytes"),
    ("unknown type", FILE + block(flag=b"Z") + END, "unknown type b'Z'"),
    ("contiguous file", FILE + block(flag=b"7") + END, "unknown type b'7'"),
    ("rest of another volume", block(flag=b"M", size=512) + DATA + END, "unknown type b'M'"),
    ("volume label", block(flag=b"V") + FILE + END, "unknown type b'V'"),
    ("dump directory", block(flag=b"D", size=512) + DATA + FILE + END, "unknown type b'D'"),
    ("Solaris pax header", block(flag=b"X", size=512) + DATA + FILE, "unknown type b'X'"),
]

AMBIGUOUS: list[tuple[str, bytes, str]] = [
    ("file ending in a slash", block(b"d/") + END, "ends in a slash"),
    ("pax name ending in a slash", pax((b"path", b"d/")) + block() + END, "ends in a slash"),
    ("V7 with a prefix", block(magic=V7, prefix=b"p") + END, "a prefix in a header of no known"),
    ("GNU with a prefix", block(magic=GNU, prefix=b"usr/bin") + END, "a prefix in a GNU header"),
    ("half ustar with a prefix", block(magic=b"ustar 00", prefix=b"p") + END, "a prefix"),
    (
        "star prefix that runs into its times",
        block(prefix=b"p" * 131 + b"00000000000 " * 2 + bytes(8) + b"tar\0") + END,
        "a prefix that ends where",
    ),
    (
        "star with times that are none",
        block(prefix=b"p".ljust(131, b"\0") + b"yesterday".ljust(32, b"\0") + b"tar\0") + END,
        "atime is not an octal number",
    ),
    ("symlink with data", block(flag=b"2", linkname=b"t", size=512) + HIDDEN, "symlink with data"),
    ("device with data", block(flag=b"3", size=512) + HIDDEN + END, "char with data"),
    ("block device with data", block(flag=b"4", size=512) + HIDDEN + END, "block with data"),
    ("fifo with data", block(flag=b"6", size=512) + HIDDEN + END, "fifo with data"),
    ("V7 directory with data", block(b"d/", flag=b"\0", size=512) + HIDDEN, "directory with data"),
    ("hard link with a size", block(flag=b"1", linkname=b"t", size=512) + HIDDEN, "link with data"),
    (
        "hard link with pax size",
        pax((b"size", b"512")) + block(flag=b"1", linkname=b"t") + HIDDEN,
        "link with data",
    ),
    (
        "directory with pax size",
        pax((b"size", b"512")) + block(b"d/", flag=b"5") + HIDDEN,
        "directory with data",
    ),
]

HEADERS: list[tuple[str, bytes, str]] = [
    ("two pax headers", pax((b"path", b"a")) + pax((b"path", b"b")) + LAST, "several extended"),
    ("two empty pax headers", raw_pax(b"") + raw_pax(b"") + LAST, "several extended"),
    ("two long names", long(b"a\0") + long(b"b\0") + LAST + END, "several extended headers"),
    ("two long links", long(b"a\0", b"K") + long(b"b\0", b"K") + LAST, "several extended headers"),
    ("pax, then long name", pax((b"path", b"a")) + long(b"b\0") + LAST, "several extended"),
    ("long name, then pax", long(b"b\0") + pax((b"path", b"a")) + LAST, "several extended"),
    ("pax size before a long name", pax((b"size", b"9")) + long(b"b\0") + LAST, "several extended"),
    ("long link, then pax", long(b"b\0", b"K") + pax((b"a", b"b")) + LAST, "several extended"),
    ("5,000 pax headers", pax((b"path", b"a")) * 5000 + LAST, "header at byte 1024: several"),
    ("5,000 long names", long(b"a\0") * 5000 + LAST, "header at byte 1024: several"),
    ("pax header, then the end", pax((b"path", b"a")) + END, "without its entry"),
    ("pax header, then nothing", pax((b"path", b"a")), "without its entry"),
    ("long name, then the end", long(b"a\0") + END, "without its entry"),
    ("global between pax and entry", pax((b"path", b"a")) + pax(flag=b"g") + LAST, "without its"),
    (
        "pax record in the padding",
        cut_short(pax((b"a", b"b"), (b"path", b"a")), 6),
        "after its end",
    ),
    ("long name into the padding", cut_short(long(b"long"), 1), "more after its end"),
    ("empty long name", long(b"\0") + LAST + END, "an empty long name"),
    ("pax header over 1 MiB", raw_pax(b"x" * ((1 << 20) + 1)), "header of 1048577 bytes"),
    ("long name over 1 MiB", long(b"x" * ((1 << 20) + 1)), "header of 1048577 bytes"),
    ("global header over 1 MiB", raw_pax(b"x" * ((1 << 20) + 1), b"g"), "header of 1048577"),
    ("pax header of 2^62 bytes", block(flag=b"x", size=HUGE), "header of 4611686018427387904"),
    ("pax header with a bad uid", block(flag=b"x", uid=b"zz") + LAST, "uid is not an octal"),
    ("long name with a bad mtime", block(flag=b"L", mtime=b"zz"), "mtime is not an octal"),
]

RECORDS: list[tuple[str, bytes, str]] = [
    ("length 0", raw_pax(b"0 path=a\n"), "whose length is wrong"),
    ("length too short", raw_pax(b"8 path=a\n"), "whose length is wrong"),
    ("length too long", raw_pax(b"99 path=a\n"), "whose length is wrong"),
    ("length into the next record", raw_pax(b"18 path=a\n" + record(b"a", b"b")), "wrong"),
    ("length of its own digits", raw_pax(b"00000000000000005 a=b\n"), "length is wrong"),
    ("no length", raw_pax(b"path=a\n"), "without a length"),
    ("length with a sign", raw_pax(b"+9 path=a\n"), "without a length"),
    ("endless length", raw_pax(b"1" * 600), "without a length"),
    ("no newline", raw_pax(b"10 path=ab"), "whose length is wrong"),
    ("NULs after the records", raw_pax(record(b"a", b"b") + bytes(20)), "without a length"),
    ("no equals sign", raw_pax(b"8 patha\n"), "without a key"),
    ("no key", raw_pax(b"5 =a\n"), "without a key"),
    ("NUL in a key", pax((b"pa\0th", b"a")), "without a key"),
    ("NUL in path", pax((b"path", b"a\0b")) + LAST, "a NUL in pax path"),
    ("NUL in linkpath", pax((b"linkpath", b"a\0b")) + LAST, "a NUL in pax linkpath"),
    ("NUL in uname", pax((b"uname", b"a\0b")) + LAST, "a NUL in pax uname"),
    ("NUL in a sparse name", pax((b"GNU.sparse.name", b"a\0b")) + LAST, "a NUL in pax GNU.sp"),
    ("empty path", pax((b"path", b"")) + LAST, "an empty pax path"),
    ("empty linkpath", pax((b"linkpath", b"")) + LAST, "an empty pax linkpath"),
    ("empty size", pax((b"size", b"")) + LAST, "an empty pax size"),
    ("negative size", pax((b"size", b"-1")) + LAST + END, "a file of -1 bytes"),
    ("size is text", pax((b"size", b"many")) + LAST, "pax size is not a number"),
    ("size with a plus", pax((b"size", b"+3")) + LAST, "pax size is not a number"),
    ("size with a blank", pax((b"size", b" 3")) + LAST, "pax size is not a number"),
    ("size over 64 bits", pax((b"size", b"9" * 19)) + LAST, "pax size does not fit"),
    ("size of many digits", pax((b"size", b"9" * 5000)) + LAST, "pax size does not fit"),
    ("mtime is text", pax((b"mtime", b"now")) + LAST, "pax mtime is not a number"),
    ("mtime of two points", pax((b"mtime", b"1.2.3")) + LAST, "pax mtime is not a time"),
    ("atime is text", pax((b"atime", b"now")) + LAST, "pax atime is not a number"),
    ("uid is text", pax((b"uid", b"root")) + LAST, "pax uid is not a number"),
    ("global path", pax((b"path", b"a"), flag=b"g") + LAST, "sets 'path'"),
    ("global size", pax((b"size", b"9"), flag=b"g") + LAST, "sets 'size'"),
    ("global uid", pax((b"uid", b"0"), flag=b"g") + LAST, "sets 'uid'"),
    ("global xattr", pax((b"SCHILY.xattr.user.a", b"b"), flag=b"g") + LAST, "sets 'SCHILY"),
    ("global charset", pax((b"hdrcharset", b"BINARY"), flag=b"g") + LAST, "sets 'hdrcharset'"),
    ("star's sparse size", pax((b"SCHILY.realsize", b"9")) + LAST, "star's sparse file"),
]

SPARSE: list[tuple[str, bytes, str]] = [
    ("4 EiB", sparse_0_1(size=b"4611686018427387904"), "a file of 4611686018427387904 bytes"),
    ("old, 4 EiB", old(b"00000000000\x0000000001000\0", HUGE), "a file of 4611686018427387904"),
    ("negative size", sparse_0_1(size=b"-1"), "does not fit its file"),
    ("no size", sparse_0_1(size=None), "no size, or two"),
    ("two sizes", sparse_0_1(realsize=b"9"), "no size, or two"),
    ("region past the end", sparse_0_1(size=b"1000"), "does not fit its file"),
    ("regions that overlap", sparse_0_1(map=b"0,256,255,256", numblocks=b"2"), "does not fit"),
    ("regions out of order", sparse_0_1(map=b"256,256,0,256", numblocks=b"2"), "does not fit"),
    ("negative region", sparse_0_1(map=b"512,-512"), "does not fit its file"),
    ("region at -512", sparse_0_1(map=b"-512,512"), "does not fit its file"),
    ("less than is stored", sparse_0_1(map=b"512,511"), "of 511 bytes over 512 stored"),
    ("more than is stored", sparse_0_1(map=b"0,513"), "of 513 bytes over 512 stored"),
    ("map of text", sparse_0_1(map=b"a,b"), "sparse map is not a number"),
    ("map with gaps", sparse_0_1(map=b"512,512,,"), "sparse map is not a number"),
    ("odd map", sparse_0_1(map=b"512,512,600"), "of another length than it says"),
    ("longer map than told", sparse_0_1(map=b"0,0,512,512"), "of another length than it says"),
    ("no count", sparse_0_1(numblocks=None), "numblocks is not a number"),
    ("no map", sparse_0_1(map=None), "map is not where its version says"),
    ("name alone", pax((b"GNU.sparse.name", b"other")) + LAST, "map is not where its version"),
    ("size alone", pax((b"GNU.sparse.size", b"9")) + LAST, "map is not where its version says"),
    ("version 2.0", sparse_0_1(major=b"2", minor=b"0"), "of an unknown version"),
    ("version half told", sparse_0_1(major=b"1"), "of an unknown version"),
    ("version 1.0 with a 0.1 map", sparse_0_1(major=b"1", minor=b"0"), "map is not where its"),
    ("pairs the wrong way", pax((b"GNU.sparse.numbytes", b"1")) + LAST, "out of order"),
    ("pair with a comma", pax((b"GNU.sparse.offset", b"1,2")) + LAST, "out of order"),
    ("pairs and a map", sparse_0_1(offset=b"512", numbytes=b"512"), "two sparse maps"),
    ("a directory", pax(*SPARSE_0_1) + block(b"d/", flag=b"5") + END, "that is no file"),
    ("empty name", sparse_0_1(name=b""), "an empty pax GNU.sparse.name"),
    ("name ending in a slash", sparse_0_1(name=b"d/"), "ends in a slash"),
    ("1.0, no number", sparse_1_0(b"x\n"), "sparse map is not a number"),
    ("1.0, negative count", sparse_1_0(b"-1\n"), "a sparse map that is too long"),
    ("1.0, huge count", sparse_1_0(b"1000000000000\n"), "a sparse map that is too long"),
    ("1.0, longer than its data", sparse_1_0(b"1\n512\n", stored=0), "longer than its data"),
    ("1.0, a line without end", sparse_1_0(b"0" * 4096), "a sparse map that is too long"),
    ("1.0, no size", pax(*SPARSE_1_0) + block(size=512) + padded(b"0\n"), "no size, or two"),
    ("old, in ustar", old(b"", magic=b"ustar\x0000"), "that is not GNU's"),
    ("old, with pax records", pax(*SPARSE_0_1) + old(b""), "in two formats at once"),
    ("old, bad number", old(b"z" * 24), "sparse offset is not an octal number"),
    ("old, bad real size", old(b"", b"z" * 12), "real size is not an octal number"),
    ("old, unordered", old(b"00000001000\x0000000000400\0" * 2), "does not fit its file"),
    (
        "old, cut in the map",
        block(flag=b"S", magic=GNU, prefix=old_sparse(b"0" * 96, b"01000", extended=True)),
        "ends inside a sparse map",
    ),
]

ALL = [
    (f"{group}: {what}", archive, message)
    for group, table in {
        "broken": BROKEN,
        "ambiguous": AMBIGUOUS,
        "special": HEADERS,
        "records": RECORDS,
        "sparse": SPARSE,
    }.items()
    for what, archive, message in table
]


@pytest.mark.parametrize(
    ("archive", "message"), [row[1:] for row in ALL], ids=[row[0] for row in ALL]
)
@pytest.mark.parametrize("chunk", [1 << 30, 100])
def test_refused_with_the_reason_and_the_place(archive: bytes, message: str, chunk: int) -> None:
    with pytest.raises(FormatError, match=r"tar header at byte \d+: ") as caught:
        read(archive, chunk=chunk)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_place_is_the_header_that_is_wrong() -> None:
    with pytest.raises(FormatError, match="tar header at byte 2048: ") as caught:
        read(FILE + pax((b"mtime", b"1.5")) + block(flag=b"Z"))
    assert caught.value.at == "tar header at byte 2048"


def test_what_came_before_the_fault_was_already_given() -> None:
    reader = iter(Reader([FILE + LAST + WRONG_SUM]))
    assert [next(reader).name, next(reader).name] == ["first", "last"]
    with pytest.raises(FormatError):
        next(reader)


@pytest.mark.parametrize(
    ("limits", "archive", "message"),
    [
        (Limits(entries=1), FILE + LAST + END, "more than 1 entries"),
        (Limits(special=20), long(b"n" * 20 + b"\0") + LAST, "header of 21 bytes"),
        (Limits(name=4), FILE, "a name of 5 bytes"),
        (Limits(name=4), block(b"l", flag=b"2", linkname=b"12345"), "a link target of 5 bytes"),
        (Limits(file=2), FILE, "a file of 3 bytes"),
        (Limits(file=1023), sparse_0_1(), "a file of 1024 bytes"),
        (Limits(holes=1023), sparse_0_1() * 2, "more than 1023 bytes of holes"),
    ],
)
def test_a_limit_is_a_limit(limits: Limits, archive: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(archive, limits=limits)


@pytest.mark.parametrize(
    ("limits", "archive"),
    [
        (Limits(entries=2), FILE + LAST + END),
        (Limits(special=20), long(b"n" * 19 + b"\0") + LAST),
        (Limits(name=5), FILE),
        (Limits(file=3), FILE),
        (Limits(file=1024), sparse_0_1()),
        (Limits(holes=1024), sparse_0_1() * 2),
    ],
)
def test_what_a_limit_allows_is_read(limits: Limits, archive: bytes) -> None:
    assert read(archive, limits=limits)


def test_a_lying_size_costs_no_memory_and_no_reading() -> None:
    """The size is refused from the header; nothing after it is even asked for."""
    asked: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield block(size=HUGE)
        asked.append(1)
        yield bytes(1 << 20)

    with pytest.raises(FormatError, match="4611686018427387904"):
        list(Reader(chunks()))
    assert not asked
