"""A layout on disk: atomic writes, checked reads, one name a manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from careen.errors import CareenError, FormatError, SourceError, UsageError
from careen.formats import digest as digests
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.layout import REF_NAME, Layout
from tests.builders import Reg, add_to_index, image_layout, put, tar_layer
from tests.judges import needs


def described(data: bytes) -> Descriptor:
    return Descriptor.of("application/octet-stream", data)


def leftover_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".careen-*") if path.is_file()]


def test_a_written_blob_is_read_back_and_named_by_its_digest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    blob = layout.write([b"ab", b"c"])
    assert blob.digest == digests.of(b"abc")
    assert blob.size == 3
    assert layout.read(blob, ceiling=10) == b"abc"
    assert leftover_files(tmp_path) == []


def test_sha512_names_are_kept(tmp_path: Path) -> None:
    import hashlib

    digest = digests.parse(f"sha512:{hashlib.sha512(b'abc').hexdigest()}")
    blob = Descriptor(media_type="", digest=digest, size=3)
    layout = Layout(tmp_path)
    layout.write([b"abc"], blob)
    assert b"".join(layout.stream(blob)) == b"abc"
    with pytest.raises(FormatError, match="has digest sha512:"):
        layout.write([b"abd"], blob)


@pytest.mark.parametrize("wrong", [b"abd", b"ab", b"abcd"])
def test_a_blob_that_is_not_what_was_expected_leaves_nothing(tmp_path: Path, wrong: bytes) -> None:
    layout, expected = Layout(tmp_path), described(b"abc")
    with pytest.raises(FormatError):
        layout.write([wrong], expected)
    assert not layout.has(expected.digest)
    assert leftover_files(tmp_path) == []


def test_a_producer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"a"
        raise SourceError("gone")

    with pytest.raises(SourceError, match="gone"):
        Layout(tmp_path).write(chunks())
    assert leftover_files(tmp_path) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"abX"), "has digest sha256:"),
        (lambda path: path.write_bytes(b"abcd"), "4 bytes, its descriptor says 3"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_damaged_blobs_are_refused(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    layout = Layout(tmp_path)
    blob = layout.write([b"abc"])
    damage(layout.path(blob.digest))
    with pytest.raises(SourceError, match=message):
        layout.read(blob, ceiling=10)


def test_a_killed_writers_file_is_swept_up_and_a_living_ones_is_not(tmp_path: Path) -> None:
    from careen.oci.layout import writing

    layout = Layout(tmp_path)
    blob = layout.write([b"abc"])
    stale = tmp_path / "blobs" / "sha256" / ".careen-dead"
    stale.write_bytes(b"half")
    with writing(stale.parent) as (_, alive):
        layout.tag(blob, "a")
        assert alive.exists()
    assert not stale.exists()


def test_the_disk_saying_no_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CareenError, match="cannot write"):
        Layout(tmp_path / "file").write([b"x"])


class TestNames:
    def test_a_tag_moves(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path)
        one, two = layout.write([b"1"]), layout.write([b"2"])
        layout.tag(one, "a")
        layout.tag(one, "b")
        layout.tag(two, "a")
        assert layout.find("a").digest == two.digest
        assert layout.find("b").digest == one.digest

    def test_unknown_fields_of_other_entries_stay(self, tmp_path: Path) -> None:
        image_layout(tmp_path, [tar_layer([Reg("a")])], tag="other")
        index = json.loads((tmp_path / "index.json").read_text())
        index["vendor"] = {"x": 1}
        index["manifests"][0]["vendor"] = [1]
        (tmp_path / "index.json").write_text(json.dumps(index))
        layout = Layout(tmp_path)
        layout.tag(layout.write([b"1"]), "new")
        after = json.loads((tmp_path / "index.json").read_text())
        assert after["vendor"] == {"x": 1}
        assert after["manifests"][0]["vendor"] == [1]
        assert after["manifests"][0]["annotations"] == {REF_NAME: "other"}

    def test_the_only_image_needs_no_name(self, tmp_path: Path) -> None:
        image_layout(tmp_path, [], tag=None)
        assert Layout(tmp_path).find(None).size > 0

    def test_an_ambiguous_or_missing_name_lists_the_choices(self, tmp_path: Path) -> None:
        image_layout(tmp_path, [], tag="a")
        image_layout(tmp_path, [tar_layer([Reg("x")])], tag="b")
        with pytest.raises(SourceError, match="of: a, b"):
            Layout(tmp_path).find(None)
        with pytest.raises(SourceError, match="'c'; there are: a, b"):
            Layout(tmp_path).find("c")

    def test_one_name_on_two_images_is_refused(self, tmp_path: Path) -> None:
        image_layout(tmp_path, [], tag="a")
        image_layout(tmp_path, [tar_layer([Reg("x")])], tag="a")
        with pytest.raises(SourceError, match="several images named 'a'"):
            Layout(tmp_path).find("a")

    @needs("skopeo")
    def test_skopeo_reads_a_tagged_layout(self, tmp_path: Path) -> None:
        import subprocess

        descriptor = image_layout(tmp_path / "l", [tar_layer([Reg("x")])], tag="a")
        layout = Layout(tmp_path / "l")
        layout.tag(layout.find("a"), "z")
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", f"oci:{tmp_path}/l:z"], capture_output=True, check=True
        ).stdout
        assert digests.of(raw) == descriptor["digest"]


class TestNoLayout:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="not an OCI layout"):
            Layout(tmp_path / "none").find(None)

    def test_another_version(self, tmp_path: Path) -> None:
        image_layout(tmp_path, [])
        (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
        with pytest.raises(SourceError, match=r"2\.0\.0"):
            Layout(tmp_path).find(None)

    @pytest.mark.parametrize("text", ["", "[]", '{"manifests":[{}]}', '{"a":1,"a":2}', "\xff"])
    def test_a_broken_index(self, tmp_path: Path, text: str) -> None:
        image_layout(tmp_path, [])
        (tmp_path / "index.json").write_text(text, encoding="latin-1")
        with pytest.raises(SourceError, match=r"index\.json"):
            Layout(tmp_path).find(None)


class TestImages:
    """Documents that are refused, each by name."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"layers": [], "manifests": []}, "both a manifest and an index"),
            ({"artifactType": "x/y"}, "an artifact"),
            ({"config": {"digest": "sha256:../../x", "size": 1}}, "config.digest"),
            ({"config": {"digest": "md5:" + "0" * 32, "size": 1}}, "not a sha256"),
            ({"config": {"digest": "sha256:" + "A" * 64, "size": 1}}, "not a sha256"),
            ({"config": {"digest": "sha256:" + "a" * 64, "size": -1}}, "config.size"),
            ({"layers": [{}]}, r"layers\[0\]"),
            ({"layers": 3}, "layers"),
            ({"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}, "outside"),
            ({"schemaVersion": 1}, "schema 1"),
        ],
    )
    def test_manifests(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        descriptor = image_layout(tmp_path, [tar_layer([Reg("x")])], change_manifest=change)
        with pytest.raises(SourceError, match=message):
            images.load(
                Layout(tmp_path),
                Descriptor.parse(
                    descriptor | {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
                ),
            )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"os": "windows"}, "Linux images only"),
            ({"os": ""}, "not an image config"),
            ({"rootfs": {"diff_ids": []}}, "0 diff_ids for 1 layers"),
            ({"rootfs": {"diff_ids": ["x"]}}, r"rootfs.diff_ids\[0\]"),
            ({"config": {"Env": "A=b"}}, "config.Env"),
            ({"config": {"Labels": {"a": 1}}}, "config.Labels"),
        ],
    )
    def test_configs(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        descriptor = image_layout(tmp_path, [tar_layer([Reg("x")])], change_config=change)
        with pytest.raises(SourceError, match=message):
            images.load(Layout(tmp_path), Descriptor.parse(descriptor))

    @pytest.mark.parametrize(
        ("media_type", "message"),
        [
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "encrypted"),
            ("application/x-lzma", "unknown layer type"),
        ],
    )
    def test_layer_types(self, tmp_path: Path, media_type: str, message: str) -> None:
        layers = [{"mediaType": media_type, **put(tmp_path, b"x")}]
        descriptor = image_layout(
            tmp_path, [tar_layer([Reg("x")])], change_manifest={"layers": layers}
        )
        with pytest.raises(SourceError, match=message):
            images.load(Layout(tmp_path), Descriptor.parse(descriptor))

    def test_a_foreign_layer_is_never_fetched_from_its_urls(self, tmp_path: Path) -> None:
        layer = {
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": digests.of(b"elsewhere"),
            "size": 9,
            "urls": ["https://example.invalid/layer"],
        }
        descriptor = image_layout(
            tmp_path, [tar_layer([Reg("x")])], change_manifest={"layers": [layer]}
        )
        with pytest.raises(SourceError, match="urls are not followed"):
            images.load(Layout(tmp_path), Descriptor.parse(descriptor))

    def test_history_that_does_not_fit_is_a_note(self, tmp_path: Path) -> None:
        descriptor = image_layout(
            tmp_path, [tar_layer([Reg("x")])], change_config={"history": [{}, {}]}
        )
        image = images.load(Layout(tmp_path), Descriptor.parse(descriptor))
        assert [note.rule for note in image.notes] == ["history-length"]

    def test_embedded_data_must_be_the_blob(self, tmp_path: Path) -> None:
        descriptor = image_layout(tmp_path, [])
        with pytest.raises(FormatError, match="embedded data"):
            Descriptor.parse(descriptor | {"data": "eHl6"})


class TestIndexes:
    def choose(self, folder: Path, wanted: str | None) -> str:
        from careen.oci.manifest import CEILING
        from careen.oci.platform import Platform

        layout = Layout(folder)
        found = images.select(
            layout.find("i"),
            Platform.from_text(wanted) if wanted else None,
            lambda descriptor: layout.read(descriptor, ceiling=CEILING),
        )
        return found.digest

    def index(self, folder: Path, depth: int = 1) -> dict[str, str]:
        """Two images under one index, within as many more as `depth` says; their digests."""
        children = {}
        for platform in ("linux/amd64", "linux/arm64/v8"):
            os, architecture, *variant = platform.split("/")
            child = image_layout(folder, [tar_layer([Reg(platform)])], tag=None, platform=platform)
            named = {"os": os, "architecture": architecture}
            children[platform] = child | {
                "platform": named | ({"variant": variant[0]} if variant else {})
            }
        attestation = image_layout(folder, [], tag=None) | {
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }
        manifests = [*children.values(), attestation]
        for _ in range(depth):
            document = {"schemaVersion": 2, "manifests": manifests}
            top = {
                "mediaType": "application/vnd.oci.image.index.v1+json",
                **put(folder, json.dumps(document).encode()),
            }
            manifests = [top | {"platform": {"os": "linux", "architecture": "amd64"}}]
        add_to_index(folder, top, "i")
        return {platform: child["digest"] for platform, child in children.items()}

    def test_the_platform_chooses(self, tmp_path: Path) -> None:
        digests_by_platform = self.index(tmp_path)
        assert self.choose(tmp_path, "linux/amd64") == digests_by_platform["linux/amd64"]
        assert self.choose(tmp_path, "linux/arm64") == digests_by_platform["linux/arm64/v8"]

    @pytest.mark.parametrize("wanted", [None, "linux/s390x", "linux/arm64/v7"])
    def test_no_platform_lists_the_choices(self, tmp_path: Path, wanted: str | None) -> None:
        self.index(tmp_path)
        with pytest.raises(SourceError, match=r"linux/amd64, linux/arm64/v8$"):
            self.choose(tmp_path, wanted)

    def test_a_nested_index_is_followed_and_a_deep_one_refused(self, tmp_path: Path) -> None:
        nested = self.index(tmp_path / "two", depth=2)
        assert self.choose(tmp_path / "two", "linux/amd64") == nested["linux/amd64"]
        self.index(tmp_path / "nine", depth=9)
        with pytest.raises(FormatError, match="nested more than"):
            self.choose(tmp_path / "nine", "linux/amd64")


class TestDestinations:
    def test_a_new_or_empty_folder_or_a_layout(self, tmp_path: Path) -> None:
        Layout(tmp_path / "new").check_usable()
        (tmp_path / "empty").mkdir()
        Layout(tmp_path / "empty").check_usable()
        image_layout(tmp_path / "layout", [])
        Layout(tmp_path / "layout").check_usable()

    @pytest.mark.parametrize("name", ["index.json", "holiday.jpg"])
    def test_a_folder_of_something_else(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("{}")
        with pytest.raises(UsageError, match="something else than an OCI layout"):
            Layout(tmp_path).check_usable()
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("x")
        with pytest.raises(UsageError, match="cannot be written"):
            Layout(tmp_path / "f").check_usable()
