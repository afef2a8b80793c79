"""Reading gzip and zstd: all of it, or a FormatError that says why; never something else."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import subprocess
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError, SourceError
from careen.formats.compression import Codec, Decompressor, Limits
from tests.builders import Reg, tar_layer

TEXT = b"".join(b"line %d of a file in a layer\n" % (number * number) for number in range(1500))
ZEROS = bytes(4 << 20)
CODECS: list[Codec] = ["gzip", "zstd"]
GZIP = gzip.compress(TEXT, mtime=0)
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
TAR = tar_layer([Reg("usr/bin/a", TEXT)])
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"


def cut(blob: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(blob), size):
        yield blob[start : start + size]


def unpack(blob: bytes, declared: Codec, size: int = 1 << 20) -> tuple[bytes, list[str]]:
    unpacked = Decompressor(cut(blob, size), declared=declared)
    content = b"".join(unpacked)
    return content, unpacked.warnings


def gzip_with(flags: int, fields: bytes) -> bytes:
    """TEXT with an RFC 1952 header of more fields than stdlib writes."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(5) + b"\x03" + fields
    if flags & 2:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + GZIP[10:]


def zstd_raw(data: bytes, *, window_log: int) -> bytes:
    """One frame of one raw block, by hand (RFC 8878, 3.1.1): no checksum, no content size."""
    block = (1 | len(data) << 3).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3]) + block


def zstd_stream(data: bytes) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush()


GOOD: dict[str, tuple[Codec, bytes, bytes]] = {
    "nothing at all": ("plain", b"", b""),
    "plain tar": ("plain", TAR, TAR),
    "tar without entries": ("plain", bytes(1024), bytes(1024)),
    "gzip": ("gzip", GZIP, TEXT),
    "gzip of nothing": ("gzip", gzip.compress(b""), b""),
    "gzip, stored": ("gzip", gzip.compress(TEXT, 0), TEXT),
    "gzip with a name": ("gzip", gzip_with(8, b"layer.tar\0"), TEXT),
    "gzip with every field": ("gzip", gzip_with(31, b"\x02\0xyname\0comment\0"), TEXT),
    "gzip, two members": ("gzip", GZIP + GZIP, TEXT * 2),
    "gzip, empty member between": ("gzip", GZIP + gzip.compress(b"") + GZIP, TEXT * 2),
    "gzip, many small members": ("gzip", gzip.compress(b"small") * 900, b"small" * 900),
    "gzip of zeros": ("gzip", gzip.compress(ZEROS), ZEROS),
    "zstd": ("zstd", ZSTD, TEXT),
    "zstd of nothing": ("zstd", zstandard.compress(b""), b""),
    "zstd without a checksum": ("zstd", zstandard.compress(TEXT), TEXT),
    "zstd of unknown size": ("zstd", zstd_stream(TEXT), TEXT),
    "zstd, two frames": ("zstd", ZSTD + ZSTD, TEXT * 2),
    "zstd, skippable frames": ("zstd", SKIPPABLE + ZSTD + SKIPPABLE + SKIPPABLE, TEXT),
    "zstd, only a skippable frame": ("zstd", SKIPPABLE, b""),
    "zstd of zeros": ("zstd", zstandard.compress(ZEROS, 19), ZEROS),
    "zstd, raw block": ("zstd", zstd_raw(b"raw", window_log=10), b"raw"),
    "zstd, largest window": ("zstd", zstd_raw(b"raw", window_log=27), b"raw"),
}


@pytest.mark.parametrize("size", [1, 2, 7, 4096, 1 << 20])
@pytest.mark.parametrize("name", GOOD)
def test_reads_whole_blobs_in_chunks_of_any_size(name: str, size: int) -> None:
    codec, blob, content = GOOD[name]
    assert unpack(blob, codec, size) == (content, [])


JUDGES = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}


@pytest.mark.parametrize("name", [name for name in GOOD if GOOD[name][0] in JUDGES])
def test_the_system_tools_read_the_same(name: str) -> None:
    codec, blob, content = GOOD[name]
    done = subprocess.run(JUDGES[codec], input=blob, capture_output=True, check=True)
    assert done.stdout == content


def test_the_chunks_may_be_empty_and_of_uneven_sizes() -> None:
    chunks = [b"", GZIP[:1], b"", b"", GZIP[1:11], GZIP[11:], b""]
    assert b"".join(Decompressor(chunks, declared="gzip")) == TEXT


BAD: dict[str, tuple[Codec, bytes, str]] = {
    "gzip, garbage behind": ("gzip", GZIP + b"x", "garbage after the end"),
    "gzip, half a magic behind": ("gzip", GZIP + b"\x1f\x8b", "garbage after the end"),
    "gzip, zeros and then garbage": ("gzip", GZIP + bytes(9000) + b"x", "garbage after"),
    "gzip, zstd behind": ("gzip", GZIP + ZSTD, "garbage after the end"),
    "gzip, second member cut": ("gzip", GZIP + GZIP[:-9], "cut short"),
    "gzip, wrong CRC": ("gzip", GZIP[:-8] + bytes(4) + GZIP[-4:], "checksum"),
    "gzip, wrong length": ("gzip", GZIP[:-4] + bytes(4), "checksum"),
    "gzip, wrong header CRC": ("gzip", gzip_with(2, b"")[:10] + b"xx" + GZIP[10:], "damaged"),
    "zstd, garbage behind": ("zstd", ZSTD + b"x", "garbage after the end"),
    "zstd, half a magic behind": ("zstd", ZSTD + ZSTD[:3], "garbage after the end"),
    "zstd, gzip behind": ("zstd", ZSTD + GZIP, "garbage after the end"),
    "zstd, second frame cut": ("zstd", ZSTD + ZSTD[:-5], "cut short"),
    "zstd, skippable frame cut": ("zstd", ZSTD + SKIPPABLE[:-1], "cut short"),
    "zstd, skippable size cut": ("zstd", SKIPPABLE[:6], "cut short"),
    "zstd, wrong checksum": ("zstd", ZSTD[:-4] + bytes(4), "checksum"),
    "zstd, only a magic": ("zstd", ZSTD[:4], "frame header"),
    "zstd, large window": ("zstd", zstd_raw(b"raw", window_log=28), "window of 256 MiB"),
    "zstd, huge window": (
        "zstd",
        zstd_raw(b"raw", window_log=41),
        "frame header: .* too much memory",
    ),
    "zstd, reserved block": ("zstd", ZSTD[:4] + b"\0\0\7\0\0", "damaged zstd data"),
    "zstd, dictionary": ("zstd", ZSTD[:4] + b"\1\0\x2a\1\0\0", "dictionary"),
    "xz": ("plain", lzma.compress(TAR), "compressed with xz"),
    "xz called gzip": ("gzip", lzma.compress(TAR), "compressed with xz"),
    "lzma": ("plain", lzma.compress(TAR, lzma.FORMAT_ALONE), "compressed with lzma"),
    "bzip2": ("plain", bz2.compress(TAR), "compressed with bzip2"),
    "lz4": ("plain", b"\x04\x22\x4d\x18" + TAR, "compressed with lz4"),
    "text": ("plain", TEXT, "neither tar nor gzip nor zstd: it starts with 6c 69 6e 65"),
    "text called gzip": ("gzip", TEXT, "neither tar nor gzip nor zstd"),
    "half a tar header": ("plain", TAR[:511], "neither tar"),
    "a few zeros": ("plain", bytes(100), "neither tar"),
    "tar with a wrong checksum": ("plain", b"U" + TAR[1:], "neither tar"),
}


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str, size: int) -> None:
    codec, blob, message = BAD[name]
    with pytest.raises(FormatError, match=message):
        unpack(blob, codec, size)


def test_a_zip_is_refused_by_name() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a", TEXT)
    with pytest.raises(FormatError, match="compressed with zip"):
        unpack(target.getvalue(), "plain")


@pytest.mark.parametrize(
    ("blob", "declared", "found"),
    [
        (TAR, "gzip", "it is plain"),
        (TAR, "zstd", "it is plain"),
        (gzip.compress(TAR), "plain", "it is gzip"),
        (gzip.compress(TAR), "zstd", "it is gzip"),
        (zstandard.compress(TAR), "plain", "it is zstd"),
        (zstandard.compress(TAR), "gzip", "it is zstd"),
    ],
)
def test_a_media_type_that_lies_is_a_warning(blob: bytes, declared: Codec, found: str) -> None:
    content, warnings = unpack(blob, declared)
    assert content == TAR
    assert len(warnings) == 1
    assert f"called {declared}" in warnings[0]
    assert found in warnings[0]


def test_an_empty_blob_is_an_empty_layer_and_a_warning_unless_plain() -> None:
    assert unpack(b"", "gzip") == (b"", ["called gzip by its media type, but it is empty"])


@pytest.mark.parametrize(("codec", "blob"), [("gzip", GZIP), ("zstd", ZSTD)])
def test_zeros_behind_are_a_warning(codec: Codec, blob: bytes) -> None:
    content, warnings = unpack(blob + bytes((2 << 20) + 5), codec)
    assert content == TEXT
    assert warnings == ["2097157 zero bytes after the end of the compressed data"]


def test_the_codec_is_known_before_the_first_piece() -> None:
    assert Decompressor([GZIP], declared="plain").codec == "gzip"


def old_tar(name: bytes, *, signed: bool) -> bytes:
    """A header as before POSIX: no magic, and a checksum as some summed it, of signed bytes."""
    block = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    block[: len(name)] = name
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = b"%6o\0 " % total
    return bytes(block) + bytes(1024)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", [b"file", b"BZh-is-a-name", b"\xfd7zXZ\0", b"caf\xc3\xa9"])
def test_old_tars_and_odd_names_are_tars(name: bytes, signed: bool) -> None:
    blob = old_tar(name, signed=signed)
    assert unpack(blob, "plain") == (blob, [])


@pytest.mark.parametrize(("codec", "blob"), [("gzip", GZIP), ("zstd", ZSTD)])
def test_every_truncation_is_refused(codec: Codec, blob: bytes) -> None:
    lengths = [*range(1, 200), *range(200, len(blob), 97), *range(len(blob) - 20, len(blob))]
    for length in lengths:
        with pytest.raises(FormatError):
            unpack(blob[:length], codec)


@pytest.mark.parametrize(("codec", "blob"), [("gzip", GZIP), ("zstd", ZSTD)])
def test_no_flipped_bit_changes_the_content_silently(codec: Codec, blob: bytes) -> None:
    refused = 0
    for at in [*range(80), *range(80, len(blob), 97), *range(len(blob) - 12, len(blob))]:
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[at] ^= 1 << bit
            try:
                assert unpack(bytes(damaged), codec)[0] == TEXT
            except FormatError:
                refused += 1
    assert refused > 700


BOMBS = pytest.mark.parametrize("name", ["gzip of zeros", "zstd of zeros"])


@BOMBS
def test_pieces_of_a_bomb_stay_small(name: str) -> None:
    codec, bomb, _ = GOOD[name]
    pieces = [len(piece) for piece in Decompressor([bomb], declared=codec)]
    assert max(pieces) <= 1 << 20
    assert sum(pieces) == len(ZEROS)


@BOMBS
def test_the_ratio_is_refused_once_the_size_is_suspect(name: str) -> None:
    codec, bomb, _ = GOOD[name]
    limits = Limits(unsuspected=2 << 20, ratio=100)
    pieces = iter(Decompressor([bomb], declared=codec, limits=limits))
    seen: list[int] = []
    with pytest.raises(
        FormatError, match=rf"a bomb: {len(bomb)} bytes unpack to more than [23] MiB"
    ):
        seen.extend(map(len, pieces))
    assert sum(seen) == limits.unsuspected


@BOMBS
def test_the_size_is_refused_whatever_the_ratio(name: str) -> None:
    codec, bomb, _ = GOOD[name]
    limits = Limits(unpacked=3 << 20, ratio=1 << 40)
    with pytest.raises(FormatError, match="unpacks to more than 3 MiB; raise the limit"):
        list(Decompressor([bomb], declared=codec, limits=limits))


@BOMBS
def test_limits_that_are_met_exactly_are_kept(name: str) -> None:
    codec, bomb, content = GOOD[name]
    limits = Limits(unpacked=len(content), unsuspected=len(content), ratio=1)
    assert b"".join(Decompressor([bomb], declared=codec, limits=limits)) == content


def test_zeros_by_the_gigabyte_are_no_bomb_by_default() -> None:
    Limits().check(8 << 30, (8 << 30) // 32768)
    with pytest.raises(FormatError, match="a bomb"):
        Limits().check((8 << 30) + 1, (8 << 30) // 1000)
    with pytest.raises(FormatError, match="65536 MiB"):
        Limits().check((64 << 30) + 1, 32 << 30)


@pytest.mark.parametrize(
    ("codec", "blob"),
    [("plain", TAR), ("gzip", GZIP + bytes(3000)), ("zstd", ZSTD + SKIPPABLE)],
)
def test_the_source_is_drained(codec: Codec, blob: bytes) -> None:
    seen = bytearray()

    def source() -> Iterator[bytes]:
        for chunk in cut(blob, 1000):
            yield chunk
            seen.extend(chunk)  # only when the next is asked for

    assert b"".join(Decompressor(source(), declared=codec))
    assert seen == blob


def test_an_error_of_the_source_rises_as_it_is() -> None:
    def source() -> Iterator[bytes]:
        yield GZIP[:2000]
        raise SourceError("the disk is gone")

    with pytest.raises(SourceError, match="the disk is gone"):
        list(Decompressor(source(), declared="gzip"))


def test_two_layers_are_read_at_the_same_time() -> None:
    results: dict[str, bytes] = {}

    def read(codec: Codec, blob: bytes) -> None:
        results[codec] = unpack(blob, codec)[0]

    threads = [
        threading.Thread(target=read, args=("gzip", GZIP * 20)),
        threading.Thread(target=read, args=("zstd", ZSTD * 20)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"gzip": TEXT * 20, "zstd": TEXT * 20}


contents = st.lists(
    st.one_of(
        st.binary(max_size=3000),
        st.builds(lambda unit, count: unit * count, st.binary(max_size=9), st.integers(0, 30000)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    parts=contents,
    level=st.integers(0, 9),
    size=st.integers(1, 9000),
    codec=st.sampled_from(CODECS),
)
def test_any_content_in_any_chunks_comes_back(
    parts: list[bytes], level: int, size: int, codec: Codec
) -> None:
    encoder = zstandard.ZstdCompressor(level=level, write_checksum=True)
    pack = encoder.compress if codec == "zstd" else lambda part: gzip.compress(part, level)
    blob = b"".join(map(pack, parts))
    assert unpack(blob, codec, size) == (b"".join(parts), [])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), parts=contents, codec=st.sampled_from(CODECS))
def test_damage_never_passes(data: st.DataObject, parts: list[bytes], codec: Codec) -> None:
    content = b"".join(parts)
    encoder = zstandard.ZstdCompressor(write_checksum=True)
    blob = encoder.compress(content) if codec == "zstd" else gzip.compress(content)
    at = data.draw(st.integers(0, len(blob) - 1), "at")
    damaged = data.draw(
        st.one_of(
            st.just(blob[:at] or blob[:1]),
            st.integers(1, 255).map(lambda x: blob[:at] + bytes([blob[at] ^ x]) + blob[at + 1 :]),
            st.binary(min_size=1, max_size=9).map(lambda more: blob[:at] + more + blob[at:]),
            st.binary(min_size=1, max_size=9).map(lambda more: blob + more),
        ),
        "damaged",
    )
    with contextlib.suppress(FormatError):
        assert unpack(damaged, codec)[0] == content
