"""The real images at every policy and granularity: dpkg, syft and use are the judges."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures.build import build

from tests.e2e.hardened import PROFILES, careen, dpkg, syft_packages
from tests.e2e.support import check_flask, check_nginx, check_redis, running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
CHECKS = {"redis": check_redis, "nginx": check_nginx, "flask": check_flask}
WAYS = [
    (policy, granularity)
    for policy in ("conservative", "standard", "strict")
    for granularity in ("package", "file")
    if (policy, granularity) != ("standard", "package")  # test_harden has that
]


class Way(NamedTuple):
    """One image hardened one way; `before` and `after` are umoci bundles."""

    name: str
    policy: str
    granularity: str
    plan: dict[str, Any]
    layout: Path
    before: Path
    after: Path

    @property
    def roots(self) -> tuple[Path, Path]:
        return self.before / "rootfs", self.after / "rootfs"

    @property
    def options(self) -> tuple[str, ...]:
        profile = str(PROFILES / f"{self.name}.yaml")
        return (
            "--profile", profile, "--policy", self.policy, "--granularity", self.granularity,
            "--format", "json", "--quiet",
        )  # fmt: skip

    def packages(self, *decisions: str) -> set[tuple[str, str]]:
        return {
            (item["name"], item["version"])
            for item in self.plan["packages"]
            if item["decision"] in decisions
        }


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The unhardened image, unpacked once for each name."""

    @cache
    def get(name: str) -> Path:
        image = build(name)
        return unpack(image.layout, image.ref, tmp_path_factory.mktemp(name) / "before")

    return get


@pytest.mark.parametrize(("policy", "granularity"), WAYS)
@pytest.mark.parametrize("name", CHECKS)
def test_dpkg_syft_and_the_application_agree(
    name: str, policy: str, granularity: str, before: Any, tmp_path: Path
) -> None:
    image = build(name)
    way = Way(name, policy, granularity, {}, tmp_path / "layout", before(name), tmp_path / "after")
    done = careen("harden", str(image), f"oci:{way.layout}:x", *way.options)
    assert done.returncode == 0, done.stderr
    way = way._replace(plan=json.loads(done.stdout))
    unpack(way.layout, "x", way.after)
    check_dpkg(way)
    assert syft_packages(way.roots[1]) == way.packages("keep", "partial")
    check_by_file(way)
    check_again(way)
    with running(way.after) as app:
        CHECKS[name](app)
        app.stop()


def check_dpkg(way: Way) -> None:
    source, result = way.roots
    listed = dpkg(result, "-W", "-f=${Package} ${Version}\\n")
    assert {tuple(line.split(" ")) for line in listed} == way.packages("keep", "partial")
    assert dpkg(result, "--audit") == dpkg(source, "--audit")
    assert set(dpkg(result, "--verify")) <= set(dpkg(source, "--verify"))


def check_by_file(way: Way) -> None:
    """Packages are partial by file, and what nothing uses of them is gone."""
    dropped = [item for item in way.plan["paths"] if item["reason"].endswith("file)")]
    assert bool(dropped) == (way.granularity == "file")
    assert bool(way.packages("partial")) == (way.granularity == "file")
    for item in dropped:
        assert not (way.roots[1] / item["path"][1:]).is_symlink()
        assert not (way.roots[1] / item["path"][1:]).exists()


def check_again(way: Way) -> None:
    """Hardened once more, the same way, nothing goes."""
    done = careen("plan", f"oci:{way.layout}:x", *way.options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["paths"] == []
