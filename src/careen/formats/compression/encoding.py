"""How a new layer is compressed: a codec, the library that does it, and its level."""

from __future__ import annotations

from typing import Literal

import isal
import msgspec
import zlib_ng
import zlib_ng.zlib_ng
import zstandard

from careen.errors import UsageError

__all__ = ["BLOCK", "Codec", "Encoding", "zstd_parameters"]

Codec = Literal["plain", "gzip", "zstd"]
Encoder = Literal["isal", "zlib-ng", "zstandard"]

BLOCK = 1 << 20
"""Bytes of content that gzip compresses on its own, and that zstd is given at a time."""

# Levels whose bytes do not depend on the processor; isal's level 3 does (it differs with AVX-512).
_CHOICES: dict[str, tuple[Encoder, int]] = {
    "gzip": ("isal", 2),
    "gzip:portable": ("zlib-ng", 2),
    "zstd": ("zstandard", 3),
    **{f"zstd:{level}": ("zstandard", level) for level in range(1, 23)},
}


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """One of the encodings that `parse` knows. Equal encodings of equal content are equal bytes."""

    encoder: Encoder
    level: int

    @classmethod
    def parse(cls, text: str) -> Encoding:
        """`gzip`, `gzip:portable`, `zstd` or `zstd:1` to `zstd:22`; UsageError for others."""
        if text not in _CHOICES:
            raise UsageError(
                f"no compression {text!r}; choose gzip, gzip:portable, zstd or zstd:LEVEL (1 to 22)"
            )
        encoder, level = _CHOICES[text]
        return cls(encoder=encoder, level=level)

    @property
    def codec(self) -> Codec:
        """The codec that a reader needs."""
        return "zstd" if self.encoder == "zstandard" else "gzip"

    @property
    def name(self) -> str:
        """All that the bytes depend on beside the content: library, version, level, block size."""
        if self.encoder == "isal":
            library = f"isal {isal.__version__} (ISA-L {isal.ISAL_VERSION})"
        elif self.encoder == "zlib-ng":
            native = f"zlib-ng {zlib_ng.zlib_ng.ZLIBNG_RUNTIME_VERSION}"
            library = f"python-zlib-ng {zlib_ng.__version__} ({native})"
        else:
            native = f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"
            library = f"zstandard {zstandard.__version__} ({native})"
        return f"{library} level {self.level} blocks {self._block >> 20}MiB"

    @property
    def _block(self) -> int:
        return zstd_parameters(self.level).job_size if self.encoder == "zstandard" else BLOCK


def zstd_parameters(level: int, *, threads: int = 1) -> zstandard.ZstdCompressionParameters:
    """zstd's own choice for `level`, cut into jobs whose size no number of threads changes.

    One thread is still the multi-threaded encoder; none (0) would be another, with other bytes.
    Jobs of twice the window (zstd would take four times) keep half the memory in flight for less
    than a hundredth of the size. Level 22 has the largest window, 128 MiB, which any reader takes.
    """
    window = zstandard.ZstdCompressionParameters.from_level(level).window_log
    return zstandard.ZstdCompressionParameters.from_level(
        level,
        threads=threads,
        job_size=max(4 << 20, 2 << window),
        write_checksum=1,
        write_content_size=0,  # not known while streaming; without it, never in the header
    )
