"""Layers read from a store: every byte checked, errors prompt and named, nothing left behind."""

from __future__ import annotations

import contextlib
import gc
import gzip
import hashlib
import io
import json
import os
import resource
import tarfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest
import zstandard

from careen.errors import CareenError, FormatError, SourceError
from careen.formats import compression, tar
from careen.formats.digest import Digest
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.image import Image
from careen.oci.layout import Layout
from careen.rootfs.path import Path as InImage
from careen.rootfs.scan import FileSpool, Limits, Scan, scan
from tests.builders import Dir, Hard, Reg, blob, image_layout, put, tar_layer

LAYERS = [
    tar_layer([Dir("d"), Reg("d/a", os.urandom(300_000)), Reg("d/b", "b")]),
    tar_layer([Reg("d/b", "new"), Hard("h", "d/a")]),
]


def loaded(folder: Path, layers: list[bytes], **options: Any) -> tuple[Layout, Image]:
    image_layout(folder, layers, tag="x", **options)
    layout = Layout(folder)
    return layout, images.load(layout, layout.find("x"))


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No thread and no open file outlives a scan, whether it succeeds or not."""
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


@pytest.mark.parametrize("codec", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize("jobs", [0, 1, 5])
def test_what_is_read(tmp_path: Path, codec: str, jobs: int) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS, codec=codec)
    heard: list[int] = []
    with scan(layout, image, scratch=tmp_path, jobs=jobs, on_bytes=heard.append) as read:
        assert names(read) == ["/d/", "/d/a", "/d/b", "/h"]
        assert read.rootfs.read(InImage("d/b")) == b"new"
        assert read.sizes == tuple(map(len, LAYERS))
        assert read.notes == ()
        assert [one.name for one in tmp_path.iterdir()] == ["l"]  # spools have no names
    assert sum(heard) == sum(layer.size for layer in image.manifest.layers)


def names(read: Scan) -> list[str]:
    kinds = {"directory": "/"}
    return [f"/{path}{kinds.get(i.kind, '')}" for path, i in read.rootfs.nodes.items() if path]


def test_no_layers(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [])
    with scan(layout, image) as read:
        assert list(read.rootfs.nodes) == [""]
        assert (read.sizes, read.notes) == ((), ())


def test_one_blob_for_two_layers(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [LAYERS[0], LAYERS[0]])
    with scan(layout, image) as read:
        assert names(read) == ["/d/", "/d/a", "/d/b"]


def flip(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def first(data: bytes) -> bytes:
    return b"x" + data[1:]


def header(data: bytes) -> bytes:
    """Sound gzip of the same number of bytes, and in it a tar header with a wrong checksum."""
    raw = gzip.decompress(data)
    wrong = (raw[:150] + bytes([digit]) + raw[151:] for digit in b"01234567")
    packed = min((gzip.compress(one) for one in wrong if one != raw), key=len)
    assert len(packed) <= len(data)
    return packed + bytes(len(data) - len(packed))


def repack(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Give layer 1 another blob whose descriptor tells the truth; the diff_id stays."""

    def apply(layout: Path) -> None:
        index = json.loads((layout / "index.json").read_bytes())
        manifest = json.loads(blob(layout, index["manifests"][0]["digest"]))
        manifest["layers"][1] |= put(layout, change(blob(layout, manifest["layers"][1]["digest"])))
        index["manifests"][0] |= put(layout, json.dumps(manifest).encode())
        (layout / "index.json").write_text(json.dumps(index))

    return apply


def damage(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the blob of layer 1 under its old name."""

    def apply(layout: Path) -> None:
        index = json.loads((layout / "index.json").read_bytes())
        manifest = json.loads(blob(layout, index["manifests"][0]["digest"]))
        path = layout / "blobs" / manifest["layers"][1]["digest"].replace(":", os.sep)
        path.write_bytes(change(path.read_bytes()))

    return apply


def comment(data: bytes) -> bytes:
    """The same content in other bytes of the same number: gzip's time field says another time."""
    return data[:4] + b"\1" + data[5:]


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a byte of the blob is flipped": (damage(flip), "has digest sha256:"),
    "its first byte is": (damage(first), "has digest sha256:"),
    "a byte of a tar's header is flipped": (damage(header), "has digest sha256:"),
    "only the digest tells": (damage(comment), "has digest sha256:"),
    "cut short": (damage(lambda data: data[:-7]), "its descriptor says"),
    "too long": (damage(lambda data: data + bytes(4)), "its descriptor says"),
    "truncated gzip under a true digest": (repack(lambda data: data[:-12]), "cut short"),
    "garbage after it": (repack(lambda data: data + b"garbage"), "garbage after the end"),
    "another tar than the diff_id says": (
        repack(lambda _: gzip.compress(tar_layer([Reg("x", "evil")]))), "match its diff_id",
    ),
    "the same entries, one more zero block": (
        repack(lambda data: gzip.compress(gzip.decompress(data) + bytes(512))), "diff_id",
    ),
    "xz": (repack(lambda _: b"\xfd7zXZ\0" + bytes(600)), "compressed with xz"),
    "no tar": (repack(lambda _: gzip.compress(b"hello" * 999)), "layers[1]"),
    "a tar that ends in a file": (
        repack(lambda data: gzip.compress(gzip.decompress(data)[:700])), "layers[1]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_refused_with_the_layer_named(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    image_layout(tmp_path / "l", LAYERS, tag="x")
    spoil(tmp_path / "l")
    layout = Layout(tmp_path / "l")
    image = images.load(layout, layout.find("x"))
    with pytest.raises(SourceError) as caught, scan(layout, image, scratch=tmp_path):
        pass
    assert str(caught.value).startswith("layers[1]")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_byte_of_a_small_layer_counts(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [tar_layer([Reg("a", "content")])])
    path = layout.path(image.manifest.layers[0].digest)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(FormatError), scan(layout, image):
            pass


def test_a_missing_blob(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS)
    layout.path(image.manifest.layers[1].digest).unlink()
    with pytest.raises(SourceError, match=r"^layers\[1\]: sha.*No such file"), scan(layout, image):
        pass


def test_a_bad_entry_is_named_with_its_layer(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [LAYERS[0], tar_layer([Hard("a", "none")])])
    expected = pytest.raises(FormatError, match=r"^layers\[1\]\.entry 'a': hard link")
    with expected, scan(layout, image):
        pass


@pytest.mark.parametrize(
    ("codec", "said"), [("gzip", "plain"), ("zstd", "gzip"), ("plain", "zstd")]
)
def test_a_media_type_that_lies_is_noted(tmp_path: Path, codec: str, said: str) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS[:1], codec=codec)
    suffix = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}[said]
    lying = msgspec.structs.replace(
        image.manifest.layers[0], media_type=f"application/vnd.oci.image.layer.v1.tar{suffix}"
    )
    manifest = msgspec.structs.replace(image.manifest, layers=(lying,))
    with scan(layout, msgspec.structs.replace(image, manifest=manifest)) as read:
        (note,) = read.notes
    assert note.rule == "odd-layer"
    assert f"called {said} by its media type, but it is {codec}" in note.message


def test_several_gzip_members_and_zstd_frames(tmp_path: Path) -> None:
    half = len(LAYERS[0]) // 2
    for number, pack in enumerate((gzip.compress, zstandard.ZstdCompressor().compress)):
        layout, image = loaded(tmp_path / str(number), LAYERS[:1])
        packed = pack(LAYERS[0][:half]) + pack(LAYERS[0][half:])
        whole = Descriptor.of(image.manifest.layers[0].media_type, packed)
        layout.write([packed], whole)
        manifest = msgspec.structs.replace(image.manifest, layers=(whole,))
        with scan(layout, msgspec.structs.replace(image, manifest=manifest)) as read:
            assert names(read) == ["/d/", "/d/a", "/d/b"]


def test_sha512(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS[:1])
    data = layout.path(image.manifest.layers[0].digest).read_bytes()
    name = Digest(f"sha512:{hashlib.sha512(data).hexdigest()}")
    diff_id = Digest(f"sha512:{hashlib.sha512(LAYERS[0]).hexdigest()}")
    layer = msgspec.structs.replace(image.manifest.layers[0], digest=name)
    layout.path(name).parent.mkdir()
    layout.path(name).write_bytes(data)
    other = Image(
        manifest=msgspec.structs.replace(image.manifest, layers=(layer,)),
        config=msgspec.structs.replace(image.config, diff_ids=(diff_id,)),
    )
    with scan(layout, other) as read:
        assert "/d/a" in names(read)
    layout.path(name).write_bytes(comment(data))
    with pytest.raises(FormatError, match="has digest sha512:"), scan(layout, other):
        pass


class Endless(io.RawIOBase):
    """A plain tar of one file that never ends."""

    def __init__(self) -> None:
        info = tarfile.TarInfo("huge")
        info.size = 1 << 40
        self.head = info.tobuf(tarfile.GNU_FORMAT)
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        data = self.head or bytes(1 << 16)
        self.head = b""
        self.given += len(data)
        return data


class Store:
    """A layout whose first layer never ends."""

    def __init__(self, layout: Layout, image: Image) -> None:
        self.layout, self.first, self.stream = layout, image.manifest.layers[0], Endless()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if descriptor.digest == self.first.digest:
            return self.stream  # type: ignore[return-value]
        return self.layout.open(descriptor)

    def has(self, digest: Digest) -> bool:
        return self.layout.has(digest)

    def read(self, descriptor: Descriptor, *, ceiling: int) -> bytes:
        return self.layout.read(descriptor, ceiling=ceiling)

    def write(self, chunks: Any, expected: Any = None) -> Descriptor:
        raise AssertionError("a scan writes nothing")


FINITE = Limits(unpacking=compression.Limits(unpacked=1 << 30))


def test_a_bad_layer_ends_the_reading_of_a_huge_one(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS)
    damage(comment)(tmp_path / "l")
    store = Store(layout, image)
    expected = pytest.raises(FormatError, match=r"^layers\[1\]: blob sha256:.*has digest sha256:")
    with expected, scan(store, image, scratch=tmp_path, jobs=2, limits=FINITE):
        pass
    assert store.stream.given < 1 << 30


def test_a_huge_layer_above_a_bad_entry_is_stopped(tmp_path: Path) -> None:
    bad = tar_layer([Hard("a", "none")])
    layout, image = loaded(tmp_path / "l", [bad, LAYERS[0]])
    store = Store(layout, image)
    store.first = image.manifest.layers[1]
    expected = pytest.raises(FormatError, match=r"^layers\[0\]\.entry 'a': hard link")
    with expected, scan(store, image, scratch=tmp_path, jobs=2, limits=FINITE):
        pass
    assert store.stream.given < 1 << 30


def test_the_limits(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [tar_layer([Reg("z", bytes(3 << 20)), Reg("y")])])
    for limits, message in (
        (Limits(unpacking=compression.Limits(unpacked=2 << 20)), "more than 2 MiB"),
        (Limits(unpacking=compression.Limits(unsuspected=1 << 20)), "a bomb"),
        (Limits(tar=tar.Limits(entries=1)), "more than 1 entries"),
    ):
        with pytest.raises(FormatError, match=message), scan(layout, image, limits=limits):
            pass


def test_a_claim_of_nine_gibibytes_is_refused_where_they_end(tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge")
    info.size = 9 << 30
    layer = info.tobuf(tarfile.GNU_FORMAT) + bytes(5000)
    layout, image = loaded(tmp_path / "l", [layer])
    with pytest.raises(FormatError, match="the archive ends"), scan(layout, image):
        pass


def test_memory_does_not_grow_with_content(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [tar_layer([Reg("z", bytes(128 << 20))])])
    tracemalloc.start()
    with scan(layout, image, scratch=tmp_path, jobs=2) as read:
        inode = read.rootfs.nodes[InImage("z")]
        assert sum(map(len, read.rootfs.content(inode))) == 128 << 20
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


def test_a_full_disk_is_the_systems_error_and_leaves_nothing(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", [tar_layer([Reg("z", bytes(8 << 20))])])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="File too large"), scan(layout, image, scratch=tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_consumer_that_fails_ends_the_scan(tmp_path: Path) -> None:
    layout, image = loaded(tmp_path / "l", LAYERS)
    with pytest.raises(KeyError), scan(layout, image):
        raise KeyError


def test_a_spool_gives_exactly_what_it_has(tmp_path: Path) -> None:
    with contextlib.closing(FileSpool(tmp_path)) as spool:
        spool.write(b"abc")
        spool.write(b"def")
        assert (spool.size, spool.pread(3, 2), spool.pread(0, 6)) == (6, b"cde", b"")
        with pytest.raises(CareenError, match="ended early"):
            spool.pread(3, 4)
