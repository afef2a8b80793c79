"""Damaged archives: entries that make sense, or a FormatError; and never much memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.formats.tar import Entry, padding
from tests.builders import Dir, Hard, Reg, tar_layer
from tests.formats.tar_blocks import (
    END,
    GNU,
    block,
    content,
    long,
    old_sparse,
    padded,
    pax,
    raw_pax,
    read,
    summed,
)

SPARSE_PAIR = b"%011o\0%011o\0" % (512, 512)
WHOLE = b"".join(
    [
        padded(tar_layer([Dir("d"), Reg("d/a", b"x" * 700), Hard("h", "d/a")]).rstrip(b"\0")),
        pax((b"comment", b"c"), flag=b"g"),
        pax((b"path", b"p" * 120), (b"mtime", b"5.25"), (b"SCHILY.xattr.user.a", b"\0=\n")),
        block(size=513) + padded(b"y" * 513),
        long(b"n" * 120 + b"\0") + long(b"t\0", b"K") + block(flag=b"2", magic=GNU),
        pax(
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.realsize", b"9000"),
        ),
        block(size=1024) + padded(b"1\n512\n512\n") + b"z" * 512,
        block(flag=b"S", magic=GNU, size=512, prefix=old_sparse(SPARSE_PAIR, b"00000010000\0")),
        b"z" * 512,
        block(b"last", size=3) + padded(b"end"),
        END,
    ]
)
PLACES = range(0, len(WHOLE) - len(END), 512)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A few edits to the archive; often with the checksum made right, else little is reached."""
    archive = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.sampled_from(PLACES))
        at = start + draw(st.integers(0, 511))
        match draw(st.sampled_from("bbbbffiidst")):
            case "b":  # one byte
                archive[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "f":  # a run of bytes that numbers, names and records are made of
                text = draw(st.text("0127 \0=\n/-,x\x80\xff", max_size=12)).encode("latin-1")
                archive[at : at + len(text)] = text
            case "i":  # a block from elsewhere, put in
                other = draw(st.sampled_from(PLACES))
                archive[start:start] = WHOLE[other : other + 512]
            case "d":
                del archive[start : start + draw(st.sampled_from([1, 512]))]
            case "s":  # two blocks change places
                other = draw(st.sampled_from(PLACES))
                archive[start : start + 512] = WHOLE[other : other + 512]
            case "t":
                del archive[at:]
        if draw(st.booleans()) and len(archive) >= start + 512:
            archive[start : start + 512] = summed(bytes(archive[start : start + 512]))
    return bytes(archive)


@given(damaged())
@settings(deadline=None, max_examples=500)
def test_entries_or_an_error(archive: bytes) -> None:
    try:
        entries = read(archive)
    except FormatError:
        return
    check(entries, archive)


def check(entries: list[Entry], archive: bytes) -> None:
    """In order, apart, inside the archive; and each is carried through by its own bytes."""
    end = 0
    for entry in entries:
        stored = entry.size if entry.sparse is None else sum(length for _, length in entry.sparse)
        assert end <= entry.header_offset < entry.data_offset
        assert entry.data_offset + stored <= len(archive)
        end = entry.data_offset + stored + padding(stored)
        if entry.size < 1 << 24:
            assert len(content(archive, entry)) == entry.size
        assert entry.name
        assert "\0" not in entry.name + entry.linkname
        assert bool(entry.linkname) == (entry.kind in ("link", "symlink"))
        (alone,) = read(
            archive[entry.header_offset : end].ljust(end - entry.header_offset, b"\0") + END
        )
        assert alone.name == entry.name
        assert alone.sparse == entry.sparse


def test_the_archive_that_is_damaged_is_sound() -> None:
    entries = read(WHOLE)
    assert [entry.name[:4].rstrip("/") for entry in entries] == [
        *("d", "d/a", "h", "pppp", "nnnn", "f", "f", "last"),
    ]
    check(entries, WHOLE)


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_any_bytes(data: bytes) -> None:
    try:
        assert read(data) == []  # zeros alone: no header's checksum is right by chance
        assert not data[:1024].strip(b"\0")
    except FormatError:
        pass


def test_every_single_bit_of_a_header_is_covered_by_its_checksum() -> None:
    header = block(b"name", size=3, uname=b"root")
    for bit in range(8 * 512):
        flipped = bytearray(header)
        flipped[bit // 8] ^= 1 << bit % 8
        if 148 <= bit // 8 < 156 and _same_number(bytes(flipped[148:156]), header[148:156]):
            continue
        with pytest.raises(FormatError):
            read(bytes(flipped) + padded(b"abc") + END)


def _same_number(one: bytes, other: bytes) -> bool:
    """A blank for a zero before it or a NUL behind, or anything after its end."""
    first, second = (field.partition(b"\0")[0].strip().lstrip(b"0") for field in (one, other))
    return first == second


HUGE = b"\x80" + (1 << 39).to_bytes(11, "big")
CLAIMS = {
    "a file": block(size=8**11 - 1),
    "a file, base-256": block(size=HUGE),
    "a pax header": block(flag=b"x", size=1 << 20),
    "a long name": block(flag=b"L", size=1 << 20),
    "a pax record": raw_pax(b"999999999 path=a\n"),
    "a sparse file": pax(
        (b"GNU.sparse.size", b"%d" % (1 << 39)),
        (b"GNU.sparse.numblocks", b"1"),
        (b"GNU.sparse.map", b"0,%d" % (1 << 39)),
    )
    + block(size=8**11 - 1),
    "a sparse map": pax(
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"1")
    )
    + block(size=8**11 - 1)
    + padded(b"100000\n"),
    "an old sparse map": block(
        flag=b"S", magic=GNU, size=8**11 - 1, prefix=old_sparse(b"", HUGE, extended=True)
    )
    + (bytes(504) + b"\1" + bytes(7)) * 20,
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_what_is_only_claimed_takes_no_memory(claim: bytes) -> None:
    read(WHOLE)  # caches filled
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read(claim)
        assert tracemalloc.get_traced_memory()[1] < 1 << 19
    finally:
        tracemalloc.stop()
