"""Writing gzip and zstd: standard files, and the same bytes however the work was shared out."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import re
import subprocess
import threading
import zlib
from collections.abc import Iterable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import CareenError, UsageError
from careen.formats.compression import Decompressor, Encoding, compress

MIB = 1 << 20
NAMES = ["gzip", "gzip:portable", "zstd", "zstd:1"]
JUDGES = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}


def mixed(size: int) -> bytes:
    """Words, then noise, then zeros, by thirds."""
    chance = random.Random(size)
    words = [chance.randbytes(chance.randint(2, 12)) for _ in range(300)]
    text = b" ".join(chance.choices(words, k=size // 8 + 1))
    third = size // 3
    return (text[:third] + chance.randbytes(third)).ljust(size, b"\0")


CONTENTS = {
    "nothing": b"",
    "a byte": b"x",
    "a block less a byte": mixed(MIB - 1),
    "a block": mixed(MIB),
    "a block and a byte": mixed(MIB + 1),
    "blocks": mixed(3 * MIB + 12345),
    "noise": random.Random(1).randbytes(2 * MIB + 1),
    "zeros": bytes(5 * MIB),
}


def pack(blocks: Iterable[bytes | bytearray | memoryview], name: str, jobs: int = 2) -> bytes:
    return b"".join(compress(blocks, Encoding.parse(name), jobs=jobs))


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", NAMES)
def test_the_system_tools_and_our_reader_agree(name: str, content: str) -> None:
    raw = CONTENTS[content]
    blob = pack([raw], name)
    codec = Encoding.parse(name).codec
    done = subprocess.run(JUDGES[codec], input=blob, capture_output=True, check=True)
    assert done.stdout == raw
    reader = Decompressor([blob], declared=codec)
    assert b"".join(reader) == raw
    assert reader.warnings == []


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["gzip", "gzip:portable"])
def test_gzip_is_one_member_without_name_or_time(name: str, content: str) -> None:
    raw = CONTENTS[content]
    blob = pack([raw], name)
    assert blob[:10].hex() == "1f8b08000000000000ff"
    assert gzip.decompress(blob) == raw
    member = zlib.decompressobj(31)
    assert len(member.decompress(blob)) == len(raw)
    assert member.eof
    assert member.unused_data == b""


@pytest.mark.parametrize("content", CONTENTS)
def test_zstd_is_one_frame_with_a_checksum_and_no_size(content: str) -> None:
    blob = pack([CONTENTS[content]], "zstd")
    header = zstandard.get_frame_parameters(blob)
    assert header.has_checksum
    assert header.content_size == zstandard.CONTENTSIZE_UNKNOWN
    frame = zstandard.ZstdDecompressor().decompressobj()
    assert frame.decompress(blob) == CONTENTS[content]
    assert frame.eof
    assert frame.unused_data == b""


def test_the_highest_level_keeps_a_window_that_every_reader_takes() -> None:
    blob = pack([b"x" * 1000], "zstd:22")
    assert zstandard.get_frame_parameters(blob).window_size == 128 * MIB
    assert b"".join(Decompressor([blob], declared="zstd")) == b"x" * 1000


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_jobs_does_not_show(name: str) -> None:
    raw = mixed(9 * MIB + 5)  # three of the blocks of zstd, 4 MiB each
    assert len({pack([raw], name, jobs) for jobs in (1, 2, 8)}) == 1


def test_the_levels_differ() -> None:
    raw = CONTENTS["blocks"]
    assert len({pack([raw], name) for name in NAMES}) == len(NAMES)


CUT = CONTENTS["blocks"]
DIGESTS = {name: hashlib.sha256(pack([CUT], name)).hexdigest() for name in NAMES}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["gzip", "zstd:1"]),
    cuts=st.lists(st.integers(0, len(CUT)) | st.sampled_from([MIB, 2 * MIB]), max_size=12),
    kind=st.sampled_from([bytes, bytearray, memoryview]),
)
def test_the_cuts_of_the_blocks_do_not_show(name: str, cuts: list[int], kind: type) -> None:
    edges = [0, *sorted(cuts), len(CUT)]
    blocks = [kind(CUT[start:end]) for start, end in itertools.pairwise(edges)]
    assert hashlib.sha256(pack(blocks, name)).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_small_blocks_of_a_tar_do_not_show(name: str) -> None:
    blocks = [CUT[start : start + 512] for start in range(0, len(CUT), 512)]
    assert hashlib.sha256(pack(blocks, name)).hexdigest() == DIGESTS[name]


def test_empty_blocks_do_not_show() -> None:
    for name in NAMES:
        assert pack([b"", b""], name) == pack([], name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [MIB, MIB // 2 + 1])
def test_a_caller_may_fill_the_same_buffer_again(name: str, size: int) -> None:
    def blocks() -> Iterator[memoryview]:
        buffer = bytearray(size)
        for start in range(0, len(CUT), size):
            piece = CUT[start : start + size]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]

    assert hashlib.sha256(pack(blocks(), name)).hexdigest() == DIGESTS[name]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("compress")]


@pytest.mark.parametrize("name", NAMES)
def test_closing_early_ends_the_threads_and_the_blocks(name: str) -> None:
    taken = 0

    def blocks() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield random.Random(taken).randbytes(MIB)

    stream = compress(blocks(), Encoding.parse(name), jobs=3)
    pieces = [next(stream) for _ in range(4)]
    stream.close()  # type: ignore[attr-defined]
    assert all(pieces)
    assert taken < 60
    assert threads() == []


def test_gzip_holds_few_blocks_at_a_time() -> None:
    taken = given_out = 0

    def blocks() -> Iterator[bytes]:
        nonlocal taken
        while taken < 40:
            taken += 1
            yield bytes(MIB)

    for piece in compress(blocks(), Encoding.parse("gzip"), jobs=2):
        given_out += len(piece) > 100  # the blocks, not the header or the end
        assert taken - given_out <= 4
    assert given_out == 40


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_the_blocks_rises_as_it_is(name: str) -> None:
    def blocks() -> Iterator[bytes]:
        yield bytes(3 * MIB)
        raise CareenError("the layer is gone")

    with pytest.raises(CareenError, match="the layer is gone"):
        pack(blocks(), name)
    assert threads() == []


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_are_wrong_usage(jobs: int) -> None:
    with pytest.raises(UsageError, match="one at least"):
        compress([], Encoding.parse("gzip"), jobs=jobs)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("gzip", "gzip", r"isal [\d.]+ \(ISA-L [\d.]+\) level 2 blocks 1MiB"),
        ("gzip:portable", "gzip", r"python-zlib-ng [\d.]+ \(zlib-ng [\d.]+\) level 2 blocks 1MiB"),
        ("zstd", "zstd", r"zstandard [\d.]+ \(zstd [\d.]+\) level 3 blocks 4MiB"),
        ("zstd:1", "zstd", r"zstandard [\d.]+ \(zstd [\d.]+\) level 1 blocks 4MiB"),
        ("zstd:19", "zstd", r"zstandard [\d.]+ \(zstd [\d.]+\) level 19 blocks 16MiB"),
        ("zstd:22", "zstd", r"zstandard [\d.]+ \(zstd [\d.]+\) level 22 blocks 256MiB"),
    ],
)
def test_encodings_and_their_names(text: str, codec: str, name: str) -> None:
    encoding = Encoding.parse(text)
    assert encoding.codec == codec
    assert re.fullmatch(name, encoding.name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "GZIP",
        "gzip:",
        "gzip:3",
        "gzip:6",
        "zstd:",
        "zstd:0",
        "zstd:23",
        "zstd:-1",
        "zstd:03",
        "zstd: 3",
        "zstd:fast",
        "xz",
        "none",
    ],
)
def test_other_encodings_are_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="choose gzip, gzip:portable, zstd or zstd:LEVEL"):
        Encoding.parse(text)


def test_the_default_level_of_zstd_is_three() -> None:
    assert Encoding.parse("zstd") == Encoding.parse("zstd:3")
