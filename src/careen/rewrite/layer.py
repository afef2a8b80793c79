"""One layer out of pieces: blocks for the compressor, hashed as they pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from careen.formats import digest as digests
from careen.formats.digest import Digest
from careen.rewrite.merge import Expanded, Extent, Piece
from careen.rootfs.rootfs import Rootfs

__all__ = ["BLOCK", "Blocks"]

BLOCK = 1 << 20  # bytes; what a compressor's worker takes at once


class Blocks:
    """The uncompressed layer in blocks of exactly `BLOCK` bytes but the last; `diff_id` after it.

    Neighbouring extents are read at once: where the source's order is the layer's, whole blocks
    are one `pread`.
    """

    def __init__(self, rootfs: Rootfs, pieces: Iterable[Piece]) -> None:
        self._rootfs = rootfs
        self._pieces = pieces
        self._hashed = digests.hasher(digests.of(b""))
        self.size = 0

    @property
    def diff_id(self) -> Digest:
        """Of all blocks so far."""
        return digests.parse(f"sha256:{self._hashed.hexdigest()}")

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        filled = 0
        for chunk in _chunks(self._rootfs, _joined(self._pieces)):
            view = memoryview(chunk)
            while filled + len(view) >= BLOCK:
                head, view = view[: BLOCK - filled], view[BLOCK - filled :]
                yield self._emit(b"".join([*parts, head]))
                parts, filled = [], 0
            if view:
                parts.append(bytes(view))
                filled += len(view)
        if parts:
            yield self._emit(b"".join(parts))

    def _emit(self, block: bytes) -> bytes:
        self._hashed.update(block)
        self.size += len(block)
        return block


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Extents that follow one another in a spool become one."""
    held: Extent | None = None
    for piece in pieces:
        if isinstance(piece, Extent):
            if (
                held is not None
                and piece.layer == held.layer
                and piece.offset == held.offset + held.length
            ):
                held = Extent(held.layer, held.offset, held.length + piece.length)
                continue
            if held is not None:
                yield held
            held = piece
            continue
        if held is not None:
            yield held
            held = None
        yield piece
    if held is not None:
        yield held


def _chunks(rootfs: Rootfs, pieces: Iterable[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif isinstance(piece, Expanded):
            yield from rootfs.content(piece.inode, block=BLOCK)
        else:
            spool = rootfs.spools[piece.layer]
            end = piece.offset + piece.length
            for offset in range(piece.offset, end, BLOCK):
                yield spool.pread(min(BLOCK, end - offset), offset)
