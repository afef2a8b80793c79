"""Decompressing what strangers made: whole, checked, in pieces of bounded size.

A blob is decoded as what its first bytes say it is, as every container runtime does; the media
type is only compared. Every gzip member (RFC 1952) and zstd frame (RFC 8878) must be complete and
match its checksum, and nothing but zeros may follow the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec
import zstandard
from isal import igzip_lib

from careen.errors import FormatError
from careen.formats.compression.encoding import Codec
from careen.formats.compression.source import Source

__all__ = ["Decompressor", "Limits"]

_PIECE = 1 << 20
_FIRST_READ = 16 << 10
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878, 3.1.2
_ZSTD_HEADER = 18  # RFC 8878, 3.1.1.1: magic number and the longest frame header
_ZSTD_RLE = 1  # RFC 8878, 3.1.1.2.2: one byte, repeated
_ZSTD_WINDOW = 128 << 20  # bytes; what `zstd -d` takes without being told to
_MIB = 1 << 20
_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub is wrong
_REFUSED = (
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4 (legacy)"),
    (b"\x5d\0\0", "lzma"),
    (b"LZIP", "lzip"),
    (b"\x1f\x9d", "compress (.Z)"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one blob may unpack to before it is taken for a bomb. Sizes in bytes.

    More than `unpacked` is refused in any case. Beyond `unsuspected`, more than `ratio` times the
    compressed size is refused too: software shrinks to a half or a tenth, gzip can reach 1032
    times, zstd 32,768. The ratio says nothing earlier, because honest layers hold gigabytes of
    zeros (an empty database file, a sparse lastlog), and that much costs seconds and no memory.
    """

    unpacked: int = 64 << 30
    unsuspected: int = 8 << 30
    ratio: int = 256

    def check(self, unpacked: int, packed: int) -> None:
        """FormatError when `packed` compressed bytes must not have become `unpacked` ones."""
        if unpacked > self.unpacked:
            raise FormatError(
                f"unpacks to more than {self.unpacked // _MIB} MiB; "
                "raise the limit if the image is trusted"
            )
        if unpacked > self.unsuspected and unpacked > self.ratio * packed:
            raise FormatError(
                f"a bomb: {packed} bytes unpack to more than {unpacked // _MIB} MiB, "
                f"over {self.ratio} times as much; raise the limit if the image is trusted"
            )


_DEFAULT = Limits()


class Decompressor:
    """The plain bytes of a blob, to be iterated once, in pieces of 1 MiB at most.

    `source` is drained to its end, whatever its chunks' sizes, so that whoever hashes them has seen
    all. `codec` is what the blob is, known at once; `warnings` is complete after the iteration.
    FormatError, from the constructor too, for bytes that are damaged, cut short, followed by
    garbage, over the limits, or of no codec that a layer may have.
    """

    def __init__(
        self, source: Iterable[bytes], *, declared: Codec, limits: Limits = _DEFAULT
    ) -> None:
        self._source = Source(source)
        self._limits = limits
        self.warnings: list[str] = []
        head = self._source.peek(512)
        self.codec = _sniff(head)
        if self.codec != declared:
            found = self.codec if head else "empty"
            self.warnings.append(f"called {declared} by its media type, but it is {found}")

    def __iter__(self) -> Iterator[bytes]:
        unpacked = 0
        for piece in self._pieces():
            unpacked += len(piece)
            self._limits.check(unpacked, self._source.taken)
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        if self.codec == "gzip":
            return _gzip(self._source, self.warnings)
        if self.codec == "zstd":
            return _zstd(self._source, self.warnings)
        return _plain(self._source)


def _sniff(head: bytes) -> Codec:
    """The codec of a blob that starts with `head`; an empty blob is a tar without entries."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD) or _SKIPPABLE.match(head):
        return "zstd"
    if not head or _is_tar(head):
        return "plain"
    for magic, name in _REFUSED:
        if head.startswith(magic):
            raise FormatError(f"compressed with {name}; a layer is a tar, plain, gzip or zstd")
    raise FormatError(f"neither tar nor gzip nor zstd: it starts with {head[:8].hex(' ')}")


def _is_tar(head: bytes) -> bool:
    """Whether a 512-byte block is a tar header, by its checksum, or the end of an empty tar.

    The magic "ustar" is no sign: the oldest tars have none. Sun's tar summed signed bytes.
    """
    if len(head) < 512 or not any(head):
        return len(head) == 512
    field = re.fullmatch(rb"[ \0]*([0-7]+)[ \0]*", head[148:156])
    summed = head[:148] + b" " * 8 + head[156:]
    unsigned = sum(summed)
    signed = unsigned - 256 * sum(byte > 127 for byte in summed)
    return field is not None and int(field[1], 8) in (unsigned, signed)


def _plain(source: Source) -> Iterator[bytes]:
    while piece := source.upto(_PIECE):
        whole = piece.obj
        yield whole if isinstance(whole, bytes) and len(whole) == len(piece) else bytes(piece)


def _gzip(source: Source, warnings: list[str]) -> Iterator[bytes]:
    yield from _member(source)
    while head := source.peek(len(_GZIP)):
        if head == _GZIP:
            yield from _member(source)
        else:
            _pass_zeros(source, warnings)


def _member(source: Source) -> Iterator[bytes]:
    """One gzip member; isal compares its CRC-32 and its length at the end.

    What is read after the end is given back, so reads start small: a blob of many small members
    (eStargz) would copy its rest once for each.
    """
    unpack = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    size = _FIRST_READ
    while not unpack.eof:
        chunk: bytes | memoryview = b""
        if unpack.needs_input:
            chunk, size = source.some(size), min(2 * size, _PIECE)
        try:
            piece = unpack.decompress(chunk, _PIECE)
        except _IsalError as error:
            raise FormatError(f"damaged gzip data: {error}") from error
        if piece:
            yield piece
    source.give_back(len(unpack.unused_data))


def _zstd(source: Source, warnings: list[str]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    while head := source.peek(4):
        if head == _ZSTD:
            yield from _frame(source, decompressor)
        elif _SKIPPABLE.match(head):
            source.exactly(4)
            source.skip(int.from_bytes(source.exactly(4), "little"))
        else:
            _pass_zeros(source, warnings)


def _frame(source: Source, decompressor: zstandard.ZstdDecompressor) -> Iterator[bytes]:
    """One zstd frame, block by block (RFC 8878, 3.1.1).

    The library neither reports a frame that is cut short nor bounds what it returns at a time.
    Fed with one block it returns 128 KiB at most, and we know where the frame must end.
    """
    size, has_checksum = _frame_header(source.peek(_ZSTD_HEADER))
    unpack = decompressor.decompressobj()
    _feed(unpack, source.exactly(size))
    last = 0
    while not last:
        block = int.from_bytes(source.peek(3), "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        if piece := _feed(unpack, source.exactly(3 + (1 if kind == _ZSTD_RLE else length))):
            yield piece
    if has_checksum and (piece := _feed(unpack, source.exactly(4))):
        yield piece
    if not unpack.eof:
        raise FormatError("damaged zstd data: the frame does not end with its last block")


def _frame_header(head: bytes) -> tuple[int, bool]:
    """The length of a frame's header, and whether a checksum ends the frame."""
    try:
        size = zstandard.frame_header_size(head)
        parameters = zstandard.get_frame_parameters(head)
    except zstandard.ZstdError as error:
        raise FormatError(f"unusable zstd frame header: {error}") from error
    if parameters.window_size > _ZSTD_WINDOW:
        raise FormatError(
            f"zstd window of {parameters.window_size // _MIB} MiB; "
            f"{_ZSTD_WINDOW // _MIB} MiB is the most that readers accept"
        )
    if parameters.dict_id:
        raise FormatError("compressed with a zstd dictionary, which a layer cannot bring along")
    return size, parameters.has_checksum


def _feed(unpack: zstandard.ZstdDecompressionObj, data: bytes | memoryview) -> bytes:
    try:
        return unpack.decompress(data)
    except zstandard.ZstdError as error:
        raise FormatError(f"damaged zstd data: {error}") from error


def _pass_zeros(source: Source, warnings: list[str]) -> None:
    """Drain what follows the compressed data: zeros, as tape blocks pad with, or FormatError."""
    count = 0
    while piece := source.upto(_PIECE):
        if bytes(piece).strip(b"\0"):
            raise FormatError("garbage after the end of the compressed data")
        count += len(piece)
    warnings.append(f"{count} zero bytes after the end of the compressed data")
