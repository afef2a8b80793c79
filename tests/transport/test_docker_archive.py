"""Docker archives: every shape that `docker save` has had, and the one that careen writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from careen.errors import FormatError, SourceError, UsageError
from careen.oci import image as images
from careen.oci.layout import Layout
from careen.rootfs.scan import scan
from careen.transport import copy
from careen.transport import reference as references
from careen.transport.access import Access
from careen.transport.copy import Delivery, Fetched, Watch
from tests.builders import Lnk, Node, Reg, compressed, digest, image_layout, put, tar_layer
from tests.judges import needs
from tests.transport.archives import (
    LAYERS,
    Files,
    config,
    fetch,
    hex_of,
    listing,
    manifest_of,
    members,
    new_save,
    old_save,
    packed,
    whole,
)
from tests.transport.common import run

A, B = LAYERS
PLAIN = "application/vnd.docker.image.rootfs.diff.tar"


def deliver(found: dict[str | None, Fetched], destination: str) -> None:
    deliveries = [
        Delivery(layout=image.layout, descriptor=image.descriptor, tag=tag)
        for tag, image in found.items()
    ]
    copy.deliver(deliveries, references.parse(destination), Access(), Watch())


def refused(text: str, room: Path) -> str:
    """The one line of a refusal."""
    with pytest.raises(SourceError) as caught:
        fetch(text, room)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 4
    assert {path.name for path in room.glob("*")} <= {"blobs"}
    assert all(path.is_dir() or len(path.name) == 64 for path in room.glob("blobs/*/*"))
    return line


def crane_save(path: Path, layers: list[bytes], tags: list[str] | None) -> Path:
    """As crane and its kin save: names that are digests, gzip layers."""
    document, blobs = config(layers), [compressed(layer, "gzip") for layer in layers]
    names = [f"{hex_of(blob)}.tar.gz" for blob in blobs]
    files = {digest(document): document, **dict(zip(names, blobs, strict=True))}
    return packed(path, {**files, "manifest.json": listing((digest(document), tags, names))})


SHAPES: dict[str, tuple[Callable[..., Path], str]] = {
    "old": (old_save, PLAIN),
    "new": (new_save, PLAIN),
    "new, gzip": (partial(new_save, codec="gzip"), f"{PLAIN}.gzip"),
    "new, zstd": (partial(new_save, codec="zstd"), f"{PLAIN}.zstd"),
    "crane": (crane_save, f"{PLAIN}.gzip"),
}


# Reading


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read(tmp_path: Path, shape: str) -> None:
    save, kind = SHAPES[shape]
    path = save(tmp_path / "a.tar", [A, B, A], ["app:1"])
    found = fetch(f"docker-archive:{path}:app:1", tmp_path / "room")
    manifest = manifest_of(found)
    assert manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert [layer.media_type for layer in manifest.layers] == [kind] * 3
    assert found.layout.read(manifest.config, ceiling=1 << 20) == config([A, B, A])
    assert len(whole(found)) == 5
    with scan(found.layout, images.load(found.layout, found.descriptor)) as read:
        assert {"b", "etc", "etc/a"} <= set(read.rootfs.nodes)


def test_the_digest_is_that_of_a_manifest_made_of_the_content(tmp_path: Path) -> None:
    made = (
        '{"schemaVersion":2,'
        '"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        '"config":{"mediaType":"application/vnd.docker.container.image.v1+json",'
        f'"digest":"{digest(config([A]))}","size":{len(config([A]))}}},'
        f'"layers":[{{"mediaType":"{PLAIN}","digest":"{digest(A)}","size":{len(A)}}}]}}'
    ).encode()
    old = old_save(tmp_path / "old.tar", [A], ["app:1"])
    new = new_save(tmp_path / "new.tar", [A], ["other:7"])
    again = tmp_path / "again.tar.gz"
    again.write_bytes(compressed(old.read_bytes(), "gzip"))
    for path in (old, new, again):
        found = fetch(f"docker-archive:{path}", tmp_path / "room")
        assert found.descriptor.digest == digest(made)
        assert found.layout.read(found.descriptor, ceiling=1 << 20) == made


def test_an_image_without_layers(tmp_path: Path) -> None:
    path = new_save(tmp_path / "a.tar", [], None)
    assert manifest_of(fetch(f"docker-archive:{path}", tmp_path / "room")).layers == ()


def several(path: Path) -> Path:
    """Three images: two names, a name as podman writes it, and none."""
    documents = [config([A], marker) for marker in "012"]
    files: Files = {f"{hex_of(document)}.json": document for document in documents}
    files["a/layer.tar"] = A
    names = [["app:1", "h.example:5/team/app:1"], ["localhost/app:2"], None]
    items = [
        (f"{hex_of(document)}.json", tags, ["a/layer.tar"])
        for document, tags in zip(documents, names, strict=True)
    ]
    return packed(path, {**files, "manifest.json": listing(*items)})


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("app:1", 0),
        ("docker.io/app:1", 0),
        ("docker.io/library/app:1", 0),
        ("h.example:5/team/app:1", 0),
        ("localhost/app:2", 1),
        ("@0", 0),
        ("@2", 2),
    ],
)
def test_an_image_is_chosen_by_name_or_place(tmp_path: Path, ref: str, number: int) -> None:
    path = several(tmp_path / "a.tar")
    found = fetch(f"docker-archive:{path}:{ref}", tmp_path / "room")
    assert manifest_of(found).config.digest == digest(config([A], str(number)))


CHOICES = "app:1, h.example:5/team/app:1, localhost/app:2, @2"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", f"3 images; name one as docker-archive:FILE:REF, of: {CHOICES}"),
        (":app", f"no image named 'docker.io/library/app:latest'; there are: {CHOICES}"),
        (":app:2", "no image named 'docker.io/library/app:2'"),
        (":@3", f"no image named '@3'; there are: {CHOICES}"),
    ],
)
def test_a_ref_that_says_nothing_lists_the_choices(tmp_path: Path, ref: str, message: str) -> None:
    path = several(tmp_path / "a.tar")
    assert message in refused(f"docker-archive:{path}{ref}", tmp_path / "room")


def test_a_name_that_two_images_have(tmp_path: Path) -> None:
    documents = [config([A], marker) for marker in "01"]
    files = {f"{hex_of(document)}.json": document for document in documents}
    items = [(name, ["docker.io/library/app:1"], ["a"]) for name in files]
    path = packed(tmp_path / "a.tar", {**files, "a": A, "manifest.json": listing(*items)})
    line = refused(f"docker-archive:{path}:app:1", tmp_path / "room")
    assert "several images named 'docker.io/library/app:1'" in line


def test_the_choices_of_a_flood_fit_on_a_line(tmp_path: Path) -> None:
    items = [("c", [f"app:{i}"], list[str]()) for i in range(5000)]
    path = packed(tmp_path / "a.tar", {"manifest.json": listing(*items)})
    line = refused(f"docker-archive:{path}", tmp_path / "room")
    assert line.endswith("app:19, …")


def test_names_that_nobody_could_write_match_nothing(tmp_path: Path) -> None:
    tags = ["App:1", "", "a b", "x" * 300, "app@sha256:" + "0" * 64]
    path = new_save(tmp_path / "a.tar", [A], tags)
    assert len(whole(fetch(f"docker-archive:{path}", tmp_path / "room"))) == 3
    assert "no image named" in refused(f"docker-archive:{path}:app:1", tmp_path / "other")


def listed(document: Any) -> Callable[[Files], Files]:
    return lambda files: {**files, "manifest.json": json.dumps(document).encode()}


def item(**changes: Any) -> list[dict[str, Any]]:
    return [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["a/layer.tar"], **changes}]


GOOD: Files = {
    "c.json": config([A]),
    "a/layer.tar": A,
    "manifest.json": json.dumps(item()).encode(),
}
LIE = "0" * 64
BAD: dict[str, tuple[Callable[[Files], Files], list[Node], str]] = {
    "an OCI layout": (
        lambda _: {"oci-layout": b"{}", "index.json": b"{}"},
        [],
        "write oci-archive:FILE",
    ),
    "a list that is none": (listed({}), [], "manifest.json: not a JSON list"),
    "no images": (listed([]), [], "0 images; name one as docker-archive:FILE:REF, of: none"),
    "an item that is none": (listed([3]), [], "manifest.json[0]: not an image"),
    "no config named": (listed(item(Config="")), [], "manifest.json[0]: not an image"),
    "a config of another kind": (listed(item(Config=7)), [], "manifest.json[0].Config: not a str"),
    "layers of another kind": (listed(item(Layers=[7])), [], "manifest.json[0].Layers: not a list"),
    "names of another kind": (listed(item(RepoTags="x")), [], "manifest.json[0].RepoTags: not a"),
    "JSON that is cut": (lambda files: {**files, "manifest.json": b"[{"}, [], "not JSON"),
    "one key twice": (
        lambda files: {**files, "manifest.json": b'[{"Config":"a","Config":"c.json"}]'},
        [],
        "duplicate key 'Config'",
    ),
    "no such config": (listed(item(Config="d.json")), [], "no d.json in the archive"),
    "no such layer": (listed(item(Layers=["b"])), [], "no b in the archive"),
    "a layer outside": (listed(item(Layers=["../../etc/passwd"])), [], "no ../../etc/passwd in"),
    "an absolute layer": (listed(item(Layers=["/etc/passwd"])), [], "no /etc/passwd in the arch"),
    "a layer that is a folder": (listed(item(Layers=["a"])), [], "no a in the archive"),
    "a layer that is no tar": (
        lambda files: {**files, "a/layer.tar": b"hello" * 200},
        [],
        "a/layer.tar: neither tar nor gzip nor zstd",
    ),
    "two lists": (lambda files: files, [Reg("manifest.json", b"[]")], "manifest.json is there tw"),
    "two layers": (lambda files: files, [Reg("./a/layer.tar", B)], "a/layer.tar is there twice"),
    "a list by symbolic link": (
        lambda files: {"real": files["manifest.json"]},
        [Lnk("manifest.json", "real")],
        "manifest.json is a symlink",
    ),
    "a link that leads out": (
        listed(item(Layers=["b/layer.tar"])),
        [Lnk("b/layer.tar", "../../a/layer.tar")],
        "leads out of the archive: '../../a/layer.tar'",
    ),
    "an absolute link": (
        listed(item(Layers=["b/layer.tar"])),
        [Lnk("b/layer.tar", "/etc/passwd")],
        "an absolute name: '/etc/passwd'",
    ),
    "a link to nothing": (
        listed(item(Layers=["b"])),
        [Lnk("b", "nowhere")],
        "no nowhere in the archive",
    ),
    "links in a circle": (
        listed(item(Layers=["b"])),
        [Lnk("b", "c"), Lnk("c", "b")],
        "symbolic links in a row",
    ),
    "a config that is not its name": (
        lambda files: {**listed(item(Config=f"{LIE}.json"))(files), f"{LIE}.json": config([A])},
        [],
        f"{LIE}.json: its bytes have the digest {digest(config([A]))}",
    ),
    "a layer that is not its name": (
        lambda files: {
            **listed(item(Layers=[f"blobs/sha256/{LIE}"]))(files),
            f"blobs/sha256/{LIE}": A,
        },
        [],
        f"its bytes have the digest {digest(A)}",
    ),
    "a config that is too large": (
        lambda files: {**files, "c.json": bytes((8 << 20) + 1)},
        [],
        "c.json: a config over the limit",
    ),
    "a way up": (lambda files: files, [Reg("a/../../evil", b"x")], "`..` in its name"),
}


def test_the_good_one_is_read(tmp_path: Path) -> None:
    packed(tmp_path / "a.tar", GOOD)
    assert len(whole(fetch(f"docker-archive:{tmp_path}/a.tar", tmp_path / "room"))) == 3


@pytest.mark.parametrize("case", BAD)
def test_archives_that_are_refused(tmp_path: Path, case: str) -> None:
    change, more, message = BAD[case]
    packed(tmp_path / "a.tar", change(GOOD), *more)
    line = refused(f"docker-archive:{tmp_path}/a.tar", tmp_path / "room")
    assert message in line
    assert line.startswith(f"docker-archive:{tmp_path}/a.tar")


def test_an_archive_cut_anywhere(tmp_path: Path) -> None:
    data = old_save(tmp_path / "whole.tar", [A, B], None).read_bytes()
    cut = tmp_path / "cut.tar"
    needed = len(data.rstrip(b"\0"))
    for length in {*range(0, needed, needed // 40), needed - 1}:
        cut.write_bytes(data[:length])
        refused(f"docker-archive:{cut}", tmp_path / "room")


@needs("skopeo")
def test_what_skopeo_wrote(tmp_path: Path) -> None:
    layers = [A, B, A]
    image_layout(tmp_path / "source", layers, tag="v1")
    archive = f"docker-archive:{tmp_path}/a.tar"
    run("skopeo", "copy", "-q", f"oci:{tmp_path}/source:v1", f"{archive}:app:1")
    found = fetch(f"{archive}:app:1", tmp_path / "room")
    image = images.load(found.layout, found.descriptor)
    assert image.config.diff_ids == tuple(digest(layer) for layer in layers)
    assert [layer.digest for layer in image.manifest.layers] == list(image.config.diff_ids)
    raw = run("skopeo", "inspect", "--config", "--raw", archive)
    assert raw == image.config.raw


# Writing


def two_images(tmp_path: Path, codec: str = "gzip") -> dict[str | None, Fetched]:
    """A hardened image and its counterpart, which share a layer."""
    image_layout(tmp_path / "made", [A], tag="v1", codec=codec)
    image_layout(tmp_path / "found", [A, B, A], tag="v1", codec=codec)
    return {
        "v1": fetch(f"oci:{tmp_path}/made:v1", tmp_path / "no room"),
        "v1-debug": fetch(f"oci:{tmp_path}/found:v1", tmp_path / "no room"),
    }


@pytest.mark.parametrize("codec", ["plain", "gzip", "zstd"])
def test_a_new_archive_holds_both_images(tmp_path: Path, codec: str) -> None:
    both = two_images(tmp_path, codec)
    deliver(both, f"docker-archive:{tmp_path}/new.tar:app:v1")
    found = members(tmp_path / "new.tar")
    items = json.loads(found["manifest.json"])
    assert [entry["RepoTags"] for entry in items] == [
        ["docker.io/library/app:v1"],
        ["docker.io/library/app:v1-debug"],
    ]
    assert [found[name] for name in items[0]["Layers"]] == [A]
    assert [found[name] for name in items[1]["Layers"]] == [A, B, A]
    for entry, image in zip(items, both.values(), strict=True):
        manifest = manifest_of(image)
        raw = found[entry["Config"]]
        assert raw == image.layout.read(manifest.config, ceiling=1 << 20)
        assert entry["Config"] == f"{hashlib.sha256(raw).hexdigest()}.json"
    assert len(found) == 1 + 2 + 2
    for tag, image in both.items():
        read = fetch(f"docker-archive:{tmp_path}/new.tar:app:{tag}", tmp_path / "room")
        assert manifest_of(read).config.digest == manifest_of(image).config.digest


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for codec in ("gzip", "zstd"):
        both = two_images(tmp_path / codec, codec)
        deliver(both, f"docker-archive:{tmp_path}/{codec}.tar:app:v1")
        written.append((tmp_path / f"{codec}.tar").read_bytes())
    assert written[0] == written[1]


def test_what_careen_wrote_and_reads_has_the_digest_that_it_was_read_with(tmp_path: Path) -> None:
    save = old_save(tmp_path / "a.tar", [A, B, A], ["app:1"])
    first = fetch(f"docker-archive:{save}", tmp_path / "room")
    deliver({"v1": first}, f"docker-archive:{tmp_path}/new.tar:app:v1")
    again = fetch(f"docker-archive:{tmp_path}/new.tar", tmp_path / "other")
    assert again.descriptor == first.descriptor


def test_an_image_without_a_name(tmp_path: Path) -> None:
    deliver({None: two_images(tmp_path)["v1"]}, f"docker-archive:{tmp_path}/new.tar")
    (entry,) = json.loads(members(tmp_path / "new.tar")["manifest.json"])
    assert entry["RepoTags"] is None


@pytest.mark.parametrize("text", ["docker-archive:new.tar", "docker-archive:new.tar:@0"])
def test_a_tag_needs_a_name_to_stand_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"write docker-archive:new\.tar:NAME:TAG|write NAME:TAG"):
        deliver({"v1": two_images(tmp_path)["v1"]}, text)
    assert not (tmp_path / "new.tar").exists()


def test_a_place_is_no_name_for_a_new_image() -> None:
    place = references.parse("docker-archive:a.tar:@0")
    assert str(place) == "docker-archive:a.tar:@0"
    with pytest.raises(UsageError, match="a new archive has names, not numbers"):
        copy.check_destination(place, Access())
    with pytest.raises(UsageError, match=r"write docker-archive:a\.tar:NAME:TAG"):
        references.with_tag(place, "x")
    with pytest.raises(UsageError, match="add --debug-tag TAG or --no-debug"):
        references.debug_tag(place)


@pytest.mark.parametrize("change", ["another layer", "too many", "no config"])
def test_an_image_that_does_not_fit_its_config(tmp_path: Path, change: str) -> None:
    wrong: dict[str, Any] = {"rootfs": {"type": "layers", "diff_ids": [digest(B)]}}
    if change == "too many":
        wrong["rootfs"]["diff_ids"] = [digest(A), digest(B)]
    image_layout(tmp_path / "source", [A], tag="v1", change_config=wrong)
    found = fetch(f"oci:{tmp_path}/source:v1", tmp_path / "no room")
    if change == "no config":
        found.layout.path(manifest_of(found).config.digest).unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=r"diff_id|cannot be read"):
        deliver({"v1": found}, f"docker-archive:{tmp_path}/out/new.tar:app:v1")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_layer_that_hides_bytes_after_its_end(tmp_path: Path) -> None:
    image_layout(tmp_path / "source", [A], tag="v1")
    layout = Layout(tmp_path / "source")
    manifest = json.loads(layout.read(layout.find("v1"), ceiling=1 << 20))
    manifest["layers"][0] |= put(tmp_path / "source", compressed(A, "gzip") + b"hidden")
    descriptor = put(tmp_path / "source", json.dumps(manifest).encode())
    index = json.loads((tmp_path / "source" / "index.json").read_text())
    index["manifests"][0] |= descriptor
    (tmp_path / "source" / "index.json").write_text(json.dumps(index))
    found = fetch(f"oci:{tmp_path}/source:v1", tmp_path / "no room")
    with pytest.raises(FormatError, match="garbage after the end"):
        deliver({"v1": found}, f"docker-archive:{tmp_path}/new.tar:app:v1")


@needs("skopeo")
def test_skopeo_reads_the_new_archive(tmp_path: Path) -> None:
    both = two_images(tmp_path)
    deliver(both, f"docker-archive:{tmp_path}/new.tar:h.example:5/app:v1")
    for tag, image in both.items():
        archive = f"docker-archive:{tmp_path}/new.tar:h.example:5/app:{tag}"
        expected = images.load(image.layout, image.descriptor)
        assert run("skopeo", "inspect", "--config", "--raw", archive) == expected.config.raw
        told = json.loads(run("skopeo", "inspect", archive))
        assert told["Layers"] == list(expected.config.diff_ids)
        run("skopeo", "copy", "-q", archive, f"dir:{tmp_path}/copied-{tag}")  # checks every digest


@needs("skopeo")
def test_what_skopeo_saves_of_the_new_archive_is_the_same_image(tmp_path: Path) -> None:
    deliver({"v1": two_images(tmp_path)["v1-debug"]}, f"docker-archive:{tmp_path}/new.tar:app:v1")
    ours, theirs = (f"docker-archive:{tmp_path}/{name}.tar" for name in ("new", "theirs"))
    run("skopeo", "copy", "-q", f"{ours}:app:v1", f"{theirs}:app:v1")
    found = [fetch(f"{text}:app:v1", tmp_path / "room") for text in (ours, theirs)]
    assert found[0].descriptor == found[1].descriptor


def test_layers_are_never_read_by_their_names(tmp_path: Path) -> None:
    """What looks like a tar by name is gzip, and the other way round."""
    layers = {"a/layer.tar": compressed(A, "gzip"), "b.tar.gz": B}
    document = config([A, B])
    path = packed(
        tmp_path / "a.tar",
        {**layers, "c": document, "manifest.json": listing(("c", None, list(layers)))},
    )
    found = fetch(f"docker-archive:{path}", tmp_path / "room")
    kinds = [layer.media_type for layer in manifest_of(found).layers]
    assert kinds == [f"{PLAIN}.gzip", PLAIN]
    with scan(found.layout, images.load(found.layout, found.descriptor)) as read:
        assert "etc/a" in read.rootfs.nodes


def test_a_layer_that_is_not_the_configs(tmp_path: Path) -> None:
    packed(tmp_path / "a.tar", {**GOOD, "a/layer.tar": tar_layer([Reg("evil")])})
    found = fetch(f"docker-archive:{tmp_path}/a.tar", tmp_path / "room")
    image = images.load(found.layout, found.descriptor)
    with pytest.raises(FormatError, match="diff_id"), scan(found.layout, image):
        pass
