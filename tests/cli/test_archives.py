"""Archives on the command line: there and back, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from careen.cli import app
from tests.builders import Dir, Reg, image_layout, tar_layer
from tests.transport.archives import fetch, files_of, members, old_save, packed, whole

LAYERS = [
    tar_layer([Dir("bin"), Reg("bin/a", b"a" * 5000, mode=0o755)]),
    tar_layer([Reg("b", b"b" * 700)]),
]
PROFILE = "schema: careen.profile/v1\nscenarios:\n  - name: a\n    executed: [/bin/a]\n"


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image in each of `layout`, `oci.tar` and `docker.tar`."""
    monkeypatch.chdir(tmp_path)
    image_layout(tmp_path / "layout", LAYERS, tag="v1", config={"Entrypoint": ["/bin/a"]})
    packed(tmp_path / "oci.tar", files_of(tmp_path / "layout"))
    old_save(tmp_path / "docker.tar", LAYERS, ["app:v1"])
    (tmp_path / "p.yaml").write_text(PROFILE)


def careen(line: str) -> int:
    return app.main([*line.split(), "--quiet"])


SOURCES = ["oci:layout:v1", "oci-archive:oci.tar:v1", "docker-archive:docker.tar:app:v1"]


@pytest.mark.parametrize("text", SOURCES)
@pytest.mark.parametrize("target", ["oci:out:x", "oci-archive:out:x", "docker-archive:out:app:x"])
def test_from_and_to_everywhere(tmp_path: Path, text: str, target: str) -> None:
    assert careen(f"squash {text} {target}") == 0
    assert careen(f"verify {target}") == 0
    assert len(whole(fetch(target, tmp_path / "room"))) == 3


@pytest.mark.parametrize("text", SOURCES[1:])
def test_the_counterpart_is_in_the_archive(tmp_path: Path, text: str) -> None:
    assert careen(f"harden {text} oci-archive:out.tar:v2 --profile p.yaml") == 0
    source = fetch(text, tmp_path / "room").descriptor.digest
    debug = fetch("oci-archive:out.tar:v2-debug", tmp_path / "room").descriptor.digest
    assert debug == source
    assert careen("verify oci-archive:out.tar:v2 --source oci-archive:out.tar:v2-debug") == 0


def test_both_names_in_a_docker_archive(capsys: pytest.CaptureFixture[str]) -> None:
    line = "harden docker-archive:docker.tar docker-archive:out.tar:team/app:v2 --profile p.yaml"
    assert careen(line) == 0
    items = json.loads(members(Path("out.tar"))["manifest.json"])
    names = ["docker.io/team/app:v2", "docker.io/team/app:v2-debug"]
    assert [item["RepoTags"] for item in items] == [[name] for name in names]
    assert "docker-archive:out.tar:docker.io/team/app:v2-debug" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("oci-archive:out.tar --debug-tag why", [None, "why"]),
        ("oci-archive:out.tar --no-debug", [None]),
        ("oci-archive:out.tar:v2 --debug-tag why", ["v2", "why"]),
        ("oci-archive:out.tar:v2 --no-debug", ["v2"]),
    ],
)
def test_names_in_an_oci_archive(target: str, names: list[str | None]) -> None:
    assert careen(f"harden oci:layout:v1 {target} --profile p.yaml") == 0
    index = json.loads(members(Path("out.tar"))["index.json"])
    key = "org.opencontainers.image.ref.name"
    assert [child.get("annotations", {}).get(key) for child in index["manifests"]] == names


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("docker-archive:out.tar --no-debug", [None]),
        ("docker-archive:out.tar:app:v2 --no-debug", [["docker.io/library/app:v2"]]),
        (
            "docker-archive:out.tar:app:v2 --debug-tag why",
            [["docker.io/library/app:v2"], ["docker.io/library/app:why"]],
        ),
    ],
)
def test_names_in_a_docker_archive(target: str, names: list[list[str] | None]) -> None:
    assert careen(f"harden oci:layout:v1 {target} --profile p.yaml") == 0
    items = json.loads(members(Path("out.tar"))["manifest.json"])
    assert [item["RepoTags"] for item in items] == names


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("harden X oci-archive:out.tar --profile p.yaml", "add --debug-tag TAG or --no-debug"),
        ("harden X docker-archive:out.tar --profile p.yaml", "add --debug-tag TAG or --no-debug"),
        (
            "harden X docker-archive:out.tar --profile p.yaml --debug-tag why",
            "no name to put the tag 'why' to; write docker-archive:out.tar:NAME:TAG",
        ),
        (
            "harden X docker-archive:out.tar:app:v2 --profile p.yaml --debug-tag v2",
            "the hardened image has this tag; choose another",
        ),
        ("squash X oci-archive:oci.tar:v2", "oci.tar: is there already; remove it, or name anot"),
        ("squash X docker-archive:layout:app:v2", "layout: is there already"),
        ("squash X docker-archive:out.tar:@0", "a new archive has names, not numbers"),
    ],
)
def test_usage_that_is_refused_before_the_source_is_read(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert careen(line.replace("X", "oci:nowhere:x")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out.tar").exists()


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("target", ["oci:out:x", "oci-archive:out:x", "docker-archive:out:app:x"])
def test_a_bad_source_makes_nothing_at_all(
    number: int, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(Path("layout"))
    name = sorted(key for key in files if key.startswith("blobs/"))[number]
    data = files[name]
    files[name] = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
    packed(Path("bad.tar"), files)
    path = Path("layout") / name
    path.write_bytes(files[name])
    for text in ("oci:layout:v1", "oci-archive:bad.tar:v1"):
        assert careen(f"squash {text} {target}") == 4
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert not Path("out").exists()
