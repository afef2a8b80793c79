"""The same source, profile and options give the same manifest digest, wherever and however."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.build import build

from tests.e2e.hardened import PROFILES, careen, skopeo
from tests.registries import RunningRegistry

pytestmark = pytest.mark.e2e
PROFILE = str(PROFILES / "redis.yaml")
ENVIRONMENTS = {
    "as it is": {},
    "east": {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
    "west": {"TZ": "Etc/GMT+12", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "CAREEN_JOBS": "8"},
    "one job": {"CAREEN_JOBS": "1", "PYTHONUTF8": "0"},
}


def hardened(source: str, folder: Path, *options: str, **environment: str) -> str:
    """The manifest digest of a hardened redis."""
    digest = folder / "digest"
    done = careen(
        "harden", source, f"oci:{folder / 'out'}:x", "--profile", PROFILE, "--quiet",
        "--digest-file", str(digest), *options, **environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return digest.read_text().strip()


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    return hardened(str(build("redis")), tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_environment_does_not_show(
    environment: dict[str, str], reference: str, tmp_path: Path
) -> None:
    assert hardened(str(build("redis")), tmp_path, **environment) == reference


def test_the_umask_does_not_show(reference: str, tmp_path: Path) -> None:
    import os

    old = os.umask(0o077)
    try:
        assert hardened(str(build("redis")), tmp_path) == reference
    finally:
        os.umask(old)


def test_the_transport_does_not_show(
    local_registry: RunningRegistry, reference: str, tmp_path: Path
) -> None:
    source = f"docker://{local_registry.host}/same/redis:7"
    skopeo("copy", "--quiet", "--dest-tls-verify=false", str(build("redis")), source)
    assert hardened(source, tmp_path) == reference


@pytest.mark.parametrize("codec", ["zstd", "gzip:portable"])
def test_the_number_of_jobs_does_not_show_in_any_codec(codec: str, tmp_path: Path) -> None:
    digests = set()
    for jobs in ("1", "2", "8"):
        (tmp_path / jobs).mkdir()
        options = ["--compression", codec, "--jobs", jobs]
        digests.add(hardened(str(build("redis")), tmp_path / jobs, *options))
    assert len(digests) == 1


def test_the_codec_shows_in_the_manifest_and_not_in_the_config(tmp_path: Path) -> None:
    import json

    configs, manifests = set(), set()
    for codec in ("gzip", "zstd:1", "gzip:portable"):
        folder = tmp_path / codec.replace(":", "-")
        folder.mkdir()
        manifests.add(hardened(str(build("redis")), folder, "--compression", codec))
        raw = skopeo("inspect", "--raw", f"oci:{folder}/out:x")
        configs.add(json.loads(raw)["config"]["digest"])
    assert len(manifests) == 3
    assert len(configs) == 1
