"""The real images are what they claim, with skopeo, umoci and dpkg as judges."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures import build as builder
from fixtures import record
from fixtures.build import Image
from fixtures.layers import difference, read_entries, write_layer
from fixtures.recipes import EPOCH

from careen.profile.observed import is_of_images
from tests.builders import Dir, Hard, Lnk, Node, Reg, tar_layer
from tests.e2e.support import App, check_flask, check_nginx, check_redis, pong, running, unpack

NAMES = ["redis", "nginx", "flask"]
ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0, reason="nginx changes to its workers' user, which needs root"
)
START = 2_000_000_000  # after any time in the hand-made tars

LOWER = [
    Dir("etc"),
    Reg("etc/a", "1"),
    Reg("etc/b", "1"),
    Dir("old"),
    Reg("old/x"),
    Lnk("l", "etc"),
]


CASES = [
    "same",
    "new",
    "content",
    "mode",
    "folder",
    "gone",
    "folder-gone",
    "link",
    "folder-to-link",
    "hard-link",
]


@pytest.mark.parametrize(
    ("upper", "wanted"),
    [
        (LOWER, []),
        ([*LOWER, Reg("etc/c")], ["etc", "etc/c"]),
        ([Dir("etc"), Reg("etc/a", "2"), *LOWER[2:]], ["etc", "etc/a"]),
        ([Dir("etc"), Reg("etc/a", "1", mode=0o600), *LOWER[2:]], ["etc", "etc/a"]),
        ([Dir("etc", mode=0o700), *LOWER[1:]], ["etc"]),
        ([*LOWER[:1], *LOWER[2:]], ["etc", "etc/.wh.a"]),
        ([*LOWER[:3], LOWER[5]], [".wh.old"]),
        ([*LOWER[:5], Lnk("l", "old")], ["l"]),
        ([*LOWER[:3], Lnk("old", "etc"), LOWER[5]], ["old"]),
        ([*LOWER, Hard("z", "etc/a")], ["etc", "etc/a", "z"]),
    ],
    ids=CASES,
)
def test_a_layer_is_the_difference_of_two_trees(upper: list[Node], wanted: list[str]) -> None:
    before, after = (read_entries(opened(tar_layer(nodes)), START) for nodes in (LOWER, upper))
    assert [entry.info.name for entry in difference(before, after)] == wanted


def test_what_a_build_makes_has_a_fixed_time() -> None:
    tree = read_entries(opened(tar_layer([Reg("new"), Reg("old", mtime=9)])), start=10)
    assert [entry.info.mtime for entry in tree.values()] == [EPOCH, 9]


def test_a_written_layer_reads_back_with_its_metadata(tmp_path: Path) -> None:
    capability = {"SCHILY.xattr.security.capability": "\x01\0\0\x02\0\x20\0\0"}
    nodes = [Dir("d", mode=0o1777), Reg("d/é", "x", mode=0o4755, uid=7, gid=8, pax=capability)]
    tree = read_entries(opened(tar_layer(nodes)), START)
    layer = write_layer(tmp_path, tree.values(), "test")
    packed = layer.path.read_bytes()
    plain = gzip.decompress(packed)
    assert (layer.digest, layer.diff_id, layer.size) == (sha(packed), sha(plain), len(packed))
    found = opened(plain).getmembers()[1]
    assert (found.name, found.mode, found.uid, found.gid) == ("d/é", 0o4755, 7, 8)
    assert found.pax_headers.items() >= capability.items()


def test_a_cached_folder_is_made_once_and_again_when_its_sources_change(tmp_path: Path) -> None:
    source, made = tmp_path / "source", []

    def make(text: str) -> None:
        source.write_text(text)
        with builder.kept(tmp_path / "cache" / "x", [source]) as folder:
            if folder is not None:
                made.append(text)
                (folder / "content").write_text(text)

    for text in ("1", "1", "2"):
        make(text)
    assert made == ["1", "2"]
    assert (tmp_path / "cache" / "x" / "content").read_text() == "2"


def test_a_failed_build_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    target, source = tmp_path / "x", tmp_path / "source"
    source.touch()
    with pytest.raises(OSError, match="full"), builder.kept(target, [source]):
        raise OSError("full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "x.lock"]


def test_two_who_want_the_same_image_wait_for_one(tmp_path: Path) -> None:
    source, made = tmp_path / "source", []
    source.touch()

    def make() -> None:
        with builder.kept(tmp_path / "x", [source]) as folder:
            if folder is not None:
                made.append(folder)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_sorted_and_speaks_of_the_image_alone(name: str) -> None:
    document = yaml.safe_load((record.PROFILES / f"{name}.yaml").read_text())
    (scenario,) = document["scenarios"]
    for key in ("executed", "opened", "examined", "missing", "links"):
        listed = list(scenario[key])
        assert listed == sorted(set(listed))
        assert all(path != "/" and is_of_images(path) for path in listed)
    assert scenario["executed"]
    assert scenario["image"]["name"].startswith(f"{name}:")


@pytest.fixture(scope="module", params=NAMES)
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(f"{request.param}_image")
    return found


@pytest.fixture(scope="module")
def bundle(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(image.layout, image.ref, tmp_path_factory.mktemp("image") / "bundle")


@pytest.mark.e2e
def test_every_image_stands_on_one_base_layer(
    redis_image: Image, nginx_image: Image, flask_image: Image
) -> None:
    lists = [layers(image) for image in (redis_image, nginx_image, flask_image)]
    assert len({each[0]["digest"] for each in lists}) == 1
    assert len({layer["digest"] for each in lists for layer in each}) == 1 + 2 * len(lists)


@pytest.mark.e2e
def test_skopeo_reads_the_config_and_every_blob(image: Image, tmp_path: Path) -> None:
    copied = ["skopeo", "copy", "--quiet", str(image), f"dir:{tmp_path}/copy"]
    subprocess.run(copied, check=True, capture_output=True)
    config = json.loads(output("skopeo", "inspect", "--config", str(image)))
    assert config["config"]["Labels"]["org.opencontainers.image.version"][0].isdigit()
    assert config["config"]["Entrypoint"] if image.ref != "1" else config["config"]["Cmd"]
    filled = [entry for entry in config["history"] if not entry.get("empty_layer")]
    assert len(filled) == len(config["rootfs"]["diff_ids"]) == len(layers(image)) == 3


@pytest.mark.e2e
def test_dpkg_finds_the_database_whole_and_the_files_unchanged(bundle: Path, image: Image) -> None:
    root = bundle / "rootfs"
    assert output("dpkg", f"--root={root}", "--audit") == ""
    states = output(
        "dpkg-query", f"--admindir={root}/var/lib/dpkg", "-f", "${db:Status-Status}\n", "-W"
    )
    assert set(states.split()) == {"installed"}
    assert len(states.split()) > 100
    broken = output("dpkg", f"--root={root}", "--verify").splitlines()
    # A line is "??5?????? c /path"; Flask's image has its documentation deleted, as vendors do.
    assert [line for line in broken if "/usr/share/" not in line and " c " not in line] == []


@pytest.mark.e2e
def test_special_files_keep_what_they_are(bundle: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root unpacks owners and device nodes")
    root = bundle / "rootfs"
    assert (root / "dev/null").is_char_device()
    assert (root / "usr/bin/passwd").stat().st_mode & 0o7777 == 0o4755
    assert (root / "etc/shadow").stat().st_gid == 42
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


CHECKS: list[Any] = [
    pytest.param("redis", check_redis, id="redis"),
    pytest.param("nginx", check_nginx, id="nginx", marks=ROOT_ONLY),
    pytest.param("flask", check_flask, id="flask"),
]


@pytest.mark.e2e
@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_an_image_works_under_bubblewrap_and_stops_when_asked(
    name: str, check: Callable[[App], None], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    image: Image = request.getfixturevalue(f"{name}_image")
    with running(unpack(image.layout, image.ref, tmp_path / "bundle")) as app:
        check(app)
        assert app.stop() == 0


@pytest.mark.e2e
def test_nothing_is_left_of_an_application_after_its_block(
    redis_image: Image, tmp_path: Path
) -> None:
    bundle = unpack(redis_image.layout, redis_image.ref, tmp_path / "bundle")
    with running(bundle) as app:
        app.wait_for(6379)
    with pytest.raises(ProcessLookupError):
        os.kill(app.pid, signal.SIG_DFL)
    assert pong(bundle) == "PONG"


@pytest.mark.e2e
def test_an_image_without_its_program_says_so(redis_image: Image, tmp_path: Path) -> None:
    bundle = unpack(redis_image.layout, redis_image.ref, tmp_path / "bundle")
    (bundle / "rootfs/usr/bin/redis-server").unlink()
    with pytest.raises(AssertionError, match="redis-server"):
        pong(bundle)


def opened(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data))


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layers(image: Image) -> list[dict[str, Any]]:
    """The manifest's descriptors."""
    index = json.loads((image.layout / "index.json").read_text())
    digest = index["manifests"][0]["digest"].replace(":", "/")
    found: list[dict[str, Any]] = json.loads((image.layout / "blobs" / digest).read_text())[
        "layers"
    ]
    return found


def output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
