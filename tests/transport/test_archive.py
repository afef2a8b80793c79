"""OCI archives: what careen reads from them and writes into them, skopeo and umoci as judges."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from careen.errors import CareenError, SourceError, UsageError
from careen.formats import tar
from careen.formats.tar import Entry
from careen.oci.layout import Layout
from careen.transport import archive as archives
from careen.transport import copy
from careen.transport import reference as references
from careen.transport.access import Access
from careen.transport.archive import Content
from careen.transport.copy import Delivery, Fetched, Watch
from tests.builders import Dir, Hard, Lnk, Node, Reg, add_to_index, image_layout, put, tar_layer
from tests.judges import needs
from tests.transport.archives import LAYERS, Files, fetch, files_of, members, packed, whole
from tests.transport.common import run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A layout of one image, `v1`."""
    image_layout(tmp_path / "source", LAYERS, tag="v1")
    return tmp_path / "source"


def deliver(found: dict[str | None, Fetched], destination: str) -> None:
    """Carry images there, each under its tag."""
    deliveries = [
        Delivery(layout=image.layout, descriptor=image.descriptor, tag=tag)
        for tag, image in found.items()
    ]
    copy.deliver(deliveries, references.parse(destination), Access(), Watch())


def refused(text: str, room: Path) -> str:
    """The one line of a refusal; what was brought until then is blobs, under names of careen's."""
    with pytest.raises(SourceError) as caught:
        fetch(text, room)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 4
    assert {path.name for path in room.glob("*")} <= {"blobs"}
    assert all(path.is_dir() or len(path.name) == 64 for path in room.glob("blobs/*/*"))
    return line


# Reading


@pytest.mark.parametrize("codec", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("ref", ["", ":v1"])
def test_an_archive_is_read_like_its_layout(
    tmp_path: Path, source: Path, codec: str, ref: str
) -> None:
    packed(tmp_path / "a.tar", files_of(source), codec=codec)
    found = fetch(f"oci-archive:{tmp_path}/a.tar{ref}", tmp_path / "room")
    assert found.descriptor == Layout(source).find("v1")
    assert len(whole(found)) == 4


def test_an_archive_of_a_folder_as_tar_packs_it(tmp_path: Path, source: Path) -> None:
    run("tar", "-C", str(source), "-cf", str(tmp_path / "a.tar"), ".")
    found = fetch(f"oci-archive:{tmp_path}/a.tar:v1", tmp_path / "room")
    assert found.descriptor == Layout(source).find("v1")


def test_an_archive_through_a_pipe(tmp_path: Path, source: Path) -> None:
    data = packed(tmp_path / "a.tar", files_of(source)).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    found = fetch(f"oci-archive:{tmp_path}/pipe:v1", tmp_path / "room")
    writer.join()
    assert len(whole(found)) == 4


def test_the_file_is_watched_to_its_end(tmp_path: Path, source: Path) -> None:
    path = packed(tmp_path / "a.tar", files_of(source), codec="gzip")
    told = list[int]()
    watch = Watch(start=told.append, on_bytes=told.append)
    reference = references.parse(f"oci-archive:{path}")
    copy.fetch(reference, Access(), None, Layout(tmp_path / "room"), watch)
    assert told[0] == sum(told[1:]) == path.stat().st_size


def test_only_the_image_that_is_wanted_is_brought(tmp_path: Path, source: Path) -> None:
    image_layout(source, [tar_layer([Reg("other")])], tag="v2")
    packed(tmp_path / "a.tar", files_of(source))
    found = fetch(f"oci-archive:{tmp_path}/a.tar:v1", tmp_path / "room")
    assert len(list((tmp_path / "room" / "blobs" / "sha256").iterdir())) == len(whole(found))


def test_an_index_needs_a_platform(tmp_path: Path) -> None:
    layout = tmp_path / "source"
    children = []
    for platform in ("linux/amd64", "linux/arm64"):
        child = image_layout(layout, LAYERS, tag=None, platform=platform)
        names = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
        children.append({**child, "platform": names})
    (layout / "index.json").unlink()
    kind = "application/vnd.oci.image.index.v1+json"
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": children}).encode()
    add_to_index(layout, {"mediaType": kind, **put(layout, raw)}, "both")
    packed(tmp_path / "a.tar", files_of(layout))
    text = f"oci-archive:{tmp_path}/a.tar:both"
    assert "--platform: linux/amd64, linux/arm64" in refused(text, tmp_path / "room")
    found = fetch(text, tmp_path / "other", "linux/arm64")
    assert found.descriptor.digest == children[1]["digest"]
    assert len(whole(found)) == 4


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", "2 images; name one as oci-archive:FILE:REF, of: v1, v2"),
        (":v3", "no image named 'v3'; there are: v1, v2"),
    ],
)
def test_a_ref_that_says_nothing_lists_the_choices(
    tmp_path: Path, source: Path, ref: str, message: str
) -> None:
    image_layout(source, LAYERS[:1], tag="v2")
    packed(tmp_path / "a.tar", files_of(source))
    assert message in refused(f"oci-archive:{tmp_path}/a.tar{ref}", tmp_path / "room")


def test_a_ref_that_two_images_have(tmp_path: Path, source: Path) -> None:
    image_layout(source, LAYERS[:1], tag="v1")
    packed(tmp_path / "a.tar", files_of(source))
    line = refused(f"oci-archive:{tmp_path}/a.tar:v1", tmp_path / "room")
    assert "several images named 'v1'" in line


def biggest(files: Files) -> str:
    return max((name for name in files if "blobs" in name), key=lambda name: len(files[name]))


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {key: data for key, data in files.items() if key != name}


def renamed(old: str, new: str) -> Callable[[Files], Files]:
    return lambda files: {new if key == old else key: data for key, data in files.items()}


BAD: dict[str, tuple[Callable[[Files], Files], list[Node], str]] = {
    "no oci-layout": (without("oci-layout"), [], "write docker-archive:FILE"),
    "no index": (without("index.json"), [], "no index.json in the archive"),
    "nothing": (lambda _: {}, [], "not an OCI layout"),
    "another version": (
        lambda files: {**files, "oci-layout": b'{"imageLayoutVersion":"2.0.0"}'},
        [],
        "layout version '2.0.0'",
    ),
    "an index that is none": (lambda files: {**files, "index.json": b"[]"}, [], "index.json: not"),
    "a way up": (lambda files: files, [Reg("../evil", b"x")], "`..` in its name: '../evil'"),
    "a way round": (
        lambda files: files,
        [Reg("blobs/../index.json", b"{}")],
        "`..` in its name",
    ),
    "an absolute name": (lambda files: files, [Reg("/etc/passwd", b"x")], "absolute name"),
    "two of one name": (lambda files: files, [Reg("index.json", b"{}")], "index.json is there tw"),
    "two of one cleaned name": (
        lambda files: files,
        [Reg("./index.json", b"{}")],
        "index.json is there twice",
    ),
    "an index by symbolic link": (
        renamed("index.json", "real.json"),
        [Lnk("index.json", "real.json")],
        "index.json is a symlink, not a plain file",
    ),
    "an index by hard link": (
        renamed("index.json", "real.json"),
        [Hard("index.json", "real.json")],
        "index.json is a link, not a plain file",
    ),
    "a folder for an index": (without("index.json"), [Dir("index.json")], "no index.json"),
}


@pytest.mark.parametrize("case", BAD)
def test_archives_that_are_refused(tmp_path: Path, source: Path, case: str) -> None:
    change, more, message = BAD[case]
    packed(tmp_path / "a.tar", change(files_of(source)), *more)
    before = sorted(tmp_path.rglob("*"))
    room = tmp_path / "room"
    assert message in refused(f"oci-archive:{tmp_path}/a.tar", room)
    assert [path for path in sorted(tmp_path.rglob("*")) if room not in (path, *path.parents)] == (
        before
    )


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", ["missing", "flipped", "shorter", "longer", "link", "sparse"])
def test_any_blob_that_is_not_what_it_should_be(
    tmp_path: Path, source: Path, number: int, kind: str
) -> None:
    files = files_of(source)
    name = sorted(key for key in files if key.startswith("blobs/"))[number]
    data, more = files.pop(name), list[Node]()
    if kind == "flipped":
        files[name] = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
    elif kind == "shorter":
        files[name] = data[:-1]
    elif kind == "longer":
        files[name] = data + b"x"
    elif kind == "link":
        files["elsewhere"] = data
        more = [Lnk(name, "../../elsewhere")]
    elif kind == "sparse":
        records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name}
        records["GNU.sparse.realsize"] = str(len(data))
        stored = f"1\n0\n{len(data)}\n".encode().ljust(512, b"\0") + data
        more = [Reg("GNUSparseFile.0/x", stored, pax=records)]
    packed(tmp_path / "a.tar", files, *more)
    line = refused(f"oci-archive:{tmp_path}/a.tar", tmp_path / "room")
    assert "sha256" in line


def test_a_size_that_lies(tmp_path: Path, source: Path) -> None:
    name = biggest(files_of(source))
    rest = {key: data for key, data in files_of(source).items() if key != name}
    lie = tar.header(Entry(kind="file", name=name, size=2 << 30))
    path = tmp_path / "a.tar"
    path.write_bytes(tar_layer([Reg(key, data) for key, data in rest.items()])[:-10240] + lie)
    assert "the archive ends 2147483648 bytes before" in refused(
        f"oci-archive:{path}", tmp_path / "room"
    )


@pytest.mark.parametrize("codec", ["plain", "gzip", "zstd"])
def test_an_archive_cut_anywhere(tmp_path: Path, source: Path, codec: str) -> None:
    data = packed(tmp_path / "whole.tar", files_of(source), codec=codec).read_bytes()
    needed = len(data) if codec != "plain" else len(data.rstrip(b"\0"))
    cut = tmp_path / "cut.tar"
    for length in {*range(0, needed, max(needed // 40, 1)), needed - 1}:
        cut.write_bytes(data[:length])
        refused(f"oci-archive:{cut}", tmp_path / "room")
    assert not list((tmp_path / "room").glob(".*"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder, not an archive; write oci:DIR"),
        (lambda path: path.write_bytes(b""), "not an OCI layout"),
        (lambda path: path.write_bytes(b"PK\3\4" + bytes(600)), "zip"),
        (lambda path: path.write_bytes(b"hello" * 200), "neither tar nor gzip nor zstd"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_files_that_are_no_archive(
    tmp_path: Path, make: Callable[[Path], Any], message: str
) -> None:
    make(tmp_path / "a.tar")
    line = refused(f"oci-archive:{tmp_path}/a.tar", tmp_path / "room")
    assert line.startswith(f"oci-archive:{tmp_path}/a.tar")
    assert message in line


@needs("skopeo")
def test_what_skopeo_wrote(tmp_path: Path, source: Path) -> None:
    run("skopeo", "copy", "-q", f"oci:{source}:v1", f"oci-archive:{tmp_path}/a.tar:x")
    found = fetch(f"oci-archive:{tmp_path}/a.tar:x", tmp_path / "room")
    assert found.descriptor.digest == Layout(source).find("v1").digest
    assert len(whole(found)) == 4


# Writing


def two_images(tmp_path: Path, family: Any = "oci") -> dict[str | None, Fetched]:
    """A hardened image and its counterpart, which share a layer."""
    image_layout(tmp_path / "made", LAYERS[:1], tag="v1", family=family)
    image_layout(tmp_path / "found", LAYERS, tag="v1", family=family)
    return {
        "v1": fetch(f"oci:{tmp_path}/made:v1", tmp_path / "no room"),
        "v1-debug": fetch(f"oci:{tmp_path}/found:v1", tmp_path / "no room"),
    }


def test_a_new_archive_holds_both_images(tmp_path: Path) -> None:
    images = two_images(tmp_path)
    deliver(images, f"oci-archive:{tmp_path}/new.tar:v1")
    for tag, image in images.items():
        found = fetch(f"oci-archive:{tmp_path}/new.tar:{tag}", tmp_path / "room")
        assert found.descriptor.digest == image.descriptor.digest
        assert [blob.digest for blob in whole(found)] == [blob.digest for blob in whole(image)]
    assert len(members(tmp_path / "new.tar")) == 2 + 7 - 1  # one layer is in both


def test_the_archive_is_plain_to_the_standard_library(tmp_path: Path) -> None:
    deliver(two_images(tmp_path), f"oci-archive:{tmp_path}/new.tar:v1")
    with tarfile.open(tmp_path / "new.tar") as archive:
        found = archive.getmembers()
    assert [info.name for info in found] == sorted(info.name for info in found)
    assert {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in found} == {
        (0, 0, 0, "", "")
    }
    assert {(info.mode, info.type) for info in found} == {(0o644, tarfile.REGTYPE)}
    names = [
        child["annotations"]["org.opencontainers.image.ref.name"]
        for child in json.loads(members(tmp_path / "new.tar")["index.json"])["manifests"]
    ]
    assert names == ["v1", "v1-debug"]


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    images = two_images(tmp_path)
    deliver(images, f"oci-archive:{tmp_path}/one.tar:v1")
    for path in tmp_path.rglob("blobs/*/*"):
        os.utime(path, (0, 0))
    mask = os.umask(0o077)
    try:
        deliver(images, f"oci-archive:{tmp_path}/two.tar:v1")
    finally:
        os.umask(mask)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_image_without_a_name(tmp_path: Path) -> None:
    image = two_images(tmp_path)["v1"]
    deliver({None: image}, f"oci-archive:{tmp_path}/new.tar")
    found = fetch(f"oci-archive:{tmp_path}/new.tar", tmp_path / "room")
    assert found.descriptor.digest == image.descriptor.digest


def test_the_counterpart_can_have_a_name_of_its_own(tmp_path: Path) -> None:
    images = two_images(tmp_path)
    found = {None: images["v1"], "why": images["v1-debug"]}
    deliver(found, f"oci-archive:{tmp_path}/new.tar")
    read = fetch(f"oci-archive:{tmp_path}/new.tar:why", tmp_path / "room")
    assert read.descriptor.digest == images["v1-debug"].descriptor.digest


def test_progress_counts_every_blob_once(tmp_path: Path) -> None:
    told = list[int]()
    watch = Watch(start=told.append, on_bytes=told.append)
    deliveries = [
        Delivery(layout=image.layout, descriptor=image.descriptor, tag=tag)
        for tag, image in two_images(tmp_path).items()
    ]
    target = references.parse(f"oci-archive:{tmp_path}/new.tar:v1")
    copy.deliver(deliveries, target, Access(), watch)
    assert told[0] == sum(told[1:]) > 0


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"precious"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
    ],
)
def test_what_is_there_is_never_replaced(
    tmp_path: Path, transport: str, make: Callable[[Path], Any]
) -> None:
    images, path = two_images(tmp_path), tmp_path / "new.tar"
    make(path)
    before = sorted((found, found.lstat().st_mtime_ns) for found in tmp_path.glob("*"))
    with pytest.raises(UsageError, match="is there already; remove it, or name another file"):
        deliver(images, f"{transport}:{path}:app:v1")
    assert sorted((found, found.lstat().st_mtime_ns) for found in tmp_path.glob("*")) == before


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out" / "new.tar"
    path.parent.mkdir()

    def late() -> list[bytes]:
        path.write_bytes(b"precious")
        return [b"x"]

    with pytest.raises(UsageError, match="is there already"):
        archives.create(path, {"a": Content(chunks=late, size=1)})
    assert [(found.name, found.read_bytes()) for found in path.parent.iterdir()] == [
        ("new.tar", b"precious")
    ]


def test_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    archives.create(tmp_path / "new.tar", {"a": Content.of(b"x")})
    assert members(tmp_path / "new.tar") == {"a": b"x"}
    assert [path.name for path in tmp_path.iterdir()] == ["new.tar"]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("number", range(3))
def test_a_bad_blob_leaves_no_archive(tmp_path: Path, transport: str, number: int) -> None:
    images = two_images(tmp_path)
    manifest = images["v1-debug"].descriptor.digest
    folder = tmp_path / "found" / "blobs" / "sha256"
    path = [path for path in sorted(folder.iterdir()) if path.name not in manifest][number]
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError):
        deliver({"v1": images["v1-debug"]}, f"{transport}:{tmp_path}/out/new.tar:app:v1")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_says_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(CareenError, match="cannot write") as caught:
        archives.create(tmp_path / "new.tar", {"a": Content.of(b"x")})
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        archives.create(tmp_path / "misspelt" / "new.tar", {"a": Content.of(b"x")})
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_known_last_finds_its_room(tmp_path: Path) -> None:
    def chunks() -> list[bytes]:
        return [b"x" * 600, b"y" * 5]

    archives.create(tmp_path / "a.tar", {"late": Content(chunks=chunks), "z": Content.of(b"z")})
    assert members(tmp_path / "a.tar") == {"late": b"x" * 600 + b"y" * 5, "z": b"z"}
    small, large = (
        tar.header(Entry(kind="file", name="a", size=size, pax=archives._SIZE_LATER))
        for size in (0, 9 << 30)
    )
    assert len(small) == len(large)
    with tarfile.open(fileobj=io.BytesIO(large)) as archive:
        first = archive.firstmember  # type: ignore[attr-defined]
    assert (first.name, first.size) == ("a", 9 << 30)


@needs("skopeo")
@needs("umoci")
def test_skopeo_and_umoci_read_the_new_archive(tmp_path: Path) -> None:
    images = two_images(tmp_path)
    deliver(images, f"oci-archive:{tmp_path}/new.tar:v1")
    for tag, image in images.items():
        raw = run("skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/new.tar:{tag}")
        assert raw == image.layout.read(image.descriptor, ceiling=1 << 20)
        copied = tmp_path / f"copied-{tag}"
        run("skopeo", "copy", "-q", f"oci-archive:{tmp_path}/new.tar:{tag}", f"oci:{copied}:x")
        assert Layout(copied).find("x").digest == image.descriptor.digest
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    run("tar", "-C", str(unpacked), "-xf", str(tmp_path / "new.tar"))
    assert b"v1-debug" in run("umoci", "ls", "--layout", str(unpacked))
    run("umoci", "stat", "--image", f"{unpacked}:v1")
