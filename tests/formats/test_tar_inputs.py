"""What a tar stream may be: one row an input, accepted as Go's archive/tar reads it, or refused."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.formats import tar
from careen.formats.tar import Entry
from tests.builders import Dir, Hard, Lnk, Reg, tar_layer
from tests.judges import needs

END = bytes(1024)
USTAR, GNU = b"ustar\x0000", b"ustar  \0"


def raw(  # the fields of a header
    name: bytes = b"a",
    data: bytes = b"",
    flag: bytes = b"0",
    *,
    size: bytes | int | None = None,
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    mtime: bytes = b"14524770400\0",
    linkname: bytes = b"",
    magic: bytes = USTAR,
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """One header with the right checksum, its data and padding."""
    if size is None:
        size = len(data)
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = b"".join(
        [
            name.ljust(100, b"\0"), mode, uid, b"0000000\0", field, mtime, b" " * 8, flag,
            linkname.ljust(100, b"\0"), magic, bytes(64), b"0000000\0" * 2,
            prefix.ljust(155, b"\0"), bytes(12),
        ]
    )  # fmt: skip
    assert len(block) == 512
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\0 " % total + block[156:] + data + bytes(-len(data) % 512)


def record(key: str, value: bytes) -> bytes:
    body = f" {key}=".encode() + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(*records: tuple[str, bytes], flag: bytes = b"x") -> bytes:
    return raw(b"PaxHeaders/x", b"".join(record(*r) for r in records), flag)


def long(flag: bytes, text: bytes) -> bytes:
    return raw(b"././@LongLink", text + b"\0", flag, magic=GNU)


def entries(data: bytes | Iterable[bytes]) -> list[Entry]:
    return list(tar.Reader([data] if isinstance(data, bytes) else data))


def base256(number: int, width: int) -> bytes:
    value = number & ((1 << (8 * width)) - 1)
    field = bytearray(value.to_bytes(width, "big"))
    field[0] |= 0x80
    return bytes(field)


REFUSED = {
    "truncated in data": raw(b"a", b"x" * 600)[:-512],
    "truncated in a header": raw()[:300],
    "bad checksum": raw() + raw(b"b", checksum=1) + END,
    "garbage": raw() + b"\1garbage".ljust(512, b"!") + END,
    "a lone zero block, then entries": raw() + bytes(512) + raw(b"b") + END,
    "negative base-256 size": raw(size=base256(-1, 12)) + END,
    "absurd size": raw(size=base256(1 << 62, 12)) + END,
    "a size beyond 64 bits": raw(size=base256(1 << 80, 12)) + END,
    "size that is not octal": raw(size=b"000000000z9\0") + END,
    "mode that is not octal": raw(mode=b"00008.4\0") + END,
    "pax size that is text": pax(("size", b"ten")) + raw() + END,
    "pax size that is negative": pax(("size", b"-1")) + raw() + END,
    "pax size that is empty": pax(("size", b"")) + raw() + END,
    "pax length 0": raw(b"p", b"0 path=x\n", b"x") + raw() + END,
    "pax length too long": raw(b"p", b"99 path=x\n", b"x") + raw() + END,
    "pax length too short": raw(b"p", b"8 path=xyz\n", b"x") + raw() + END,
    "pax without newline": raw(b"p", b"9 path=xx", b"x") + raw() + END,
    "pax without key": raw(b"p", b"6 =xy\n", b"x") + raw() + END,
    "NUL in a pax path": pax(("path", b"a\0b")) + raw() + END,
    "empty pax path": pax(("path", b"")) + raw() + END,
    "global pax path": pax(("path", b"b"), flag=b"g") + raw() + END,
    "global pax size": pax(("size", b"3"), flag=b"g") + raw() + END,
    "global pax xattr": pax(("SCHILY.xattr.user.a", b"3"), flag=b"g") + raw() + END,
    "two pax headers": pax(("path", b"b")) + pax(("path", b"c")) + raw() + END,
    "pax and a long name": pax(("path", b"b")) + long(b"L", b"c") + raw() + END,
    "a long name and pax": long(b"L", b"c") + pax(("path", b"b")) + raw() + END,
    "two long names": long(b"L", b"b") + long(b"L", b"c") + raw() + END,
    "chained pax headers": pax(("path", b"b")) * 5000 + raw() + END,
    "a long name of 2 MiB": long(b"L", b"n" * (2 << 20)) + raw() + END,
    "a pax header of 2 MiB": pax(("comment", b"n" * (2 << 20))) + raw() + END,
    "a pax header that claims 4 GiB": raw(b"p", b"", b"x", size=4 << 30) + END,
    "pax without its entry": raw() + pax(("path", b"b")) + END,
    "a long name without its entry": long(b"L", b"b") + END,
    "empty name": raw(b"") + END,
    "empty link target": raw(b"a", flag=b"2") + END,
    "name over PATH_MAX": long(b"L", b"n/" * 2500) + raw() + END,
    "unknown type": raw(flag=b"Z") + END,
    "volume label": raw(flag=b"V", magic=GNU) + END,
    "multi-volume": raw(flag=b"M", magic=GNU) + END,
    "a file whose name ends in a slash": raw(b"a/", b"x") + END,
    "a uid that chown cannot set": pax(("uid", b"4294967295")) + raw() + END,
    "a negative uid": raw(uid=base256(-5, 8)) + END,
    "unknown sparse version": pax(("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")) + raw()
    + END,
    "a sparse map that claims exabytes": pax(
        ("GNU.sparse.major", b"0"), ("GNU.sparse.minor", b"1"), ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.map", b"0,9223372036854775000"), ("GNU.sparse.size", b"9223372036854775807"),
    ) + raw() + END,
    "a sparse map that overlaps": pax(
        ("GNU.sparse.map", b"0,4,2,4"), ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.size", b"8"),
    ) + raw(b"a", b"12345678") + END,
    "a sparse map of more than is stored": pax(
        ("GNU.sparse.map", b"0,9"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.size", b"20"),
    ) + raw(b"a", b"12345678") + END,
}  # fmt: skip


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_refused_with_a_place(data: bytes) -> None:
    with pytest.raises(FormatError):
        entries(data)


ACCEPTED: dict[str, tuple[bytes, list[tuple[str, object]]]] = {
    "missing end blocks": (raw(), [("name", "a")]),
    "one end block": (raw() + bytes(512), [("name", "a")]),
    "data after the end": (raw() + END + b"anything at all", [("name", "a")]),
    "spaces around octal": (raw(mode=b"  644 \0 "), [("mode", 0o644)]),
    "empty numbers are 0": (raw(uid=bytes(8)), [("uid", 0)]),
    "base-256": (raw(uid=base256(70_000_000, 8)), [("uid", 70_000_000)]),
    "negative time": (raw(mtime=base256(-5, 12)), [("mtime", -5_000_000_000)]),
    "pax size wins": (pax(("size", b"3")) + raw(b"a", b"abc", size=0) + END, [("size", 3)]),
    "pax mtime to the nanosecond": (
        pax(("mtime", b"1.0000000019")) + raw(), [("mtime", 1_000_000_001)],
    ),
    "negative pax mtime": (pax(("mtime", b"-1.5")) + raw(), [("mtime", -1_500_000_000)]),
    "pax path": (pax(("path", b"x/y")) + raw(), [("name", "x/y")]),
    "pax names in any bytes": (pax(("path", b"\xff")) + raw(), [("name", "\udcff")]),
    "binary names": (raw(b"caf\xe9"), [("name", "caf\udce9")]),
    "last of equal pax records": (pax(("path", b"x"), ("path", b"y")) + raw(), [("name", "y")]),
    "long name": (long(b"L", b"n" * 300) + raw(), [("name", "n" * 300)]),
    "long link": (
        long(b"K", b"t" * 300) + raw(b"a", flag=b"2", linkname=b"t"), [("linkname", "t" * 300)],
    ),
    "ustar prefix": (raw(b"name", prefix=b"some/folder"), [("name", "some/folder/name")]),
    "GNU has no prefix": (raw(b"name", magic=GNU), [("name", "name")]),
    "old V7 file": (raw(b"name", magic=bytes(8), flag=b"\0"), [("kind", "file")]),
    "old V7 directory": (raw(b"d/", magic=bytes(8), flag=b"\0"), [("kind", "directory")]),
    "git's comment": (pax(("comment", b"abc"), flag=b"g") + raw(), [("name", "a")]),
    "xattrs with NULs": (
        pax(("SCHILY.xattr.security.capability", b"\1\0\0\2=\n")) + raw(),
        [("xattrs", {"security.capability": b"\1\0\0\2=\n"})],
    ),
    "unknown pax records": (pax(("VENDOR.x", b"1")) + raw(), [("pax", {"VENDOR.x": b"1"})]),
    "a size on a directory brings no data": (
        raw(b"d", flag=b"5", size=700) + raw(b"b"), [("size", 0)],
    ),
    "char 0:0": (raw(b"c", flag=b"3"), [("kind", "char"), ("devmajor", 0)]),
    "setuid": (raw(mode=b"0004755\0"), [("mode", 0o4755)]),
    "file type bits in the mode": (raw(mode=b"0100644\0"), [("mode", 0o644)]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(data: bytes, expected: list[tuple[str, object]]) -> None:
    first = entries(data)[0]
    assert [(name, getattr(first, name)) for name, _ in expected] == expected


@pytest.mark.parametrize(
    ("data", "warning"),
    [(raw(), "no end blocks"), (raw() + bytes(512), "one zero block"), (b"", "no end blocks")],
)
def test_odd_ends_are_told(data: bytes, warning: str) -> None:
    reader = tar.Reader([data])
    list(reader)
    assert warning in reader.warnings[0]


def test_the_whole_stream_is_read() -> None:
    seen: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for chunk in (raw(b"a", b"x" * 5000), END, b"tail", b"", b"more"):
            seen.append(chunk)
            yield chunk

    assert [entry.name for entry in tar.Reader(chunks())] == ["a"]
    assert seen[-1] == b"more"


SAMPLE = (
    raw(b"a", b"x" * 700)
    + pax(("path", b"b" * 200), ("mtime", b"5.5"))
    + raw(b"b", b"y" * 512)
    + long(b"L", b"c" * 150)
    + raw(b"c")
    + END
)


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 1000, 1536, 1 << 20])
def test_the_cut_of_the_chunks_does_not_show(size: int) -> None:
    cut = [SAMPLE[at : at + size] for at in range(0, len(SAMPLE), size)]
    assert entries(cut) == entries(SAMPLE)


def test_offsets_lead_to_headers_and_data() -> None:
    for entry in entries(SAMPLE):
        own = SAMPLE[entry.header_offset : entry.data_offset]
        again = entries(own + SAMPLE[entry.data_offset : entry.data_offset + entry.size].ljust(
            entry.size + tar.padding(entry.size), b"\0") + END)  # fmt: skip
        assert [(e.name, e.size, e.mtime) for e in again] == [(entry.name, entry.size, entry.mtime)]


def test_more_entries_than_the_limit() -> None:
    with pytest.raises(FormatError, match="more than 3 entries"):
        list(tar.Reader([raw() * 4 + END], tar.Limits(entries=3)))


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_damage_gives_entries_or_an_error(data: st.DataObject) -> None:
    damaged = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        found = entries(bytes(damaged[:cut]))
    except FormatError:
        return
    assert all(entry.name for entry in found)


class TestOtherWriters:
    """Archives that common programs write are read as those programs list them."""

    NODES = (
        Dir("d"), Reg("d/é", b"x" * 600, mode=0o4755, uid=3_000_000, mtime=1.25),
        Reg("n" * 150, b"y"), Lnk("l", "t" * 150), Hard("h", "d/é"),
    )  # fmt: skip

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_python(self, form: int) -> None:
        data = tar_layer(list(self.NODES), form=form)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = archive.getmembers()
            listed = [(m.name, m.mode, m.uid, m.linkname, m.offset_data) for m in members]
        found = [
            (e.name.rstrip("/"), e.mode, e.uid, e.linkname, e.data_offset) for e in entries(data)
        ]
        assert found == listed

    @needs("tar")
    @pytest.mark.parametrize(
        "options",
        [
            ["--format=gnu"], ["--format=pax"], ["--format=ustar"], ["--format=v7"],
            ["--format=oldgnu"], ["--format=pax", "--sparse", "--sparse-version=0.0"],
            ["--format=pax", "--sparse", "--sparse-version=0.1"],
            ["--format=pax", "--sparse", "--sparse-version=1.0"], ["--format=gnu", "--sparse"],
        ],
        ids=" ".join,
    )  # fmt: skip
    def test_gnu_tar(self, options: list[str], tmp_path: Path) -> None:
        root = tmp_path / "root"
        (root / "folder").mkdir(parents=True)
        (root / "folder" / "file").write_bytes(b"content")
        with (root / "holes").open("wb") as file:
            for number in range(30):
                file.seek(number * 200_000)
                file.write(b"island %d" % number)
            file.truncate(10_000_000)
        (root / "link").symlink_to("folder/file")
        data = subprocess.run(
            ["tar", *options, "-C", str(root), "-c", "."], capture_output=True, check=True
        ).stdout
        content = {}
        for entry in entries(data):
            if entry.kind == "file":
                content[entry.name] = expand(entry, data)
        assert content == {
            "./folder/file": b"content",
            "./holes": (root / "holes").read_bytes(),
        }
        sparse = [entry for entry in entries(data) if entry.sparse is not None]
        assert bool(sparse) == ("--sparse" in options)

    @needs("bsdtar")
    def test_bsdtar(self, tmp_path: Path) -> None:
        (tmp_path / ("é" * 80)).write_bytes(b"x")
        data = subprocess.run(
            ["bsdtar", "--format=pax", "-C", str(tmp_path), "-cf", "-", "."],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        ).stdout
        assert "./" + "é" * 80 in [entry.name for entry in entries(data)]


def expand(entry: Entry, data: bytes) -> bytes:
    if entry.sparse is None:
        return data[entry.data_offset : entry.data_offset + entry.size]
    content, stored = bytearray(entry.size), entry.data_offset
    for offset, length in entry.sparse:
        content[offset : offset + length] = data[stored : stored + length]
        stored += length
    return bytes(content)


_TEXT = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
)
_NAMES = st.lists(_TEXT, min_size=1, max_size=6).map("/".join) | st.binary(
    min_size=1, max_size=250
).filter(lambda raw: b"\0" not in raw and not raw.endswith(b"/")).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)
_ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["file", "link", "symlink", "char", "block", "directory", "fifo"]),
    name=_NAMES,
    linkname=_NAMES,
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, (1 << 32) - 2),
    gid=st.integers(0, (1 << 32) - 2),
    uname=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=40),
    gname=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=40),
    size=st.integers(0, 1 << 40),
    mtime=st.integers(-(10**18), 10**19),
    devmajor=st.integers(0, 255),
    devminor=st.integers(0, 255),
    xattrs=st.dictionaries(
        st.sampled_from(["user.a", "security.capability"]), st.binary(min_size=1), max_size=2
    ),
    pax=st.dictionaries(st.sampled_from(["VENDOR.a", "atime"]), st.just(b"1"), max_size=2),
)


@given(_ENTRIES)
@example(Entry(kind="file", name="a" * 100))
@example(Entry(kind="file", name="a" * 101))
@example(Entry(kind="file", name="d/" * 60 + "n"))
@settings(deadline=None)
def test_a_written_header_is_read_back(entry: Entry) -> None:
    block = tar.header(entry)
    assert len(block) % 512 == 0
    # The data of a huge file need not be there to read its header.
    found = next(iter(tar.Reader([block, b"\0"])), None) if entry.kind != "file" else _first(block)
    assert found is not None
    for name in Entry.__struct_fields__:
        if name in ("header_offset", "data_offset", "sparse"):
            continue
        expected = getattr(entry, name)
        if name == "linkname" and entry.kind not in ("link", "symlink"):
            expected = ""
        if name == "size" and entry.kind != "file":
            expected = 0
        if name in ("devmajor", "devminor") and entry.kind not in ("char", "block"):
            expected = 0
        assert getattr(found, name) == expected, name


def _first(block: bytes) -> Entry:
    def chunks() -> Iterator[bytes]:
        yield block
        while True:
            yield bytes(1 << 26)

    return next(iter(tar.Reader(chunks())))


@given(st.lists(_ENTRIES, max_size=5))
@settings(deadline=None, max_examples=60)
def test_python_reads_written_headers(items: list[Entry]) -> None:
    import msgspec

    small = [msgspec.structs.replace(item, size=min(item.size, 3000)) for item in items]
    data = b""
    for item in small:
        size = item.size if item.kind == "file" else 0
        data += tar.header(item) + b"x" * size + bytes(tar.padding(size))
    with tarfile.open(fileobj=io.BytesIO(data + tar.END)) as archive:
        members = archive.getmembers()
    assert [(m.name, m.mode, m.uid, m.gid) for m in members] == [
        (item.name.rstrip("/"), item.mode, item.uid, item.gid) for item in small
    ]
