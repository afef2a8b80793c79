"""A plan applied: what is kept comes out as it went in, and the documents say what is true."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from careen.errors import SourceError
from careen.formats import digest as digests
from careen.formats import tar
from careen.formats.compression import Encoding
from careen.oci import image as images
from careen.oci.image import Image
from careen.oci.layout import Layout
from careen.plan.plan import PathDecision, Plan, Source
from careen.rewrite import image as rewriting
from careen.rewrite.image import Form, Work
from careen.rootfs.rootfs import Kind
from careen.rootfs.scan import scan
from tests.builders import Dir, Hard, Lnk, Node, Reg, image_layout, tar_layer

GZIP = Encoding.parse("gzip")


def drop(path: str, kind: Kind = "file") -> PathDecision:
    return PathDecision(path=path, kind=kind, decision="drop", reason="test")


def replace(path: str, data: bytes) -> PathDecision:
    content = base64.b64encode(data).decode()
    return PathDecision(path=path, kind="file", decision="replace", reason="test", content=content)


def applied(  # what an image can differ in
    folder: Path,
    layers: list[list[Node]],
    *decisions: PathDecision,
    form: Form | None = None,
    jobs: int = 2,
    **options: Any,
) -> tuple[Image, bytes]:
    """The new image and its uncompressed layer."""
    options.setdefault("tag", "x")
    image_layout(folder / "source", [tar_layer(nodes) for nodes in layers], **options)
    source = Layout(folder / "source")
    image = images.load(source, source.find("x"))
    plan = Plan(
        source=Source(digest=image.manifest.digest, platform="linux/amd64"), paths=decisions
    )
    target = Layout(folder / "target")
    form = form or Form(encoding=GZIP, command="careen test 0")
    with scan(source, image, scratch=folder) as read:
        made = rewriting.apply(image, read.rootfs, plan, target, form, Work(jobs=jobs))
    raw = target.read(made.manifest.layers[0], ceiling=1 << 30)
    return made, gzip.decompress(raw) if form.encoding.codec == "gzip" else raw


def headers(data: bytes) -> dict[str, bytes]:
    """Name → the raw header bytes of each entry."""
    return {
        entry.name: data[entry.header_offset : entry.data_offset] for entry in tar.Reader([data])
    }


def names(data: bytes) -> list[str]:
    return [
        f"{entry.name}{' = ' + entry.linkname if entry.kind == 'link' else ''}"
        for entry in tar.Reader([data])
    ]


def test_kept_entries_keep_their_raw_headers(tmp_path: Path) -> None:
    nodes = [
        Dir("./d/"),
        Reg("./d/plain", b"1", uid=5),
        Reg("./d/pax", b"2", pax={"VENDOR.note": "kept", "atime": "5.25", "ctime": "7"}),
        Reg("d/" + "n" * 180, b"3"),
        Lnk("l", "d/plain"),
        Hard("z", "./d/plain", uid=5, mode=0o644),
    ]
    _, data = applied(tmp_path, [nodes])
    assert headers(data) == headers(tar_layer(nodes))


def test_parents_first_whatever_the_order_was(tmp_path: Path) -> None:
    nodes = [Reg("b/c/x", b"1"), Reg("b-x", b"2"), Dir("b/c"), Dir("b"), Reg("a", b"3")]
    _, data = applied(tmp_path, [nodes])
    assert names(data) == ["a", "b/", "b/c/", "b/c/x", "b-x"]


def test_the_first_surviving_name_carries_the_content(tmp_path: Path) -> None:
    nodes = [
        Reg("a", b"content", mode=0o755),
        Hard("b", "a", mode=0o755),
        Hard("c", "a", mode=0o755),
    ]
    _, data = applied(tmp_path, [nodes], drop("/a"))
    assert names(data) == ["b", "c = b"]
    first = next(iter(tar.Reader([data])))
    assert data[first.data_offset : first.data_offset + first.size] == b"content"
    assert first.mode == 0o755


def test_a_replaced_file_keeps_its_attributes_and_parts_from_its_links(tmp_path: Path) -> None:
    nodes = [
        Reg("a", b"old", mode=0o640, uid=7, mtime=9.5),
        Hard("b", "a", mode=0o640, uid=7, mtime=9.5),
    ]
    _, data = applied(tmp_path, [nodes], replace("/a", b"new content"))
    entries = {entry.name: entry for entry in tar.Reader([data])}
    a, b = entries["a"], entries["b"]
    assert (a.kind, a.size, a.mode, a.uid, a.mtime) == ("file", 11, 0o640, 7, 9_500_000_000)
    assert data[a.data_offset : a.data_offset + a.size] == b"new content"
    assert data[b.data_offset : b.data_offset + b.size] == b"old"


def test_a_replaced_link(tmp_path: Path) -> None:
    item = PathDecision(path="/l", kind="symlink", decision="replace", reason="", target="b")
    _, data = applied(tmp_path, [[Lnk("l", "a", uid=4)]], item)
    (entry,) = tar.Reader([data])
    assert (entry.kind, entry.linkname, entry.uid) == ("symlink", "b", 4)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (drop("/nowhere"), "which the image does not have"),
        (drop("/d", "directory"), "drops the directory it is in"),
        (replace("/d", b""), "no such file"),
        (replace("/l", b""), "no such file"),
    ],
)
def test_a_plan_that_does_not_fit(tmp_path: Path, item: PathDecision, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        applied(tmp_path, [[Dir("d"), Reg("d/x"), Lnk("l", "d")]], item)
    assert not list((tmp_path / "target").rglob("*.careen-*"))


def test_what_is_written_is_what_is_said(tmp_path: Path) -> None:
    made, data = applied(tmp_path, [[Reg("a", b"x" * 3_000_000)], [Reg("b", b"y")]])
    assert made.config.diff_ids == (digests.of(data),)
    assert len(made.manifest.layers) == len(made.config.history) == 1
    assert json.loads(made.config.history[0]["comment"])["history"][1]["created_by"] == "layer 1"


@pytest.mark.parametrize("codec", ["gzip", "zstd", "plain"])
def test_the_sources_compression_and_the_jobs_do_not_show(tmp_path: Path, codec: str) -> None:
    layers = [[Reg("a", bytes(range(256)) * 20_000)], [Reg("b", b"y")]]
    expected = applied(tmp_path / "one", layers)[0].manifest.layers
    assert applied(tmp_path / "two", layers, codec=codec, jobs=5)[0].manifest.layers == expected


def test_every_unknown_field_stays(tmp_path: Path) -> None:
    made, _ = applied(
        tmp_path,
        [[Reg("a")]],
        config={"Entrypoint": ["/a"], "Vendor": {"x": [1]}, "Labels": {"a": "b"}},
        change_config={"os.version": "1", "vendor": None, "variant": "v3"},
        change_manifest={"vendor": 1.5, "annotations": {"c": "d"}},
    )
    config, manifest = made.config.document, made.manifest.document
    assert config["config"] == {
        "Entrypoint": ["/a"], "Vendor": {"x": [1]}, "Labels": {"a": "b"},
    }  # fmt: skip
    assert (config["os.version"], config["vendor"], config["variant"]) == ("1", None, "v3")
    assert manifest["vendor"] == 1.5
    assert manifest["annotations"]["c"] == "d"
    assert manifest["annotations"]["io.careen.encoder"] == GZIP.name


def test_base_annotations_tell_of_the_source(tmp_path: Path) -> None:
    base = "org.opencontainers.image.base.name"
    made, _ = applied(
        tmp_path, [[Reg("a")]], annotations={base: "debian:12"}, config={"Labels": {base: "x"}}
    )
    assert made.manifest.annotations["io.careen.source.base.name"] == "debian:12"
    assert made.config.execution.labels == {"io.careen.source.base.name": "x"}
    assert base not in made.manifest.annotations


@pytest.mark.parametrize(
    ("created", "expected"), [("", "2024-05-01T00:00:00Z"), ("2001-01-01T00:00:00Z",) * 2]
)
def test_created(tmp_path: Path, created: str, expected: str) -> None:
    form = Form(encoding=GZIP, command="c", created=created)
    made, _ = applied(tmp_path, [[Reg("a")]], form=form)
    assert made.config.document["created"] == expected
    assert made.config.history[0]["created"] == expected


def test_docker_stays_docker_and_can_become_oci(tmp_path: Path) -> None:
    made, _ = applied(tmp_path / "1", [[Reg("a")]], family="docker")
    assert made.manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert made.manifest.layers[0].media_type.endswith("rootfs.diff.tar.gzip")
    assert "annotations" not in made.manifest.document
    form = Form(encoding=GZIP, command="c", facts={"io.careen.x": "y"}, oci_manifest=True)
    made, _ = applied(tmp_path / "2", [[Reg("a")]], family="docker", form=form)
    assert made.manifest.media_type == "application/vnd.oci.image.manifest.v1+json"
    assert made.manifest.config.media_type == "application/vnd.oci.image.config.v1+json"
    assert made.manifest.layers[0].media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert made.manifest.annotations["io.careen.x"] == "y"


@pytest.mark.parametrize("config", [None, {}])
def test_no_config_object_and_no_layers(tmp_path: Path, config: dict[str, Any] | None) -> None:
    made, data = applied(tmp_path, [], change_config={"config": config})
    assert data == tar.END
    assert made.config.diff_ids == (digests.of(tar.END),)
