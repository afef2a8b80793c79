"""The three codecs of a layer: plain, gzip (RFC 1952) and zstd (RFC 8878).

    unpacked = Decompressor(chunks, declared="gzip")   # any Iterable[bytes]: hash them as they pass
    for piece in unpacked: …                           # then unpacked.warnings is complete

    for piece in compress(blocks, Encoding.parse("zstd:9"), jobs=4): …

Reading trusts nothing: what cannot be decoded whole and checked is refused. Writing depends on
the content and the encoding alone, so that the same layer is the same blob again.
"""

from careen.formats.compression.encoding import Codec, Encoding
from careen.formats.compression.reader import Decompressor, Limits
from careen.formats.compression.writer import compress

__all__ = ["Codec", "Decompressor", "Encoding", "Limits", "compress"]
