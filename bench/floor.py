#!/usr/bin/env python3
"""The floor under a rewrite: the least work that any squash of an image must do.

    python floor.py LAYOUT TAG [--codec gzip|zstd] [--level N] [--threads N] [--verify]

For every layer of LAYOUT:TAG it checks the blob's sha256, decompresses it, hashes the raw
tar (diff_id), then compresses all raw bytes again into one blob, hashing the raw and the
compressed side. With --verify it then reads its output back: decompress, both hashes, and every
byte hashed once more as file content, as a check of the finished image must. It reads no tar
header, drops no file and talks to no registry, so a real rewrite cannot be faster on the same
bytes with the same codec; how close it comes is the figure worth quoting. Needs: isal, zstandard.
Prints one JSON line: seconds, raw and compressed bytes, peak RSS in MiB.
"""

import argparse
import hashlib
import json
import resource
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from isal import isal_zlib

READ = 1 << 20
BLOCK = 1 << 20


def blob(layout: Path, digest: str) -> Path:
    algorithm, _, hexdigest = digest.partition(":")
    return layout / "blobs" / algorithm / hexdigest


def layers(layout: Path, tag: str) -> list[dict[str, Any]]:
    index = json.loads((layout / "index.json").read_bytes())
    for descriptor in index["manifests"]:
        if descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            found: list[dict[str, Any]] = json.loads(
                blob(layout, descriptor["digest"]).read_bytes()
            )["layers"]
            return found
    raise SystemExit(f"no tag {tag} in {layout}")


def decompress(layout: Path, descriptor: dict[str, Any], target: BinaryIO) -> int:
    packed, raw, total = hashlib.sha256(), hashlib.sha256(), 0
    unpack: Any = bytes
    if "zstd" in descriptor["mediaType"]:
        unpack = zstandard.ZstdDecompressor().decompressobj().decompress
    elif "gzip" in descriptor["mediaType"]:
        unpack = isal_zlib.decompressobj(31).decompress
    with blob(layout, descriptor["digest"]).open("rb") as source:
        while chunk := source.read(READ):
            packed.update(chunk)
            plain = unpack(chunk)
            raw.update(plain)
            target.write(plain)
            total += len(plain)
    if packed.hexdigest() != descriptor["digest"].partition(":")[2]:
        raise SystemExit(f"digest mismatch: {descriptor['digest']}")
    target.flush()
    return total


def compress(spools: list[Path], codec: str, level: int, threads: int, target: BinaryIO) -> int:
    raw, packed, total = hashlib.sha256(), hashlib.sha256(), 0

    def emit(data: bytes) -> None:
        nonlocal total
        if data:
            packed.update(data)
            target.write(data)
            total += len(data)

    def blocks() -> Iterator[bytes]:
        for spool in spools:
            with spool.open("rb") as source:
                while chunk := source.read(BLOCK):
                    raw.update(chunk)
                    yield chunk

    if codec == "zstd":
        stream = zstandard.ZstdCompressor(level=level, threads=threads).compressobj()
        for chunk in blocks():
            emit(stream.compress(chunk))
        emit(stream.flush())
        return total

    def deflate(chunk: bytes) -> bytes:
        stream = isal_zlib.compressobj(level, 8, -15)
        return bytes(stream.compress(chunk) + stream.flush(isal_zlib.Z_FULL_FLUSH))

    crc = length = 0
    emit(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Any] = deque()
        for chunk in blocks():
            crc, length = isal_zlib.crc32(chunk, crc), length + len(chunk)
            pending.append(pool.submit(deflate, chunk))
            if len(pending) > 2 * threads + 2:
                emit(pending.popleft().result())
        while pending:
            emit(pending.popleft().result())
    emit(b"\x03\0" + crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little"))
    return total


def read_back(path: Path, codec: str) -> None:
    packed, raw, files = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    if codec == "zstd":
        unpack: Any = zstandard.ZstdDecompressor().decompressobj().decompress
    else:
        unpack = isal_zlib.decompressobj(31).decompress
    with path.open("rb") as source, ThreadPoolExecutor(1) as beside:
        hashed = None
        while chunk := source.read(READ):
            packed.update(chunk)
            plain = unpack(chunk)
            if hashed is not None:
                hashed.result()
            hashed = beside.submit(raw.update, plain)
            files.update(plain)
        if hashed is not None:
            hashed.result()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("layout", type=Path)
    parser.add_argument("tag")
    parser.add_argument("--codec", choices=["gzip", "zstd"], default="gzip")
    parser.add_argument("--level", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    level = options.level if options.level is not None else {"gzip": 2, "zstd": 3}[options.codec]

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = layers(options.layout, options.tag)
        spools = [Path(folder, str(i)) for i in range(len(found))]
        with ThreadPoolExecutor(options.threads) as pool:
            sizes = list(
                pool.map(
                    lambda pair: decompress(options.layout, pair[0], pair[1].open("wb")),
                    zip(found, spools, strict=True),
                )
            )
        unpacked = time.perf_counter() - started
        with Path(folder, "out").open("wb") as target:
            packed = compress(spools, options.codec, level, options.threads, target)
        if options.verify:
            read_back(Path(folder, "out"), options.codec)
    print(
        json.dumps(
            {
                "seconds": round(time.perf_counter() - started, 3),
                "unpack_seconds": round(unpacked, 3),
                "raw_bytes": sum(sizes),
                "packed_bytes": packed,
                "codec": f"{options.codec}-{level}",
                "threads": options.threads,
                "verified": options.verify,
                "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
