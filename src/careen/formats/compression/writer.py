"""Compressing on every core, with the same bytes on every machine.

The content is cut into blocks at fixed offsets. gzip deflates each by itself, on whichever
thread is free, and joins them into one member; zstd does the like inside its library. So neither
the number of threads nor the sizes of what comes in can show in what comes out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import zstandard
from isal import isal_zlib
from zlib_ng import zlib_ng

from careen.errors import UsageError
from careen.formats.compression.encoding import BLOCK, Encoding, zstd_parameters

__all__ = ["compress"]

# RFC 1952, 2.3: no name, no time; XFL 0; OS 255 is "unknown".
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST_BLOCK = b"\x03\0"  # RFC 1951, 3.2.6: a final block with fixed codes and nothing in it
_RAW_DEFLATE = -15


def compress(
    blocks: Iterable[bytes | bytearray | memoryview], encoding: Encoding, *, jobs: int
) -> Iterator[bytes]:
    """`blocks`, joined, as one gzip member or one zstd frame; `jobs` threads do the work.

    The bytes depend on the joined content and the encoding alone. About `jobs` + 2 blocks are in
    memory at a time. An error of `blocks` rises through; closing the iterator stops the threads.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs; there must be one at least")
    if encoding.encoder == "zstandard":
        return _zstd(_even(blocks), encoding.level, jobs)
    if encoding.encoder == "isal":
        return _gzip(_even(blocks), lambda block: _isal(block, encoding.level), jobs)
    return _gzip(_even(blocks), lambda block: _zlib_ng(block, encoding.level), jobs)


def _even(blocks: Iterable[bytes | bytearray | memoryview]) -> Iterator[memoryview]:
    """The same content in blocks of BLOCK bytes; the last may be shorter, none is empty.

    What lies in one `bytes` is not copied. What could still change is, for it is read later.
    """
    parts: list[memoryview] = []
    missing = BLOCK
    for block in blocks:
        view = memoryview(block).cast("B")
        if not isinstance(view.obj, bytes):
            view = memoryview(view.tobytes())
        while len(view) >= missing:
            yield _joined([*parts, view[:missing]])
            view, parts, missing = view[missing:], [], BLOCK
        if view:
            parts.append(view)
            missing -= len(view)
    if parts:
        yield _joined(parts)


def _joined(parts: list[memoryview]) -> memoryview:
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


def _gzip(
    blocks: Iterator[memoryview], deflate: Callable[[memoryview], bytes], jobs: int
) -> Iterator[bytes]:
    crc = length = 0
    yield _GZIP_HEADER
    with ThreadPoolExecutor(jobs, "compress") as pool:
        pending: deque[Future[bytes]] = deque()
        for block in blocks:
            crc, length = isal_zlib.crc32(block, crc), length + len(block)
            pending.append(pool.submit(deflate, block))
            if len(pending) > jobs + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    yield _LAST_BLOCK + crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")


def _isal(block: memoryview, level: int) -> bytes:
    stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW_DEFLATE)
    return stream.compress(block) + stream.flush(isal_zlib.Z_FULL_FLUSH)


def _zlib_ng(block: memoryview, level: int) -> bytes:
    stream = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW_DEFLATE)
    return stream.compress(block) + stream.flush(zlib_ng.Z_FULL_FLUSH)


def _zstd(blocks: Iterator[memoryview], level: int, jobs: int) -> Iterator[bytes]:
    parameters = zstd_parameters(level, threads=jobs)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for block in blocks:
        if packed := stream.compress(block):
            yield packed
    yield stream.flush()
